//! Namespaces as their friends see them, and as the portal makes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{LimitRange, Namespace, ResourceQuota};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use portal_adapters::kube::{KubeNamespaces, connect};
use portal_core::FriendId;
use portal_k8s::AGENT_ROLE;
use portal_testkit::{NamespaceFixture, ProvisioningEditor, ProvisioningFixture};
use serde::Serialize;
use serde_json::json;

use super::fixture::{Fixture, file, operator};

mod memory {
    portal_testkit::namespaces_contract!(super::in_memory());
}

mod cluster {
    portal_testkit::namespaces_contract!(
        #[ignore = "tier cluster"]
        super::in_cluster()
    );
    portal_testkit::provisioning_contract!(
        #[ignore = "tier cluster"]
        super::provisioner()
    );
}

/// A friend whom no other test has.
fn friend() -> FriendId {
    FriendId::parse(&format!("n-{:08x}", rand::random::<u32>())).unwrap()
}

fn shown(Fixture { cluster, hands, .. }: Fixture) -> NamespaceFixture {
    NamespaceFixture { cluster, friend: friend(), other: friend(), editor: Box::new(hands) }
}

#[expect(clippy::unused_async, reason = "other fixtures have to be waited for")]
async fn in_memory() -> NamespaceFixture {
    shown(Fixture::in_memory())
}

async fn in_cluster() -> NamespaceFixture {
    shown(Fixture::in_cluster().await)
}

/// The means to make namespaces, with the rights of `deploy/provisioner`.
async fn provisioner() -> ProvisioningFixture {
    let client = connect(Some(&file("provisioner.kubeconfig"))).await.unwrap();
    ProvisioningFixture {
        namespaces: Arc::new(KubeNamespaces::new(client)),
        friend: friend(),
        editor: Box::new(Operator(Client::try_from(operator().await).unwrap())),
    }
}

/// Somebody with all rights.
struct Operator(Client);

impl Operator {
    /// Creates a binding of the agents' name to nobody.
    async fn put_binding(&self, namespace: &str, role: &str, metadata: ObjectMeta) {
        let role_ref = RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: role.to_owned(),
        };
        let metadata = ObjectMeta { name: Some(AGENT_ROLE.to_owned()), ..metadata };
        let object = RoleBinding { metadata, role_ref, subjects: None };
        Api::namespaced(self.0.clone(), namespace).create(&PostParams::default(), &object).await.unwrap();
    }
}

fn line(kind: &str, metadata: &ObjectMeta, spec: &impl Serialize) -> String {
    let name = metadata.name.as_deref().unwrap();
    format!("{kind} {name} {}", json!({"labels": metadata.labels, "spec": spec}))
}

#[async_trait]
impl ProvisioningEditor for Operator {
    async fn create_namespace(&self, namespace: &str) {
        let metadata = ObjectMeta { name: Some(namespace.to_owned()), ..ObjectMeta::default() };
        let object = Namespace { metadata, ..Namespace::default() };
        Api::all(self.0.clone()).create(&PostParams::default(), &object).await.unwrap();
    }

    async fn begin_deletion(&self, namespace: &str) {
        let namespaces: Api<Namespace> = Api::all(self.0.clone());
        // Nobody takes this finalizer off, so the namespace stays for as long as the tier runs.
        let held = Patch::Merge(json!({"metadata": {"finalizers": ["example.org/held"]}}));
        namespaces.patch(namespace, &PatchParams::default(), &held).await.unwrap();
        namespaces.delete(namespace, &DeleteParams::default()).await.unwrap();
    }

    async fn create_binding(&self, namespace: &str) {
        self.put_binding(namespace, AGENT_ROLE, ObjectMeta::default()).await;
    }

    async fn edit_binding(&self, namespace: &str, role: &str) {
        let bindings: Api<RoleBinding> = Api::namespaced(self.0.clone(), namespace);
        let labels = bindings.get(AGENT_ROLE).await.unwrap().metadata.labels;
        bindings.delete(AGENT_ROLE, &DeleteParams::default()).await.unwrap();
        self.put_binding(namespace, role, ObjectMeta { labels, ..ObjectMeta::default() }).await;
    }

    async fn objects(&self, namespace: &str) -> Vec<String> {
        let all = ListParams::default();
        let namespaces: Api<Namespace> = Api::all(self.0.clone());
        let quotas: Api<ResourceQuota> = Api::namespaced(self.0.clone(), namespace);
        let limits: Api<LimitRange> = Api::namespaced(self.0.clone(), namespace);
        let policies: Api<NetworkPolicy> = Api::namespaced(self.0.clone(), namespace);
        let mut lines = Vec::new();
        lines.extend(namespaces.get_opt(namespace).await.unwrap().map(|it| line("Namespace", &it.metadata, &it.spec)));
        let (quotas, limits) = (quotas.list(&all).await.unwrap(), limits.list(&all).await.unwrap());
        lines.extend(quotas.iter().map(|it| line("ResourceQuota", &it.metadata, &it.spec)));
        lines.extend(limits.iter().map(|it| line("LimitRange", &it.metadata, &it.spec)));
        let policies = policies.list(&all).await.unwrap();
        lines.extend(policies.iter().map(|it| line("NetworkPolicy", &it.metadata, &it.spec)));
        let bindings: Api<RoleBinding> = Api::namespaced(self.0.clone(), namespace);
        let bindings = bindings.list(&all).await.unwrap();
        lines.extend(bindings.iter().map(|it| line("RoleBinding", &it.metadata, &(&it.role_ref, &it.subjects))));
        lines.sort();
        lines
    }

    async fn quota(&self, namespace: &str) -> BTreeMap<String, String> {
        let quotas: Api<ResourceQuota> = Api::namespaced(self.0.clone(), namespace);
        let listed = quotas.list(&ListParams::default()).await.unwrap();
        let [quota] = &listed.items[..] else { panic!("{listed:?}") };
        let hard = quota.spec.clone().unwrap().hard.unwrap();
        hard.into_iter().map(|(resource, quantity)| (resource, quantity.0)).collect()
    }
}
