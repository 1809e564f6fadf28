//! The tests that need a PostgreSQL server: a private one, started from installed programs, or one that is given.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::peer::{Peer, free_port};
use super::{Machine, Peers, Start, Tier};

/// Runs against `TEST_DATABASE_URL`, or against a server of its own.
pub(super) const TIER: Tier = Tier { name: "postgres", start };

/// Variable from which the tests read the server's address.
const URL: &str = "TEST_DATABASE_URL";

const MISSING: &str = "no PostgreSQL server programs: install Debian's postgresql-15, or set TEST_DATABASE_URL";
/// Runs the server until its standard input ends.
const SCRIPT: &str = include_str!("postgres.sh");

fn start(machine: &Machine) -> anyhow::Result<Start> {
    if let Some(url) = &machine.database_url {
        return Ok(Start::Ready(Peers { env: vec![(URL, url.clone())], running: Vec::new() }));
    }
    let Some(binaries) = binaries() else { return Ok(Start::Missing(MISSING.to_owned())) };
    let (server, url) = run(&binaries, &[])?;
    Ok(Start::Ready(Peers { env: vec![(URL, url)], running: vec![server] }))
}

/// Starts a private server that keeps what it was told through a crash, as tests do not need it; returns what stops it
/// when it is dropped, and its URL.
///
/// # Errors
/// There are no server programs, or they do not start.
pub(crate) fn durable() -> anyhow::Result<(Box<dyn Any>, String)> {
    run(&binaries().context(MISSING)?, &["fsync=on"])
}

fn run(binaries: &Path, settings: &[&str]) -> anyhow::Result<(Box<dyn Any>, String)> {
    let mut script = shell()?;
    script.arg("postgres.sh").arg(binaries).arg(free_port()?.to_string()).args(settings);
    let (server, url) = Peer::start(script, "PostgreSQL")?;
    Ok((Box::new(server), url))
}

/// The folder with `initdb` and `postgres`. Debian keeps it off the search path, one per version.
fn binaries() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    folders.sort();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.insert(0, PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    folders
        .into_iter()
        .rev()
        .find(|folder| ["initdb", "postgres", "pg_isready"].iter().all(|name| folder.join(name).is_file()))
}

/// A shell that runs [`SCRIPT`]: as another user when we are root, whom PostgreSQL refuses.
fn shell() -> anyhow::Result<Command> {
    if id(&["-u"])?.as_deref() != Some("0") {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]);
        return Ok(command);
    }
    let user = if id(&["-u", "postgres"])?.is_some() { "postgres" } else { "nobody" };
    let mut command = Command::new("su");
    command.args(["-s", "/bin/sh", "-c", SCRIPT, user]);
    Ok(command)
}

/// Returns the output of `id`, or `None` where it knows no such user.
fn id(arguments: &[&str]) -> anyhow::Result<Option<String>> {
    let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().context("running id")?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
}
