//! Promises that hold for every operation, shown by walking all of them as alice.

use actix_web::http::Method;
use portal_core::{Actor, Backend};
use serde_json::Value;

use crate::fixture::{CAUSE, Fixture, friend_id, request};
use crate::logs::Log;
use crate::operations::{OPERATIONS, OWNER, PRIVATE, Treasure};

#[actix_web::test]
async fn every_mutation_leaves_its_line_in_the_audit_log_and_nothing_else_does() {
    let fixture = Fixture::new().await;
    let token = fixture.login(OWNER).await;
    let treasure = Treasure::of(&fixture, &token).await;
    for operation in OPERATIONS {
        let before = fixture.audit_of(OWNER).await.len();
        let path = operation.path(treasure.name(operation.named));
        let answer = fixture.ask(operation.request(&path, &token)).await;
        assert!(answer.status.is_success(), "{}: {:?}", operation.name, answer.bytes);
        let lines = fixture.audit_of(OWNER).await;
        let added: Vec<_> = lines[..lines.len() - before].iter().map(String::as_str).collect();
        match operation.leaves {
            Some(action) => {
                assert_eq!(added.len(), 1, "{}: {added:?}", operation.name);
                assert!(added[0].starts_with(&format!("friend:{OWNER} {action} ")), "{}: {added:?}", operation.name);
            }
            None => assert!(added.is_empty(), "{}: {added:?}", operation.name),
        }
        // A preview is a POST for its body's sake and stores nothing.
        let stores_nothing = operation.method() == Method::GET || operation.name.ends_with("/preview");
        assert!(stores_nothing || operation.leaves.is_some(), "{}", operation.name);
    }
}

#[actix_web::test]
async fn no_line_of_the_log_holds_a_token_or_a_text_of_a_friend() {
    let fixture = Fixture::new().await;
    let token = fixture.login(OWNER).await;
    let treasure = Treasure::of(&fixture, &token).await;
    let log = Log::capture();
    let mut said = String::new();
    for operation in OPERATIONS {
        let path = operation.path(treasure.name(operation.named));
        let answer = fixture.ask(operation.request(&path, &token)).await;
        assert!(answer.status.is_success(), "{}: {:?}", operation.name, answer.bytes);
        said.push_str(&String::from_utf8_lossy(&answer.bytes));
    }
    let text = log.text();
    assert!(text.contains("friend.id=\"alice\""), "{text}");
    for secret in [token.as_str(), "fps_", PRIVATE] {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} was logged");
    }
    assert!(!said.contains("fps_"), "{said}");
}

#[actix_web::test]
async fn without_its_database_every_operation_says_so() {
    // Once with a session that was not looked up yet, once with one that is still believed.
    for believed in [false, true] {
        for operation in OPERATIONS {
            let fixture = Fixture::new().await;
            let token = fixture.login(OWNER).await;
            let treasure = Treasure::of(&fixture, &token).await;
            if !believed {
                fixture
                    .state
                    .sessions
                    .revoke(&friend_id(OWNER), "none", Actor::Friend(friend_id(OWNER)))
                    .await
                    .unwrap();
            }
            fixture.outage.go_down(CAUSE);
            let path = operation.path(treasure.name(operation.named));
            let answer = fixture.ask(operation.request(&path, &token)).await;
            if believed && !operation.needs.contains(&Backend::Database) && answer.status.is_success() {
                continue;
            }
            answer.assert_problem(503, "database-unavailable");
            assert!(answer.header("retry-after").is_some(), "{}", operation.name);
        }
    }
}

#[actix_web::test]
async fn what_an_operation_stands_on_is_named_when_it_is_gone() {
    for backend in [Backend::Cluster, Backend::Workspace] {
        let fixture = Fixture::new().await;
        let token = fixture.login(OWNER).await;
        let treasure = Treasure::of(&fixture, &token).await;
        fixture.stop_backend(backend);
        for operation in OPERATIONS {
            let path = operation.path(treasure.name(operation.named));
            let answer = fixture.ask(operation.request(&path, &token)).await;
            assert!(!String::from_utf8_lossy(&answer.bytes).contains(CAUSE), "{}", operation.name);
            if operation.needs.contains(&backend) {
                answer.assert_problem(503, portal_core::BackendError::unavailable(backend, CAUSE).code());
            } else {
                assert!(answer.status.is_success(), "{}: {:?}", operation.name, answer.bytes);
            }
        }
    }
}

#[actix_web::test]
async fn what_takes_no_body_takes_any_and_every_answer_is_json() {
    for (content_type, payload) in [("application/json", "{}"), ("text/plain", "what?"), ("application/json", "")] {
        let fixture = Fixture::new().await;
        let token = fixture.login(OWNER).await;
        let treasure = Treasure::of(&fixture, &token).await;
        for operation in OPERATIONS.iter().filter(|operation| operation.answers_json()) {
            let path = operation.path(treasure.name(operation.named));
            let mut asked = operation.request(&path, &token);
            if operation.body.is_none() {
                asked = asked.insert_header(("content-type", content_type)).set_payload(payload);
            }
            let answer = fixture.ask(asked).await;
            assert!(matches!(answer.status.as_u16(), 200..=202), "{}: {:?}", operation.name, answer.bytes);
            assert_eq!(answer.header("content-type"), Some("application/json"), "{}", operation.name);
            assert!(answer.json().is_object() || answer.json().is_array());
        }
    }
}

#[actix_web::test]
async fn what_takes_a_body_takes_nothing_else() {
    let fixture = Fixture::new().await;
    let token = fixture.login(OWNER).await;
    let treasure = Treasure::of(&fixture, &token).await;
    let before = fixture.audit_of(OWNER).await;
    for operation in OPERATIONS {
        let Some(body) = operation.body else { continue };
        let path = operation.path(treasure.name(operation.named));
        let send = |content_type: &'static str, payload: String| {
            let asked = request(operation.method(), &path, &token).insert_header(("content-type", content_type));
            fixture.ask(asked.set_payload(payload))
        };
        let json = "application/json";
        let mut more: Value = serde_json::from_str(body).unwrap();
        more["surprise"] = Value::from(1);
        let problem = send(json, more.to_string()).await.assert_problem(400, "body-malformed");
        assert_eq!(problem["errors"][0]["field"], "surprise", "{}", operation.name);
        for malformed in ["", "{}", "[]", "null", "{", "\"text\"", "{\"\u{0}\":1}"] {
            send(json, malformed.to_owned()).await.assert_problem(400, "body-malformed");
        }
        send("text/plain", body.to_owned()).await.assert_problem(415, "media-type-unsupported");
        send(json, " ".repeat(3 * 1024 * 1024)).await.assert_problem(413, "body-too-large");
        let with_nul = body.replacen(":\"", ":\"\\u0000", 1).replacen(": \"", ": \"\\u0000", 1);
        if with_nul != body {
            send(json, with_nul).await.assert_problem(422, "value-invalid");
        }
    }
    assert_eq!(fixture.audit_of(OWNER).await, before);
}
