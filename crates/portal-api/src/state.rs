//! The use cases and stores that handlers work with.

use std::sync::Arc;

use portal_core::{AuditLog, ChangeLog, Clock, FriendSettings, FriendshipStore, Ids, Sessions};
use portal_cron::{Jobs, Messages};
use portal_dns::{DomainName, Exposures, Reachability};
use portal_k8s::Cluster;
use portal_workspace::Documents;

use crate::counts::{Count, QuotaSecrets};
use crate::events::{EventPorts, Events};
use crate::login::LoginPorts;
use crate::readiness::Readiness;
use crate::views::NamespaceViews;

/// Use cases and stores behind the operations. It is put together once and shared by all workers.
pub struct ApiState {
    /// Sessions, which decide who may act.
    pub sessions: Arc<Sessions>,
    /// Logging friends in by links; `None` where nobody may, and the operations are not there.
    pub logins: Option<LoginPorts>,
    /// Friendships: the agents that work for a friend.
    pub friendships: Arc<dyn FriendshipStore>,
    /// Settings that friends change themselves.
    pub settings: FriendSettings,
    /// The audit log, of which friends see their own entries.
    pub audit: Arc<dyn AuditLog>,
    /// Event streams. Call [`Events::poll`] once a second.
    pub events: Events,
    /// The domains on offer, the default first.
    pub domains: Arc<[DomainName]>,
    /// Services on the internet.
    pub exposures: Exposures,
    /// Requests to the exposures' own addresses.
    pub reachability: Reachability,
    /// The friends' namespaces.
    pub cluster: Arc<dyn Cluster>,
    /// Cached answers that show namespaces.
    pub namespaces: NamespaceViews,
    /// Scheduled messages to the agents.
    pub jobs: Arc<Jobs>,
    /// Messages to the agents that are sent now.
    pub messages: Arc<Messages>,
    /// Documents that friends share with their agents.
    pub documents: Documents,
    /// Counts the log files that the session's agent keeps of a friend.
    pub logs: Arc<dyn Count>,
    /// Counts the Secrets in a friend's namespace.
    pub secrets: Arc<dyn Count>,
    /// Probes of what the portal depends on.
    pub readiness: Readiness,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Source of request ids.
    pub ids: Arc<dyn Ids>,
}

/// The parts of an [`ApiState`] that have no default.
pub struct ApiPorts {
    /// Sessions, which decide who may act.
    pub sessions: Arc<Sessions>,
    /// Friendships: the agents that work for a friend.
    pub friendships: Arc<dyn FriendshipStore>,
    /// Settings that friends change themselves.
    pub settings: FriendSettings,
    /// The audit log, of which friends see their own entries.
    pub audit: Arc<dyn AuditLog>,
    /// The log of changes, which event streams tell of.
    pub changes: Arc<dyn ChangeLog>,
    /// Services on the internet.
    pub exposures: Exposures,
    /// Requests to the exposures' own addresses.
    pub reachability: Reachability,
    /// The friends' namespaces.
    pub cluster: Arc<dyn Cluster>,
    /// Scheduled messages to the agents.
    pub jobs: Arc<Jobs>,
    /// Messages to the agents that are sent now.
    pub messages: Arc<Messages>,
    /// Documents that friends share with their agents.
    pub documents: Documents,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Source of request ids.
    pub ids: Arc<dyn Ids>,
}

impl ApiState {
    /// Creates the state of these parts. The domains on offer are those of the exposures, logs are counted in the
    /// documents' folders, Secrets by the cluster's quota, and nothing is probed; each can be set afterwards.
    #[must_use]
    pub fn new(ports: ApiPorts) -> Self {
        let ApiPorts {
            sessions,
            friendships,
            settings,
            audit,
            changes,
            exposures,
            reachability,
            cluster,
            jobs,
            messages,
            documents,
            clock,
            ids,
        } = ports;
        let events = Events::new(EventPorts {
            log: changes,
            cluster: cluster.clone(),
            exposures: exposures.clone(),
            reachability: reachability.clone(),
            documents: documents.clone(),
        });
        Self {
            sessions,
            logins: None,
            friendships,
            settings,
            audit,
            events,
            domains: exposures.domains().into(),
            exposures,
            reachability,
            namespaces: NamespaceViews::new(clock.clone()),
            jobs,
            messages,
            logs: Arc::new(documents.clone()),
            secrets: Arc::new(QuotaSecrets(cluster.clone())),
            cluster,
            documents,
            readiness: Readiness::new(Vec::new()),
            clock,
            ids,
        }
    }
}
