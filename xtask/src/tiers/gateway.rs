//! The tests against real OpenClaw gateways, which `cargo xtask openclaw install` puts into a folder.

use super::{Machine, Peers, Start, Tier};
use crate::openclaw;

/// Needs 1.4 GB of packages and some minutes, and is left out unless the folder is named.
pub(super) const TIER: Tier = Tier { name: "gateway", start };

#[expect(clippy::unnecessary_wraps, reason = "every tier starts this way")]
fn start(machine: &Machine) -> anyhow::Result<Start> {
    let Some(folder) = &machine.openclaw else {
        let why = "no gateways: `cargo xtask openclaw install FOLDER`, then name the folder by PORTAL_TEST_OPENCLAW";
        return Ok(Start::Missing(why.to_owned()));
    };
    if let Some(missing) = openclaw::missing(folder) {
        return Ok(Start::Missing(format!("{} is missing: `cargo xtask openclaw install` again", missing.display())));
    }
    let env = vec![("PORTAL_TEST_OPENCLAW", folder.display().to_string())];
    Ok(Start::Ready(Peers { env, running: Vec::new() }))
}
