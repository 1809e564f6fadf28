//! Services of the cluster in memory, as exposing one needs them.

use async_trait::async_trait;
use portal_core::{BackendError, FriendId};
use portal_dns::{Freshness, ServiceName, ServiceState, Services};

use portal_k8s::ServiceSummary;

use super::MemoryCluster;
use crate::service_state::service_state;

#[async_trait]
impl Services for MemoryCluster {
    async fn look(
        &self,
        friend: &FriendId,
        service: &ServiceName,
        _freshness: Freshness,
    ) -> Result<ServiceState, BackendError> {
        self.ask(|state| {
            let Some(namespace_state) = state.living(&friend.namespace()) else { return ServiceState::NamespaceGone };
            namespace_state
                .services
                .get(service.as_str())
                .map_or(ServiceState::Absent, |found| service_state(&ServiceSummary::from(found)))
        })
    }
}
