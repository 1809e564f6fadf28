//! How many Secrets a friend has, without a right to read any.

use std::sync::Arc;

use async_trait::async_trait;
use portal_core::{BackendError, FriendshipKey};
use portal_k8s::Cluster;

use crate::state::Count;

/// Counts the Secrets in a friend's namespace by what the cluster's own quota counted.
pub struct QuotaSecrets(pub Arc<dyn Cluster>);

#[async_trait]
impl Count for QuotaSecrets {
    async fn count(&self, key: &FriendshipKey) -> Result<Option<u64>, BackendError> {
        Ok(self.0.overview(&key.friend).await?.secrets())
    }
}
