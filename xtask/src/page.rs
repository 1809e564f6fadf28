//! The web page: built by Node.js from `crates/portal-page/ui` into `crates/portal-page/dist`, which is committed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::workspace;

/// Result of installing the page's npm packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installed {
    /// They are there, in the versions of the lockfile.
    Ready,
    /// They are not, for this reason.
    Missing(&'static str),
}

/// Result of comparing the committed files with a build.
#[derive(Debug, PartialEq, Eq)]
pub enum Compared {
    /// They are the same, byte for byte.
    Same,
    /// They differ, or the sources do not build.
    Different,
    /// Nothing was built, for this reason.
    Missing(&'static str),
}

/// Installs the packages that build and test the page, in the versions of the lockfile.
///
/// # Errors
/// Returns an error if npm is there and cannot be started.
pub fn install() -> anyhow::Result<Installed> {
    let found = Command::new("npm").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        return Ok(Installed::Missing("no npm: install Debian's nodejs and npm"));
    }
    // Install scripts are programs of others, and none of the packages needs one.
    let arguments = ["ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--silent"];
    let status = npm().args(arguments).stdout(Stdio::null()).status().context("running npm ci")?;
    if status.success() {
        return Ok(Installed::Ready);
    }
    Ok(Installed::Missing("npm did not install the page's packages: see whether its registry can be reached"))
}

/// Builds `crates/portal-page/dist`.
///
/// # Errors
/// Returns an error if npm or its registry is missing, or if the sources do not build.
pub fn build() -> anyhow::Result<()> {
    if let Installed::Missing(why) = install()? {
        anyhow::bail!(why);
    }
    ensure!(build_into(&committed())?, "the page does not build; see above");
    Ok(())
}

/// Builds the page aside, and compares the result with the committed files.
///
/// # Errors
/// Returns an error if npm cannot be started or a file cannot be read.
pub fn compare() -> anyhow::Result<Compared> {
    if let Installed::Missing(why) = install()? {
        return Ok(Compared::Missing(why));
    }
    // Not over the committed files: they stay as they are when the check fails.
    let aside = workspace::root().join("target/page");
    if !build_into(&aside)? {
        return Ok(Compared::Different);
    }
    let (committed, built) = (read(&committed())?, read(&aside)?);
    // Also files that only one of the two has.
    for name in committed.keys().chain(built.keys()).filter(|&name| committed.get(name) != built.get(name)) {
        eprintln!("crates/portal-page/dist: {} is not what the sources build; run `cargo xtask page`", name.display());
    }
    Ok(if committed == built { Compared::Same } else { Compared::Different })
}

/// Generates the API's types, checks all types, runs the tests of the pure parts and builds into `folder`; returns false
/// if one of these failed.
fn build_into(folder: &Path) -> anyhow::Result<bool> {
    for script in ["types", "check", "test"] {
        if !npm().args(["run", "--silent", script]).status()?.success() {
            return Ok(false);
        }
    }
    Ok(npm().args(["run", "--silent", "build", "--"]).arg(folder).status()?.success())
}

/// Returns an npm command in the folder of the page's sources.
fn npm() -> Command {
    let mut command = Command::new("npm");
    command.current_dir(workspace::root().join("crates/portal-page/ui")).stdin(Stdio::null());
    command
}

fn committed() -> PathBuf {
    workspace::root().join("crates/portal-page/dist")
}

/// Reads every file below `folder`, by its path there.
fn read(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let entries = fs::read_dir(&next)?.collect::<io::Result<Vec<_>>>()?;
        for path in entries.into_iter().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder)?.to_path_buf(), fs::read(&path)?);
            }
        }
    }
    Ok(files)
}
