//! The portal's client of one gateway: one connection, shared by all calls and kept open by a task of its own.
//!
//! 1. The task connects, and connects again when the connection ends: after 0.5 s, then twice as long each time up to
//!    30 s, half of it by chance, from the beginning once a connection lived for a minute. A pause that the gateway names
//!    is obeyed. What only its operator can change (approval of the device, the token) is asked again every 60 s.
//! 2. Each change is logged once, not each attempt.
//! 3. A call goes out on the open connection. While there is none it waits 2 s at most; while the gateway is known to be
//!    down it fails at once.
//! 4. A call whose connection ends may or may not have been carried out. It is never repeated here.
//! 5. Each event about jobs is counted, and so is each connection: whoever remembers the gateway's jobs sees by the count
//!    that they may have changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use portal_core::{Backend, BackendError, Invalid};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Call, ConnectError, Connection, End, Hello, Pending};
use super::frame::Refusal;
use super::page_sizes::PageSizes;
use super::settings::GatewaySettings;

/// Longest wait of a call for a connection.
const WAIT: Duration = Duration::from_secs(2);
/// Longest time for the answer to a call that reads.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest time for the answer to a call that changes something.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after the first failed attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Life of a connection after which the next pause is the first one again.
const PROVEN_LIFE: Duration = Duration::from_mins(1);
/// Pause after a refusal that only the gateway's operator can change.
const OPERATOR_PAUSE: Duration = Duration::from_mins(1);
/// Calls that may wait to be sent.
const QUEUE: usize = 64;

/// Kind of a call, which decides how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// Changes nothing.
    Read,
    /// Changes something.
    Write,
}

/// Error of a call.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The gateway refused it and changed nothing.
    #[error("the gateway refused the call: {} {}", .0.code, .0.detail_code())]
    Refused(Box<Refusal>),
    /// The gateway did not answer; a change may or may not have been made.
    #[error("the gateway did not answer")]
    Unavailable(#[from] BackendError),
}

impl From<CallError> for BackendError {
    /// For callers to whom every refusal is a failure: nothing that they asked depends on what a friend typed.
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unavailable(error) => error,
            CallError::Refused(refusal) if refusal.retryable => {
                let after = refusal.retry_after();
                Self::unavailable(Backend::Gateway, CallError::Refused(refusal)).with_retry_after(after)
            }
            refused @ CallError::Refused(_) => Self::failed(Backend::Gateway, refused),
        }
    }
}

/// The state of the connection.
#[derive(Clone)]
enum State {
    /// An attempt is under way, and nothing is known.
    Connecting,
    /// The gateway takes calls, since this moment.
    Up(mpsc::Sender<Call>, Arc<Hello>, Instant),
    /// The newest attempt failed.
    Down(Arc<str>),
}

/// A client of one gateway; dropping it ends the connection.
pub struct GatewayClient {
    state: watch::Receiver<State>,
    changes: watch::Receiver<u64>,
    /// Number of connections that ended by a frame that was too large.
    oversized: Arc<AtomicU64>,
    page_sizes: Mutex<PageSizes>,
    task: JoinHandle<()>,
}

impl GatewayClient {
    /// Begins to connect. To be called on a runtime.
    #[must_use]
    pub fn start(settings: GatewaySettings) -> Self {
        let (sender, state) = watch::channel(State::Connecting);
        let (counter, changes) = watch::channel(0);
        let (oversized, page_sizes) = (Arc::new(AtomicU64::new(0)), Mutex::default());
        let task = tokio::spawn(keep_connected(settings, sender, counter, oversized.clone()));
        Self { state, changes, oversized, page_sizes, task }
    }

    /// Returns the count of the gateway's events about jobs and of its connections. It only ever grows, and changes in the
    /// receiver as soon as it does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Returns the number of connections that ended by a frame that was too large.
    pub(super) fn oversized(&self) -> u64 {
        self.oversized.load(Ordering::SeqCst)
    }

    /// Returns the sizes of pages that the gateway can send.
    pub(super) fn page_sizes(&self) -> MutexGuard<'_, PageSizes> {
        self.page_sizes.lock()
    }

    /// Returns the age of the connection; `None` while there is none.
    #[must_use]
    pub fn connected_for(&self) -> Option<Duration> {
        match &*self.state.borrow() {
            State::Up(_, _, since) => Some(since.elapsed()),
            State::Connecting | State::Down(_) => None,
        }
    }

    /// Connects once and says what the gateway answered, for `check`.
    ///
    /// # Errors
    /// The refusal in words for the gateway's operator.
    pub async fn introduce(settings: &GatewaySettings) -> Result<Hello, Invalid> {
        let opened = Connection::open(settings).await;
        opened.map(|connection| connection.hello).map_err(|error| Invalid::new("agents.gateway", advice(&error)))
    }

    /// Returns the gateway's introduction.
    ///
    /// # Errors
    /// The gateway is not connected.
    pub async fn hello(&self) -> Result<Arc<Hello>, BackendError> {
        self.connected().await.map(|(_, hello)| hello)
    }

    /// Calls a method and returns its payload.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(&self, kind: CallKind, method: &str, params: Value) -> Result<Value, CallError> {
        let (calls, _) = self.connected().await?;
        let (sender, answer) = oneshot::channel();
        let call = Call { method: method.to_owned(), params, answer: sender };
        let limit = match kind {
            CallKind::Read => READ_TIMEOUT,
            CallKind::Write => WRITE_TIMEOUT,
        };
        let answered = timeout(limit, async {
            calls.send(call).await.map_err(|_| lost())?;
            answer.await.map_err(|_| lost())
        });
        match answered.await {
            Ok(answer) => answer?.map_err(|refusal| {
                // The text is the gateway's and may name paths of its host: for the log alone.
                tracing::warn!(
                    method, code = %refusal.code, detail = %refusal.detail_code(), text = %refusal.message,
                    "the agent's gateway refused a call"
                );
                CallError::Refused(Box::new(refusal))
            }),
            Err(_) => Err(unavailable(&format!("no answer to {method} within {} s", limit.as_secs())).into()),
        }
    }

    async fn connected(&self) -> Result<(mpsc::Sender<Call>, Arc<Hello>), BackendError> {
        let mut receiver = self.state.clone();
        let decided = receiver.wait_for(|state| !matches!(state, State::Connecting));
        let state = match timeout(WAIT, decided).await {
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) | Err(_) => State::Connecting,
        };
        match state {
            State::Up(calls, hello, _) => Ok((calls, hello)),
            State::Down(why) => Err(unavailable(&why)),
            State::Connecting => Err(unavailable("the gateway is being connected")),
        }
    }
}

impl Drop for GatewayClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn unavailable(why: &str) -> BackendError {
    BackendError::unavailable(Backend::Gateway, why)
}

fn lost() -> CallError {
    unavailable("the connection to the gateway ended before its answer").into()
}

async fn keep_connected(
    settings: GatewaySettings,
    state: watch::Sender<State>,
    changes: watch::Sender<u64>,
    oversized: Arc<AtomicU64>,
) {
    let mut failures = 0_u32;
    let mut last = String::new();
    loop {
        let (begun, pause) = match Connection::open(&settings).await {
            Ok(connection) => {
                let begun = Instant::now();
                let hello = Arc::new(connection.hello.clone());
                tracing::info!(protocol = hello.protocol, version = %hello.version, "connected to the agent's gateway");
                last.clear();
                let (calls, mut queue) = mpsc::channel(QUEUE);
                // What happened while nobody listened is counted before the first call goes out.
                changes.send_modify(|count| *count = count.wrapping_add(1));
                state.send_replace(State::Up(calls, hello, begun));
                let mut pending = Pending::default();
                let end = connection.serve(&mut queue, &mut pending, &changes).await;
                if end == End::Oversized {
                    oversized.fetch_add(1, Ordering::SeqCst);
                }
                state.send_replace(State::Connecting);
                // Only now do callers learn that their answers are lost: one that asks again waits for the next connection.
                drop(pending);
                match end {
                    End::Closed => return,
                    End::Oversized => {
                        tracing::warn!("the agent's gateway sent a frame that is too large");
                        // No failure of the gateway's: whoever asked for it asks for less next.
                        sleep(FIRST_PAUSE).await;
                        continue;
                    }
                    End::Restart => tracing::info!("the agent's gateway restarts"),
                    End::Failed(why) => tracing::warn!("the connection to the agent's gateway ended: {why}"),
                }
                (Some(begun), None)
            }
            Err(error) => {
                let why = advice(&error);
                if why != last {
                    tracing::warn!("the agent's gateway cannot be used: {why}");
                    last.clone_from(&why);
                }
                state.send_replace(State::Down(why.into()));
                (None, named_pause(&error))
            }
        };
        failures =
            if begun.is_some_and(|begun| begun.elapsed() >= PROVEN_LIFE) { 0 } else { failures.saturating_add(1) };
        sleep(pause.unwrap_or_else(|| backoff(failures))).await;
    }
}

/// Returns the pause after this many failures in a row, half of it by chance: portals that lost their gateway together
/// do not come back together.
fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    full / 2 + (full / 2).mul_f64(rand::random())
}

fn named_pause(error: &ConnectError) -> Option<Duration> {
    let ConnectError::Refused(refusal) = error else { return None };
    match refusal.retry_after() {
        Some(after) => Some(after.clamp(FIRST_PAUSE, OPERATOR_PAUSE)),
        None if refusal.retryable || refusal.code == "UNAVAILABLE" => None,
        None => Some(OPERATOR_PAUSE),
    }
}

/// Returns what is wrong and what the operator is to do, decided by the codes of a refusal.
fn advice(error: &ConnectError) -> String {
    let refusal = match error {
        ConnectError::Unreachable(source) => return format!("it cannot be reached: {source}"),
        ConnectError::Refused(refusal) => refusal,
    };
    match refusal.detail_code() {
        "PAIRING_REQUIRED" => {
            // The operator pastes it into a shell.
            let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
            let request: String = refusal.detail("requestId").chars().filter(is_plain).collect();
            format!("it has to approve this portal once: openclaw devices approve {request}")
        }
        "AUTH_TOKEN_MISMATCH" | "AUTH_TOKEN_MISSING" => {
            "it refused the token; agents.gateway.token_file must hold the text of gateway.auth.token".to_owned()
        }
        "DEVICE_IDENTITY_REQUIRED" => {
            "it wants a device; make a key by portal-admin agent device-key, and name it by agents.gateway.device_key_file"
                .to_owned()
        }
        "PROTOCOL_MISMATCH" => "it speaks another protocol than 3 and 4, which this portal knows".to_owned(),
        // Older gateways do not name the code.
        "" if refusal.details.get("expectedProtocol").is_some() => {
            "it speaks another protocol than 3 and 4, which this portal knows".to_owned()
        }
        detail => format!("it refused the connection ({} {detail})", refusal.code),
    }
}

#[cfg(test)]
mod tests;
