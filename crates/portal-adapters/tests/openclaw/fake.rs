//! A gateway in this process: it speaks WebSocket, keeps jobs with the rules that were seen in real ones, and fails as it
//! is told to. The rules are in `cron.rs`.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use parking_lot::Mutex;
use portal_adapters::openclaw::{DeviceKey, GatewayClient, GatewaySettings};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

// A test of another crate includes this file by its path, from which a nested module would be looked for elsewhere.
#[path = "fake/cron.rs"]
mod cron;

pub(crate) use cron::{Gateway, RunEnd};

/// A version, with what the others do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// 2026.9.6: revisions, declared jobs, a rate limit, ids of runs.
    New,
    /// 2026.7.1: declared jobs, no revisions.
    Mid,
    /// 2026.3.24: protocol 3.
    Old,
    /// 2026.3.1: it knows no job in a conversation, and answers when a run is over.
    Pin,
}

impl Version {
    pub(crate) fn protocol(self) -> u64 {
        if matches!(self, Self::New | Self::Mid) { 4 } else { 3 }
    }

    fn hello(self) -> Value {
        let frames = match self {
            Self::New | Self::Mid => include_str!("new.jsonl"),
            Self::Old => include_str!("old.jsonl"),
            Self::Pin => include_str!("pin.jsonl"),
        };
        let lines = frames.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut lines = lines.filter(|line| line["note"] == "device, gateway-client/backend");
        lines.next().unwrap()["response"].clone()
    }
}

/// A way in which the next call of a method fails.
pub(crate) enum Fault {
    /// The connection ends before anything is done.
    CloseBefore,
    /// It is done, and the connection ends without an answer.
    CloseAfter,
    /// It is done, and the answer lacks its payload.
    NoPayload,
    /// The answer comes twice.
    Twice,
    /// The frame is cut in half.
    Truncated,
    /// Two frames are one.
    TwoInOne,
    /// The frame is binary.
    Binary,
    /// A refusal.
    Refuse(Value),
    /// Something else happens first.
    After(Box<dyn FnOnce(&mut Gateway) + Send>),
    /// Nothing is answered until the sender is used or dropped.
    Hold(oneshot::Receiver<()>),
}

/// What goes to every connection.
#[derive(Clone)]
enum Push {
    Event(Value),
    Close,
}

struct Shared {
    gateway: Gateway,
    faults: VecDeque<(&'static str, Fault)>,
    calls: Vec<(String, Value)>,
}

/// A gateway; dropping it ends it.
pub(crate) struct Fake {
    shared: Arc<Mutex<Shared>>,
    pushes: broadcast::Sender<Push>,
    address: String,
    server: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Fake {
    pub(crate) async fn start(version: Version) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("ws://{}/", listener.local_addr().unwrap());
        let gateway = Gateway::new(version);
        let shared = Shared { gateway, faults: VecDeque::new(), calls: Vec::new() };
        let (shared, pushes) = (Arc::new(Mutex::new(shared)), broadcast::channel(16_384).0);
        let server = tokio::spawn(accept(listener, shared.clone(), pushes.clone()));
        Self { shared, pushes, address, server }
    }

    pub(crate) fn client(&self) -> Arc<GatewayClient> {
        let device_key = Some(Arc::new(DeviceKey::parse(&DeviceKey::generate()).unwrap()));
        let (url, token) = (self.address().parse().unwrap(), "gateway-token".to_owned().into());
        Arc::new(GatewayClient::start(GatewaySettings { url, token, device_key }))
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Lets the next call of a method fail.
    pub(crate) fn fail(&self, method: &'static str, fault: Fault) {
        self.shared.lock().faults.push_back((method, fault));
    }

    /// Does something in the gateway, as its agent or its operator would.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Gateway) -> T) -> T {
        let mut shared = self.shared.lock();
        let done = act(&mut shared.gateway);
        tell(&mut shared, &self.pushes);
        done
    }

    /// Returns the calls since the last time, by method.
    pub(crate) fn calls(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.shared.lock().calls)
    }

    /// Returns the number of calls of a method since the calls were taken.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.shared.lock().calls.iter().filter(|(called, _)| called == method).count()
    }

    /// Ends all connections.
    pub(crate) fn disconnect(&self) {
        drop(self.pushes.send(Push::Close));
    }

    /// Ends all connections and takes no new one.
    pub(crate) fn stop(&self) {
        self.server.abort();
        self.disconnect();
    }

    /// Sends an event about a job to everybody.
    pub(crate) fn event(&self) {
        drop(self.pushes.send(Push::Event(json!({"action": "started"}))));
    }
}

fn tell(shared: &mut Shared, pushes: &broadcast::Sender<Push>) {
    for event in std::mem::take(&mut shared.gateway.events) {
        drop(pushes.send(Push::Event(event)));
    }
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>, pushes: broadcast::Sender<Push>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (shared, pushes) = (shared.clone(), pushes.clone());
        tokio::spawn(async move {
            if let Ok(socket) = tokio_tungstenite::accept_async(stream).await {
                serve(socket, shared, pushes).await;
            }
        });
    }
}

type Socket = WebSocketStream<TcpStream>;

async fn serve(mut socket: Socket, shared: Arc<Mutex<Shared>>, pushes: broadcast::Sender<Push>) {
    let mut events = pushes.subscribe();
    let challenge = json!({"nonce": "620b381a", "ts": 1_795_630_458_440_i64});
    if send(&mut socket, &json!({"type": "event", "event": "connect.challenge", "payload": challenge})).await.is_none()
    {
        return;
    }
    loop {
        let message = tokio::select! {
            push = events.recv() => match push {
                Ok(Push::Event(payload)) => {
                    let event = json!({"type": "event", "event": "cron", "payload": payload});
                    if send(&mut socket, &event).await.is_none() { return; }
                    continue;
                }
                Ok(Push::Close) | Err(_) => return,
            },
            message = socket.next() => message,
        };
        let Some(Ok(message)) = message else { return };
        let Message::Text(text) = message else { continue };
        let call: Value = serde_json::from_str(&text).unwrap();
        if respond(&mut socket, &call, &shared, &pushes).await.is_none() {
            return;
        }
    }
}

async fn send(socket: &mut Socket, frame: &Value) -> Option<()> {
    socket.send(Message::text(frame.to_string())).await.ok()
}

/// Answers a call; `None` ends the connection.
async fn respond(
    socket: &mut Socket,
    call: &Value,
    shared: &Mutex<Shared>,
    pushes: &broadcast::Sender<Push>,
) -> Option<()> {
    let (method, id) = (call["method"].as_str().unwrap().to_owned(), call["id"].clone());
    if method == "connect" {
        let mut hello = shared.lock().gateway.version.hello();
        hello["id"] = id;
        return send(socket, &hello).await;
    }
    let mut fault = {
        let mut shared = shared.lock();
        shared.calls.push((method.clone(), call["params"].clone()));
        let position = shared.faults.iter().position(|(of, _)| *of == method);
        position.and_then(|position| shared.faults.remove(position)).map(|(_, fault)| fault)
    };
    if let Some(Fault::Hold(release)) = fault {
        drop(release.await);
        fault = None;
    }
    let result = {
        let mut shared = shared.lock();
        match fault {
            Some(Fault::CloseBefore) => return None,
            Some(Fault::After(act)) => {
                act(&mut shared.gateway);
                fault = None;
            }
            _ => {}
        }
        let refused = matches!(&fault, Some(Fault::Refuse(_)));
        let result = if refused { Ok(Value::Null) } else { shared.gateway.call(&method, &call["params"]) };
        tell(&mut shared, pushes);
        result
    };
    let result = match fault {
        Some(Fault::Refuse(ref error)) => Err(error.clone()),
        _ => result,
    };
    let mut frame = match result {
        Ok(payload) => json!({"type": "res", "id": id, "ok": true, "payload": payload}),
        Err(error) => json!({"type": "res", "id": id, "ok": false, "error": error}),
    };
    deliver(socket, &mut frame, fault).await
}

async fn deliver(socket: &mut Socket, frame: &mut Value, fault: Option<Fault>) -> Option<()> {
    match fault {
        Some(Fault::CloseAfter) => return None,
        Some(Fault::NoPayload) => drop(frame.as_object_mut().unwrap().remove("payload")),
        Some(Fault::Twice) => send(socket, frame).await?,
        Some(Fault::Truncated) => {
            let text = frame.to_string();
            return socket.send(Message::text(text[..text.len() / 2].to_owned())).await.ok();
        }
        Some(Fault::TwoInOne) => return socket.send(Message::text(format!("{frame}{frame}"))).await.ok(),
        Some(Fault::Binary) => return socket.send(Message::Binary(frame.to_string().into_bytes().into())).await.ok(),
        _ => {}
    }
    send(socket, frame).await
}
