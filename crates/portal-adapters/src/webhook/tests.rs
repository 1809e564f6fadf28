use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use portal_core::{BackendError, BackendErrorKind, FixedClock};
use portal_cron::{Delivery, Receipt};
use secrecy::SecretString;
use wiremock::matchers::{body_string, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{Signature, SigningKey, WebhookDelivery, WebhookSettings};
use crate::message::sample;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const LEGACY_SECRET: &str = "0123456789abcdef0123456789abcdef";
/// The bytes that go over the wire; `docs/webhooks.md` shows them too.
const BODY: &str = r#"{"run_id":"5f2a","attempt":1,"trigger":"schedule","due_at":"2026-03-02T08:00:00Z","job_id":"9c4e","job_name":"daily-check","friend_id":"alice","agent_id":"main","session":"agent:main:direct:alice","message":"Check my portfolio","thinking":"low","timeout_seconds":null}"#;
/// `printf '%s.%s.%s' 5f2a 1772438401 "$BODY" | openssl dgst -sha256 -mac HMAC -macopt hexkey:$KEY -binary | base64`
const SIGNATURE: &str = "v1,+ghlloXPVy/YgPcWxCRUIe28xnAhMOnd4x2CPB/XUbc=";
/// `printf '%s.%s' 1772438401 "$BODY" | openssl dgst -sha256 -hmac "$LEGACY_SECRET"`
const LEGACY_SIGNATURE: &str = "v1=cf7a6290f41961ab64f546281ece79233e88d6c07dee243e4491339622ee39fd";

fn settings(address: &str, timeout: Duration) -> WebhookSettings {
    let url = format!("{address}/hook?key=in-the-address").parse().unwrap();
    let key = SigningKey::parse(Signature::Standard, &SecretString::from(SECRET)).unwrap();
    WebhookSettings { url, key, bearer_token: None, timeout }
}

async fn deliver(settings: WebhookSettings) -> Result<Receipt, BackendError> {
    let clock = Arc::new(FixedClock::new(DateTime::from_timestamp(1_772_438_401, 0).unwrap()));
    let (run, session) = sample();
    WebhookDelivery::new(settings, clock).unwrap().deliver(&run, &session, None).await
}

async fn deliver_to(answer: ResponseTemplate) -> Result<Receipt, BackendError> {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).expect(1).mount(&server).await;
    deliver(settings(&server.uri(), Duration::from_secs(5))).await
}

#[tokio::test]
async fn a_message_is_sent_signed_and_under_its_run() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/hook"))
        .and(header("Content-Type", "application/json"))
        .and(header("Idempotency-Key", "5f2a"))
        .and(header("webhook-id", "5f2a"))
        .and(header("webhook-timestamp", "1772438401"))
        .and(body_string(BODY))
        .respond_with(ResponseTemplate::new(202))
        .expect(1)
        .mount(&server)
        .await;
    let receipt = deliver(settings(&server.uri(), Duration::from_secs(5))).await;
    assert_eq!(receipt.unwrap(), Receipt::Accepted);
    let [request] = &server.received_requests().await.unwrap()[..] else { panic!("not one request") };
    // Compared here: wiremock's matcher would split the value at its comma.
    assert_eq!(request.headers["webhook-signature"], SIGNATURE);
    assert!(!request.headers.contains_key("X-Portal-Signature") && !request.headers.contains_key("Authorization"));
}

#[tokio::test]
async fn a_receiver_of_the_older_signature_and_of_a_token_gets_both() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(header("Idempotency-Key", "5f2a"))
        .and(header("X-Portal-Timestamp", "1772438401"))
        .and(header("X-Portal-Signature", LEGACY_SIGNATURE))
        .and(header("Authorization", "Bearer let-me-in"))
        .and(body_string(BODY))
        .respond_with(ResponseTemplate::new(202))
        .expect(1)
        .mount(&server)
        .await;
    let key = SigningKey::parse(Signature::Legacy, &LEGACY_SECRET.into()).unwrap();
    let bearer_token = Some("let-me-in".into());
    let settings = WebhookSettings { key, bearer_token, ..settings(&server.uri(), Duration::from_secs(5)) };
    assert!(!format!("{settings:?}").contains("let-me-in"));
    assert_eq!(deliver(settings).await.unwrap(), Receipt::Accepted);
    let [request] = &server.received_requests().await.unwrap()[..] else { panic!("not one request") };
    assert!(!request.headers.contains_key("webhook-signature"));
}

#[tokio::test]
async fn a_success_of_any_kind_is_an_acceptance() {
    for status in [200, 201, 202, 204] {
        assert_eq!(deliver_to(ResponseTemplate::new(status)).await.unwrap(), Receipt::Accepted, "{status}");
    }
}

#[tokio::test]
async fn a_client_error_is_a_refusal_that_says_its_status() {
    for status in [400, 401, 403, 404, 405, 410, 413, 422] {
        let expected = Receipt::Refused(format!("the receiver refused the message with status {status}"));
        assert_eq!(deliver_to(ResponseTemplate::new(status)).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 307, 308] {
        let answer = ResponseTemplate::new(status).insert_header("Location", "/elsewhere");
        assert!(matches!(deliver_to(answer).await.unwrap(), Receipt::Refused(_)), "{status}");
    }
}

#[tokio::test]
async fn a_receiver_with_an_error_of_its_own_is_tried_again() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let error = deliver_to(ResponseTemplate::new(status)).await.unwrap_err();
        assert!(
            matches!(error, BackendError { kind: BackendErrorKind::Unavailable, retry_after: None, .. }),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_receiver_says_when_to_come_back() {
    for (said, seconds) in [
        ("120", Some(120)),
        ("0", Some(0)),
        ("Mon, 02 Mar 2026 08:02:01 GMT", Some(120)),
        ("Mon, 02 Mar 2026 07:00:00 GMT", None),
        ("soon", None),
        ("-5", None),
    ] {
        let answer = ResponseTemplate::new(503).insert_header("Retry-After", said);
        let error = deliver_to(answer).await.unwrap_err();
        assert_eq!(error.retry_after, seconds.map(Duration::from_secs), "{said}");
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_in_time_or_at_all_is_unavailable() {
    let server = MockServer::start().await;
    let late = ResponseTemplate::new(200).set_delay(Duration::from_secs(30));
    Mock::given(method("POST")).respond_with(late).mount(&server).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for address in [server.uri(), closed] {
        let error = deliver(settings(&address, Duration::from_millis(200))).await.unwrap_err();
        assert!(matches!(error, BackendError { kind: BackendErrorKind::Unavailable, .. }));
        let shown = format!("{error:?} {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(!shown.contains("in-the-address") && !shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn a_secret_that_is_none_is_refused_and_none_is_shown() {
    let key_of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
    for (signature, secret, accepted) in [
        (Signature::Standard, SECRET.to_owned(), true),
        (Signature::Standard, key_of(24), true),
        (Signature::Standard, key_of(64), true),
        (Signature::Standard, key_of(23), false),
        (Signature::Standard, key_of(65), false),
        (Signature::Standard, LEGACY_SECRET.to_owned(), false),
        (Signature::Standard, SECRET.trim_start_matches("whsec_").to_owned(), false),
        (Signature::Standard, "whsec_not base 64 but long enough to be a key".to_owned(), false),
        (Signature::Legacy, LEGACY_SECRET.to_owned(), true),
        (Signature::Legacy, LEGACY_SECRET[1..].to_owned(), false),
    ] {
        let parsed = SigningKey::parse(signature, &SecretString::from(secret.clone()));
        assert_eq!(parsed.is_ok(), accepted, "{signature:?} {secret}");
        let shown = parsed.map_or_else(|invalid| invalid.message, |key| format!("{key:?}"));
        assert!(!shown.contains(&secret), "{shown}");
    }
}

mod packages {
    use std::process::Command;

    use portal_core::Clock;

    use super::*;
    use crate::SystemClock;

    const PYTHON: &str = r"
import json, sys
from standardwebhooks.webhooks import Webhook
Webhook(sys.argv[1]).verify(sys.argv[2], json.loads(sys.argv[3]))
";
    const NODE: &str = r#"
const { Webhook } = require("standardwebhooks");
const [secret, body, headers] = process.argv.slice(1);
new Webhook(secret).verify(body, JSON.parse(headers));
"#;

    /// Returns body and headers of a delivery signed now.
    async fn delivered() -> (String, serde_json::Value) {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(202)).mount(&server).await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (run, session) = sample();
        let settings = settings(&server.uri(), Duration::from_secs(5));
        WebhookDelivery::new(settings, clock).unwrap().deliver(&run, &session, None).await.unwrap();
        let request = server.received_requests().await.unwrap().remove(0);
        let header = |name: &str| (name.to_owned(), request.headers[name].to_str().unwrap().into());
        let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(header);
        (String::from_utf8(request.body).unwrap(), serde_json::Value::Object(headers.into_iter().collect()))
    }

    /// Returns what each receiver library says to a message.
    fn verified(body: &str, headers: &serde_json::Value) -> [bool; 2] {
        let headers = headers.to_string();
        let python = std::env::var_os("TEST_PYTHON_PACKAGES").unwrap();
        let node = std::env::var_os("TEST_NODE_PACKAGES").unwrap();
        let mut receivers = [Command::new("python3"), Command::new("node")];
        receivers[0].args(["-c", PYTHON, SECRET, body, &headers]).env("PYTHONPATH", python);
        receivers[1].args(["-e", NODE, SECRET, body, &headers]).current_dir(node);
        receivers.map(|mut receiver| receiver.output().unwrap().status.success())
    }

    #[tokio::test]
    #[ignore = "tier packages"]
    async fn receiver_libraries_verify_id_timestamp_and_body() {
        let (body, headers) = delivered().await;
        assert_eq!(verified(&body, &headers), [true, true], "{headers}");
        assert_eq!(verified(&body.replace("portfolio", "mail"), &headers), [false, false]);
        for (name, value) in [("webhook-id", "other"), ("webhook-timestamp", "1772438401")] {
            let mut headers = headers.clone();
            headers[name] = value.into();
            assert_eq!(verified(&body, &headers), [false, false], "{name}");
        }
    }
}
