//! A gateway whose connections are answered by tests, with frames that were captured from real ones.

use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::device::DeviceKey;
use super::settings::GatewaySettings;

/// Answers of 2026.9.6, 2026.3.24 and 2026.3.1, as they were captured, a note and a frame a line.
pub(super) const NEW: &str = include_str!("../../tests/openclaw/new.jsonl");
pub(super) const OLD: &str = include_str!("../../tests/openclaw/old.jsonl");
pub(super) const PIN: &str = include_str!("../../tests/openclaw/pin.jsonl");
pub(super) const HELLO: &str = "device, gateway-client/backend";

#[track_caller]
pub(super) fn captured(frames: &str, note: &str) -> Value {
    let lines = frames.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.into_iter().find(|line| line["note"] == note).unwrap()["response"].clone()
}

/// A gateway whose connections are answered by the tests.
pub(super) struct Gateway(pub(super) TcpListener);

pub(super) struct Peer(pub(super) WebSocketStream<TcpStream>);

impl Gateway {
    pub(super) async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn settings(&self) -> GatewaySettings {
        let url = format!("ws://{}/", self.0.local_addr().unwrap()).parse().unwrap();
        let device_key = Some(Arc::new(DeviceKey::parse(&DeviceKey::generate()).unwrap()));
        GatewaySettings { url, token: "gateway-token".to_owned().into(), device_key }
    }

    pub(super) async fn accept(&self) -> Peer {
        let (stream, _) = self.0.accept().await.unwrap();
        Peer(tokio_tungstenite::accept_async(stream).await.unwrap())
    }

    /// Accepts a connection and says hello on it.
    pub(super) async fn greeted(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.greet(&captured(NEW, HELLO)).await;
        peer
    }
}

impl Peer {
    pub(super) async fn send(&mut self, text: impl ToString) {
        self.0.send(Message::text(text.to_string())).await.unwrap();
    }

    /// Returns the next call.
    pub(super) async fn call(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.0.next().await.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Challenges, and answers the introduction; returns it.
    pub(super) async fn greet(&mut self, answer: &Value) -> Value {
        let payload = json!({"nonce": "620b381a", "ts": 1_795_630_458_440_i64});
        self.send(json!({"type": "event", "event": "connect.challenge", "payload": payload})).await;
        let call = self.call().await;
        self.respond(&call, answer).await;
        call
    }

    /// Sends an answer under the id of `call`.
    pub(super) async fn respond(&mut self, call: &Value, answer: &Value) {
        let mut answer = answer.clone();
        answer["id"] = call["id"].clone();
        self.send(answer).await;
    }
}

pub(super) fn payload(payload: &Value) -> Value {
    json!({"type": "res", "ok": true, "payload": payload})
}
