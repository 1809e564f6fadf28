//! Requests at a fixed rate, whose durations tell what the portals have left for them.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use crate::bench::load::Connection;

/// Pause between two requests to one portal.
const PACE: Duration = Duration::from_millis(10);

/// Asks every portal for `/me`.
pub(super) struct Probe<'a> {
    pub(super) addresses: &'a [SocketAddr],
    /// Friends who ask in turn.
    pub(super) friends: u32,
}

impl Probe<'_> {
    /// Asks for this long; returns how long every answer took, the shortest first.
    pub(super) fn ask(&self, length: Duration) -> anyhow::Result<Vec<Duration>> {
        thread::scope(|scope| {
            let threads: Vec<_> =
                self.addresses.iter().map(|address| scope.spawn(|| self.ask_one(*address, length))).collect();
            let mut times = Vec::new();
            for thread in threads {
                match thread.join() {
                    Ok(some) => times.append(&mut some?),
                    Err(_) => bail!("a thread of the load generator panicked"),
                }
            }
            times.sort();
            Ok(times)
        })
    }

    fn ask_one(&self, address: SocketAddr, length: Duration) -> anyhow::Result<Vec<Duration>> {
        let mut connection = Connection::open(address)?;
        let (begun, mut times) = (Instant::now(), Vec::new());
        let mut due = Duration::ZERO;
        for friend in (0..self.friends).cycle() {
            if due >= length {
                break;
            }
            while let Some(left) = due.checked_sub(begun.elapsed()) {
                thread::park_timeout(left);
            }
            let request = format!(
                "GET /api/portal/me HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer measured-f{friend}\r\n\r\n"
            );
            let reply = connection.ask(request.as_bytes())?;
            ensure!(reply.status == 200, "GET /me was answered {}", reply.status);
            // From when it should have been sent: an answer that is slow delays the requests behind it.
            times.push(begun.elapsed().saturating_sub(due));
            due += PACE;
        }
        Ok(times)
    }
}
