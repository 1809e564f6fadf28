//! The cluster and the zones of the demo, in memory.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use portal_adapters::SystemClock;
use portal_adapters::db::Db;
use portal_adapters::memory::{MemoryCluster, MemoryRecords};
use portal_core::{Clock, Ids, Invalid};
use portal_dns::{
    Domain, DomainName, Exposure, ExposurePorts, Exposures, InstanceId, Reach, ReachHint, Reached, Target, Tls, Ttl,
    Zone,
};
use portal_k8s::Cluster as _;
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

/// In place of visitors, who cannot come: the demo's names lead nowhere. An address answers if its app has a copy that
/// is ready.
pub(super) struct DemoReach(pub(super) MemoryCluster);

#[async_trait]
impl Reach for DemoReach {
    async fn ask(&self, exposure: &Exposure) -> Reached {
        let Ok(overview) = self.0.overview(&exposure.friend).await else {
            return Reached::No(ReachHint::NoAnswer);
        };
        let app = format!("{}-", exposure.spec.service);
        let is_served = overview.pods.iter().any(|pod| pod.ready && pod.name.starts_with(&app));
        if is_served { Reached::Yes } else { Reached::No(ReachHint::AppUnavailable) }
    }
}

fn zone(name: &DomainName) -> Result<Zone, Invalid> {
    let mut domain = Domain::new(name.clone(), Target::A(TARGET));
    domain.ttl = Ttl::parse(TTL)?;
    domain.tls = Tls::Default;
    Ok(Zone { domain, records: Arc::new(MemoryRecords::new(name.clone())) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use portal_adapters::SystemClock;
    use portal_adapters::memory::MemoryCluster;
    use portal_testkit::{ReachFixture, ReachedApp};

    use super::{DemoReach, HOME};

    portal_testkit::reach_contract!(in_the_demo());

    #[expect(clippy::unused_async, reason = "other fixtures have to be waited for")]
    async fn in_the_demo() -> ReachFixture {
        let cluster = MemoryCluster::new(Arc::new(SystemClock));
        ReachFixture::new(Arc::new(DemoReach(cluster.clone())), Box::new(App(cluster)))
    }

    /// An app with one copy.
    struct App(MemoryCluster);

    impl App {
        fn set_ready(&self, is_ready: bool) {
            let pod = format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: web-5d8c7b9f4-x2xkq}}, spec: {{containers: [{{name: web}}]}}, \
                 status: {{phase: Running, containerStatuses: [{{name: web, ready: {is_ready}, restartCount: 0, image: web, \
                 imageID: web}}]}}}}"
            );
            self.0.load_yaml("pod.yaml", &pod, HOME).unwrap();
        }
    }

    #[async_trait]
    impl ReachedApp for App {
        async fn start(&self) {
            self.set_ready(true);
        }

        async fn stop(&self) {
            self.set_ready(false);
        }
    }
}
