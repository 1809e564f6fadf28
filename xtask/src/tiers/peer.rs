//! A program that tests talk to, started and kept by a shell script.
//!
//! The script says `ready ..` once the program can be used, and stops it when the script's standard input ends. So the
//! program ends with us however we end: done, interrupted or killed.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};

/// A running program; dropping it stops it.
pub(super) struct Peer(Child);

impl Peer {
    /// Runs `script` and waits until it is ready; returns what it said with that.
    pub(super) fn start(mut script: Command, name: &str) -> anyhow::Result<(Self, String)> {
        // The script may run as another user, who may not be let into our folder.
        script.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().context("starting a shell")?;
        let answers = child.stdout.take().context("the shell has no output")?;
        let peer = Self(child);
        let mut answer = String::new();
        BufReader::new(answers).read_line(&mut answer)?;
        match answer.trim_end().strip_prefix("ready ") {
            Some(told) => Ok((peer, told.to_owned())),
            None => bail!("{name} did not start; its last words are above"),
        }
    }
}

impl Drop for Peer {
    /// Ends the script's standard input, and waits until it has stopped the program.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

/// A port of loopback that nobody listens on.
pub(super) fn free_port() -> anyhow::Result<u16> {
    // Free now: somebody may take it before the program does, which then does not start.
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
