//! What the handlers work with.

use std::sync::Arc;

use async_trait::async_trait;
use portal_core::{BackendError, Clock, FriendshipKey, FriendshipStore, Ids, Sessions};
use portal_cron::Jobs;
use portal_dns::{DomainName, Exposures};
use portal_k8s::Cluster;
use portal_workspace::Documents;

use crate::login::LoginPorts;
use crate::readiness::Readiness;
use crate::views::NamespaceViews;

/// The use cases and stores behind the operations. It is put together once and shared by all workers.
pub struct ApiState {
    /// The door.
    pub sessions: Arc<Sessions>,
    /// Logging friends in by links; `None` where nobody may, and the operations are not there.
    pub logins: Option<LoginPorts>,
    /// Which agents work for them.
    pub friendships: Arc<dyn FriendshipStore>,
    /// The domains on offer, the default first.
    pub domains: Arc<[DomainName]>,
    /// What is, or should be, on the internet.
    pub exposures: Exposures,
    /// What the friends' namespaces look like.
    pub cluster: Arc<dyn Cluster>,
    /// The namespaces' answers, ready to be sent.
    pub namespaces: NamespaceViews,
    /// The messages that are due to the agents.
    pub jobs: Arc<Jobs>,
    /// The documents that friends share with their agents.
    pub documents: Documents,
    /// Counts the log files that the session's agent keeps of a friend.
    pub logs: Arc<dyn Count>,
    /// Counts the Secrets in a friend's namespace.
    pub secrets: Arc<dyn Count>,
    /// Whether the portal should get requests.
    pub readiness: Readiness,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where request ids come from.
    pub ids: Arc<dyn Ids>,
}

/// Counts something that belongs to a friend.
#[async_trait]
pub trait Count: Send + Sync {
    /// How many there are; `None` if nobody counts them there.
    async fn count(&self, key: &FriendshipKey) -> Result<Option<u64>, BackendError>;
}

/// Counts the daily logs that an agent keeps of a friend.
#[async_trait]
impl Count for Documents {
    async fn count(&self, key: &FriendshipKey) -> Result<Option<u64>, BackendError> {
        self.count_logs(key).await.map(Some)
    }
}
