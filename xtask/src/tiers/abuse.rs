//! The tests of hostile and unlucky clients, each with a portal of its own that may use one CPU.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Machine, Peers, Start, Tier};

/// Needs no peer, but several minutes: most of its clients wait to be cut off.
pub(super) const TIER: Tier = Tier { name: "abuse", start };

#[expect(clippy::unnecessary_wraps, reason = "every tier starts this way")]
fn start(_: &Machine) -> anyhow::Result<Start> {
    // A container may have CPUs to itself that CPU 0 is not among.
    let pinned = Command::new("taskset").args(["--cpu-list", "0", "true"]).stderr(Stdio::null()).status();
    if !pinned.is_ok_and(|status| status.success()) {
        return Ok(Start::Missing("no taskset, or no CPU 0: install util-linux".to_owned()));
    }
    if !Path::new("/proc/self/status").is_file() {
        return Ok(Start::Missing("memory and descriptors are read from /proc: use Linux".to_owned()));
    }
    Ok(Start::Ready(Peers::default()))
}
