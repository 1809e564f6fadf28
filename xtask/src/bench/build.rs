//! The programs that a measurement needs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::workspace;

/// Where cargo put what it built, by name.
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

/// Builds what is measured, and the load generator, in release mode; what fills a database as tests are built, since
/// nobody measures it.
pub(super) fn all() -> anyhow::Result<Programs> {
    let mut release = workspace::cargo(["build", "--release"]);
    release.args(["--package", "xtask", "--bin", "xtask", "--package", "portal-server", "--bin", "portal-server"]);
    release.args(["--package", "portal-api", "--example", "bare"]);
    let mut programs = build(release)?;
    programs.append(&mut build(workspace::cargo(["build", "--workspace", "--example", "crowd"]))?);
    Ok(Programs(programs))
}

fn build(mut cargo: Command) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let output = cargo.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the build failed");
    let account = String::from_utf8_lossy(&output.stdout);
    let programs = account.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    Ok(programs.map(|artifact| (artifact.target.name, artifact.executable)).collect())
}
