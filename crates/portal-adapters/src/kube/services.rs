//! Services, as exposing one needs them.

use std::sync::Arc;

use async_trait::async_trait;
use futures::try_join;
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::{Api, Client};
use portal_core::{BackendError, FriendId};
use portal_dns::{Freshness, ServiceName, ServiceState, Services};
use portal_k8s::{Kind, Phase, ServiceSummary};

use super::KubeCluster;
use super::call::{backend_error, call};
use super::observe::Topic;
use crate::service_state::service_state;

/// The Services of a Kubernetes cluster.
pub struct KubeServices {
    client: Client,
    cluster: Arc<KubeCluster>,
}

impl KubeServices {
    /// The Services of the cluster that `client` talks to and `cluster` watches.
    #[must_use]
    pub fn new(client: Client, cluster: Arc<KubeCluster>) -> Self {
        Self { client, cluster }
    }

    async fn get(&self, namespace: &str, service: &str) -> Result<ServiceState, BackendError> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let services: Api<Service> = Api::namespaced(self.client.clone(), namespace);
        let (home, found) =
            try_join!(call(namespaces.get_opt(namespace)), call(services.get_opt(service))).map_err(backend_error)?;
        // A Service outlives the beginning of its namespace's end; no route may lead to it any more.
        if home.as_ref().map(Phase::from) != Some(Phase::Active) {
            return Ok(ServiceState::NamespaceGone);
        }
        Ok(found.map_or(ServiceState::Absent, |found| service_state(&ServiceSummary::from(&found))))
    }

    fn watched(&self, namespace: &str, service: &str) -> Result<ServiceState, BackendError> {
        self.cluster.cache.health.check(Topic::Namespaces)?;
        self.cluster.cache.health.check(Topic::Objects(Kind::Service))?;
        Ok(self.cluster.cache.with_contents(namespace, |contents| match contents.phase() {
            Some(Phase::Active) => contents.service(service).map_or(ServiceState::Absent, service_state),
            Some(Phase::Terminating) | None => ServiceState::NamespaceGone,
        }))
    }
}

#[async_trait]
impl Services for KubeServices {
    async fn look(
        &self,
        friend: &FriendId,
        service: &ServiceName,
        freshness: Freshness,
    ) -> Result<ServiceState, BackendError> {
        match freshness {
            Freshness::Live => self.get(&friend.namespace(), service.as_str()).await,
            Freshness::Watched => self.watched(&friend.namespace(), service.as_str()),
        }
    }
}
