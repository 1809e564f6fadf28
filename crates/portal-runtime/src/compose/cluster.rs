//! The cluster, from the configuration.

use std::sync::Arc;

use portal_adapters::kube::{KubeCluster, KubeRoutes, KubeServices, KubeSettings, Right, connect, serves_routes};
use portal_core::{BackendError, Clock};
use tokio::runtime::Handle;

use crate::check::{CheckStatus, Finding};
use crate::config::ClusterSettings;

/// The cluster as it is watched, and as exposing a service needs it.
pub(crate) struct Watched {
    pub(crate) cluster: Arc<KubeCluster>,
    pub(crate) routes: Arc<KubeRoutes>,
    pub(crate) services: Arc<KubeServices>,
}

/// Begins to watch the configured cluster.
///
/// # Errors
/// A kubeconfig that cannot be used. A cluster that does not answer is none: it is asked until it does.
pub(crate) async fn watch(settings: &ClusterSettings, clock: Arc<dyn Clock>) -> Result<Watched, BackendError> {
    let client = connect(settings.kubeconfig.as_deref()).await?;
    let how = KubeSettings { max_staleness: settings.max_staleness };
    let cluster = Arc::new(KubeCluster::watching(&client, how, clock, &Handle::current()));
    let routes = Arc::new(KubeRoutes::new(client.clone(), cluster.clone()));
    let services = Arc::new(KubeServices::new(client, cluster.clone()));
    Ok(Watched { cluster, routes, services })
}

/// Asks the cluster for every right that the server needs, one by one, and for routes at all; one finding where it
/// cannot be asked.
pub(crate) async fn check_rights(settings: &ClusterSettings) -> Vec<Finding> {
    rights(settings).await.unwrap_or_else(|error| vec![Finding::of("cluster", Err(error))])
}

async fn rights(settings: &ClusterSettings) -> Result<Vec<Finding>, BackendError> {
    let client = connect(settings.kubeconfig.as_deref()).await?;
    let status = |answer: Result<(), String>| answer.map_or_else(CheckStatus::Failed, |()| CheckStatus::Ok);
    let mut findings = Vec::new();
    for right in Right::needed() {
        let status = status(right.ask(&client).await?);
        findings.push(Finding { name: format!("cluster: {right}"), status });
    }
    findings.push(Finding::of("cluster: Traefik's routes", serves_routes(&client).await.map(status)));
    Ok(findings)
}
