//! The tests that compare with packages of others: time zone rules, and receivers of signed webhooks.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Machine, Peers, Start, Tier};
use crate::workspace;

/// Installs pinned packages from `PyPI` and npm into the target folder.
pub(super) const TIER: Tier = Tier { name: "packages", start };

/// Time zone rules that ours are compared with; release 2026f.
const TZDATA: &str = "2026.6";
/// Receivers of Standard Webhooks.
const PYTHON: &str = "standardwebhooks==1.1.0";
const NODE: &str = "standardwebhooks@1.1.1";

fn start(_: &Machine) -> anyhow::Result<Start> {
    let folder = workspace::root().join("target").join("test-packages");
    let (python, node) = (folder.join("python"), folder.join("node"));
    std::fs::create_dir_all(&folder)?;
    if !(install_python(&python) && install_node(&node)) {
        let why = "no packages: install Python 3 with pip, and node with npm, and let them reach their registries";
        return Ok(Start::Missing(why.to_owned()));
    }
    notice_newer();
    let env = vec![
        ("TEST_PYTHON_PACKAGES", python.display().to_string()),
        ("TEST_NODE_PACKAGES", node.display().to_string()),
    ];
    Ok(Start::Ready(Peers { env, running: Vec::new() }))
}

fn install_python(folder: &Path) -> bool {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--upgrade", "--root-user-action=ignore", "--target"]).arg(folder);
    succeeds(pip.args([format!("tzdata=={TZDATA}").as_str(), PYTHON]))
}

fn install_node(folder: &Path) -> bool {
    succeeds(Command::new("npm").args(["install", "--silent", "--no-audit", "--no-fund", NODE, "--prefix"]).arg(folder))
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Tells of a release of the time zone rules that came after the pinned one.
fn notice_newer() {
    let versions = Command::new("python3").args(["-m", "pip", "index", "versions", "tzdata"]).output();
    let text = versions.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    // pip's first line is `tzdata (2026.6)`, with the newest release.
    let newest = text.split_once('(').and_then(|(_, rest)| Some(rest.split_once(')')?.0));
    if let Some(newest) = newest.filter(|newest| *newest != TZDATA) {
        eprintln!("notice: tzdata {newest} is out; time zone rules are compared with {TZDATA}");
    }
}
