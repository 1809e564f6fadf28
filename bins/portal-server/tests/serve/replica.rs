//! A configured server as a process.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

/// Timeout of a server's start.
const START: Duration = Duration::from_mins(1);

/// The server's program, told to do `command` with a configuration.
pub(crate) fn server(command: &str, config: &Path) -> Command {
    let mut server = Command::new(env!("CARGO_BIN_EXE_portal-server"));
    server.args([command, "--config"]).arg(config).stdin(Stdio::null());
    server
}

/// A running server; dropping it kills it.
pub(crate) struct Replica {
    child: Child,
    /// Address of the API.
    pub(crate) base: String,
    log: Arc<Mutex<Vec<Value>>>,
}

impl Replica {
    /// Starts a server and waits until it says where it listens.
    pub(crate) async fn start(config: &Path) -> anyhow::Result<Self> {
        let mut child = server("serve", config).stderr(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stderr.take().context("the server has no log")?);
        let (send, listening) = oneshot::channel();
        let mut send = Some(send);
        let log: Arc<Mutex<Vec<Value>>> = Arc::default();
        let lines = log.clone();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if let (Some("listening"), Some(address)) = (text(&event, "message"), text(&event, "address")) {
                    send.take().map(|send| send.send(format!("http://{address}")));
                }
                lines.lock().push(event);
            }
        });
        let mut replica = Self { child, base: String::new(), log };
        let listening = timeout(START, listening).await.context("the server did not start")?;
        replica.base = listening.with_context(|| format!("the server ended: {:?}", replica.log.lock()))?;
        Ok(replica)
    }

    /// Asks the process to stop.
    pub(crate) fn terminate(&self) -> anyhow::Result<()> {
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status()?;
        ensure!(sent.success(), "kill: {sent}");
        Ok(())
    }

    /// Waits until the process has ended; returns its status and the time that it took.
    pub(crate) async fn ended(&mut self, within: Duration) -> anyhow::Result<(ExitStatus, Duration)> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, begun.elapsed()));
            }
            ensure!(begun.elapsed() < within, "the server still runs after {within:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the resident memory, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024)
    }

    /// Log lines with this message.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        let log = self.log.lock();
        log.iter().filter(|event| text(event, "message").is_some_and(|text| text.contains(message))).cloned().collect()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn text<'a>(event: &'a Value, member: &str) -> Option<&'a str> {
    event.get(member).and_then(Value::as_str)
}
