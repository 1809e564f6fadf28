//! The load generator: keep-alive connections over loopback, each with one request under way at any time.
//!
//! One thread per connection: with so few of them there is nothing to multiplex, and what the generator costs is the
//! same for every server that it drives.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// No answer takes as long; a server that hangs ends the measurement.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest head of an answer, in bytes.
const HEAD_MAX: usize = 16 * 1024;

/// Load on a server and its duration.
pub(super) struct Load {
    pub(super) connections: usize,
    pub(super) slice: Duration,
}

/// Counts of one time slice.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) requests: u32,
    pub(super) elapsed: Duration,
    pub(super) cpu: Duration,
}

impl Sample {
    pub(super) fn requests_per_second(&self) -> f64 {
        f64::from(self.requests) / self.elapsed.as_secs_f64()
    }

    /// CPU time of the server per request, in microseconds.
    pub(super) fn cost(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.requests.max(1))
    }
}

/// A request as bytes, and what every answer to it must look like.
pub(super) struct Request {
    bytes: Vec<u8>,
    status: u16,
    /// `None` where the length may change.
    length: Option<usize>,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) etag: Option<String>,
}

impl Request {
    /// Asks once, and takes what is answered as what must be answered from now on.
    pub(super) fn learn(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<(Self, Reply)> {
        let mut bytes = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend(b"\r\n");
        let answer = Connection::open(address)?.ask(&bytes).with_context(|| format!("GET {path}"))?;
        Ok((Self { bytes, status: answer.status, length: Some(answer.body.len()) }, answer))
    }

    /// Takes answers of any length from now on.
    pub(super) fn of_any_length(self) -> Self {
        Self { length: None, ..self }
    }
}

impl Load {
    /// Sends `requests` one after another, over and over; returns how often all were answered, and in what time.
    pub(super) fn drive(&self, address: SocketAddr, requests: &[Request]) -> anyhow::Result<(u32, Duration)> {
        let connections: Vec<Connection> =
            (0..self.connections).map(|_| Connection::open(address)).collect::<anyhow::Result<_>>()?;
        let start = Barrier::new(self.connections + 1);
        thread::scope(|scope| {
            let drivers: Vec<_> = connections
                .into_iter()
                .map(|connection| scope.spawn(|| connection.repeat(requests, &start, self.slice)))
                .collect();
            // Read before the barrier falls: a driver may be at work before this thread wakes.
            let begun = Instant::now();
            start.wait();
            let counts = drivers.into_iter().map(|driver| match driver.join() {
                Ok(count) => count,
                Err(_) => bail!("a thread of the load generator panicked"),
            });
            let count = counts.sum::<anyhow::Result<u32>>()?;
            Ok((count, begun.elapsed()))
        })
    }
}

/// Builds a request as a client would send it.
pub(super) fn request(address: SocketAddr, line: &str, token: &str, body: &str) -> Vec<u8> {
    let head = format!("{line} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n");
    if body.is_empty() {
        return format!("{head}\r\n").into_bytes();
    }
    format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A keep-alive connection.
pub(super) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        // Nagle's algorithm would hold a request back until the last answer is acknowledged.
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, received: Vec::with_capacity(HEAD_MAX) })
    }

    fn repeat(mut self, requests: &[Request], start: &Barrier, slice: Duration) -> anyhow::Result<u32> {
        start.wait();
        // Each driver counts its own slice: threads do not wake from the barrier at the same time.
        let end = Instant::now() + slice;
        let mut count = 0;
        while Instant::now() < end {
            for request in requests {
                let (head, length) = self.exchange(&request.bytes)?;
                ensure!(
                    head.status == request.status && request.length.is_none_or(|expected| length == expected),
                    "the answer changed: {} with {length} bytes where {} with {:?} were answered before",
                    head.status,
                    request.status,
                    request.length,
                );
            }
            count += 1;
        }
        Ok(count)
    }

    /// Sends a request and returns the whole answer.
    pub(super) fn ask(&mut self, request: &[u8]) -> anyhow::Result<Reply> {
        let (head, length) = self.exchange(request)?;
        let body = self.received.split_off(self.received.len() - length);
        Ok(Reply { status: head.status, body, etag: head.etag })
    }

    /// Returns true once the body that begins at `start` is complete.
    fn is_whole(&self, head: &Head, start: usize) -> bool {
        match head.length {
            Some(length) => self.received.len() >= start + length,
            None => self.received.get(start..).is_some_and(|body| body.ends_with(LAST_CHUNK)),
        }
    }

    /// Sends the request and receives its whole answer; the body is the last so many bytes of what is received.
    fn exchange(&mut self, request: &[u8]) -> anyhow::Result<(Head, usize)> {
        self.stream.write_all(request)?;
        self.received.clear();
        loop {
            let mut piece = [0; HEAD_MAX];
            let count = self.stream.read(&mut piece)?;
            ensure!(count > 0, "the server hung up");
            self.received.extend(piece.iter().take(count));
            // Searched from the start every time: heads are short, and arrive in one piece.
            let Some(end) = self.received.windows(4).position(|four| four == b"\r\n\r\n") else {
                ensure!(self.received.len() < HEAD_MAX, "the answer's head has no end");
                continue;
            };
            let head = Head::parse(self.received.get(..end).unwrap_or_default())?;
            let start = end + 4;
            while !self.is_whole(&head, start) {
                let count = self.stream.read(&mut piece)?;
                ensure!(count > 0, "the server hung up");
                self.received.extend(piece.iter().take(count));
            }
            let length = head.length.unwrap_or_else(|| self.received.len().saturating_sub(start));
            return Ok((head, length));
        }
    }
}

/// End of a chunked body. JSON never contains it, since control characters in it are escaped.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// The parts of a response's head that the generator reads.
struct Head {
    status: u16,
    /// `None` for a body in chunks, which are counted as they come and not taken apart.
    length: Option<usize>,
    etag: Option<String>,
}

impl Head {
    fn parse(head: &[u8]) -> anyhow::Result<Self> {
        let text = std::str::from_utf8(head).context("the answer's head is not text")?;
        let mut lines = text.split("\r\n");
        let status =
            lines.next().and_then(|line| line.split(' ').nth(1)).context("the answer has no status")?.parse()?;
        let (mut length, mut etag, mut is_chunked) = (None, None, false);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                is_chunked = value.trim().eq_ignore_ascii_case("chunked");
            } else if name.eq_ignore_ascii_case("etag") {
                etag = Some(value.trim().to_owned());
            }
        }
        // An answer 304 has no body whatever its head says.
        let length = if status == 304 { Some(0) } else { length };
        ensure!(is_chunked || length.is_some(), "the answer has no Content-Length and is not in chunks");
        Ok(Self { status, length, etag })
    }
}

#[cfg(test)]
mod tests;
