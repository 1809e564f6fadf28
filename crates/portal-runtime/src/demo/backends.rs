//! The cluster and the zones of the demo, in memory.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use portal_adapters::SystemClock;
use portal_adapters::db::Db;
use portal_adapters::memory::{MemoryCluster, MemoryRecords};
use portal_core::{Clock, Ids, Invalid};
use portal_dns::{Domain, DomainName, ExposurePorts, Exposures, InstanceId, Target, Tls, Ttl, Zone};
use tokio::runtime::Handle;

use crate::command_error::CommandError;
use crate::console;

/// The workloads that the demo begins with: each file's name and text.
const WORKLOADS: [(&str, &str); 2] =
    [("alice.yaml", include_str!("alice.yaml")), ("bob.yaml", include_str!("bob.yaml"))];
/// Namespace of objects that name none.
const HOME: &str = "friend-alice";
/// Target of the demo's hostnames: an address of RFC 5737, which leads nowhere.
const TARGET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// TTL of the demo's records, in seconds.
const TTL: u32 = 300;

/// The demo's cluster, with the built-in workloads or with the user's own.
pub(super) fn cluster(manifests: Option<&Path>, clock: Arc<dyn Clock>) -> Result<MemoryCluster, CommandError> {
    let cluster = MemoryCluster::new(clock);
    let unloaded = |error| CommandError::other("the manifests cannot be loaded", error);
    let Some(path) = manifests else {
        for (name, text) in WORKLOADS {
            cluster.load_yaml(name, text, HOME).map_err(unloaded)?;
        }
        return Ok(cluster);
    };
    let loaded = cluster.load_path(path, HOME).map_err(unloaded)?;
    console::print(&[format!(
        "loaded {} objects from {}, left out {}",
        loaded.objects,
        path.display(),
        loaded.skipped.len()
    )])?;
    console::print(&loaded.skipped)?;
    Ok(cluster)
}

/// The demo's exposures. Cluster and zones begin empty with each start, and the first pass fills them again.
pub(super) async fn exposures(
    db: &Db,
    cluster: &MemoryCluster,
    domains: &[DomainName],
    ids: &Arc<dyn Ids>,
) -> Result<Exposures, CommandError> {
    let (store, clock) = (db.exposures(), Arc::new(SystemClock));
    let ports = ExposurePorts::new(store, Arc::new(cluster.clone()), Arc::new(cluster.clone()), clock, ids.clone());
    let zones = domains.iter().map(zone).collect::<Result<_, _>>()?;
    // The instance comes from the database, so that records of an earlier start stay ours.
    let instance = InstanceId::parse(&db.instance(&**ids).await?)?;
    Ok(Exposures::new(ports, instance, zones, Handle::current()))
}

fn zone(name: &DomainName) -> Result<Zone, Invalid> {
    let mut domain = Domain::new(name.clone(), Target::A(TARGET));
    domain.ttl = Ttl::parse(TTL)?;
    domain.tls = Tls::Default;
    Ok(Zone { domain, records: Arc::new(MemoryRecords::new(name.clone())) })
}
