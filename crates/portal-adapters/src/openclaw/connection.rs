//! One connection to a gateway: opening it, and its frames until it ends.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use portal_core::BoxError;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use url::{Host, Url};

use super::frame::{self, Frame, Refusal};
use super::settings::GatewaySettings;

/// Longest time until a gateway has said hello: one that starts accepts connections and is silent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest frame, in bytes, as gateways have it too.
const FRAME_MAX: usize = 25 * 1024 * 1024;
/// Interval of pings.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Longest silence of a gateway that is there: it answers pings, and ticks every 30 s.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// Rights that the portal asks for: to read, and to change jobs.
const SCOPES: [&str; 2] = ["operator.admin", "operator.read"];
/// Id of the first call.
const CONNECT: &str = "connect";

/// A stream of bytes, encrypted or not.
trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

type Socket = WebSocketStream<Box<dyn Bytes>>;

/// A gateway's introduction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hello {
    /// The protocol that both speak, 3 or 4.
    pub protocol: u64,
    /// What the gateway calls itself, for people only: some builds say `dev`.
    pub version: String,
    /// The methods it has.
    pub methods: HashSet<String>,
}

impl Hello {
    fn parse(payload: &Value) -> Self {
        let methods = payload.pointer("/features/methods").and_then(Value::as_array).into_iter().flatten();
        let version = payload.pointer("/server/version").and_then(Value::as_str).unwrap_or("unknown");
        Self {
            protocol: payload["protocol"].as_u64().unwrap_or_default(),
            version: version.chars().take(40).collect(),
            methods: methods.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }
}

/// Reason for which no connection was made.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// Nobody answers there, or not as a gateway does.
    Unreachable(BoxError),
    /// The gateway refused the portal.
    Refused(Box<Refusal>),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for ConnectError {
    fn from(error: E) -> Self {
        Self::Unreachable(error.into())
    }
}

fn unreachable(why: &str) -> ConnectError {
    ConnectError::Unreachable(why.into())
}

/// A connection on which the gateway has said hello.
pub(super) struct Connection {
    socket: Socket,
    pub(super) hello: Hello,
}

/// A call that waits to be sent, and where its answer goes.
pub(super) struct Call {
    pub(super) method: String,
    pub(super) params: Value,
    pub(super) answer: oneshot::Sender<Result<Value, Refusal>>,
}

/// End of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The gateway restarts, as it said.
    Restart,
    /// The portal does not need it any more.
    Closed,
    /// The gateway sent a frame over the limit.
    Oversized,
    /// It broke: why.
    Failed(String),
}

impl Connection {
    /// Connects and introduces the portal.
    pub(super) async fn open(settings: &GatewaySettings) -> Result<Self, ConnectError> {
        match timeout(CONNECT_TIMEOUT, shake_hands(settings)).await {
            Ok(result) => result,
            Err(_) => Err(unreachable("the gateway did not say hello in time")),
        }
    }

    /// Sends calls and hands out their answers, in whatever order they come, until the connection ends. `changes` counts
    /// the gateway's events about jobs.
    /// Calls without an answer stay in `pending`.
    pub(super) async fn serve(
        mut self,
        calls: &mut mpsc::Receiver<Call>,
        pending: &mut Pending,
        changes: &watch::Sender<u64>,
    ) -> End {
        let (mut ping, mut heard, mut is_restarting) = (interval(PING_INTERVAL), Instant::now(), false);
        loop {
            let sent = tokio::select! {
                frame = self.socket.next() => {
                    heard = Instant::now();
                    match pending.receive(frame) {
                        Received::Nothing => Ok(()),
                        Received::JobsChanged => { changes.send_modify(|count| *count = count.wrapping_add(1)); Ok(()) }
                        Received::Shutdown => { is_restarting = true; Ok(()) }
                        Received::End(_) if is_restarting => return End::Restart,
                        Received::End(end) => return end,
                    }
                }
                call = calls.recv() => {
                    let Some(call) = call else {
                        // The other side learns of it by the closed connection at the latest.
                        drop(self.socket.close(None).await);
                        return End::Closed;
                    };
                    self.socket.send(Message::text(pending.add(call))).await
                }
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return End::Failed("the gateway fell silent".to_owned());
                    }
                    pending.forget_abandoned();
                    self.socket.send(Message::Ping(Vec::new().into())).await
                }
            };
            if let Err(error) = sent {
                return if is_restarting { End::Restart } else { End::Failed(error.to_string()) };
            }
        }
    }
}

enum Received {
    Nothing,
    JobsChanged,
    Shutdown,
    End(End),
}

/// Calls that were sent and have no answer yet. Dropping it tells the callers that none will come.
#[derive(Default)]
pub(super) struct Pending {
    answers: HashMap<String, oneshot::Sender<Result<Value, Refusal>>>,
    count: u64,
}

impl Pending {
    /// Returns the frame of a call under a new id.
    fn add(&mut self, call: Call) -> String {
        self.count = self.count.wrapping_add(1);
        let id = format!("p{}", self.count);
        let text = frame::request(&id, &call.method, &call.params);
        self.answers.insert(id, call.answer);
        text
    }

    /// Forgets calls whose callers have given up.
    fn forget_abandoned(&mut self) {
        self.answers.retain(|_, answer| !answer.is_closed());
    }

    fn receive(&mut self, frame: Option<Result<Message, tungstenite::Error>>) -> Received {
        let text = match frame {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Received::Nothing,
            // 1012 is "service restart".
            Some(Ok(Message::Close(Some(close)))) if u16::from(close.code) == 1012 => {
                return Received::End(End::Restart);
            }
            Some(Ok(Message::Close(close))) => {
                let code = close.map(|close| u16::from(close.code));
                return Received::End(End::Failed(format!("the gateway closed the connection ({code:?})")));
            }
            Some(Ok(Message::Binary(_))) => return failed("the gateway sent a binary frame"),
            Some(Err(tungstenite::Error::Capacity(_))) => return Received::End(End::Oversized),
            Some(Err(error)) => return failed(&error.to_string()),
            None => return failed("the connection ended"),
        };
        match Frame::parse(&text) {
            None => return failed("the gateway sent what is no frame"),
            Some(Frame::Response { id, result }) => {
                // An answer to nobody: its caller gave up, or it came twice.
                if let Some(answer) = self.answers.remove(&id) {
                    drop(answer.send(result));
                }
            }
            Some(Frame::Event { name, .. }) if name == "shutdown" => return Received::Shutdown,
            Some(Frame::Event { name, .. }) if name == "cron" => return Received::JobsChanged,
            Some(Frame::Event { .. } | Frame::Unknown) => {}
        }
        Received::Nothing
    }
}

fn failed(why: &str) -> Received {
    Received::End(End::Failed(why.to_owned()))
}

async fn shake_hands(settings: &GatewaySettings) -> Result<Connection, ConnectError> {
    let stream = connect(&settings.url).await?;
    let limits = WebSocketConfig::default().max_message_size(Some(FRAME_MAX)).max_frame_size(Some(FRAME_MAX));
    let (mut socket, _) =
        tokio_tungstenite::client_async_with_config(settings.url.as_str(), stream, Some(limits)).await?;
    loop {
        match next_frame(&mut socket).await? {
            Frame::Event { name, payload } if name == "connect.challenge" => {
                let call = frame::request(CONNECT, "connect", &introduction(settings, &payload));
                socket.send(Message::text(call)).await?;
            }
            Frame::Response { id, result } if id == CONNECT => {
                let payload = result.map_err(|refusal| ConnectError::Refused(Box::new(refusal)))?;
                return Ok(Connection { socket, hello: Hello::parse(&payload) });
            }
            _ => {}
        }
    }
}

async fn next_frame(socket: &mut Socket) -> Result<Frame, ConnectError> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                return Frame::parse(&text).ok_or_else(|| unreachable("the gateway sent what is no frame"));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Binary(_) | Message::Close(_))) | None => {
                return Err(unreachable("the connection ended before the gateway said hello"));
            }
            Some(Err(error)) => return Err(error.into()),
        }
    }
}

/// Returns the parameters of `connect`, signed where the portal is a device.
fn introduction(settings: &GatewaySettings, challenge: &Value) -> Value {
    let (token, nonce) = (settings.token.expose_secret(), challenge["nonce"].as_str().unwrap_or_default());
    // The gateway's own time, so that a clock that differs does not make the signature look old.
    let signed_at = challenge["ts"].as_i64().unwrap_or_default();
    let device = settings.device_key.as_ref().map(|key| {
        let (id, scopes) = (key.id(), SCOPES.join(","));
        let signed = format!("v3|{id}|gateway-client|backend|operator|{scopes}|{signed_at}|{token}|{nonce}|linux|");
        let signature = key.sign(&signed);
        json!({
            "id": id, "publicKey": key.public_key(), "signature": signature, "signedAt": signed_at, "nonce": nonce,
        })
    });
    let mut params = json!({
        "minProtocol": 3, "maxProtocol": 4,
        "client": {
            "id": "gateway-client", "displayName": "friend-portal", "version": env!("CARGO_PKG_VERSION"),
            "platform": "linux", "mode": "backend",
        },
        "role": "operator", "scopes": SCOPES, "caps": [], "auth": {"token": token},
    });
    if let (Some(device), Some(members)) = (device, params.as_object_mut()) {
        members.insert("device".to_owned(), device);
    }
    params
}

async fn connect(url: &Url) -> Result<Box<dyn Bytes>, ConnectError> {
    let port = url.port_or_known_default().unwrap_or(80);
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err(unreachable("the address has no host")),
    };
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    if url.scheme() != "wss" {
        return Ok(Box::new(stream));
    }
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host)?;
    Ok(Box::new(TlsConnector::from(Arc::new(tls)).connect(name, stream).await?))
}
