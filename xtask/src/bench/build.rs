//! The programs that a measurement needs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::workspace;

/// Paths of built programs, by name.
pub(super) struct Programs(BTreeMap<String, PathBuf>);

/// The lines of cargo's account that name a program.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: PathBuf,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Programs {
    /// The program called `name`.
    pub(super) fn get(&self, name: &str) -> anyhow::Result<&PathBuf> {
        self.0.get(name).with_context(|| format!("cargo built no program `{name}`"))
    }
}

/// Builds what is measured, and the load generator, in release mode. All at once: what is built beside a program
/// decides about the features of its dependencies, and so every measurement has the same ones.
pub(super) fn release() -> anyhow::Result<Programs> {
    let mut release = workspace::cargo(["build", "--release"]);
    release.args(["--package", "xtask", "--bin", "xtask", "--package", "portal-server", "--bin", "portal-server"]);
    release.args(["--package", "portal-api", "--example", "bare"]);
    release.args(["--package", "portal-runtime", "--example", "measured"]);
    Ok(Programs(build(release)?))
}

/// The same as tests are built, to try a measurement out.
pub(super) fn unoptimised() -> anyhow::Result<Programs> {
    let mut debug = workspace::cargo(["build", "--workspace", "--bin", "portal-server"]);
    debug.args(["--example", "bare", "--example", "measured"]);
    Ok(Programs(build(debug)?))
}

/// The same, and what fills a database as tests are built, since nobody measures it.
pub(super) fn all() -> anyhow::Result<Programs> {
    let Programs(mut programs) = release()?;
    programs.append(&mut build(workspace::cargo(["build", "--workspace", "--example", "crowd"]))?);
    Ok(Programs(programs))
}

/// Lets the load generator that was built in release mode do the work, unless this is it: an unoptimised one takes the
/// machine from the servers. `true` if the work was done.
pub(super) fn handed_over(programs: &Programs) -> anyhow::Result<bool> {
    if !cfg!(debug_assertions) {
        return Ok(false);
    }
    let status = Command::new(programs.get("xtask")?).args(std::env::args_os().skip(1)).status()?;
    ensure!(status.success(), "the measurement failed");
    Ok(true)
}

fn build(mut cargo: Command) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let output = cargo.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the build failed");
    let account = String::from_utf8_lossy(&output.stdout);
    // Most lines tell of libraries, which have no executable, or of the build; they are no `Artifact`.
    let programs = account.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    Ok(programs.map(|artifact| (artifact.target.name, artifact.executable)).collect())
}
