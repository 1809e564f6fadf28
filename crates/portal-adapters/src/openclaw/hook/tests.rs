use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use portal_core::{BackendError, BackendErrorKind, Contact, FixedClock};
use portal_cron::{Delivery, Receipt};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{body_partial_json, header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, Times};

use super::{HookDelivery, HookFinding, HookSettings};
use crate::message::sample;

/// Answers of OpenClaw 2026.9.6, 2026.7.1 and 2026.3.24, as they were captured.
const KNOWS_MODES: &str = r#"{"ok":false,"error":"sessionMode must be isolated or persistent"}"#;
const KNOWS_NO_MODES: &str = r#"{"ok":false,"error":"channel must be last"}"#;
const NO_MESSAGE: &str = r#"{"ok":false,"error":"message required"}"#;
const ACCEPTED: &str = r#"{"ok":true,"runId":"f8983853-0b5c-486b-817c-94d331f288c7"}"#;

fn response(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

fn settings(address: &str) -> HookSettings {
    let url = format!("{address}/hooks").parse().unwrap();
    HookSettings { url, token: SecretString::from("hook-token"), fresh_session: false }
}

fn delivery(settings: HookSettings) -> HookDelivery {
    let clock = Arc::new(FixedClock::new(DateTime::from_timestamp(1_772_438_401, 0).unwrap()));
    HookDelivery::new(settings, clock).unwrap()
}

async fn deliver(delivery: &HookDelivery) -> Result<Receipt, BackendError> {
    let (run, session) = sample();
    delivery.deliver(&run, &session, None).await
}

async fn respond(gateway: &MockServer, body: &Value, answer: ResponseTemplate, times: impl Into<Times>) {
    Mock::given(method("POST"))
        .and(path("/hooks/agent"))
        .and(header("Authorization", "Bearer hook-token"))
        .and(body_partial_json(body))
        .respond_with(answer)
        .expect(times)
        .mount(gateway)
        .await;
}

/// A gateway that knows session modes and says this to a message.
async fn gateway(to_message: ResponseTemplate) -> MockServer {
    let gateway = MockServer::start().await;
    respond(&gateway, &json!({"sessionMode": "friend-portal-probe"}), response(400, KNOWS_MODES), 0..).await;
    respond(&gateway, &json!({"message": "Check my portfolio"}), to_message, 0..).await;
    gateway
}

async fn deliver_to(to_message: ResponseTemplate) -> Result<Receipt, BackendError> {
    let gateway = gateway(to_message).await;
    deliver(&delivery(settings(&gateway.uri()))).await
}

#[track_caller]
fn check_refused(receipt: Result<Receipt, BackendError>, part: &str) {
    let Ok(Receipt::Refused(reason)) = receipt else { panic!("not refused: {receipt:?}") };
    assert!(reason.contains(part), "{reason}");
    // Nothing that a gateway said reaches the friend.
    assert!(!reason.contains("hooks.") && !reason.contains("sessionKey"), "{reason}");
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

#[tokio::test]
async fn a_message_reaches_the_friends_conversation_under_its_run() {
    let gateway = gateway(response(200, ACCEPTED)).await;
    let url = format!("{}/hooks/", gateway.uri()).parse().unwrap();
    let delivery = delivery(HookSettings { url, ..settings(&gateway.uri()) });
    assert_eq!(deliver(&delivery).await.unwrap(), Receipt::Accepted);
    let [_, message] = &gateway.received_requests().await.unwrap()[..] else { panic!("not two requests") };
    assert_eq!(message.headers["Idempotency-Key"], "5f2a");
    let expected = json!({
        "message": "Check my portfolio", "name": "daily-check", "agentId": "main",
        "sessionKey": "agent:main:direct:alice", "sessionMode": "persistent", "deliver": false, "thinking": "low",
    });
    assert_eq!(body(message), expected);
}

#[tokio::test]
async fn an_answer_goes_to_the_contact_as_it_was_typed() {
    let gateway = gateway(response(202, ACCEPTED)).await;
    let (mut run, session) = sample();
    run.job.spec.timeout_seconds = Some(90);
    let contact = Contact::parse(run.job.owner.friend.clone(), "slack", "U12AB").unwrap();
    let delivery = delivery(settings(&gateway.uri()));
    assert_eq!(delivery.deliver(&run, &session, Some(&contact)).await.unwrap(), Receipt::Accepted);
    let message = body(gateway.received_requests().await.unwrap().last().unwrap());
    let part = |member: &str| message[member].clone();
    assert_eq!(json!([part("deliver"), part("channel"), part("to")]), json!([true, "slack", "U12AB"]));
    assert_eq!(part("timeoutSeconds"), 90);
}

#[tokio::test]
async fn only_the_gateways_own_yes_is_an_acceptance() {
    for body in [ACCEPTED, r#"{"ok":true}"#] {
        assert_eq!(deliver_to(response(200, body)).await.unwrap(), Receipt::Accepted, "{body}");
    }
    for (status, body) in
        [(200, "<html>"), (200, ""), (200, r#"{"ok":false}"#), (200, "[]"), (201, ACCEPTED), (204, "")]
    {
        check_refused(deliver_to(response(status, body)).await, "leads elsewhere");
    }
    let endless = "x".repeat(300_000);
    check_refused(deliver_to(response(200, &endless)).await, "leads elsewhere");
}

#[tokio::test]
async fn what_the_operator_has_to_correct_ends_the_run_with_a_fixed_sentence() {
    for (status, body, part) in [
        (
            400,
            r#"{"ok":false,"error":"sessionKey is disabled for externally supplied hook payload values"}"#,
            "configuration",
        ),
        (400, r#"{"ok":false,"error":"unknown agentId \"main\""}"#, "configuration"),
        (400, "{oops", "leads elsewhere"),
        (400, r#"{"ok":false,"error":"channel must be last|telegram"}"#, "answers to your channel"),
        (401, "Unauthorized", "token"),
        (403, "", "token"),
        (404, "Not Found", "takes no messages"),
        (405, "Method Not Allowed", "takes no messages"),
        (413, r#"{"ok":false,"error":"payload too large"}"#, "too large"),
    ] {
        check_refused(deliver_to(response(status, body)).await, part);
    }
    for status in [301, 302, 307, 308] {
        let elsewhere = ResponseTemplate::new(status).insert_header("Location", "/hooks/agent");
        check_refused(deliver_to(elsewhere).await, "leads elsewhere");
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    for status in [408, 409, 425, 429, 500, 502, 503, 504] {
        let error = deliver_to(response(status, "busy").insert_header("Retry-After", "7")).await.unwrap_err();
        assert_eq!((error.kind, error.retry_after), (BackendErrorKind::Unavailable, Some(Duration::from_secs(7))));
    }
}

/// A gateway that reads a little of each request and then does this with the connection.
async fn breaking(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut begin = [0; 64];
            drop(socket.read(&mut begin).await);
            drop(socket.write_all(answer).await);
            // With unread bytes left, closing resets the connection.
        }
    });
    address
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let reset = breaking(b"").await;
    let truncated = breaking(b"HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\n{\"ok\":tr").await;
    for address in [closed, reset, truncated] {
        let error = deliver(&delivery(settings(&address))).await.unwrap_err();
        assert_eq!(error.kind, BackendErrorKind::Unavailable);
        let shown = format!("{error:?}");
        assert!(!shown.contains("hook-token") && !shown.contains("/hooks"), "{shown}");
    }
}

#[tokio::test]
async fn a_gateway_that_forgets_conversations_gets_a_message_only_if_that_is_allowed() {
    let gateway = MockServer::start().await;
    respond(&gateway, &json!({"sessionMode": "friend-portal-probe"}), response(400, KNOWS_NO_MODES), 1).await;
    respond(&gateway, &json!({"message": "Check my portfolio"}), response(200, ACCEPTED), 1).await;
    check_refused(deliver(&delivery(settings(&gateway.uri()))).await, "too old");
    let allowed = HookSettings { fresh_session: true, ..settings(&gateway.uri()) };
    assert_eq!(deliver(&delivery(allowed)).await.unwrap(), Receipt::Accepted);
}

#[tokio::test]
async fn a_gateway_is_asked_once_for_many_messages() {
    let gateway = MockServer::start().await;
    respond(&gateway, &json!({"sessionMode": "friend-portal-probe"}), response(400, KNOWS_MODES), 1).await;
    respond(&gateway, &json!({"message": "Check my portfolio"}), response(200, ACCEPTED), 20).await;
    let delivery = delivery(settings(&gateway.uri()));
    let accepted = futures::future::join_all((0..20).map(|_| deliver(&delivery))).await;
    assert!(accepted.into_iter().all(|receipt| receipt.is_ok_and(|receipt| receipt == Receipt::Accepted)));
}

#[tokio::test]
async fn a_wrong_token_is_not_shown_again_at_once() {
    let gateway = MockServer::start().await;
    Mock::given(method("POST")).respond_with(response(401, "Unauthorized")).expect(1).mount(&gateway).await;
    let delivery = delivery(settings(&gateway.uri()));
    check_refused(deliver(&delivery).await, "token");
    for _ in 0..30 {
        let error = deliver(&delivery).await.unwrap_err();
        assert!(error.retry_after.is_some_and(|after| after <= Duration::from_secs(10)), "{error:?}");
    }
    assert!(!format!("{:?}", settings("http://gateway")).contains("hook-token"));
}

#[tokio::test]
async fn a_check_says_which_key_decides_and_sends_no_message() {
    for (empty, probe, expected) in [
        (response(400, NO_MESSAGE), response(400, KNOWS_MODES), None),
        (response(400, NO_MESSAGE), response(400, KNOWS_NO_MODES), Some("agents.hook.fresh_session")),
        (response(401, "Unauthorized"), response(401, ""), Some("agents.hook.token_file")),
        (response(404, ""), response(404, ""), Some("hooks.enabled = true")),
        (response(200, ACCEPTED), response(200, ACCEPTED), Some("no OpenClaw gateway")),
        (response(200, "<html>"), response(200, ""), Some("no OpenClaw gateway")),
        (response(400, NO_MESSAGE), response(200, ACCEPTED), Some("no OpenClaw gateway")),
        (response(400, "<html>"), response(400, "<html>"), Some("no OpenClaw gateway")),
    ] {
        let gateway = MockServer::start().await;
        respond(&gateway, &json!({"message": ""}), empty, 1).await;
        respond(&gateway, &json!({"sessionMode": "friend-portal-probe"}), probe, 0..=1).await;
        let found = delivery(settings(&gateway.uri())).check().await.unwrap();
        match expected {
            None => assert_eq!(found, HookFinding::Ready),
            Some(part) => assert!(matches!(&found, HookFinding::Refused(why) if why.contains(part)), "{found:?}"),
        }
    }
}
