//! Tests of what runs inside the agent's gateway, which is a Node program.

use std::process::{Command, Stdio};

use super::{Machine, Peers, Start, Tier};

/// Needs nothing but Node.
pub(super) const TIER: Tier = Tier { name: "node", start };

#[expect(clippy::unnecessary_wraps, reason = "every tier starts this way")]
fn start(_: &Machine) -> anyhow::Result<Start> {
    let found = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Ok(Start::Ready(Peers::default()));
    }
    Ok(Start::Missing("no Node: install Debian's nodejs".to_owned()))
}
