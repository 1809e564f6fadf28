//! `cargo xtask bench overview`: what the overview costs, on a real API server.
//!
//! The same namespace is asked for in four ways: from the portal's watches, from a portal that lists five kinds of
//! objects with every request, from `kubectl proxy` in five requests, and from a bare handler that holds the bytes.
//! All of that once while the cluster has one friend, and once when it is full.

mod fixture;
mod report;

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use self::fixture::Fixture;
use super::build;
use super::load::{Load, Reply, Request, Sample};
use super::sample;
use super::server::{Server, free_address};
use crate::tiers::Machine;

/// The namespace of the friend who is measured.
const NAMESPACE: &str = "friend-f0";
const AUTHORIZATION: (&str, &str) = ("Authorization", "Bearer measured-f0");
const PATH: &str = "/api/portal/namespace";
/// Objects in a friend's namespace, itself counted.
const OBJECTS: u32 = 10;
/// Timeout from a portal's start to its first correct reply.
const READY: Duration = Duration::from_mins(2);
/// Time in which two portals may differ while the controllers are at work.
const AGREE: Duration = Duration::from_mins(1);

/// Size and duration of a measurement.
pub struct OverviewOptions {
    /// Namespaces in the full cluster.
    pub namespaces: u32,
    /// Times that every side is measured; the median counts.
    pub rounds: usize,
    /// Length of one measurement, in milliseconds.
    pub slice: u64,
    /// Connections that are kept busy.
    pub connections: usize,
    /// True for builds with debug assertions, as tests have them.
    pub unoptimised: bool,
}

/// Samples at one number of namespaces.
#[derive(Default)]
struct Phase {
    namespaces: u32,
    portal: Vec<Sample>,
    lists: Vec<Sample>,
    proxy: Vec<Sample>,
    bare: Vec<Sample>,
    /// From the portal's start to its first answer.
    ready: Duration,
    /// Memory that the portal holds at the end, in bytes.
    resident: u64,
}

/// Builds, in release mode unless it is only to be tried out, starts a control plane, measures and prints the tables.
///
/// # Errors
/// A failed build or start, or a wrong reply; no number is shown then.
pub fn overview(options: &OverviewOptions, machine: &Machine) -> anyhow::Result<()> {
    let unoptimised = options.unoptimised;
    let programs = if unoptimised { build::unoptimised()? } else { build::release()? };
    if !unoptimised && build::handed_over(&programs)? {
        return Ok(());
    }
    let fixture = Fixture::start(programs, machine)?;
    fixture.fill(0, 1)?;
    let small = phase(&fixture, options, 1)?;
    let begun = Instant::now();
    fixture.fill(1, options.namespaces)?;
    eprintln!("{} namespaces were filled in {} s", options.namespaces, begun.elapsed().as_secs());
    let full = phase(&fixture, options, options.namespaces)?;
    report::write(options, &small, &full)
}

/// Starts every side and measures them in turn.
fn phase(fixture: &Fixture, options: &OverviewOptions, namespaces: u32) -> anyhow::Result<Phase> {
    let (portal, ready) = portal(fixture)?;
    let lists = fixture.lists()?;
    let body = agree(&portal, &lists)?;
    let bare = bare(fixture, &body)?;
    let proxy = fixture.proxy()?;
    let requests = proxied(proxy.address)?;
    let own = |server: &Server| Request::learn(server.address, PATH, &[AUTHORIZATION]).map(|(request, _)| [request]);
    let (of_portal, of_lists, of_bare) = (own(&portal)?, own(&lists)?, own(&bare)?);
    let mut phase = Phase { namespaces, ready, ..Phase::default() };
    // The first round warms up and is not counted.
    for round in 0..=options.rounds {
        let slice = if round == 0 { options.slice.min(500) } else { options.slice };
        let load = Load { connections: options.connections, slice: Duration::from_millis(slice) };
        let measured = [
            sample(&portal, &load, &of_portal)?,
            sample(&lists, &load, &of_lists)?,
            sample(&proxy, &load, &requests)?,
            sample(&bare, &load, &of_bare)?,
        ];
        if round > 0 {
            let sides = [&mut phase.portal, &mut phase.lists, &mut phase.proxy, &mut phase.bare];
            sides.into_iter().zip(measured).for_each(|(side, sample)| side.push(sample));
        }
    }
    phase.resident = portal.resident()?;
    Ok(phase)
}

/// Starts the portal, and waits for its first overview: until then it has to say that it does not know yet.
fn portal(fixture: &Fixture) -> anyhow::Result<(Server, Duration)> {
    let begun = Instant::now();
    let server = fixture.portal()?;
    while begun.elapsed() < READY {
        let answer = ask(&server)?;
        match answer.status {
            200 => {
                let told = json(&answer)?;
                ensure!(told.get("phase") == Some(&Value::from("Active")), "the first overview is wrong: {told}");
                return Ok((server, begun.elapsed()));
            }
            503 => thread::park_timeout(Duration::from_millis(50)),
            other => bail!("before the portal knew the cluster it answered {other}"),
        }
    }
    bail!("the portal did not know the cluster within {} s", READY.as_secs())
}

/// Waits until watches and lists tell the same; returns the portal's answer.
fn agree(portal: &Server, lists: &Server) -> anyhow::Result<Vec<u8>> {
    let begun = Instant::now();
    loop {
        let (watched, listed) = (ask(portal)?, ask(lists)?);
        ensure!(listed.status == 200, "the lists were answered {}", listed.status);
        if content(&watched)? == content(&listed)? {
            return Ok(watched.body);
        }
        ensure!(begun.elapsed() < AGREE, "watches tell {}, lists {}", json(&watched)?, json(&listed)?);
        thread::park_timeout(Duration::from_millis(500));
    }
}

/// Returns an overview without the time of its first sight.
fn content(answer: &Reply) -> anyhow::Result<Value> {
    let mut told = json(answer)?;
    if let Some(members) = told.as_object_mut() {
        members.remove("observedAt");
    }
    Ok(told)
}

fn ask(server: &Server) -> anyhow::Result<Reply> {
    Request::learn(server.address, PATH, &[AUTHORIZATION]).map(|(_, answer)| answer)
}

fn json(answer: &Reply) -> anyhow::Result<Value> {
    serde_json::from_slice(&answer.body).context("the answer is not JSON")
}

/// The bare handler with the portal's bytes.
fn bare(fixture: &Fixture, body: &[u8]) -> anyhow::Result<Server> {
    let file = fixture.folder.path().join("body");
    fs::write(&file, body)?;
    let program = fixture.programs.get("bare")?;
    Server::start(|address| {
        let mut command = Command::new(program);
        command.arg(address.to_string()).arg(format!("{PATH}={}", file.display()));
        command
    })
}

/// The five requests that show a namespace through `kubectl proxy`.
fn proxied(address: SocketAddr) -> anyhow::Result<Vec<Request>> {
    let core = format!("/api/v1/namespaces/{NAMESPACE}");
    let paths = [
        format!("{core}/pods"),
        format!("{core}/services"),
        format!("{core}/resourcequotas"),
        format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments"),
        format!("/apis/traefik.io/v1alpha1/namespaces/{NAMESPACE}/ingressroutes"),
    ];
    let learn = |path: &String| {
        let (request, answer) = Request::learn(address, path, &[])?;
        ensure!(answer.status == 200, "GET {path} answered {}", answer.status);
        // The version of the list in it grows.
        Ok(request.of_any_length())
    };
    paths.iter().map(learn).collect()
}
