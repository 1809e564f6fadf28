use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use portal_core::{BackendError, BackendErrorKind, FixedClock};
use portal_cron::{Delivery, Receipt};
use secrecy::SecretString;
use wiremock::matchers::{body_string, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{WebhookDelivery, WebhookSettings};
use crate::message::sample;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// The bytes that go over the wire; `docs/webhooks.md` shows them too.
const BODY: &str = r#"{"run_id":"5f2a","attempt":1,"trigger":"schedule","due_at":"2026-03-02T08:00:00Z","job_id":"9c4e","job_name":"daily-check","friend_id":"alice","agent_id":"main","session":"agent:main:direct:alice","message":"Check my portfolio","thinking":"low","timeout_seconds":null}"#;
/// `printf '%s.%s' 1772438401 "$BODY" | openssl dgst -sha256 -hmac "$SECRET"`
const SIGNATURE: &str = "v1=cf7a6290f41961ab64f546281ece79233e88d6c07dee243e4491339622ee39fd";

fn delivery(address: &str, timeout: Duration) -> WebhookDelivery {
    let url = format!("{address}/hook?key=in-the-address").parse().unwrap();
    let clock = Arc::new(FixedClock::at(DateTime::from_timestamp(1_772_438_401, 0).unwrap()));
    WebhookDelivery::new(WebhookSettings { url, secret: SecretString::from(SECRET), timeout }, clock).unwrap()
}

async fn deliver_to(answer: ResponseTemplate) -> Result<Receipt, BackendError> {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(answer).expect(1).mount(&server).await;
    delivery(&server.uri(), Duration::from_secs(5)).deliver(&sample()).await
}

#[tokio::test]
async fn a_message_is_sent_signed_and_under_its_run() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/hook"))
        .and(header("Content-Type", "application/json"))
        .and(header("Idempotency-Key", "5f2a"))
        .and(header("X-Portal-Timestamp", "1772438401"))
        .and(header("X-Portal-Signature", SIGNATURE))
        .and(body_string(BODY))
        .respond_with(ResponseTemplate::new(202))
        .expect(1)
        .mount(&server)
        .await;
    let receipt = delivery(&server.uri(), Duration::from_secs(5)).deliver(&sample()).await;
    assert_eq!(receipt.unwrap(), Receipt::Accepted);
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
async fn a_receiver_in_trouble_is_tried_again() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let trouble = deliver_to(ResponseTemplate::new(status)).await.unwrap_err();
        assert!(
            matches!(trouble, BackendError { kind: BackendErrorKind::Unavailable, retry_after: None, .. }),
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
        let trouble = deliver_to(answer).await.unwrap_err();
        assert_eq!(trouble.retry_after, seconds.map(Duration::from_secs), "{said}");
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
        let trouble = delivery(&address, Duration::from_millis(200)).deliver(&sample()).await.unwrap_err();
        assert!(matches!(trouble, BackendError { kind: BackendErrorKind::Unavailable, .. }));
        let told = format!("{trouble:?} {:?}", std::error::Error::source(&trouble).map(ToString::to_string));
        assert!(!told.contains("in-the-address") && !told.contains(SECRET), "{told}");
    }
}

#[test]
fn a_short_secret_is_refused_and_none_is_shown() {
    let url = "http://127.0.0.1/".parse().unwrap();
    let settings = WebhookSettings { url, secret: "short".into(), timeout: Duration::from_secs(1) };
    assert!(!format!("{settings:?}").contains("short"));
    let clock = Arc::new(FixedClock::at(DateTime::UNIX_EPOCH));
    assert_eq!(WebhookDelivery::new(settings, clock).err().map(|invalid| invalid.field), Some("webhook_secret"));
}
