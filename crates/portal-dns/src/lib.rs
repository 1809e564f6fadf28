//! Exposures: friends' services under hostnames of the domains on offer, each with a DNS record and an ingress route.
//!
//! A request is stored before it has an effect ([`ExposureStore`], where a hostname has one owner). Then records and
//! routes are observed, a pure function plans the steps, and each step is idempotent. So a crash, a timeout or a lost
//! answer leaves only what the next run finds and finishes.
//!
//! This crate knows no DNS provider, no Kubernetes client, no database and no HTTP. It calls them through the ports
//! declared here: [`Records`], [`Routes`], [`Services`], [`ExposureStore`] and [`IntentStore`].
//!
//! Start reading at `exposures.rs` (the operations of a friend), then `reconcile.rs` (observe, plan, apply, record) and
//! `reconcile/plan.rs`. The modules below are listed bottom up: each uses only those above it.

mod marker;

mod hostname;

mod service;

mod record;

mod route;

mod zone;

mod exposure;

mod tombstone;

mod intent;

mod store;

mod error;

mod timeout;

mod queue;

mod snapshot;

mod owners;

mod reconcile;

mod pass;

mod orphans;

mod reply;

mod reach;

mod ports;

mod exposures;

pub use error::DnsError;
pub use exposure::{Exposure, ExposureSpec, ExposureStep, OpenExposure, Progress, Reason, Status};
pub use exposures::{Exposures, Opened};
pub use hostname::{DomainName, ExposureName, Hostname};
pub use intent::{Desired, Intent, Outcome, Previous, Reservation};
pub use marker::{ExposureId, InstanceId, MARKER_LABEL, OwnershipMarker};
pub use orphans::{Orphan, OrphanPorts, OrphanRemoved, Orphans};
pub use pass::PassReport;
pub use ports::ExposurePorts;
pub use queue::{Work, WorkQueue};
pub use reach::{Reach, ReachHint, Reachability, Reachable, Reached};
pub use record::{Ensured, Observed, Priority, RecordState, Records, Removed, Target, Ttl};
pub use route::{
    EXPOSURE_LABEL, HostClaim, INSTANCE_LABEL, ObservedRoute, ObservedRoutes, RouteChanged, RouteCreated, RoutePlace,
    RouteSpec, RouteVersion, Routes, Tls,
};
pub use service::{Freshness, ServiceName, ServicePort, ServiceState, Services};
pub use store::{
    Change, Claimed, EXPOSURES_PER_FRIEND, ExposureStore, Fence, IntentStore, Lease, Recorded, Refusal, Reserved,
    all_intents, uncertifiable_hostnames, unserved_hostnames,
};
pub use tombstone::{ReleaseReason, TOMBSTONE_LIFETIME, TOMBSTONES_PER_FRIEND, Tombstone};
pub use zone::{Domain, Zone};
