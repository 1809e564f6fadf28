//! The cluster, as its watches tell of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota, Service};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use portal_core::{BackendError, Clock, FriendId, Probe};
use portal_dns::WorkQueue;
use portal_k8s::{ClaimKind, Cluster, IngressRoute, Kind, Overview};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::cache::Cache;
use super::observe::{Observe, Topic, claims};
use super::watch::{Source, Watched, watch};

/// Settings of the watches.
#[derive(Debug, Clone, Copy)]
pub struct KubeSettings {
    /// Longest time since the API server last spoke about a kind of object; after it nothing is shown any more.
    pub max_staleness: Duration,
}

impl Default for KubeSettings {
    fn default() -> Self {
        Self { max_staleness: Duration::from_secs(30) }
    }
}

/// The cluster, cached from watches over all namespaces. Nothing is asked when something is read.
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
        let watches = Watches { client, cache: &cache, handle };
        // All namespaces at once: a watch per friend would cost the API server as many connections as there are friends.
        let shown = [
            watches.start::<Namespace>(Topic::Namespaces),
            watches.start::<Pod>(Topic::Objects(Kind::Pod)),
            watches.start::<Service>(Topic::Objects(Kind::Service)),
            watches.start::<Deployment>(Topic::Objects(Kind::Deployment)),
            watches.start::<ResourceQuota>(Topic::Objects(Kind::Quota)),
            watches.start::<IngressRoute>(Topic::Objects(Kind::Route)),
        ];
        let claims = ClaimKind::ALL.map(|kind| watches.start_claims(kind));
        let watches = shown.into_iter().chain(claims).collect();
        Self { cache, nothing, watches }
    }

    /// Returns the queue of friends in whose namespaces a Service, a route or the namespace itself was seen to change.
    #[must_use]
    pub fn work_queue(&self) -> Arc<WorkQueue> {
        self.cache.queue.clone()
    }
}

/// The means to start a watch.
struct Watches<'a> {
    client: &'a Client,
    cache: &'a Arc<Cache>,
    handle: &'a Handle,
}

impl Watches<'_> {
    fn start<K: Observe + Watched + kube::Resource<DynamicType = ()>>(&self, topic: Topic) -> AbortHandle {
        let source = Source { topic, versions: vec![Api::<K>::all(self.client.clone())], read: K::content };
        self.handle.spawn(watch(source, self.cache.clone())).abort_handle()
    }

    fn start_claims(&self, kind: ClaimKind) -> AbortHandle {
        let api = |version: &&str| {
            let named = GroupVersionKind::gvk(kind.group(), version, kind.kind());
            Api::all_with(self.client.clone(), &ApiResource::from_gvk_with_plural(&named, kind.resource()))
        };
        let versions = kind.versions().iter().map(api).collect();
        let read = move |object: &DynamicObject| claims(kind, object);
        let source = Source { topic: Topic::Claims(kind), versions, read };
        self.handle.spawn(watch(source, self.cache.clone())).abort_handle()
    }
}

impl Drop for KubeCluster {
    fn drop(&mut self) {
        self.watches.iter().for_each(AbortHandle::abort);
    }
}

#[async_trait]
impl Cluster for KubeCluster {
    async fn overview(&self, friend: &FriendId) -> Result<Arc<Overview>, BackendError> {
        // First: a list that was heard of too long ago may be empty for no other reason.
        self.cache.check_shown()?;
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
        self.cache.check_shown()
    }
}
