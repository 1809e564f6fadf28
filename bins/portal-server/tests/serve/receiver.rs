//! A receiver of messages over HTTP, which takes its time.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

/// A message that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) run: String,
    pub(crate) job: String,
    pub(crate) attempt: u64,
    pub(crate) at: Instant,
}

/// A receiver on a port of its own; ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Message>>>,
}

impl Receiver {
    /// Accepts every message `delay` after it arrived; the first one of each job after `first`.
    pub(crate) async fn start(delay: Duration, first: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Self { address: listener.local_addr()?, received: Arc::default() };
        let own = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let receiver = own.clone();
                // A sender that hangs up ends its connection, which is how a server that stops does it.
                tokio::spawn(async move { receiver.serve(stream, delay, first).await });
            }
        });
        Ok(receiver)
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.received.lock().clone()
    }

    /// Waits until so many messages arrived.
    pub(crate) async fn received(&self, count: usize, within: Duration) -> anyhow::Result<Vec<Message>> {
        let begun = Instant::now();
        loop {
            let messages = self.messages();
            if messages.len() >= count {
                return Ok(messages);
            }
            ensure!(begun.elapsed() < within, "{} of {count} messages came in {within:?}", messages.len());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Messages by run, those alone that came more than once.
    pub(crate) fn doubled(&self) -> Vec<(String, usize)> {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for message in self.messages() {
            *counts.entry(message.run).or_default() += 1;
        }
        counts.into_iter().filter(|(_, count)| *count > 1).collect()
    }

    /// Reads requests from a connection and answers them, one after the other.
    async fn serve(&self, stream: TcpStream, delay: Duration, first: Duration) -> anyhow::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut length = None;
            loop {
                let mut line = String::new();
                ensure!(stream.read_line(&mut line).await? > 0, "the sender hung up");
                if line == "\r\n" {
                    break;
                }
                let name = "content-length:";
                if line.to_ascii_lowercase().starts_with(name) {
                    length = Some(line.get(name.len()..).unwrap_or_default().trim().parse()?);
                }
            }
            let mut body = vec![0; length.context("a message has no length")?];
            stream.read_exact(&mut body).await?;
            let is_first = self.record(&serde_json::from_slice(&body)?);
            sleep(if is_first { first } else { delay }).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await?;
        }
    }

    /// Records a message; true for the first one of its job.
    fn record(&self, body: &Value) -> bool {
        let text = |member: &str| body.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (run, job) = (text("run_id"), text("job_id"));
        let attempt = body.get("attempt").and_then(Value::as_u64).unwrap_or_default();
        let mut received = self.received.lock();
        let is_first = received.iter().all(|message| message.job != job);
        received.push(Message { run, job, attempt, at: Instant::now() });
        is_first
    }
}
