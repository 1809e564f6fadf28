//! `cargo xtask bench events`: many open event streams.
//!
//! A configured portal on SQLite serves four streams to each of very many friends. First nothing happens: memory and CPU
//! are what idle streams cost. Then one friend after the other creates a job, and the time is measured until each of
//! their four streams tells of it. At the end nobody may have heard of another friend's job.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::build;
use super::expose::{milliseconds, share};
use super::fixture::Folder;
use super::load::{Connection, request};
use super::portal::Portals;
use super::server::Server;
use crate::table;

/// Streams of each friend: as many as one may have.
const PER_FRIEND: u32 = 4;
/// Time for which idle streams are measured: two comments on each.
const IDLE: Duration = Duration::from_secs(30);
/// Longest wait for an event.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most memory of an idle stream, in bytes.
const MEMORY_GOAL: u64 = 40 * 1024;
/// Longest time from a change to its events: a poll each second, and what it takes.
const LATENCY_GOAL: Duration = Duration::from_secs(2);
/// Name of the event that a new job causes.
const EVENT: &[u8] = b"event: job";

/// Size of a measurement.
pub struct EventsOptions {
    /// Open streams.
    pub streams: u32,
    /// Changes whose events are waited for.
    pub changes: u32,
    /// Builds as for tests.
    pub unoptimised: bool,
}

/// Builds, in release mode unless it is only to be tried out, measures and prints the table.
///
/// # Errors
/// A failed build or start, a stream that is refused or ends, or an event that does not come or comes to another friend.
pub fn events(options: &EventsOptions) -> anyhow::Result<()> {
    let EventsOptions { streams, changes, unoptimised } = *options;
    let programs = if unoptimised { build::unoptimised()? } else { build::release()? };
    if !unoptimised && build::handed_over(&programs)? {
        return Ok(());
    }
    let folder = Folder::new()?;
    let url = format!("sqlite:{}", folder.path().join("portal.db").display());
    let receiver = super::server::free_address()?;
    let portals = Portals { programs: &programs, folder: &folder, url, receiver };
    let friends = streams.div_ceil(PER_FRIEND);
    // In the year 9999: no job of the database is due.
    portals.fill(friends, 0, Duration::from_hours(70_380_768))?;
    let server = portals.start(0)?;
    // The first streams fill caches and start threads.
    let first = open(server.address, 0)?;
    let before = server.resident()?;
    let mut open_streams = vec![first];
    for friend in 1..friends {
        open_streams.push(open(server.address, friend)?);
    }
    let (cpu, begun) = (server.cpu_time()?, Instant::now());
    thread::park_timeout(IDLE);
    let (cpu, elapsed) = (server.cpu_time()?.saturating_sub(cpu), begun.elapsed());
    let memory = server.resident()?.saturating_sub(before) / u64::from(streams.max(1));
    let mut times = Vec::new();
    for friend in (0..friends).take(usize::try_from(changes)?) {
        let streams = open_streams.get_mut(usize::try_from(friend)?).context("no streams")?;
        times.append(&mut change(&server, friend, streams)?);
    }
    times.sort();
    for (friend, streams) in open_streams.iter_mut().enumerate() {
        ensure!(u32::try_from(friend)? < changes || is_quiet(streams)?, "a friend was told of another's job");
    }
    write(options, &times, (memory, cpu.as_secs_f64() * 100.0 / elapsed.as_secs_f64()))
}

/// Opens a friend's streams, and waits for the beginning of each.
fn open(address: SocketAddr, friend: u32) -> anyhow::Result<Vec<TcpStream>> {
    (0..PER_FRIEND)
        .map(|_| {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.write_all(&request(address, "GET /api/portal/events", &format!("measured-f{friend}"), ""))?;
            let told = read_until(&mut stream, b"\nid: ")?;
            ensure!(told.starts_with(b"HTTP/1.1 200 "), "a stream was refused: {}", String::from_utf8_lossy(&told));
            Ok(stream)
        })
        .collect()
}

/// Creates a job of the friend; returns the time that each of their streams took to tell of it.
fn change(server: &Server, friend: u32, streams: &mut [TcpStream]) -> anyhow::Result<Vec<Duration>> {
    let body = r#"{"name": "measured", "message": "Hello", "cron": "0 0 1 1 *"}"#;
    let token = format!("measured-f{friend}");
    let request = request(server.address, "POST /api/portal/workspace/crons", &token, body);
    let begun = Instant::now();
    let reply = Connection::open(server.address)?.ask(&request)?;
    ensure!(reply.status == 201, "the job was answered {}", reply.status);
    thread::scope(|scope| {
        let told = |stream| {
            move || {
                read_until(stream, EVENT)?;
                anyhow::Ok(begun.elapsed())
            }
        };
        let threads: Vec<_> = streams.iter_mut().map(|stream| scope.spawn(told(stream))).collect();
        let joined = threads.into_iter().map(|thread| thread.join().ok().context("a reader panicked")?);
        joined.collect()
    })
}

fn read_until(stream: &mut TcpStream, wanted: &[u8]) -> anyhow::Result<Vec<u8>> {
    let (mut told, mut piece) = (Vec::new(), [0; 4096]);
    while !told.windows(wanted.len()).any(|window| window == wanted) {
        let length = stream.read(&mut piece).context("nothing was told")?;
        ensure!(length > 0, "a stream ended");
        told.extend(piece.iter().take(length));
    }
    Ok(told)
}

/// Returns true if nothing but comments has come to these streams, and none has ended.
fn is_quiet(streams: &mut [TcpStream]) -> anyhow::Result<bool> {
    let mut piece = vec![0; 64 * 1024];
    for stream in streams {
        stream.set_nonblocking(true)?;
        let length = match stream.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            read => read?,
        };
        let told = piece.get(..length).unwrap_or_default();
        if length == 0 || told.windows(EVENT.len()).any(|window| window == EVENT) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn write(options: &EventsOptions, times: &[Duration], (memory, cpu): (u64, f64)) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if options.unoptimised {
        writeln!(out, "{}", super::UNOPTIMISED)?;
    }
    let latest = times.last().copied();
    let is_met = memory <= MEMORY_GOAL && latest.is_some_and(|latest| latest <= LATENCY_GOAL);
    let row = [
        options.streams.to_string(),
        (memory / 1024).to_string(),
        format!("{cpu:.1}"),
        milliseconds(share(times, 50)),
        milliseconds(latest),
        if is_met { "met" } else { "missed" }.to_owned(),
    ];
    let head = ["streams", "KiB each", "idle CPU %", "p50 ms", "max ms", "goal"];
    table::write(&mut out, head, &[row])?;
    ensure!(options.unoptimised || is_met, "a goal was missed: 40 KiB for each stream, {LATENCY_GOAL:?} to each event");
    Ok(())
}
