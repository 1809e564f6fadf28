//! A cluster in memory.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::DateTime;
use portal_adapters::memory::MemoryCluster;
use portal_core::FixedClock;
use portal_dns::RoutePlace;
use portal_k8s::Phase;

use portal_testkit::{ClusterEditor, ClusterFixture};

struct Kubectl(MemoryCluster);

/// A cluster of its own.
#[expect(clippy::unused_async, reason = "other fixtures have to be waited for")]
pub(crate) async fn cluster() -> ClusterFixture {
    let cluster = MemoryCluster::new(Arc::new(FixedClock::new(DateTime::UNIX_EPOCH)));
    for namespace in ["friend-alice", "friend-bob"] {
        cluster.set_phase(namespace, Some(Phase::Active));
    }
    ClusterFixture {
        routes: Arc::new(cluster.clone()),
        services: Arc::new(cluster.clone()),
        editor: Box::new(Kubectl(cluster)),
    }
}

#[async_trait]
impl ClusterEditor for Kubectl {
    async fn apply(&self, namespace: &str, yaml: &str) {
        self.0.load_yaml("objects.yaml", yaml, namespace).unwrap();
    }

    async fn set_rule(&self, place: &RoutePlace, rule: &str) {
        let mut route = self.0.route(&place.namespace, &place.name).unwrap();
        rule.clone_into(&mut route.spec.routes[0].rule);
        self.0.put_route(&place.namespace, route);
    }

    async fn remove_labels(&self, place: &RoutePlace) {
        let mut route = self.0.route(&place.namespace, &place.name).unwrap();
        route.metadata.labels = None;
        self.0.put_route(&place.namespace, route);
    }

    async fn route(&self, place: &RoutePlace) -> Option<String> {
        self.0.route(&place.namespace, &place.name).map(|route| format!("{route:?}"))
    }

    async fn end_namespace(&self, namespace: &str) {
        self.0.set_phase(namespace, Some(Phase::Terminating));
    }
}
