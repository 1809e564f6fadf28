//! `cargo xtask bench expose`: what exposing a Service costs.
//!
//! Once with zone and cluster in memory, where only the portal's own bookkeeping is left, and once with a scripted
//! Cloudflare that takes 50 ms for every call, where the time of a `POST` tells how many calls are on its way.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::build::{self, Programs};
use super::fixture::Folder;
use super::load::{Connection, Reply};
use super::server::Server;
use crate::table;

/// Connections that are kept busy, each for friends of its own.
const CONNECTIONS: u32 = 16;
/// Limit of exposures per friend.
const PER_FRIEND: u32 = 10;
/// Friends of the portal that has nothing behind it.
const FRIENDS: u32 = 160;
/// Friends of the one that has Cloudflare: their exposures fit into its budget of five minutes.
const CLOUDFLARE_FRIENDS: u32 = 16;
/// Delay of the scripted Cloudflare per call, in milliseconds.
const LATENCY: u32 = 50;
/// Target of the records: a name, or an address, of which Cloudflare takes several at one hostname.
const NAME: &str = "tunnel.example.net";
const ADDRESS: &str = "192.0.2.1";
/// The most calls that a new exposure is to cost.
const CALLS_GOAL: f64 = 2.0;

/// Samples of one portal.
struct Measured {
    name: &'static str,
    elapsed: Duration,
    /// Durations of every `POST`, the shortest first.
    times: Vec<Duration>,
    /// Calls to the DNS provider; `None` where there is none.
    calls: Option<u32>,
}

/// Builds, in release mode unless it is only to be tried out, measures and prints the table.
///
/// # Errors
/// A failed build or start, or an exposure that is not active at once; no number is shown then.
pub fn expose(unoptimised: bool) -> anyhow::Result<()> {
    let programs = if unoptimised { build::unoptimised()? } else { build::release()? };
    if !unoptimised && build::handed_over(&programs)? {
        return Ok(());
    }
    let measured = [
        measure("in memory", &programs, FRIENDS, (0, NAME))?,
        measure("Cloudflare, 50 ms a call", &programs, CLOUDFLARE_FRIENDS, (LATENCY, NAME))?,
        measure("the same, an address", &programs, CLOUDFLARE_FRIENDS, (LATENCY, ADDRESS))?,
    ];
    write(&measured, unoptimised)
}

fn measure(
    name: &'static str,
    programs: &Programs,
    friends: u32,
    (latency, target): (u32, &str),
) -> anyhow::Result<Measured> {
    let folder = Folder::new()?;
    let control = super::server::free_address()?;
    let program = programs.get("measured")?;
    let server = Server::start(|address| {
        let mut command = Command::new(program);
        command.args(["expose", &address.to_string(), &control.to_string()]).arg(folder.path());
        command.args([&friends.to_string(), &latency.to_string(), target]);
        command
    })?;
    // The pass at the start lists the zone, and finds its id, before anything is counted.
    wait_until_idle(control)?;
    let before = calls(control)?;
    let begun = Instant::now();
    let mut times = all(server.address, friends)?;
    let elapsed = begun.elapsed();
    let made = calls(control)?.saturating_sub(before);
    times.sort();
    Ok(Measured { name, elapsed, times, calls: (latency > 0).then_some(made) })
}

/// Waits until the provider is not called any more.
fn wait_until_idle(control: SocketAddr) -> anyhow::Result<()> {
    let mut last = None;
    for _ in 0..100 {
        let now = calls(control)?;
        if last == Some(now) {
            return Ok(());
        }
        last = Some(now);
        thread::park_timeout(Duration::from_millis(500));
    }
    bail!("the portal never stops calling its DNS provider")
}

fn calls(control: SocketAddr) -> anyhow::Result<u32> {
    let answer = Connection::open(control)?.ask(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    text.trim().parse().with_context(|| format!("{text:?} is no number of calls"))
}

/// Has every friend expose all that they may; tells how long each exposure took.
fn all(address: SocketAddr, friends: u32) -> anyhow::Result<Vec<Duration>> {
    thread::scope(|scope| {
        let connections: Vec<_> = (0..CONNECTIONS.min(friends))
            .map(|first| scope.spawn(move || some(address, (first..friends).step_by(CONNECTIONS as usize))))
            .collect();
        let mut times = Vec::new();
        for connection in connections {
            match connection.join() {
                Ok(some) => times.append(&mut some?),
                Err(_) => bail!("a thread of the load generator panicked"),
            }
        }
        Ok(times)
    })
}

/// Has some friends expose, over one connection.
fn some(address: SocketAddr, friends: impl Iterator<Item = u32>) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(address)?;
    let mut times = Vec::new();
    for friend in friends {
        for number in 0..PER_FRIEND {
            let request = post(address, friend, number);
            let begun = Instant::now();
            let Reply { status, body, .. } = connection.ask(&request)?;
            times.push(begun.elapsed());
            ensure!(status == 201, "an exposure was answered {status}: {}", String::from_utf8_lossy(&body));
        }
    }
    Ok(times)
}

fn post(address: SocketAddr, friend: u32, number: u32) -> Vec<u8> {
    let body = format!(r#"{{"name": "app-{number}", "service": "web", "port": 80}}"#);
    let head = format!(
        "POST /api/portal/namespace/expose HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer measured-f{friend}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len(),
    );
    (head + &body).into_bytes()
}

fn write(measured: &[Measured], unoptimised: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if unoptimised {
        writeln!(out, "{}", super::UNOPTIMISED)?;
    }
    let rows: Vec<_> = measured.iter().map(row).collect();
    let head = ["zone", "exposures", "exposures/s", "p50 ms", "p99 ms", "API calls each", "goal"];
    table::write(&mut out, head, &rows)?;
    writeln!(out)?;
    writeln!(out, "{CONNECTIONS} connections; every exposure is new, and active when its POST is answered (201)")?;
    Ok(())
}

fn row(measured: &Measured) -> [String; 7] {
    let Measured { name, elapsed, times, calls } = measured;
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
    let each = calls.map(|calls| f64::from(calls) / f64::from(count.max(1)));
    let goal_met = |each| format!("{CALLS_GOAL:.2} {}", if each <= CALLS_GOAL { "met" } else { "missed" });
    [
        (*name).to_owned(),
        count.to_string(),
        format!("{:.0}", f64::from(count) / elapsed.as_secs_f64()),
        milliseconds(share(times, 50)),
        milliseconds(share(times, 99)),
        each.map_or_else(|| "-".to_owned(), |each| format!("{each:.2}")),
        each.map_or_else(|| "-".to_owned(), goal_met),
    ]
}

pub(super) fn milliseconds(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.1}", time.as_secs_f64() * 1e3))
}

/// The time within which so many percent of all were done; `times` are sorted.
pub(super) fn share(times: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (times.len() * percent).div_ceil(100);
    times.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::share;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(share(&times, 50), Some(Duration::from_millis(100)));
        assert_eq!(share(&times, 99), Some(Duration::from_millis(198)));
        assert_eq!(share(&times[..1], 99), Some(Duration::from_millis(1)));
        assert_eq!(share(&[], 99), None);
    }
}
