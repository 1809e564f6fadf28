//! `cargo xtask bench cron`: very many jobs of one minute, and what they leave of the portal for requests.
//!
//! Every job is due at the start of every minute, which is the worst that friends can ask for. A receiver on loopback
//! accepts each message at once and writes down when it came. Beside that, `/me` is asked at a fixed rate: before the
//! first fire time, and while messages go out.

mod probe;
mod receiver;
mod report;

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};

use self::probe::Probe;
use self::receiver::{Message, Receiver};
use super::build;
use super::fixture::Folder;
use super::portal::Portals;
use crate::tiers;

/// Jobs of each friend: as many as one may have.
const JOBS: u32 = 50;
/// Time before the first fire time that filling the database, starting the portals and measuring them idle may take.
const LEAD: Duration = Duration::from_secs(75);
/// Least time for which the portals are measured idle.
const IDLE_MIN: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_mins(1);

/// Size and duration of a measurement.
pub struct CronOptions {
    /// Friends, each with fifty jobs.
    pub friends: u32,
    /// Minutes that are measured.
    pub minutes: u32,
    /// Numbers of portals that share one database.
    pub replicas: Vec<u32>,
    /// Databases: `sqlite`, `postgres`.
    pub databases: Vec<String>,
    /// True for builds with debug assertions, as tests have them.
    pub unoptimised: bool,
}

/// Result with one database and one number of portals.
struct Measured {
    database: String,
    replicas: u32,
    /// Fire times in the measured minutes.
    expected: usize,
    /// Messages of these fire times.
    messages: Vec<Message>,
    /// Durations of `/me`, the shortest first.
    idle: Vec<Duration>,
    loaded: Vec<Duration>,
    /// CPU time of all portals in the measured minutes.
    cpu: Duration,
    elapsed: Duration,
}

/// Builds, in release mode unless it is only to be tried out, measures and prints the table.
///
/// # Errors
/// A failed build or start, a database that is filled too slowly, or a wrong reply; no number is shown then.
pub fn cron(options: &CronOptions) -> anyhow::Result<()> {
    let programs = if options.unoptimised { build::unoptimised()? } else { build::release()? };
    if !options.unoptimised && build::handed_over(&programs)? {
        return Ok(());
    }
    let mut measured = Vec::new();
    for database in &options.databases {
        for replicas in &options.replicas {
            let folder = Folder::new()?;
            let receiver = Receiver::start()?;
            let server = if database == "postgres" { Some(tiers::durable_postgres()?) } else { None };
            let url = match &server {
                Some((_, url)) => url.clone(),
                None => format!("sqlite:{}", folder.path().join("portal.db").display()),
            };
            let portals = Portals { programs: &programs, folder: &folder, url, receiver: receiver.address };
            let it = measure(options, &portals, &receiver, *replicas)?;
            measured.push(Measured { database: database.clone(), ..it });
        }
    }
    report::write(options, &measured)
}

fn measure(
    options: &CronOptions,
    portals: &Portals<'_>,
    receiver: &Receiver,
    replicas: u32,
) -> anyhow::Result<Measured> {
    let start = next_minute(since_1970()? + LEAD);
    portals.fill(options.friends, JOBS, start)?;
    let servers = (0..replicas).map(|number| portals.start(number)).collect::<anyhow::Result<Vec<_>>>()?;
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    // Less two seconds, so that the last answer is there before the first fire time.
    let idle_for = until(start)?.saturating_sub(Duration::from_secs(2));
    ensure!(idle_for >= IDLE_MIN, "filling the database took too long to measure the portals idle");
    let probe = Probe { addresses: &addresses, friends: options.friends };
    let idle = probe.ask(idle_for)?;
    thread::park_timeout(until(start)?);
    let cpu = || servers.iter().map(super::server::Server::cpu_time).sum::<anyhow::Result<Duration>>();
    let (before, begun) = (cpu()?, Instant::now());
    let loaded = probe.ask(MINUTE * options.minutes)?;
    let (cpu, elapsed) = (cpu()?.saturating_sub(before), begun.elapsed());
    drop(servers);
    let end = start + MINUTE * options.minutes;
    // Messages of a minute that came late count, those of the minute after it do not.
    let messages: Vec<_> = receiver.messages().into_iter().filter(|it| it.due_at >= start && it.due_at < end).collect();
    let expected = usize::try_from(u64::from(options.friends) * u64::from(JOBS) * u64::from(options.minutes))?;
    Ok(Measured { database: String::new(), replicas, expected, messages, idle, loaded, cpu, elapsed })
}

/// The time by the machine's clock, which the portals' jobs follow.
#[expect(clippy::disallowed_methods, reason = "fire times are compared with the machine's clock")]
fn since_1970() -> anyhow::Result<Duration> {
    SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")
}

fn until(at: Duration) -> anyhow::Result<Duration> {
    Ok(at.saturating_sub(since_1970()?))
}

fn next_minute(at: Duration) -> Duration {
    Duration::from_secs(at.as_secs().div_ceil(60) * 60)
}
