//! A demo under attack, and clients that write raw bytes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Words before the address in the first line that the demo prints.
const GREETING: &str = "The Friend Portal's demo listens on http://";
/// No answer takes as long.
const TIMEOUT: Duration = Duration::from_mins(2);
/// The receive buffer of a client that reads nothing, in bytes. The kernel's default takes megabytes off the server.
const SMALL: u32 = 4096;

/// A running demo; dropping it kills it.
pub(crate) struct Demo {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Demo {
    /// Starts a demo that may use one CPU, with its log in a file.
    pub(crate) fn start(data: &Path, log: impl Into<Stdio>) -> anyhow::Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "0", env!("CARGO_BIN_EXE_portal-server"), "demo", "--listen", "127.0.0.1:0"]);
        let mut child =
            command.arg("--data").arg(data).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("the demo has no output")?);
        let mut first = String::new();
        output.read_line(&mut first)?;
        // The rest is read as well, so that the demo never waits for a reader.
        std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
        let address = first.trim_end().strip_prefix(GREETING).context("the demo did not start")?.parse()?;
        Ok(Self { child, address })
    }

    /// Returns the resident memory, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024)
    }

    /// Returns the number of open descriptors.
    pub(crate) fn descriptors(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(Client(stream))
    }

    /// Connects and begins to write `bytes`.
    pub(crate) async fn flood(&self, bytes: Vec<u8>) -> anyhow::Result<Flooder> {
        let (reader, mut writer) = self.connect().await?.0.into_split();
        // A write fails when the flooder is dropped, which is how it ends.
        let writing = tokio::spawn(async move { writer.write_all(&bytes).await.unwrap_or_default() });
        Ok(Flooder { reader, writing, answers: 0 })
    }

    /// Connects with a receive buffer that is full at once.
    pub(crate) async fn connect_narrow(&self) -> anyhow::Result<Client> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(SMALL)?;
        Ok(Client(socket.connect(self.address).await?))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A client's connection.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        timeout(TIMEOUT, self.0.write_all(bytes)).await.context("nothing is taken")??;
        Ok(())
    }

    /// Reads one answer with a Content-Length.
    pub(crate) async fn response(&mut self) -> anyhow::Result<String> {
        let mut answer = Vec::new();
        timeout(TIMEOUT, async {
            loop {
                ensure!(self.0.read_buf(&mut answer).await? > 0, "the connection ended");
                if is_complete(&answer) {
                    return Ok(());
                }
            }
        })
        .await
        .context("no answer")??;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Reads until the server ends the connection.
    pub(crate) async fn until_closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end as well.
        self.0.read_to_end(&mut rest).await.ok();
        rest
    }
}

/// A client that writes requests without waiting for their answers.
pub(crate) struct Flooder {
    reader: OwnedReadHalf,
    writing: JoinHandle<()>,
    /// Answers so far.
    pub(crate) answers: usize,
}

impl Flooder {
    /// Waits until something arrived, and counts the answers in all that did.
    pub(crate) async fn count(&mut self) -> anyhow::Result<()> {
        self.reader.readable().await?;
        self.count_arrived()
    }

    /// Counts the answers in what has arrived.
    pub(crate) fn count_arrived(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.reader.try_read(&mut buffer) {
                Ok(0) => anyhow::bail!("the flooder's connection ended"),
                // An answer's first line that is cut in two is missed: one in hundreds.
                Ok(length) => {
                    let arrived = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                    self.answers += arrived.matches("HTTP/1.1 ").count();
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Flooder {
    fn drop(&mut self) {
        self.writing.abort();
    }
}

fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    length.is_some_and(|length: usize| answer.len() >= head.len() + 4 + length)
}
