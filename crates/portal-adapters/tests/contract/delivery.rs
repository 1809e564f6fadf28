//! Deliveries to a webhook, to a gateway's hooks, and to a file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use portal_adapters::SystemClock;
use portal_adapters::log::LogDelivery;
use portal_adapters::openclaw::{HookDelivery, HookSettings};
use portal_adapters::webhook::{Signature, SigningKey, WebhookDelivery, WebhookSettings};
use portal_testkit::{DeliveryFixture, DeliveryReceiver, ReceivedMessage, ReceiverMode};
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

const WEBHOOK_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const TOKEN: &str = "token-of-the-receiver";

mod webhook {
    portal_testkit::delivery_contract!(super::to_webhook());
}

mod hook {
    portal_testkit::delivery_contract!(super::to_hook());
}

mod log {
    portal_testkit::delivery_contract!(super::to_log());
}

async fn to_webhook() -> DeliveryFixture {
    let (server, receiver) = HttpReceiver::start(webhook_message).await;
    let key = SigningKey::parse(Signature::Standard, &SecretString::from(WEBHOOK_SECRET)).unwrap();
    let settings = WebhookSettings {
        url: format!("{}/hook?key=in-the-address", server.uri()).parse().unwrap(),
        key,
        bearer_token: Some(TOKEN.into()),
        timeout: Duration::from_secs(5),
    };
    DeliveryFixture {
        delivery: Arc::new(WebhookDelivery::new(settings, Arc::new(SystemClock)).unwrap()),
        receiver: Box::new(receiver.on(server)),
        secrets: [WEBHOOK_SECRET, TOKEN, "in-the-address"].map(str::to_owned).into(),
    }
}

async fn to_hook() -> DeliveryFixture {
    let (server, receiver) = HttpReceiver::start(hook_message).await;
    let url = format!("{}/hooks", server.uri()).parse().unwrap();
    let settings = HookSettings { url, token: TOKEN.into(), fresh_session: false };
    DeliveryFixture {
        delivery: Arc::new(HookDelivery::new(settings, Arc::new(SystemClock)).unwrap()),
        receiver: Box::new(receiver.on(server)),
        secrets: vec![TOKEN.to_owned()],
    }
}

#[expect(clippy::unused_async, reason = "other fixtures have to be waited for")]
async fn to_log() -> DeliveryFixture {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("deliveries");
    std::fs::create_dir(&folder).unwrap();
    let delivery = Arc::new(LogDelivery::new(folder.join("log.jsonl")));
    DeliveryFixture { delivery, receiver: Box::new(LogReceiver { folder, _outer: outer }), secrets: Vec::new() }
}

/// A receiver behind HTTP; clones share one.
#[derive(Clone)]
struct HttpReceiver {
    read: fn(&Request) -> ReceivedMessage,
    state: Arc<Mutex<(ReceiverMode, Vec<ReceivedMessage>)>>,
}

/// The receiver and the server that it is behind.
struct Served {
    receiver: HttpReceiver,
    _server: MockServer,
}

impl HttpReceiver {
    async fn start(read: fn(&Request) -> ReceivedMessage) -> (MockServer, Self) {
        let receiver = Self { read, state: Arc::new(Mutex::new((ReceiverMode::Accepts, Vec::new()))) };
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(receiver.clone()).mount(&server).await;
        (server, receiver)
    }

    fn on(self, server: MockServer) -> Served {
        Served { receiver: self, _server: server }
    }
}

impl Respond for HttpReceiver {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let answer = |status: u16, body: Value| ResponseTemplate::new(status).set_body_json(body);
        // A gateway is asked first whether it keeps conversations.
        if body(request)["sessionMode"] == "friend-portal-probe" {
            return answer(400, json!({"ok": false, "error": "sessionMode must be isolated or persistent"}));
        }
        let (mode, messages) = &mut *self.state.lock();
        match mode {
            ReceiverMode::Accepts => {
                messages.push((self.read)(request));
                answer(200, json!({"ok": true, "runId": "f8983853"}))
            }
            ReceiverMode::Refuses => answer(400, json!({"ok": false, "error": format!("{TOKEN} and wait")})),
            ReceiverMode::Fails => answer(503, json!({"ok": false, "error": format!("{TOKEN} and wait")})),
        }
    }
}

#[async_trait]
impl DeliveryReceiver for Served {
    async fn set_mode(&self, mode: ReceiverMode) -> bool {
        self.receiver.state.lock().0 = mode;
        true
    }

    async fn messages(&self) -> Vec<ReceivedMessage> {
        self.receiver.state.lock().1.clone()
    }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn member(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

/// A message as the portal's own receivers get it.
fn portal_message(message: &Value) -> ReceivedMessage {
    ReceivedMessage {
        run: member(message, "run_id"),
        session: member(message, "session"),
        text: member(message, "message"),
    }
}

fn webhook_message(request: &Request) -> ReceivedMessage {
    let message = portal_message(&body(request));
    assert_eq!(request.headers["webhook-id"], message.run.as_str());
    message
}

fn hook_message(request: &Request) -> ReceivedMessage {
    let message = body(request);
    // The gateway leaves out what it has by this header.
    let run = request.headers["Idempotency-Key"].to_str().unwrap().to_owned();
    ReceivedMessage { run, session: member(&message, "sessionKey"), text: member(&message, "message") }
}

/// A file in a folder that may be away.
struct LogReceiver {
    folder: PathBuf,
    _outer: tempfile::TempDir,
}

impl LogReceiver {
    fn away(&self) -> PathBuf {
        self.folder.with_extension("away")
    }
}

#[async_trait]
impl DeliveryReceiver for LogReceiver {
    async fn set_mode(&self, mode: ReceiverMode) -> bool {
        match mode {
            ReceiverMode::Accepts => std::fs::rename(self.away(), &self.folder).unwrap(),
            ReceiverMode::Fails => std::fs::rename(&self.folder, self.away()).unwrap(),
            // A file takes everything.
            ReceiverMode::Refuses => return false,
        }
        true
    }

    async fn messages(&self) -> Vec<ReceivedMessage> {
        let text = std::fs::read_to_string(self.folder.join("log.jsonl")).unwrap_or_default();
        text.lines().map(|line| portal_message(&serde_json::from_str(line).unwrap())).collect()
    }
}
