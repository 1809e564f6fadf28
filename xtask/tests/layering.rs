//! The layers of the workspace, compared with what cargo says the crates depend on.
//!
//! Development dependencies are free: a domain crate may test itself with the memory adapters.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// Every crate of the workspace and the workspace crates it may depend on. Arrows point down only, and domain crates
/// do not know each other.
const LAYERS: [(&str, &[&str]); 13] = [
    ("portal-core", &[]),
    ("portal-cron", &["portal-core"]),
    ("portal-dns", &["portal-core"]),
    ("portal-k8s", &["portal-core"]),
    ("portal-workspace", &["portal-core"]),
    ("portal-page", &[]),
    ("portal-adapters", DOMAIN),
    ("portal-api", DOMAIN),
    (
        "portal-runtime",
        &[
            "portal-adapters",
            "portal-api",
            "portal-core",
            "portal-cron",
            "portal-dns",
            "portal-k8s",
            "portal-page",
            "portal-workspace",
        ],
    ),
    // Nothing is built on it: a development dependency of others.
    ("portal-testkit", DOMAIN),
    ("portal-admin", BINARY),
    ("portal-server", BINARY),
    ("xtask", &[]),
];

const DOMAIN: &[&str] = &["portal-core", "portal-cron", "portal-dns", "portal-k8s", "portal-workspace"];

/// Binaries see no adapters: those are chosen in portal-runtime.
const BINARY: &[&str] =
    &["portal-api", "portal-core", "portal-cron", "portal-dns", "portal-k8s", "portal-runtime", "portal-workspace"];

/// Families of external crates that only some crates may name. A family is a crate and what is called after it.
const CONFINED: [(&[&str], &[&str]); 3] = [
    (&["actix", "utoipa"], &["portal-api", "portal-page", "portal-runtime", "portal-admin", "portal-server"]),
    (&["kube", "diesel", "reqwest", "cloudflare", "hickory", "tokio-postgres", "libsqlite3-sys"], &["portal-adapters"]),
    (&["k8s-openapi"], &["portal-adapters", "portal-k8s", "portal-admin", "portal-server"]),
];

/// Crates that mounting the routes in another application must not build.
const NOT_BEHIND_THE_API: [&str; 3] = ["kube", "diesel", "reqwest"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl Metadata {
    /// Asks cargo, for the platform that this test was built for: others' crates need not be downloaded.
    fn read() -> anyhow::Result<Self> {
        let output =
            xtask::workspace::cargo(["metadata", "--format-version", "1", "--filter-platform", &host()?]).output()?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The names of everything that is built when `name` is.
    fn closure(&self, name: &str) -> BTreeSet<&str> {
        let names: BTreeMap<&str, &str> = self.packages.iter().map(|package| (&*package.id, &*package.name)).collect();
        let nodes: BTreeMap<&str, &Node> = self.resolve.nodes.iter().map(|node| (&*node.id, node)).collect();
        let mut open: Vec<&str> =
            self.members().filter(|package| package.name == name).map(|package| &*package.id).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                let built = |edge: &&Link| edge.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"));
                let edges = nodes.get(id).into_iter().flat_map(|node| &node.deps);
                open.extend(edges.filter(built).map(|edge| &*edge.pkg));
            }
        }
        seen.into_iter().filter_map(|id| names.get(id).copied()).collect()
    }
}

impl Package {
    /// Returns the manifest's dependencies, optional ones included, development ones not.
    fn dependencies(&self) -> impl Iterator<Item = &str> {
        let built = |dependency: &&Dependency| dependency.kind.as_deref() != Some("dev");
        self.dependencies.iter().filter(built).map(|dependency| &*dependency.name)
    }
}

/// The platform that the compiler builds for unless told otherwise.
fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let version = String::from_utf8(output.stdout)?;
    Ok(version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?.to_owned())
}

fn is_of_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

#[track_caller]
fn none(wrong: &[String], rule: &str) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

#[test]
fn every_crate_of_the_workspace_has_its_place_in_the_layers() -> anyhow::Result<()> {
    let metadata = Metadata::read()?;
    let there: BTreeSet<&str> = metadata.members().map(|package| &*package.name).collect();
    let placed: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    assert_eq!(there, placed, "give every crate its line in LAYERS, and remove the lines of crates that are gone");
    Ok(())
}

#[test]
fn arrows_between_crates_point_down_only() -> anyhow::Result<()> {
    let metadata = Metadata::read()?;
    let layers: BTreeMap<&str, &[&str]> = LAYERS.into_iter().collect();
    let mut wrong = Vec::new();
    for package in metadata.members() {
        let allowed = layers.get(&*package.name).copied().unwrap_or_default();
        let ours = package.dependencies().filter(|name| layers.contains_key(name));
        wrong.extend(ours.filter(|name| !allowed.contains(name)).map(|name| format!("{} -> {name}", package.name)));
    }
    none(&wrong, "a crate may depend on the layers below it only; declare a port where it is called instead");
    Ok(())
}

#[test]
fn frameworks_and_backends_stay_in_their_crates() -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for package in Metadata::read()?.members() {
        for (families, homes) in CONFINED {
            let confined =
                package.dependencies().filter(|name| families.iter().any(|family| is_of_family(name, family)));
            let away = confined.filter(|_| !homes.contains(&&*package.name));
            wrong.extend(away.map(|name| format!("{} -> {name} (allowed in {})", package.name, homes.join(", "))));
        }
    }
    none(&wrong, "these crates name a framework or backend that is not theirs to know");
    Ok(())
}

#[test]
fn mounting_the_routes_elsewhere_builds_no_backend() -> anyhow::Result<()> {
    let metadata = Metadata::read()?;
    let closure = metadata.closure("portal-api");
    assert!(closure.contains("actix-web") && closure.contains("portal-core"), "the closure is not read: {closure:?}");
    let wrong: Vec<String> = closure
        .into_iter()
        .filter(|name| NOT_BEHIND_THE_API.iter().any(|family| is_of_family(name, family)))
        .map(str::to_owned)
        .collect();
    none(&wrong, "portal-api must build without these");
    Ok(())
}
