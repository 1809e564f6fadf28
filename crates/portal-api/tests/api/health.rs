//! Liveness, readiness and the documentation.

use std::time::Duration;

use actix_web::test::TestRequest;
use serde_json::json;

use crate::fixture::{CAUSE, Fixture, Reply};
use crate::logs::Log;

/// More than the cache lifetime of the probes' answers.
const LATER: Duration = Duration::from_secs(2);

async fn ask(fixture: &Fixture, path: &str) -> Reply {
    fixture.ask(TestRequest::get().uri(path)).await
}

#[actix_web::test]
async fn anybody_may_ask_whether_the_portal_is_there() {
    let fixture = Fixture::new().await;
    fixture.outage.go_down("gone");
    fixture.database.switch.go_down();
    assert_eq!(ask(&fixture, "/livez").await.json(), json!({"ok": true}));
    let health = ask(&fixture, "/api/health").await;
    assert_eq!(health.json(), json!({"ok": true, "version": env!("CARGO_PKG_VERSION")}));
}

#[actix_web::test]
async fn readiness_waits_only_for_what_is_required_and_names_nothing() {
    let fixture = Fixture::new().await;
    fixture.cluster.switch.go_down();
    let answer = ask(&fixture, "/readyz").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"ok": true})));
}

#[actix_web::test]
async fn without_its_database_the_portal_is_not_ready_and_strangers_are_not_told_why() {
    let fixture = Fixture::new().await;
    fixture.database.switch.go_down();
    let problem = ask(&fixture, "/readyz").await.assert_problem(503, "not-ready");
    assert_eq!(problem["errors"], json!([]));
    assert!(!problem.to_string().contains("database"), "{problem}");
}

#[actix_web::test]
async fn what_is_not_there_is_logged_when_that_changes_and_not_whenever_somebody_asks() {
    let fixture = Fixture::new().await;
    tokio::time::pause();
    let log = Log::capture();
    let logged = || {
        let text = log.text();
        let lines = text.lines().filter(|line| {
            line.contains("database answers") || line.contains("database does not") || line.contains("a request failed")
        });
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ask(&fixture, "/readyz").await.status, 200);
    assert_eq!(logged(), Vec::<String>::new());
    fixture.database.switch.go_down();
    for _ in 0..2 {
        tokio::time::advance(LATER).await;
        assert_eq!(ask(&fixture, "/readyz").await.status, 503);
    }
    let lines = logged();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let is_whole =
        lines[0].contains("WARN") && lines[0].contains("database does not answer") && lines[0].contains(CAUSE);
    assert!(is_whole, "{lines:?}");
    fixture.database.switch.come_back();
    tokio::time::advance(LATER).await;
    assert_eq!(ask(&fixture, "/readyz").await.status, 200);
    assert_eq!(logged().len(), 2, "{:?}", logged());
}

#[actix_web::test]
async fn a_portal_that_is_about_to_stop_is_not_ready() {
    let fixture = Fixture::new().await;
    fixture.state.readiness.drain();
    let answer = ask(&fixture, "/readyz").await;
    answer.assert_problem(503, "not-ready");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(ask(&fixture, "/livez").await.status, 200);
}

#[actix_web::test]
async fn the_documentation_comes_whole_from_the_portal() {
    let fixture = Fixture::new().await;
    let moved = ask(&fixture, "/docs").await;
    assert_eq!((moved.status.as_u16(), moved.header("location")), (308, Some("docs/")));
    let page = ask(&fixture, "/docs/").await;
    let text = String::from_utf8(page.bytes.to_vec()).unwrap();
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{:?}", page.headers);
    assert!(text.contains("swagger-ui") && !text.contains("https://"), "{text}");
    let start = ask(&fixture, "/docs/swagger-initializer.js").await;
    assert!(String::from_utf8(start.bytes.to_vec()).unwrap().contains("../openapi.json"));
    assert_eq!(ask(&fixture, "/openapi.json").await.json()["openapi"], "3.1.0");
    ask(&fixture, "/docs/none.js").await.assert_problem(404, "not-found");
}
