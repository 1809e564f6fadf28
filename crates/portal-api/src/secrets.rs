//! How many Secrets a friend has, without a right to read any.

use std::sync::Arc;

use async_trait::async_trait;
use portal_core::{AgentId, BackendError, FriendId};
use portal_k8s::Cluster;

use crate::state::Count;

/// Counts the Secrets in a friend's namespace by what the cluster's own quota counted.
pub struct QuotaSecrets(pub Arc<dyn Cluster>);

#[async_trait]
impl Count for QuotaSecrets {
    async fn count(&self, friend: &FriendId, _: &AgentId) -> Result<Option<u64>, BackendError> {
        Ok(self.0.overview(friend).await?.secrets())
    }
}
