//! The servers that are measured side by side, and the requests of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::build::Programs;
use super::load::{Connection, Request, request};
use super::server::Server;
use super::{OPERATIONS, Operation, Options, Sides};

/// The token of a friend of every demo, of whose things none changes by itself. The story of the other one does.
const TOKEN: &str = "demo-bob";
const AUTHORIZATION: (&str, &str) = ("Authorization", "Bearer demo-bob");
/// Jobs that the friend has.
const JOBS: usize = 3;
/// The demo's database, below its data folder.
const DATABASE: &str = "portal.db";

/// Everything that runs during the measurement.
pub(super) struct Fixture {
    pub(super) servers: Sides<Server>,
    /// One per operation, in their order.
    pub(super) requests: Vec<Sides<Request>>,
    /// The portal of another build, and its requests in the same order.
    pub(super) beside: Option<(Server, Vec<Request>)>,
    /// Dropped last, when the servers are gone.
    _folder: Folder,
}

impl Fixture {
    /// Starts the servers.
    pub(super) fn start(programs: &Programs, options: &Options) -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        let portal = demo(programs, &folder.0.join("portal"), "off")?;
        let limited = demo(programs, &folder.0.join("limited"), "lifted")?;
        let crowded = crowded(programs, &folder.0.join("crowded"), options.friends)?;
        let beside = options.beside.as_ref().map(|program| beside(program, &folder.0.join("beside"))).transpose()?;
        let bare = bare(programs, &folder.0, &portal)?;
        let servers = Sides { bare, portal, limited, crowded };
        let requests =
            OPERATIONS.iter().map(|operation| requests(operation, &servers)).collect::<anyhow::Result<_>>()?;
        Ok(Self { servers, requests, beside, _folder: folder })
    }
}

fn requests(operation: &Operation, servers: &Sides<Server>) -> anyhow::Result<Sides<Request>> {
    let (bare, _) = Request::learn(servers.bare.address, operation.path, &[])?;
    let portals = [&servers.portal, &servers.limited, &servers.crowded];
    let [portal, limited, crowded] = portals.map(|server| of_portal(operation, server));
    Ok(Sides { bare, portal: portal?, limited: limited?, crowded: crowded? })
}

fn demo(programs: &Programs, data: &Path, limits: &str) -> anyhow::Result<Server> {
    let program = programs.get("portal-server")?;
    let server = Server::start(|address| {
        let mut command = Command::new(program);
        command.args(["demo", "--listen", &address.to_string(), "--limits", limits, "--data"]).arg(data);
        command
    })?;
    fill(&server)?;
    Ok(server)
}

/// Gives the friend a memory and jobs, unless they have them from an earlier start.
fn fill(server: &Server) -> anyhow::Result<()> {
    let ask =
        |line: &str, body: &str| Connection::open(server.address)?.ask(&request(server.address, line, TOKEN, body));
    let text = "A line of what the agent is to remember. ".repeat(20);
    let reply = ask("PUT /api/portal/workspace/memory", &format!(r#"{{"content": "{text}"}}"#))?;
    ensure!(reply.status == 200, "PUT memory was answered {}", reply.status);
    for number in 0..JOBS {
        let body = format!(r#"{{"name": "job-{number}", "message": "Hello", "cron": "0 9 1 1 *"}}"#);
        let reply = ask("POST /api/portal/workspace/crons", &body)?;
        ensure!(matches!(reply.status, 201 | 409), "POST crons was answered {}", reply.status);
    }
    Ok(())
}

/// The demo of another build, which may be one that has no limits.
fn beside(program: &Path, data: &Path) -> anyhow::Result<(Server, Vec<Request>)> {
    let help = Command::new(program).args(["demo", "--help"]).output();
    let help = help.with_context(|| format!("running {}", program.display()))?;
    let has_limits = String::from_utf8_lossy(&help.stdout).contains("--limits");
    let server = Server::start(|address| {
        let mut command = Command::new(program);
        command.args(["demo", "--listen", &address.to_string(), "--data"]).arg(data);
        // A build without limits would refuse the option.
        command.args(has_limits.then_some(["--limits", "off"]).into_iter().flatten());
        command
    })?;
    fill(&server)?;
    let requests = OPERATIONS.iter().map(|operation| of_portal(operation, &server)).collect::<anyhow::Result<_>>()?;
    Ok((server, requests))
}

/// A demo whose database was filled between its first start, which lays it out, and its second.
fn crowded(programs: &Programs, data: &Path, friends: u32) -> anyhow::Result<Server> {
    let server = demo(programs, data, "off")?;
    // Answered when the migrations are done: only then are there tables to fill.
    Request::learn(server.address, "/readyz", &[])?;
    drop(server);
    let mut crowd = Command::new(programs.get("crowd")?);
    let status = crowd.arg(data.join(DATABASE)).arg(friends.to_string()).status()?;
    ensure!(status.success(), "filling the database failed");
    demo(programs, data, "off")
}

/// The bare server, with the bodies that `portal` answers.
fn bare(programs: &Programs, folder: &Path, portal: &Server) -> anyhow::Result<Server> {
    let mut routes = Vec::new();
    for (number, operation) in OPERATIONS.iter().enumerate().filter(|(_, operation)| !operation.conditional) {
        let (_, answer) = Request::learn(portal.address, operation.path, &[AUTHORIZATION])?;
        ensure!(answer.status == 200, "GET {} answered {}", operation.path, answer.status);
        let file = folder.join(format!("body-{number}"));
        fs::write(&file, &answer.body)?;
        routes.push(format!("{}={}", operation.path, file.display()));
    }
    let program = programs.get("bare")?;
    Server::start(|address| {
        let mut command = Command::new(program);
        command.arg(address.to_string()).args(routes);
        command
    })
}

fn of_portal(operation: &Operation, portal: &Server) -> anyhow::Result<Request> {
    let (request, answer) = Request::learn(portal.address, operation.path, &[AUTHORIZATION])?;
    ensure!(answer.status == 200, "GET {} answered {}", operation.path, answer.status);
    if !operation.conditional {
        return Ok(request);
    }
    let tag = answer.etag.with_context(|| format!("GET {} has no ETag", operation.path))?;
    let headers = [AUTHORIZATION, ("If-None-Match", &tag)];
    let (request, answer) = Request::learn(portal.address, operation.path, &headers)?;
    ensure!(answer.status == 304, "GET {} with its own tag answered {}", operation.path, answer.status);
    Ok(request)
}

/// A folder for the run, removed with all that is in it.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("portal-bench-{}", std::process::id()));
        // Not `create_dir_all`: a folder that is there belongs to somebody else.
        fs::create_dir(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Folder {
    /// Its address.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
