//! `portal-server serve` as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use parking_lot::Mutex;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

/// No answer takes as long.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A running portal and a friend's session in it; dropping it kills it.
pub(crate) struct Portal {
    child: Child,
    /// Its log.
    log: Arc<Mutex<Vec<Value>>>,
    pub(crate) api: ApiClient,
}

/// A friend's way to the portal.
#[derive(Clone)]
pub(crate) struct ApiClient {
    base: String,
    client: Client,
    token: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

/// Runs the program on a configuration; returns its output and true if it succeeded.
pub(crate) fn run(command: &str, config: &Path) -> anyhow::Result<(bool, String)> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_portal-server"));
    let output = program.args([command, "--config"]).arg(config).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

impl Portal {
    /// Starts the portal of a configuration that listens on a free port and logs in JSON.
    pub(crate) fn start(config: &Path, token: String) -> anyhow::Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portal-server"));
        command.args(["serve", "--config"]).arg(config).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut log = BufReader::new(child.stderr.take().context("the portal has no log")?).lines();
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        let mut portal = Self { child, log: Arc::default(), api: ApiClient { base: String::new(), client, token } };
        let mut said = String::new();
        while portal.api.base.is_empty() {
            let line = log.next().with_context(|| format!("the portal ended early: {said}"))??;
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["message"] == "listening" {
                let address = event["address"].as_str().context("the portal does not say where it listens")?;
                portal.api.base = format!("http://{address}/api/portal");
            }
            said.push_str(&line);
            portal.record(event);
        }
        let kept = portal.log.clone();
        // Whatever it says later also becomes part of a failing test's output.
        std::thread::spawn(move || {
            for line in log.map_while(Result::ok) {
                eprintln!("{line}");
                let event = serde_json::from_str(&line).unwrap_or_default();
                kept.lock().push(event);
            }
        });
        Ok(portal)
    }

    fn record(&self, event: Value) {
        self.log.lock().push(event);
    }

    /// The events of this message that it logged.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        let log = self.log.lock();
        log.iter().filter(|event| event["message"] == message).cloned().collect()
    }

    /// The events of this level that it logged.
    pub(crate) fn logged_at(&self, level: &str) -> Vec<Value> {
        let log = self.log.lock();
        log.iter().filter(|event| event["level"] == level).cloned().collect()
    }

    /// Ends the process at once, as a power failure would.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.kill().ok();
    }
}

impl ApiClient {
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Reply> {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Reply> {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Reply> {
        self.ask(Method::DELETE, path, None).await
    }

    /// The namespace as it is shown; anything but 200 is a failure.
    pub(crate) async fn namespace(&self) -> anyhow::Result<Value> {
        let Reply { status, body, .. } = self.get("/namespace").await?;
        ensure!(status == StatusCode::OK, "{status}: {body}");
        Ok(body)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Reply> {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        let text = response.text().await?;
        let body = serde_json::from_str(&text).with_context(|| format!("{status} and no JSON: {text}"))?;
        Ok(Reply { status, retry_after, body })
    }
}
