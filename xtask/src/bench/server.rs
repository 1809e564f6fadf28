//! A server under measurement.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Timeout of a server's start.
const START: Duration = Duration::from_secs(30);

/// A running server; dropping it ends it.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    child: Child,
    /// Length of the clock tick in which the operating system counts.
    tick: Duration,
}

impl Server {
    /// Runs what `command` makes of a free address, and waits until it accepts connections there.
    pub(super) fn start(command: impl FnOnce(SocketAddr) -> Command) -> anyhow::Result<Self> {
        let address = free_address()?;
        Self::start_at(address, command(address))
    }

    /// Runs a command and waits until it accepts connections at `address`.
    pub(super) fn start_at(address: SocketAddr, mut command: Command) -> anyhow::Result<Self> {
        // Nobody reads the log: a full pipe would stop the server, and a terminal would slow it down.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let mut server = Self { address, child, tick: tick()? };
        let end = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("{command:?} ended at once: {status}");
            }
            if Instant::now() > end {
                bail!("{command:?} does not listen on {address}");
            }
            thread::park_timeout(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Memory that the process holds now, in bytes.
    pub(super) fn resident(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).context("is this Linux?")?;
        resident(&status).context("the process status has another form")
    }

    /// CPU time used so far, in user and kernel mode, by all of its threads.
    pub(super) fn cpu_time(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).context("is this Linux?")?;
        let ticks = ticks(&stat).context("the process statistics have another form")?;
        Ok(self.tick * ticks)
    }
}

/// An address of loopback that nobody listens on.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// User and system time from the statistics: fields 14 and 15, counted behind the name, which may hold blanks.
fn ticks(stat: &str) -> Option<u32> {
    // Behind the last bracket: the name may hold brackets too.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

/// The resident set, which Linux tells in kibibytes.
fn resident(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

fn tick() -> anyhow::Result<Duration> {
    let output = Command::new("getconf").arg("CLK_TCK").output().context("running getconf")?;
    let per_second: u32 = String::from_utf8_lossy(&output.stdout).trim().parse().context("reading CLK_TCK")?;
    Duration::from_secs(1).checked_div(per_second).context("CLK_TCK is zero")
}

#[cfg(test)]
mod tests {
    #[test]
    fn cpu_time_is_read_behind_a_name_with_blanks() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 25 17 0 0 20 0 3 0 100";
        assert_eq!(super::ticks(stat), Some(42));
    }

    #[test]
    fn memory_is_read_from_the_status() {
        assert_eq!(super::resident("Name:\ta\nVmRSS:\t   12 kB\nThreads:\t3\n"), Some(12 * 1024));
        assert_eq!(super::resident("Name:\ta\n"), None);
    }
}
