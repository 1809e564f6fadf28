//! The example that mounts the portal in an application of its own, tried out.

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
use actix_web::web::Data;
use actix_web::{App, http::StatusCode};
use serde_json::{Value, json};

use crate::fixture::request;
use crate::logs::Log;

#[path = "../../examples/mounted.rs"]
#[expect(dead_code, unreachable_pub, reason = "an example is a program of its own, and its main is not called here")]
mod example;

/// A reply of the application: the status, two headers and the body.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    challenge: Option<String>,
    house: Option<String>,
    body: Value,
}

/// Asks an application as the example puts it together, one thing after the other. It runs on a multi-thread runtime of
/// its own, which the database needs.
fn ask(requests: Vec<TestRequest>) -> Vec<Reply> {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    let answers = local.block_on(&runtime, async {
        let state = Data::new(example::portal(folder.path()).await.unwrap());
        let app = App::new().wrap(from_fn(example::name_the_house)).configure(|config| example::mount(config, &state));
        let app = init_service(app).await;
        let mut answers = Vec::new();
        for asked in requests {
            let response = call_service(&app, asked.to_request()).await;
            let header =
                |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
            let (status, challenge, house) = (response.status(), header("www-authenticate"), header("x-house"));
            answers.push(Reply { status, challenge, house, body: read_body_json(response).await });
        }
        answers
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    answers
}

#[test]
fn accounts_that_live_elsewhere_expose_services_and_create_jobs() {
    let asked = |method, path| request(method, path, example::TOKEN);
    let expose = json!({"name": "my-app", "service": "my-app"});
    let job = json!({"name": "daily", "message": "Hello", "cron": "@daily"});
    let answers = ask(vec![
        asked(Method::GET, "/api/portal/me"),
        asked(Method::POST, "/api/portal/namespace/expose").set_json(expose),
        asked(Method::POST, "/api/portal/workspace/crons").set_json(job),
        asked(Method::GET, "/api/portal/books"),
    ]);
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [200, 201, 201, 200], "{answers:?}");
    assert_eq!(answers[1].body["hostname"], "my-app-carol.your-domain.net");
    assert_eq!(answers[3].body, json!({"reader": "Carol", "books": ["Momo"]}));
    assert!(answers.iter().all(|answer| answer.house.as_deref() == Some("library")), "{answers:?}");
}

#[test]
fn operations_of_an_embedder_answer_whole_problem_documents() {
    let log = Log::capture();
    let answers = ask(vec![
        request(Method::POST, "/library/books", "nobody"),
        TestRequest::get().uri("/api/portal/books"),
        request(Method::POST, "/library/books", example::TOKEN),
        request(Method::GET, "/library/catalogue", example::TOKEN),
    ]);
    let said: Vec<_> = answers.iter().map(|answer| (answer.status.as_u16(), answer.body["code"].clone())).collect();
    let expected = [(401, "session-invalid"), (401, "session-missing"), (409, "shelf-full"), (503, "catalogue-lost")];
    assert_eq!(said, expected.map(|(status, code)| (status, json!(code))), "{answers:?}");
    for answer in &answers {
        assert_eq!(answer.challenge.is_some(), answer.status == 401, "{answer:?}");
        assert!(answer.body["request_id"].as_str().is_some_and(|id| id.len() == 32), "{answer:?}");
        assert!(!answer.body.to_string().contains("sesame"), "{answer:?}");
    }
    let lines = log.text();
    assert_eq!(lines.matches("sesame").count(), 1, "the cause is logged once: {lines}");
}
