//! Log lines of requests: their content, and that no token is in it.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use actix_web::http::Method;

use crate::fixture::{CAUSE, Fixture, request};

thread_local! {
    /// Text that was logged on this thread while it is captured.
    static CAPTURED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Everything that is logged on this thread while it lives, at every level.
///
/// There is one subscriber for the process: with one per thread, a line that another thread reaches first may be
/// taken for one that nobody wants.
pub(crate) struct Log;

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        CAPTURED.with_borrow_mut(|kept| kept.as_mut().map(|kept| kept.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(crate) fn capture() -> Self {
        static START: Once = Once::new();
        START.call_once(|| {
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
                .with_ansi(false)
                .with_writer(|| Lines)
                .init();
        });
        CAPTURED.set(Some(Vec::new()));
        Self
    }

    #[expect(clippy::unused_self, reason = "there is a text only while it is kept")]
    pub(crate) fn text(&self) -> String {
        String::from_utf8(CAPTURED.with_borrow(|kept| kept.clone().unwrap_or_default())).unwrap()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        CAPTURED.set(None);
    }
}

#[actix_web::test]
async fn a_request_is_logged_with_who_asked_what_and_without_its_token_or_query() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let log = Log::capture();
    let asked = request(Method::GET, "/api/portal/me?q=private", &token).insert_header(("x-request-id", "trace-1"));
    assert_eq!(fixture.ask(asked).await.status, 200);
    let text = log.text();
    for part in ["request_id=\"trace-1\"", "friend.id=\"alice\"", "http.route=\"/api/portal/me\"", "status=200"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains(&token) && !text.contains("private"), "{text}");
}

#[actix_web::test]
async fn the_cause_of_trouble_is_logged_once_under_the_request_id() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    fixture.outage.go_down(CAUSE);
    let log = Log::capture();
    let asked = request(Method::GET, "/api/portal/agents", &token).insert_header(("x-request-id", "trace-2"));
    fixture.ask(asked).await.assert_problem(503, "database-unavailable");
    let text = log.text();
    let told: Vec<_> = text.lines().filter(|line| line.contains(CAUSE)).collect();
    assert_eq!(told.len(), 1, "{text}");
    assert!(told[0].contains("trace-2") && told[0].contains("ERROR"), "{told:?}");
}

#[actix_web::test]
async fn a_filter_that_keeps_nothing_but_errors_keeps_their_request_id() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let log = Log::capture();
    fixture.ask(request(Method::GET, "/api/portal/agents", &token)).await;
    let text = log.text();
    let begun: Vec<_> = text.lines().filter(|line| line.contains("request{") && line.ends_with(": new")).collect();
    assert!(!begun.is_empty() && begun.iter().all(|line| line.contains("ERROR")), "{begun:?} in {text}");
}
