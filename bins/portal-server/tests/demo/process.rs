//! The server as a process of its own, spoken to over real connections.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

/// No answer takes as long.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Text before the address in the demo's first line.
const GREETING: &str = "The Friend Portal's demo listens on ";

/// The server's program, told `arguments`.
pub(crate) fn server<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portal-server"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A running demo; dropping it kills it.
pub(crate) struct Demo {
    child: Child,
    /// Its output after the first line.
    pub(crate) greeting: String,
}

/// Client of a running demo.
#[derive(Clone)]
pub(crate) struct Portal {
    base: String,
    client: Client,
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    pub(crate) body: Value,
}

impl Demo {
    /// Starts a demo on a folder, on a free port, and waits until it says where it listens.
    pub(crate) fn start(data: &Path) -> anyhow::Result<(Self, Portal)> {
        Self::start_logging(data, Stdio::inherit())
    }

    /// The same, with its log in a place of the caller's.
    pub(crate) fn start_logging(data: &Path, log: impl Into<Stdio>) -> anyhow::Result<(Self, Portal)> {
        Self::start_command(server(["demo", "--limits", "off", "--listen", "127.0.0.1:0", "--data"]).arg(data), log)
    }

    /// The same, by a command of the caller's.
    pub(crate) fn start_command(command: &mut Command, log: impl Into<Stdio>) -> anyhow::Result<(Self, Portal)> {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("the demo has no output")?);
        let mut demo = Self { child, greeting: String::new() };
        let mut first = String::new();
        output.read_line(&mut first)?;
        let base = first.trim_end().strip_prefix(GREETING).context("the demo did not start")?.to_owned();
        // The last line of the greeting is the fourth example.
        while demo.greeting.matches("curl ").count() < 4 {
            ensure!(output.read_line(&mut demo.greeting)? > 0, "the demo ended early: {}", demo.greeting);
        }
        // Whatever it says later is read away, so that it never waits for us.
        std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        Ok((demo, Portal { base, client }))
    }

    /// Ends the process at once, wherever it is, as a power failure would.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the process to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<ExitStatus> {
        let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status()?;
        ensure!(asked.success(), "kill: {asked}");
        Ok(self.child.wait()?)
    }
}

impl Demo {
    /// Waits until the process ends by itself.
    pub(crate) fn wait(mut self) -> anyhow::Result<ExitStatus> {
        let started = Instant::now();
        while started.elapsed() < TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        anyhow::bail!("the demo still runs")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Portal {
    /// Returns the address that the demo named.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Asks as a friend.
    pub(crate) async fn get(&self, friend: &str, path: &str) -> anyhow::Result<Reply> {
        reply(self.request(friend, Method::GET, path)).await
    }

    pub(crate) async fn put(&self, friend: &str, path: &str, body: &Value) -> anyhow::Result<Reply> {
        reply(self.request(friend, Method::PUT, path).json(body)).await
    }

    pub(crate) async fn post(&self, friend: &str, path: &str, body: &Value) -> anyhow::Result<Reply> {
        reply(self.request(friend, Method::POST, path).json(body)).await
    }

    pub(crate) async fn delete(&self, friend: &str, path: &str) -> anyhow::Result<Reply> {
        reply(self.request(friend, Method::DELETE, path)).await
    }

    /// Asks with any token, or with none.
    pub(crate) async fn ask(&self, token: Option<&str>, method: Method, path: &str) -> anyhow::Result<Reply> {
        let request = self.client.request(method, format!("{}{path}", self.base));
        reply(token.into_iter().fold(request, RequestBuilder::bearer_auth)).await
    }

    /// Asks for a page or a file of it; returns its status, media type and text.
    pub(crate) async fn page(&self, path: &str) -> anyhow::Result<(StatusCode, String, String)> {
        let response = self.client.get(format!("{}{path}", self.base)).send().await?;
        let media_type = response.headers().get("content-type").map(|value| value.to_str().map(str::to_owned));
        Ok((response.status(), media_type.transpose()?.unwrap_or_default(), response.text().await?))
    }

    fn request(&self, friend: &str, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(format!("demo-{friend}"))
    }
}

/// Sends a request; every answer of the API is JSON.
async fn reply(request: RequestBuilder) -> anyhow::Result<Reply> {
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let etag = headers.get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
    let text = response.text().await?;
    let body = serde_json::from_str(&text).with_context(|| format!("{status} and no JSON: {text}"))?;
    Ok(Reply { status, etag, body })
}
