//! A receiver that accepts every message at once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use parking_lot::Mutex;
use serde::Deserialize;

/// Longest message, in bytes.
const BODY_MAX: usize = 64 * 1024;
const DAY: u64 = 24 * 60 * 60;

/// A message that was accepted.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) run: String,
    pub(super) job: String,
    /// Fire time, since 1970.
    pub(super) due_at: Duration,
    /// Time of its arrival, since 1970.
    pub(super) at: Duration,
}

/// Members of a message that are looked at.
#[derive(Deserialize)]
struct Body {
    run_id: String,
    job_id: String,
    due_at: String,
}

/// Receives on a port of its own until the process ends, a thread per connection.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    messages: Arc<Mutex<Vec<Message>>>,
}

impl Receiver {
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, messages) = (listener.local_addr()?, Arc::<Mutex<Vec<Message>>>::default());
        let all = messages.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let messages = all.clone();
                // A portal that ends closes its connections, which ends their threads.
                thread::spawn(move || accept(stream, &messages));
            }
        });
        Ok(Self { address, messages })
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        self.messages.lock().clone()
    }
}

/// Accepts the messages of one connection.
fn accept(stream: TcpStream, messages: &Mutex<Vec<Message>>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = None;
        loop {
            let mut line = String::new();
            ensure!(stream.read_line(&mut line)? > 0, "the portal hung up");
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse::<usize>()?);
            }
        }
        let length = length.filter(|length| *length <= BODY_MAX).context("a message has no length")?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let at = super::since_1970()?;
        let Body { run_id: run, job_id: job, due_at } = serde_json::from_slice(&body)?;
        let message = Message { run, job, due_at: fire_time(&due_at, at).context("no time")?, at };
        messages.lock().push(message);
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}

/// Reads a time such as `2026-11-26T09:30:00Z` that lies in the last 24 hours before `now`.
fn fire_time(text: &str, now: Duration) -> Option<Duration> {
    let (_, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut parts = time.split(':').map(str::parse::<u64>);
    let (hours, minutes, seconds) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let of_day = (hours * 60 + minutes) * 60 + seconds;
    // A day is added first: a fire time before midnight is later in its day than `now`.
    let ago = (now.as_secs() % DAY + DAY).checked_sub(of_day)? % DAY;
    Some(Duration::from_secs(now.as_secs() - ago))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::fire_time;

    #[test]
    fn a_fire_time_is_the_newest_one_of_its_time_of_day() {
        let now = Duration::from_millis(1_795_651_210_500);
        let read = |text| fire_time(text, now).map(|at| now.as_secs() - at.as_secs());
        assert_eq!(read("2026-11-26T00:00:00Z"), Some(10));
        assert_eq!(read("2026-11-25T23:59:00Z"), Some(70));
        assert_eq!(read("2026-11-26T00:00:10Z"), Some(0));
        assert_eq!(read("2026-11-26"), None);
    }
}
