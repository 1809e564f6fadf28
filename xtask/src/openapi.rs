//! `cargo xtask openapi`: the contract, written where a test compares it.

use std::fs;
use std::process::Stdio;

use anyhow::{Context as _, ensure};

use crate::workspace;

/// Writes what portal-api's example `openapi` prints, as `portal-server openapi` does, to `openapi/portal.json`.
///
/// # Errors
/// A server that does not build or prints no `OpenAPI` document; the file is then left as it was.
pub fn write() -> anyhow::Result<()> {
    let output = workspace::cargo(["run", "--quiet", "--package", "portal-api", "--example", "openapi"])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "portal-api's example failed, openapi/portal.json is left as it was");
    let document: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("portal-api's example did not print JSON")?;
    ensure!(document.get("openapi").is_some(), "portal-api's example did not print an OpenAPI document");
    let folder = workspace::root().join("openapi");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("portal.json"), &output.stdout).context("writing openapi/portal.json")
}
