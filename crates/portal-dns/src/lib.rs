//! Putting a friend's service on the internet: who owns which hostname, which record and which route it needs, and
//! how both come to be and to go without ever touching what somebody else made.
//!
//! What a friend asks for is stored before anything is done about it ([`ExposureStore`], where a hostname has one
//! owner). Then record and route are looked at, a pure function says what to do, and each step is safe to repeat; so
//! whatever a crash, a timeout or a lost answer leaves behind, the next look finds and finishes.
//!
//! This crate decides what stands in the zones and in front of the friends' namespaces. It knows no DNS provider, no
//! Kubernetes client, no database and no HTTP: it asks for records ([`Records`]), routes ([`Routes`]), Services
//! ([`Services`]) and rows ([`ExposureStore`], [`IntentStore`]) through the ports declared here.
//!
//! Start reading at [`Exposures`] (what a friend can do) and `exposure/plan.rs` (what is done about it); [`Hostname`]
//! is what is owned, [`OwnershipMarker`] the proof of it.

mod error;
mod exposure;
mod exposures;
mod hostname;
mod intent;
mod marker;
mod orphans;
mod owners;
mod pass;
mod queue;
mod reconcile;
mod record;
mod route;
mod service;
mod snapshot;
mod store;
mod zone;

pub use error::DnsError;
pub use exposure::{Exposure, OpenExposure, Reason, Status};
pub use exposures::{ExposurePorts, Exposures, Opened};
pub use hostname::{DomainName, ExposureName, Hostname};
pub use intent::{Before, Desired, Intent, Reservation, Settlement};
pub use marker::{ExposureId, InstanceId, OwnershipMarker};
pub use orphans::{Orphan, OrphanPorts, OrphanRemoved, Orphans};
pub use pass::PassReport;
pub use queue::{Work, WorkQueue};
pub use record::{Ensured, Observed, Priority, RecordState, Records, Removed};
pub use route::{
    EXPOSURE_LABEL, HostClaim, INSTANCE_LABEL, ObservedRoute, ObservedRoutes, RouteChanged, RouteCreated, RoutePlace,
    RouteSpec, RouteVersion, Routes,
};
pub use service::{Freshness, ServiceName, ServicePort, ServiceState, Services};
pub use store::{
    Change, Claimed, EXPOSURES_PER_FRIEND, ExposureStore, Fence, IntentStore, Lease, ReleaseReason, Reserved, Settled,
    TOMBSTONE_LIFETIME, Tombstone, all_intents, unserved_hostnames,
};
pub use zone::{Domain, Target, Tls, Ttl, Zone};
