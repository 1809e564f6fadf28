//! Manifests as people write them look the same in memory and in a real cluster, where `kubectl` applied them.

mod cluster {
    use std::process::Command;
    use std::sync::Arc;

    use portal_k8s::{DeploymentSummary, Overview, PodSummary, ServiceSummary};

    use super::super::fixture::{self, Fixture, until};

    const MANIFESTS: &str = include_str!("manifests.yaml");
    /// How many of each kind there are: pods without those that a Deployment makes, services, deployments, routes.
    const WRITTEN: [usize; 4] = [1, 5, 3, 1];

    /// An overview without what only a control plane decides: addresses, times, what a quota has counted, and the pods
    /// that it makes of Deployments.
    fn comparable(overview: &Overview) -> Overview {
        let Overview { phase, pods, services, deployments, quota, routes, observed_at } = overview.clone();
        let is_written = |pod: &&Arc<PodSummary>| &*pod.name == "lonely";
        let timeless = |pod: &Arc<PodSummary>| Arc::new(PodSummary { age: None, ..(**pod).clone() });
        let without_address = |service: &Arc<ServiceSummary>| {
            let is_assigned = service.cluster_ip.as_ref().is_some_and(|address| &**address != "None");
            let cluster_ip = service.cluster_ip.clone().filter(|_| !is_assigned);
            Arc::new(ServiceSummary { cluster_ip, ..(**service).clone() })
        };
        let ageless =
            |deployment: &Arc<DeploymentSummary>| Arc::new(DeploymentSummary { age: None, ..(**deployment).clone() });
        let quota = quota.map(|mut quota| {
            quota.used.clear();
            quota
        });
        Overview {
            phase,
            pods: pods.iter().filter(is_written).map(timeless).collect(),
            services: services.iter().map(without_address).collect(),
            deployments: deployments.iter().map(ageless).collect(),
            quota,
            routes,
            observed_at,
        }
    }

    async fn shown(fixture: &Fixture) -> Overview {
        comparable(&fixture.cluster.overview(&fixture.friend).await.unwrap())
    }

    fn sizes(overview: &Overview) -> [usize; 4] {
        [overview.pods.len(), overview.services.len(), overview.deployments.len(), overview.routes.len()]
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier cluster"]
    async fn applied_manifests_look_as_they_do_in_memory() {
        let (memory, real) = (Fixture::in_memory(), Fixture::in_cluster().await);
        memory.make_namespace().await;
        memory.load(MANIFESTS);
        real.make_namespace().await;
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/kubernetes/manifests.yaml");
        let mut kubectl = Command::new(fixture::file("kubectl"));
        kubectl.args(["apply", "--namespace", &real.namespace(), "-f", file]);
        let output = kubectl.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        until(|| async { sizes(&shown(&real).await) == WRITTEN && shown(&real).await.quota.is_some() }).await;
        let expected = Overview { observed_at: shown(&real).await.observed_at, ..shown(&memory).await };
        assert_eq!(sizes(&expected), WRITTEN);
        assert_eq!(shown(&real).await, expected);
        let services = real.cluster.overview(&real.friend).await.unwrap().services.clone();
        let addresses = services.iter().filter(|service| service.cluster_ip.is_some()).count();
        assert_eq!(addresses, 4, "all but the ExternalName: {services:?}");
    }
}
