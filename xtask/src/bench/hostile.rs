//! `cargo xtask bench hostile`: a friend's latency while strangers and another friend do their worst.
//!
//! A demo with its usual limits serves alice, who asks for something every 25 ms. Her latency is measured from the moment
//! at which a request was due, so that one that waits for the answer before it counts as late. First nobody else is there;
//! then one attack after the other runs beside her.

mod attacks;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use self::attacks::{ATTACKS, Attack};
use super::build;
use super::expose::{milliseconds, share};
use super::fixture::Folder;
use super::load::{self, Connection};
use super::server::Server;
use crate::table;

/// Interval of alice's requests: below what her limits allow.
const PERIOD: Duration = Duration::from_millis(25);
/// Every so many requests are a write.
const WRITE_EVERY: u32 = 10;
/// Paths that alice reads, in turn.
const PATHS: [&str; 4] =
    ["/api/portal/me", "/api/portal/namespace", "/api/portal/workspace/memory", "/api/portal/workspace/crons"];
/// Most times the idle value that alice's 99th percentile may be under attack.
const TIMES_IDLE: u32 = 5;
/// Niceness at which a thread gets what the server and alice leave of the machine.
const LOWEST_PRIORITY: i32 = 19;
/// Latency that is always good enough.
const GOOD: Duration = Duration::from_millis(100);

/// Duration of a measurement.
pub struct HostileOptions {
    /// Length of each attack, in milliseconds.
    pub slice: u64,
    /// Builds as for tests.
    pub unoptimised: bool,
}

/// Alice's requests beside one attack.
struct Measured {
    name: &'static str,
    /// Latencies, the shortest first.
    times: Vec<Duration>,
    /// Requests that were answered with an error or not at all.
    refused: usize,
    /// Memory that the server then had, in bytes.
    resident: u64,
}

/// Builds, in release mode unless it is only to be tried out, measures and prints the table.
///
/// # Errors
/// A failed build or start.
pub fn hostile(options: &HostileOptions) -> anyhow::Result<()> {
    let HostileOptions { slice, unoptimised } = *options;
    let programs = if unoptimised { build::unoptimised()? } else { build::release()? };
    if !unoptimised && build::handed_over(&programs)? {
        return Ok(());
    }
    let folder = Folder::new()?;
    let program = programs.get("portal-server")?;
    let server = Server::start(|address| {
        let mut command = Command::new(program);
        command.args(["demo", "--listen", &address.to_string(), "--data"]).arg(folder.path().join("data"));
        command
    })?;
    let slice = Duration::from_millis(slice);
    // The first requests warm caches and the branch predictor; they are not counted.
    ask_for(server.address, slice.min(Duration::from_secs(2)))?;
    let mut measured = vec![beside(&server, None, slice)?];
    for attack in &ATTACKS {
        measured.push(beside(&server, Some(attack), slice)?);
    }
    write(&measured, unoptimised)
}

/// Measures alice's requests beside an attack.
fn beside(server: &Server, attack: Option<&Attack>, slice: Duration) -> anyhow::Result<Measured> {
    let (address, is_over) = (server.address, AtomicBool::new(false));
    let (mut times, refused, resident) = thread::scope(|scope| {
        if let Some(attack) = attack {
            for number in 0..attack.threads {
                let is_over = &is_over;
                scope.spawn(move || {
                    // Attackers elsewhere would not take the server's CPU. On Linux this is the thread's alone.
                    rustix::process::nice(LOWEST_PRIORITY).ok();
                    (attack.run)(address, number, is_over);
                });
            }
            // The attack is in full swing before anything is measured.
            thread::park_timeout(Duration::from_secs(1));
        }
        // Judged below: the attackers must be told to stop first, or the scope would never end.
        let asked = ask_for(address, slice);
        let resident = server.resident();
        is_over.store(true, Ordering::Relaxed);
        let (times, refused) = asked?;
        Ok::<_, anyhow::Error>((times, refused, resident?))
    })?;
    times.sort();
    // What the attack left behind ends, and alice's buckets fill up.
    thread::park_timeout(Duration::from_secs(2));
    Ok(Measured { name: attack.map_or("nobody", |attack| attack.name), times, refused, resident })
}

/// Asks as alice for a while; returns the latency of each request, and how many were not answered with success.
fn ask_for(address: SocketAddr, slice: Duration) -> anyhow::Result<(Vec<Duration>, usize)> {
    let (mut times, mut refused, mut connection) = (Vec::new(), 0, Connection::open(address)?);
    let begun = Instant::now();
    for number in 0_u32.. {
        let due = begun + PERIOD * number;
        if due >= begun + slice {
            break;
        }
        thread::park_timeout(due.saturating_duration_since(Instant::now()));
        let reply = connection.ask(&request(address, number)?);
        let is_answered = reply.as_ref().is_ok_and(|reply| matches!(reply.status, 200..300));
        if reply.is_err() {
            // The answer may still come, and would be taken for the next one.
            connection = Connection::open(address)?;
        }
        refused += usize::from(!is_answered);
        times.push(due.elapsed());
    }
    Ok((times, refused))
}

fn request(address: SocketAddr, number: u32) -> anyhow::Result<Vec<u8>> {
    if number % WRITE_EVERY == WRITE_EVERY - 1 {
        let body = format!(r#"{{"content": "note {number}"}}"#);
        return Ok(load::request(address, "PUT /api/portal/workspace/memory", "demo-alice", &body));
    }
    let path = PATHS.into_iter().cycle().nth(usize::try_from(number % 4)?).context("there are four paths")?;
    Ok(load::request(address, &format!("GET {path}"), "demo-alice", ""))
}

fn write(measured: &[Measured], unoptimised: bool) -> anyhow::Result<()> {
    let Some(idle) = measured.first().and_then(|idle| share(&idle.times, 99)) else { bail!("nothing was measured") };
    let goal = (TIMES_IDLE * idle).max(GOOD);
    let mut out = io::stdout().lock();
    if unoptimised {
        writeln!(out, "{}", super::UNOPTIMISED)?;
    }
    let rows: Vec<_> = measured.iter().map(|measured| row(measured, goal)).collect();
    let head = ["beside alice", "requests", "p50 ms", "p99 ms", "max ms", "refused", "server MiB", "goal"];
    table::write(&mut out, head, &rows)?;
    let missed = rows.iter().filter(|row| row.last().is_some_and(|goal| goal == "missed")).count();
    ensure!(unoptimised || missed == 0, "{missed} goals were missed: p99 at most {goal:?}, nothing refused");
    Ok(())
}

fn row(measured: &Measured, goal: Duration) -> [String; 8] {
    let Measured { name, times, refused, resident } = measured;
    let is_met = *refused == 0 && share(times, 99).is_some_and(|p99| p99 <= goal);
    [
        (*name).to_owned(),
        times.len().to_string(),
        milliseconds(share(times, 50)),
        milliseconds(share(times, 99)),
        milliseconds(times.last().copied()),
        refused.to_string(),
        (resident / (1024 * 1024)).to_string(),
        if is_met { "met" } else { "missed" }.to_owned(),
    ]
}
