//! Counts of what belongs to a friend, as `GET /me` shows them.

use std::sync::Arc;

use async_trait::async_trait;
use portal_core::{BackendError, FriendshipKey};
use portal_k8s::Cluster;
use portal_workspace::Documents;

/// Counts something that belongs to a friend.
#[async_trait]
pub trait Count: Send + Sync {
    /// Returns how many there are; `None` if nobody counts them there.
    async fn count(&self, key: &FriendshipKey) -> Result<Option<u64>, BackendError>;
}

/// Counts the daily logs that an agent keeps of a friend.
#[async_trait]
impl Count for Documents {
    async fn count(&self, key: &FriendshipKey) -> Result<Option<u64>, BackendError> {
        self.count_logs(key).await.map(Some)
    }
}

/// Counts the Secrets in a friend's namespace by what the cluster's own quota counted, without a right to read any.
pub struct QuotaSecrets(pub Arc<dyn Cluster>);

#[async_trait]
impl Count for QuotaSecrets {
    async fn count(&self, key: &FriendshipKey) -> Result<Option<u64>, BackendError> {
        Ok(self.0.overview(&key.friend).await?.secrets())
    }
}
