//! The tests that mount file systems, each in a mount namespace of its own that ends with it.

use std::process::{Command, Stdio};

use super::{Machine, Peers, Start, Tier};

/// Needs no root where the kernel lets users have namespaces.
pub(super) const TIER: Tier = Tier { name: "mounts", start };

#[expect(clippy::unnecessary_wraps, reason = "every tier starts this way")]
fn start(_: &Machine) -> anyhow::Result<Start> {
    // The mount ends with its namespace, so that trying leaves nothing behind.
    let tried = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-ec", "mount -t tmpfs tmpfs /mnt"])
        .stderr(Stdio::null())
        .status();
    if tried.is_ok_and(|status| status.success()) {
        return Ok(Start::Ready(Peers::default()));
    }
    let why = "file systems cannot be mounted in a namespace: install util-linux, and allow user namespaces or be root";
    Ok(Start::Missing(why.to_owned()))
}
