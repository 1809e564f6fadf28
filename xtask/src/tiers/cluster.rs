//! The tests that need a Kubernetes API server: one of their own, with etcd and the controllers beside it.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use super::{Machine, Peers, Start, Tier};
use crate::workspace;

/// Runs against a control plane of its own: of the programs in `KUBEBUILDER_ASSETS`, else of those that the Go module
/// beside this crate builds.
pub(super) const TIER: Tier = Tier { name: "cluster", start };

/// Where the tests read which cluster to use.
const KUBECONFIG: &str = "TEST_KUBECONFIG";
/// What a control plane consists of, and the means to talk to it.
const PROGRAMS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"];
/// The version of Kubernetes that the Go module builds.
const VERSION: &str = "v1.35.4";
/// Where Kubernetes' programs keep the version that they report.
const VERSION_PACKAGE: &str = "k8s.io/component-base/version";

/// Runs the control plane until its standard input ends.
const SCRIPT: &str = include_str!("cluster.sh");

fn start(machine: &Machine) -> anyhow::Result<Start> {
    if !runs("openssl", "version") {
        return Ok(Start::Missing("no openssl: install Debian's openssl".to_owned()));
    }
    let named = machine.kubernetes_programs.clone();
    let Some(programs) = named.map_or_else(built, |folder| Ok(Some(folder)))? else {
        let why = "no API server: name a folder of its programs in KUBEBUILDER_ASSETS, or install Go 1.25";
        return Ok(Start::Missing(why.to_owned()));
    };
    if let Some(missing) = PROGRAMS.iter().find(|program| !programs.join(program).is_file()) {
        return Ok(Start::Missing(format!("{} holds no {missing}", programs.display())));
    }
    let (cluster, kubeconfig) = Cluster::start(&programs)?;
    Ok(Start::Ready(Peers { env: vec![(KUBECONFIG, kubeconfig)], running: vec![Box::new(cluster)] }))
}

/// The folder of the programs that the Go module builds, built now if it was not yet; `None` without Go.
fn built() -> anyhow::Result<Option<PathBuf>> {
    let Some(home) = env::home_dir() else { return Ok(None) };
    let folder = home.join(".cache/friend-portal").join(format!("kube-{VERSION}"));
    if PROGRAMS.iter().all(|program| folder.join(program).is_file()) {
        return Ok(Some(folder));
    }
    if !runs("go", "version") {
        return Ok(None);
    }
    build(&folder)?;
    Ok(Some(folder))
}

fn build(folder: &Path) -> anyhow::Result<()> {
    eprintln!("building a Kubernetes API server; this takes some ten minutes, once");
    let (major, minor) = VERSION.trim_start_matches('v').split_once('.').context("a version without a dot")?;
    let minor = minor.split_once('.').map_or(minor, |(minor, _)| minor);
    let stamps = format!(
        "-s -w -X {VERSION_PACKAGE}.gitVersion={VERSION} -X {VERSION_PACKAGE}.gitMajor={major} -X {VERSION_PACKAGE}.gitMinor={minor}"
    );
    // Built aside and moved when it is whole: an interrupted build leaves nothing that looks like one.
    let aside = folder.with_extension("building");
    std::fs::create_dir_all(&aside)?;
    let mut command = Command::new("go");
    command.current_dir(workspace::root().join("xtask/kube-apiserver")).env("CGO_ENABLED", "0");
    command.args(["build", "-trimpath", "-ldflags", &stamps, "-o"]).arg(format!("{}/", aside.display()));
    ensure!(command.arg("./cmd/...").status()?.success(), "the Kubernetes API server was not built");
    std::fs::rename(&aside, folder).context("keeping the programs that were built")
}

fn runs(program: &str, argument: &str) -> bool {
    let status = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A running control plane.
struct Cluster(Child);

impl Cluster {
    fn start(programs: &Path) -> anyhow::Result<(Self, String)> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "cluster.sh"]).arg(programs).arg(workspace::root());
        for port in ports::<3>()? {
            command.arg(port.to_string());
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("starting a shell")?;
        let answers = child.stdout.take().context("the shell has no output")?;
        let cluster = Self(child);
        let mut answer = String::new();
        BufReader::new(answers).read_line(&mut answer)?;
        match answer.trim_end().strip_prefix("ready ") {
            Some(kubeconfig) => Ok((cluster, kubeconfig.to_owned())),
            None => bail!("the Kubernetes API server did not start; its last words are above"),
        }
    }
}

impl Drop for Cluster {
    /// Ends the script's standard input, on which it stops everything, and waits for that.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

/// Ports of this machine that nobody listens at.
fn ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
