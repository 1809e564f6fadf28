//! The configured server as a process, and what friends ask of it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio::sync::oneshot;

/// No answer takes as long.
const TIMEOUT: Duration = Duration::from_mins(2);
const EXPOSE: &str = "/api/portal/namespace/expose";

/// The server's program, told to do `command` with a configuration.
pub(crate) fn server(command: &str, config: &Path) -> Command {
    let mut server = Command::new(env!("CARGO_BIN_EXE_portal-server"));
    server.args([command, "--config"]).arg(config).stdin(Stdio::null());
    server
}

/// A running server; dropping it kills it.
pub(crate) struct Server {
    child: Child,
    listening: Option<oneshot::Receiver<String>>,
}

/// Client of a running server.
#[derive(Clone)]
pub(crate) struct Portal {
    base: String,
    client: Client,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Server {
    /// Starts a server and does not wait for it.
    pub(crate) fn spawn(config: &Path) -> anyhow::Result<Self> {
        let mut child = server("serve", config).stderr(Stdio::piped()).spawn()?;
        let log = BufReader::new(child.stderr.take().context("the server has no log")?);
        let (tell, listening) = oneshot::channel();
        let mut tell = Some(tell);
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if let (Some("listening"), Some(address)) = (event["message"].as_str(), event["address"].as_str()) {
                    tell.take().map(|tell| tell.send(format!("http://{address}")));
                }
                if event["level"] != "INFO" {
                    eprintln!("{line}");
                }
            }
        });
        Ok(Self { child, listening: Some(listening) })
    }

    /// Starts a server and waits until it says where it listens.
    pub(crate) async fn start(config: &Path) -> anyhow::Result<(Self, Portal)> {
        let mut server = Self::spawn(config)?;
        let listening = server.listening.take().context("somebody waited already")?;
        let base = tokio::time::timeout(TIMEOUT, listening).await?.context("the server did not start")?;
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        Ok((server, Portal { base, client }))
    }

    /// Ends the process at once, wherever it is, as a power failure would.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Puts the process to sleep in the middle of whatever it does.
    pub(crate) fn freeze(&self) -> anyhow::Result<()> {
        self.signal("STOP")
    }

    /// Lets a process that was put to sleep go on.
    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> anyhow::Result<()> {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status()?;
        ensure!(sent.success(), "kill: {sent}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Portal {
    /// Asks for an exposure.
    pub(crate) async fn expose(&self, token: &str, wish: &Value) -> anyhow::Result<Reply> {
        let request = self.client.request(Method::POST, format!("{}{EXPOSE}", self.base)).json(wish);
        reply(request.bearer_auth(token).send().await?).await
    }

    /// Asks for the end of an exposure.
    pub(crate) async fn remove(&self, token: &str, name: &str) -> anyhow::Result<Reply> {
        let request = self.client.request(Method::DELETE, format!("{}{EXPOSE}/{name}", self.base));
        reply(request.bearer_auth(token).send().await?).await
    }
}

/// Every answer of the API is JSON.
async fn reply(response: reqwest::Response) -> anyhow::Result<Reply> {
    let status = response.status();
    Ok(Reply { status, body: response.json().await? })
}
