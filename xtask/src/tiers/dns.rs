//! The tests that need a name server: a private BIND, started from the installed program.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use super::peer::{Peer, free_port};
use super::{Machine, Peers, Start, Tier};

/// Runs against a server of its own with one zone and one key.
pub(super) const TIER: Tier = Tier { name: "dns", start };

/// Runs the server until its standard input ends.
const SCRIPT: &str = include_str!("dns.sh");

/// The zone that the server serves.
const ZONE: &str = "portal.test";

fn start(_: &Machine) -> anyhow::Result<Start> {
    let Some(named) = named() else {
        return Ok(Start::Missing("no name server: install Debian's bind9".to_owned()));
    };
    let port = free_port()?;
    let mut script = Command::new("sh");
    script.args(["-c", SCRIPT, "dns.sh"]).arg(named).args([&port.to_string(), ZONE]);
    let (server, key) = Peer::start(script, "BIND")?;
    let env = vec![
        ("TEST_DNS_SERVER", format!("{}:{port}", Ipv4Addr::LOCALHOST)),
        ("TEST_DNS_ZONE", ZONE.to_owned()),
        ("TEST_DNS_KEY", key),
    ];
    Ok(Start::Ready(Peers { env, running: vec![Box::new(server)] }))
}

/// The server program. Debian keeps it where only root's search path looks.
fn named() -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/sbin"];
    folders.iter().map(|folder| PathBuf::from(folder).join("named")).find(|program| program.is_file())
}
