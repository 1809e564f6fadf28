//! The overview without watches: five lists per request, through the same functions to the same bytes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota, Service};
use kube::api::ListParams;
use kube::{Api, Client, Resource, ResourceExt};
use portal_adapters::SystemClock;
use portal_adapters::memory::MemoryCluster;
use portal_core::{Backend, BackendError, BoxError, Clock, FriendId};
use portal_k8s::{
    Cluster, Contents, DeploymentSummary, IngressRoute, Overview, Phase, PodSummary, QuotaSummary, RouteSummary,
    ServiceSummary, Summary,
};
use serde::de::DeserializeOwned;

use crate::fixture;

struct ListedCluster(Client);

impl ListedCluster {
    async fn list<K>(&self, namespace: &str) -> Result<Vec<K>, BackendError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        let api = Api::<K>::namespaced(self.0.clone(), namespace);
        let listed = api.list(&ListParams::default()).await;
        Ok(listed.map_err(|error| BackendError::unavailable(Backend::Cluster, error))?.items)
    }
}

#[async_trait]
impl Cluster for ListedCluster {
    async fn overview(&self, friend: &FriendId) -> Result<Arc<Overview>, BackendError> {
        let namespace = friend.namespace();
        let (pods, services, deployments, quotas, routes) = futures::try_join!(
            self.list::<Pod>(&namespace),
            self.list::<Service>(&namespace),
            self.list::<Deployment>(&namespace),
            self.list::<ResourceQuota>(&namespace),
            self.list::<IngressRoute>(&namespace),
        )?;
        let mut contents = Contents::default();
        contents.set_phase(Some(Phase::Active));
        let summaries = pods
            .iter()
            .map(|pod| Summary::Pod(PodSummary::from(pod)))
            .chain(services.iter().map(|service| Summary::Service(ServiceSummary::from(service))))
            .chain(deployments.iter().map(|it| Summary::Deployment(DeploymentSummary::from(it))))
            .chain(quotas.iter().map(|quota| Summary::Quota(quota.name_any().into(), QuotaSummary::from(quota))))
            .chain(routes.iter().map(|route| Summary::Route(RouteSummary::from(route))));
        for summary in summaries {
            contents.put(summary);
        }
        Ok(Arc::new(contents.overview(SystemClock.now())))
    }
}

/// Serves until it is killed.
pub(crate) async fn serve(address: SocketAddr, data: &Path, kubeconfig: &Path) -> Result<(), BoxError> {
    let db = fixture::seed(data, 1).await?;
    let client = portal_adapters::kube::connect(Some(kubeconfig)).await?;
    let nothing = MemoryCluster::new(Arc::new(SystemClock));
    fixture::serve(address, (data, db), Arc::new(ListedCluster(client)), (nothing, Vec::new())).await
}
