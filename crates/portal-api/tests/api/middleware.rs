//! Headers and ids that every request gets, whatever its path.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use async_trait::async_trait;
use portal_api::{Readiness, Settings};
use portal_core::{BackendError, Probe};
use serde_json::json;

use crate::fixture::{Fixture, request};

#[actix_web::test]
async fn an_unknown_address_is_a_problem_and_so_is_an_unknown_method() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    for path in ["/", "/api/portal", "/api/portal/nothing", "/api/portal/me/", "/api//portal/me", "/API/portal/me"] {
        fixture.get(path, &token).await.assert_problem(404, "not-found");
    }
    for path in ["/", "/api/portal", "/api//portal/me", "/API/portal/me"] {
        fixture.get(path, "fps_x").await.assert_problem(404, "not-found");
    }
    let answer = fixture.ask(request(Method::POST, "/api/portal/me", &token)).await;
    answer.assert_problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"));
    let answer = fixture.get("/api/portal/sessions/abc", &token).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("DELETE, OPTIONS")));
    let answer = fixture.ask(request(Method::POST, "/api/portal/settings", &token)).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("GET, HEAD, OPTIONS, PATCH")));
}

#[actix_web::test]
async fn options_tell_what_an_address_takes() {
    let fixture = Fixture::new().await;
    let answer = fixture.ask(request(Method::OPTIONS, "/api/portal/me", "fps_x")).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (200, Some("GET, HEAD, OPTIONS")));
    assert_eq!(answer.json(), json!({}));
}

#[actix_web::test]
async fn what_can_be_read_has_a_head() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    assert_eq!(fixture.ask(request(Method::HEAD, "/api/portal/me", &token)).await.status, 200);
    assert_eq!(fixture.ask(request(Method::HEAD, "/api/portal/me", "fps_x")).await.status, 401);
}

#[actix_web::test]
async fn a_path_with_the_null_character_names_nothing() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    fixture.delete("/api/portal/sessions/a%00b", &token).await.assert_problem(404, "not-found");
}

#[actix_web::test]
async fn nothing_is_kept_by_caches_and_answers_differ_by_who_asks() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    for answer in [fixture.get("/api/portal/me", &token).await, fixture.get("/api/portal/me", "fps_x").await] {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("vary"), Some("Authorization"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[actix_web::test]
async fn a_request_id_is_taken_from_the_caller_only_if_it_fits_a_log() {
    let fixture = Fixture::new().await;
    for (sent, taken) in [("trace-1.a_B", true), ("a b", false), ("", false), ("a;b", false), (&"a".repeat(65), false)]
    {
        let answer = fixture.ask(TestRequest::get().uri("/livez").insert_header(("x-request-id", sent))).await;
        let said = answer.header("x-request-id").unwrap();
        assert_eq!(said == sent, taken, "{sent:?}");
        assert!(taken || said.len() == 32, "{said:?}");
    }
}

#[actix_web::test]
async fn large_answers_are_compressed_and_small_ones_are_not() {
    let fixture = Fixture::new().await;
    let ask = |path: &str| TestRequest::get().uri(path).insert_header(("accept-encoding", "gzip"));
    assert_eq!(fixture.ask(ask("/openapi.json")).await.header("content-encoding"), Some("gzip"));
    assert_eq!(fixture.ask(ask("/livez")).await.header("content-encoding"), None);
    assert_eq!(fixture.ask(ask("/nothing")).await.header("content-encoding"), None);
}

#[actix_web::test]
async fn other_origins_are_let_in_only_if_they_are_listed() {
    let mut fixture = Fixture::new().await;
    let cross = |method: Method| {
        let asked = TestRequest::default().method(method).uri("/api/portal/me");
        asked.insert_header(("origin", "https://page.example")).insert_header(("authorization", "Bearer x"))
    };
    assert_eq!(fixture.ask(cross(Method::GET)).await.header("access-control-allow-origin"), None);
    fixture.settings.origins = vec!["https://page.example".to_owned()];
    let answer = fixture.ask(cross(Method::GET)).await;
    answer.assert_problem(401, "session-invalid");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://page.example"));
    let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
    for name in ["etag", "location", "retry-after", "x-request-id", "ratelimit", "ratelimit-policy"] {
        assert!(exposed.split(", ").any(|listed| listed == name), "{name} is not among {exposed}");
    }
    let preflight = cross(Method::OPTIONS)
        .insert_header(("access-control-request-method", "PUT"))
        .insert_header(("access-control-request-headers", "authorization, if-match"));
    assert_eq!(fixture.ask(preflight).await.status, 200);
    fixture.settings.origins = vec!["https://other.example".to_owned()];
    assert_eq!(fixture.ask(cross(Method::GET)).await.header("access-control-allow-origin"), None);
}

#[actix_web::test]
async fn a_body_that_stalls_is_given_up_and_so_is_its_connection() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let state = Data::new(fixture.state.clone());
    let settings = Settings::default().with_body_time(Duration::from_millis(200));
    let portal = move || App::new().configure(|config| portal_api::configure(config, &state, &settings));
    let server = HttpServer::new(portal).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    let client = move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!(
            "PUT /api/portal/workspace/memory HTTP/1.1\r\nHost: portal\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: 30\r\n\r\n{{\"content\":"
        );
        socket.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        // It ends only when the portal closes the connection.
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = actix_web::rt::task::spawn_blocking(client).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/problem+json"), "{head}");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&json!("body-late"), &json!(408)));
    handle.stop(true).await;
    serving.await.unwrap().unwrap();
}

/// A backend whose client has a fault.
struct Faulty;

#[async_trait]
impl Probe for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn required(&self) -> bool {
        true
    }

    async fn probe(&self) -> Result<(), BackendError> {
        panic!("sesame")
    }
}

#[actix_web::test]
async fn a_panic_is_a_problem_too_and_tells_nothing() {
    let fixture = Fixture::with(|state| state.readiness = Readiness::new(vec![Arc::new(Faulty)])).await;
    let asked = TestRequest::get().uri("/readyz").insert_header(("x-request-id", "trace-1"));
    let answer = fixture.ask(asked).await;
    let problem = answer.assert_problem(500, "internal");
    assert_eq!(problem["request_id"], "trace-1");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(fixture.ask(TestRequest::get().uri("/livez")).await.status, 200);
}
