//! The cluster as its watches tell it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota, Service};
use kube::{Api, Client};
use portal_core::{BackendError, Clock, FriendId, Probe};
use portal_dns::WorkQueue;
use portal_k8s::{Cluster, IngressRoute, Overview};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::cache::Cache;
use super::observe::Observe;
use super::watch::watch;

/// How the cluster is to be watched.
#[derive(Debug, Clone, Copy)]
pub struct KubeSettings {
    /// How old the last word on any kind of object may be before nothing is shown any more.
    pub max_staleness: Duration,
}

impl Default for KubeSettings {
    fn default() -> Self {
        Self { max_staleness: Duration::from_secs(30) }
    }
}

/// The cluster, remembered from six watches over all namespaces. Nothing is asked when something is read.
pub struct KubeCluster {
    pub(super) cache: Arc<Cache>,
    nothing: Arc<Overview>,
    watches: Vec<AbortHandle>,
}

impl KubeCluster {
    /// Begins to watch, as tasks of `handle`'s runtime that end when this is dropped. Until everything was listed
    /// once, the cluster is unavailable.
    #[must_use]
    pub fn watching(client: &Client, settings: KubeSettings, clock: Arc<dyn Clock>, handle: &Handle) -> Self {
        let nothing = Arc::new(Overview::absent(clock.now()));
        let cache = Arc::new(Cache::new(clock, settings.max_staleness));
        let watches = vec![
            start::<Namespace>(client, &cache, handle),
            start::<Pod>(client, &cache, handle),
            start::<Service>(client, &cache, handle),
            start::<Deployment>(client, &cache, handle),
            start::<ResourceQuota>(client, &cache, handle),
            start::<IngressRoute>(client, &cache, handle),
        ];
        Self { cache, nothing, watches }
    }

    /// Where friends wait in whose namespaces a Service, a route or the namespace itself was seen to change.
    #[must_use]
    pub fn work_queue(&self) -> Arc<WorkQueue> {
        self.cache.queue.clone()
    }
}

fn start<K: Observe>(client: &Client, cache: &Arc<Cache>, handle: &Handle) -> AbortHandle {
    handle.spawn(watch(Api::<K>::all(client.clone()), cache.clone())).abort_handle()
}

impl Drop for KubeCluster {
    fn drop(&mut self) {
        self.watches.iter().for_each(AbortHandle::abort);
    }
}

#[async_trait]
impl Cluster for KubeCluster {
    async fn overview(&self, friend: &FriendId) -> Result<Arc<Overview>, BackendError> {
        self.cache.check_all()?;
        Ok(self.cache.overview(&friend.namespace()).unwrap_or_else(|| self.nothing.clone()))
    }
}

#[async_trait]
impl Probe for KubeCluster {
    fn name(&self) -> &'static str {
        "cluster"
    }

    fn required(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<(), BackendError> {
        self.cache.check_all()
    }
}
