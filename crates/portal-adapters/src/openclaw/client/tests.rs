use std::time::Duration;

use futures::SinkExt;
use portal_core::{BackendError, BackendErrorKind};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{CallError, CallKind, GatewayClient};
use crate::openclaw::DeviceKey;
use crate::openclaw::scripted::{Gateway, HELLO, NEW, OLD, PIN, captured, payload};

async fn read(client: &GatewayClient, method: &str) -> Result<Value, CallError> {
    client.call(CallKind::Read, method, json!({})).await
}

#[track_caller]
fn check_unavailable<T: std::fmt::Debug>(result: Result<T, CallError>, part: &str) {
    let Err(CallError::Unavailable(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
    assert!(error.source.to_string().contains(part), "{error:?}");
}

#[tokio::test]
async fn the_portal_introduces_itself_as_a_device_with_two_scopes() {
    let gateway = Gateway::new().await;
    let settings = gateway.settings();
    for (frames, protocol, has_scratch) in [(NEW, 4, true), (OLD, 3, false), (PIN, 3, false)] {
        let hello = captured(frames, HELLO);
        let (call, said) =
            tokio::join!(async { gateway.accept().await.greet(&hello).await }, GatewayClient::introduce(&settings));
        let said = said.unwrap();
        assert_eq!((said.protocol, said.methods.contains("cron.scratch.set")), (protocol, has_scratch));
        assert_eq!(
            (call["method"].as_str(), &call["params"]["scopes"]),
            (Some("connect"), &json!(["operator.admin", "operator.read"]))
        );
        assert_eq!(json!([call["params"]["minProtocol"], call["params"]["maxProtocol"]]), json!([3, 4]));
        check_signature(&call["params"]["device"], settings.device_key.as_ref().unwrap());
    }
}

#[track_caller]
fn check_signature(device: &Value, key: &DeviceKey) {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let signed = format!(
        "v3|{}|gateway-client|backend|operator|operator.admin,operator.read|1795630458440|gateway-token|620b381a|linux|",
        key.id()
    );
    let decode = |member: &str| URL_SAFE_NO_PAD.decode(device[member].as_str().unwrap()).unwrap();
    UnparsedPublicKey::new(&ED25519, decode("publicKey")).verify(signed.as_bytes(), &decode("signature")).unwrap();
    assert_eq!(device["nonce"], "620b381a");
}

#[tokio::test]
async fn a_refusal_is_told_as_what_the_operator_has_to_do() {
    let gateway = Gateway::new().await;
    let settings = gateway.settings();
    let pairing = json!({"type": "res", "ok": false, "error": {"code": "NOT_PAIRED", "message": "pairing required",
        "details": {"code": "PAIRING_REQUIRED", "requestId": "4f1c-a; reboot"}}});
    for (answer, part) in [
        (captured(NEW, "wrong token"), "agents.gateway.token_file"),
        (captured(OLD, "wrong token"), "agents.gateway.token_file"),
        (captured(NEW, "no auth, no device"), "agents.gateway.device_key_file"),
        (captured(NEW, "protocol 3 only"), "another protocol"),
        (captured(OLD, "protocol 4 only"), "another protocol"),
        (captured(NEW, "bad signature"), "DEVICE_AUTH_SIGNATURE_INVALID"),
        (pairing, "openclaw devices approve 4f1c-areboot"),
    ] {
        let (_, said) =
            tokio::join!(async { gateway.accept().await.greet(&answer).await }, GatewayClient::introduce(&settings));
        let refused = said.unwrap_err();
        assert!(refused.message.contains(part), "{}", refused.message);
        assert!(!refused.message.contains("gateway-token"), "{}", refused.message);
    }
    assert!(!format!("{settings:?}").contains("gateway-token"));
}

#[tokio::test]
async fn a_proxy_that_refuses_and_a_silent_gateway_are_unreachable() {
    let gateway = Gateway::new().await;
    let forbidden = async {
        let (mut stream, _) = gateway.0.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        stream
    };
    let settings = gateway.settings();
    let (_stream, said) = tokio::join!(forbidden, GatewayClient::introduce(&settings));
    assert!(said.unwrap_err().message.contains("403"));
    // The clock is stopped once both are connected: it then jumps to the end of the wait.
    let silent = async {
        let peer = gateway.accept().await;
        tokio::time::pause();
        peer
    };
    let (_peer, said) = tokio::join!(silent, GatewayClient::introduce(&settings));
    assert!(said.unwrap_err().message.contains("did not say hello in time"));
}

#[tokio::test]
async fn answers_find_their_calls_in_any_order() {
    let gateway = Gateway::new().await;
    let client = GatewayClient::start(gateway.settings());
    let mut peer = gateway.greeted().await;
    let serve = async {
        let (first, second) = (peer.call().await, peer.call().await);
        peer.send(json!({"type": "res", "id": "nobody", "ok": true, "payload": 0})).await;
        for _ in 0..10_000 {
            peer.send(json!({"type": "event", "event": "cron", "payload": {"action": "started"}})).await;
        }
        for call in [&second, &second, &first] {
            peer.respond(call, &payload(&call["method"])).await;
        }
        peer
    };
    let (_peer, first, second) = tokio::join!(serve, read(&client, "cron.list"), read(&client, "cron.status"));
    assert_eq!((first.unwrap(), second.unwrap()), (json!("cron.list"), json!("cron.status")));
}

#[tokio::test]
async fn a_refused_call_keeps_its_codes_and_a_rate_limit_its_pause() {
    let gateway = Gateway::new().await;
    let client = GatewayClient::start(gateway.settings());
    let mut peer = gateway.greeted().await;
    for (note, detail, kind, pause) in [
        ("rate limited", "", BackendErrorKind::Unavailable, Some(Duration::from_millis(52_280))),
        ("remove unknown", "CRON_JOB_NOT_FOUND", BackendErrorKind::Failed, None),
        ("stale expectedConfigRevision", "CRON_JOB_CHANGED", BackendErrorKind::Failed, None),
    ] {
        let serve = async {
            let call = peer.call().await;
            peer.respond(&call, &captured(NEW, note)).await;
        };
        let ((), refused) = tokio::join!(serve, client.call(CallKind::Write, "cron.add", json!({})));
        let Err(CallError::Refused(refusal)) = refused else { panic!("{refused:?}") };
        assert_eq!(refusal.detail_code(), detail);
        let error = BackendError::from(CallError::Refused(refusal));
        assert_eq!((error.kind, error.retry_after), (kind, pause), "{note}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_fails_its_calls_and_is_made_again() {
    let close = |code: u16| Message::Close(Some(CloseFrame { code: code.into(), reason: "x".into() }));
    let shutdown = json!({"type": "event", "event": "shutdown", "payload": {"reason": "gateway stopping"}});
    for end in [
        Message::text("{oops"),
        Message::text("[]"),
        Message::text("{\"type\":\"res\"}{}"),
        Message::text("x".repeat(26 * 1024 * 1024)),
        Message::Binary(vec![1, 2].into()),
        close(1000),
        close(1008),
        close(1012),
        Message::text(shutdown.to_string()),
    ] {
        let gateway = Gateway::new().await;
        let client = GatewayClient::start(gateway.settings());
        let serve = async {
            let mut peer = gateway.greeted().await;
            peer.call().await;
            // The client may hang up before it has read all of it.
            drop(peer.0.send(end).await);
            drop(peer);
            let mut next = gateway.greeted().await;
            let call = next.call().await;
            next.respond(&call, &payload(&json!("again"))).await;
            next
        };
        let calls = async { (read(&client, "cron.list").await, read(&client, "cron.list").await) };
        let (_peer, (broken, again)) = tokio::join!(serve, calls);
        check_unavailable(broken, "ended before its answer");
        assert_eq!(again.unwrap(), "again");
    }
}

#[tokio::test]
async fn while_a_gateway_is_known_to_be_down_calls_fail_at_once() {
    let gateway = Gateway::new().await;
    let client = GatewayClient::start(gateway.settings());
    gateway.accept().await.greet(&captured(NEW, "wrong token")).await;
    let mut state = client.state.clone();
    state.wait_for(|state| matches!(state, super::State::Down(_))).await.unwrap();
    let begun = Instant::now();
    check_unavailable(read(&client, "cron.list").await, "token_file");
    assert!(begun.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn a_gateway_that_is_starting_is_asked_again_when_it_says() {
    let gateway = Gateway::new().await;
    let client = GatewayClient::start(gateway.settings());
    let starting = json!({"type": "res", "ok": false, "error": {"code": "UNAVAILABLE", "message": "gateway starting",
        "retryable": true, "retryAfterMs": 500, "details": {"reason": "startup-sidecars"}}});
    for _ in 0..2 {
        gateway.accept().await.greet(&starting).await;
    }
    let _peer = gateway.greeted().await;
    let mut state = client.state.clone();
    state.wait_for(|state| matches!(state, super::State::Up(..))).await.unwrap();
    assert_eq!(client.hello().await.unwrap().protocol, 4);
}

#[test]
fn pauses_double_up_to_half_a_minute() {
    for (failures, full) in [(0, 0.5), (1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (u32::MAX, 30.0)] {
        let full = Duration::from_secs_f64(full);
        for _ in 0..50 {
            let pause = super::backoff(failures);
            assert!((full / 2..=full).contains(&pause), "{failures}: {pause:?}");
        }
    }
}
