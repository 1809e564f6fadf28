//! Exposures over two zones and a cluster in memory.

use std::net::Ipv4Addr;
use std::sync::Arc;

use portal_adapters::memory::{MemoryCluster, MemoryRecords};
use portal_core::{Clock, Ids};
use portal_dns::{Domain, DomainName, ExposurePorts, ExposureStore, Exposures, InstanceId, Target, Tls, Zone};
use tokio::runtime::Handle;

/// The portal's marker in these tests.
const INSTANCE: &str = "00112233445566778899aabbccddeeff";

/// The zones `your-domain.net` and `other.example`, empty.
pub(crate) fn zones() -> [MemoryRecords; 2] {
    ["your-domain.net", "other.example"].map(|name| MemoryRecords::new(DomainName::parse(name).unwrap()))
}

/// Exposures in these zones.
pub(crate) fn exposures(
    store: Arc<dyn ExposureStore>,
    cluster: &MemoryCluster,
    zones: &[MemoryRecords],
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
) -> Exposures {
    let ports = ExposurePorts::new(store, Arc::new(cluster.clone()), Arc::new(cluster.clone()), clock, ids);
    let zones = zones.iter().map(zone).collect();
    Exposures::new(ports, InstanceId::parse(INSTANCE).unwrap(), zones, Handle::current())
}

fn zone(records: &MemoryRecords) -> Zone {
    let mut domain = Domain::new(records.domain().clone(), Target::A(Ipv4Addr::new(192, 0, 2, 1)));
    domain.tls = Tls::Default;
    Zone { domain, records: Arc::new(records.clone()) }
}
