//! `cargo xtask bench`: what a request costs the server, beside a bare handler that returns the same bytes (`api`), what
//! exposing a Service takes (`expose`), what the overview costs beside asking the API server (`overview`), how late very many
//! jobs run (`cron`), what open event streams cost (`events`), and how long a friend waits while others attack the server
//! (`hostile`).
//!
//! Machines differ and are rarely quiet, so nothing here is compared with a number from another day: a bare server, a
//! portal, and a portal whose database knows very many friends run at the same time and are driven in turn, a slice
//! at a time. What counts is the CPU time that the operating system charges each server with; requests per second
//! also depend on the load generator, which shares the machine.

mod build;
mod cron;
mod events;
mod expose;
mod fixture;
mod hostile;
mod load;
mod overview;
mod portal;
mod report;
mod server;

use std::path::PathBuf;
use std::slice;
use std::time::Duration;

use fixture::Fixture;
use load::{Load, Sample};
use server::Server;

pub use cron::{CronOptions, cron};
pub use events::{EventsOptions, events};
pub use expose::expose;
pub use hostile::{HostileOptions, hostile};
pub use overview::{OverviewOptions, overview};

/// Heading of numbers that nobody should quote.
const UNOPTIMISED: &str = "built without optimisation: times and CPU say nothing about a release";

/// Duration and load of a measurement.
pub struct Options {
    /// Friends in the database of the portal that knows many.
    pub friends: u32,
    /// Times that every operation is measured on every server; the median of them is reported.
    pub rounds: usize,
    /// Length of one measurement, in milliseconds.
    pub slice: u64,
    /// Connections that are kept busy.
    pub connections: usize,
    /// `portal-server` of another build, to be measured beside this one.
    pub beside: Option<PathBuf>,
}

/// One measured operation.
struct Operation {
    /// Name in the report.
    name: &'static str,
    /// Path, also of the bare server.
    path: &'static str,
    /// True if the request carries the last ETag, so that the reply is `304`.
    conditional: bool,
    /// The most CPU it may cost, as a multiple.
    goal: f64,
    /// Base of the multiple: the bare server's cost, or the portal's own for the same path without an ETag.
    against: Against,
}

/// Base with which the cost of an operation is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Against {
    Bare,
    Unconditional,
}

/// The goals are those of operations that read the database or a file (3), and that read memory (1.5).
const OPERATIONS: [Operation; 5] = [
    Operation { name: "/me", path: "/api/portal/me", conditional: false, goal: 3.0, against: Against::Bare },
    Operation {
        name: "/namespace",
        path: "/api/portal/namespace",
        conditional: false,
        goal: 1.5,
        against: Against::Bare,
    },
    Operation {
        name: "/namespace, If-None-Match",
        path: "/api/portal/namespace",
        conditional: true,
        goal: 1.0,
        against: Against::Unconditional,
    },
    Operation {
        name: "/crons",
        path: "/api/portal/workspace/crons",
        conditional: false,
        goal: 3.0,
        against: Against::Bare,
    },
    Operation {
        name: "/memory",
        path: "/api/portal/workspace/memory",
        conditional: false,
        goal: 3.0,
        against: Against::Bare,
    },
];

/// One thing for each of the four servers.
#[derive(Default)]
struct Sides<T> {
    /// Answers bytes that it holds.
    bare: T,
    /// The portal with its demo fixture, without limits per friend.
    portal: T,
    /// The same with limits that are checked and never reached.
    limited: T,
    /// The same, and very many friends in its database.
    crowded: T,
}

/// Samples of one operation, one per round.
#[derive(Default)]
struct Measured {
    sides: Sides<Vec<Sample>>,
    /// Samples of another build; empty if there is none.
    beside: Vec<Sample>,
}

/// Builds everything in release mode, measures and prints the table.
///
/// # Errors
/// A failed build or start, or an unexpected reply; no number is shown then.
pub fn api(options: &Options) -> anyhow::Result<()> {
    let programs = build::all()?;
    if build::handed_over(&programs)? {
        return Ok(());
    }
    let fixture = Fixture::start(&programs, options)?;
    let mut measured: Vec<Measured> = OPERATIONS.iter().map(|_| Measured::default()).collect();
    let load = |slice| Load { connections: options.connections, slice: Duration::from_millis(slice) };
    // The first round warms caches, connections' buffers and the branch predictor; it is not counted.
    round(&fixture, &load(options.slice.min(500)), &mut measured)?;
    measured.fill_with(Measured::default);
    for _ in 0..options.rounds {
        round(&fixture, &load(options.slice), &mut measured)?;
    }
    report::write(options, &OPERATIONS, &measured)
}

/// Measures every operation on every server once.
fn round(fixture: &Fixture, load: &Load, measured: &mut [Measured]) -> anyhow::Result<()> {
    let servers = &fixture.servers;
    for (index, ((operation, requests), measured)) in OPERATIONS.iter().zip(&fixture.requests).zip(measured).enumerate()
    {
        let sides = &mut measured.sides;
        if operation.against == Against::Bare {
            sides.bare.push(sample(&servers.bare, load, slice::from_ref(&requests.bare))?);
        }
        if let Some((server, requests)) = &fixture.beside
            && let Some(request) = requests.get(index)
        {
            measured.beside.push(sample(server, load, slice::from_ref(request))?);
        }
        sides.portal.push(sample(&servers.portal, load, slice::from_ref(&requests.portal))?);
        sides.limited.push(sample(&servers.limited, load, slice::from_ref(&requests.limited))?);
        sides.crowded.push(sample(&servers.crowded, load, slice::from_ref(&requests.crowded))?);
    }
    Ok(())
}

/// Drives one server with a request, or several in turn, for one slice.
fn sample(server: &Server, load: &Load, requests: &[load::Request]) -> anyhow::Result<Sample> {
    let before = server.cpu_time()?;
    let (requests, elapsed) = load.drive(server.address, requests)?;
    Ok(Sample { requests, elapsed, cpu: server.cpu_time()?.saturating_sub(before) })
}
