//! Namespaces, as the portal makes them.

use futures::future::join_all;
use portal_k8s::{NamespaceManifests, Provisioned, Provisioning, ServiceAccountName};

use crate::fixture::ProvisioningFixture;

impl ProvisioningFixture {
    fn manifests(&self) -> NamespaceManifests {
        self.manifests_with(&[])
    }

    fn manifests_with(&self, accounts: &[&str]) -> NamespaceManifests {
        let accounts: Vec<_> = accounts.iter().map(|account| ServiceAccountName::parse(account).unwrap()).collect();
        Provisioning::default().manifests(&self.friend, &accounts)
    }

    /// Returns the lines of the bindings in the namespace.
    async fn bindings(&self) -> Vec<String> {
        let objects = self.editor.objects(&self.namespace()).await;
        objects.into_iter().filter(|object| object.starts_with("RoleBinding")).collect()
    }

    fn namespace(&self) -> String {
        self.friend.namespace()
    }

    async fn provision(&self, manifests: &NamespaceManifests) -> Provisioned {
        self.namespaces.provision(manifests).await.unwrap()
    }
}

/// Kinds of the objects, in the order of their lines.
fn kinds(objects: &[String]) -> Vec<&str> {
    objects.iter().filter_map(|object| object.split_whitespace().next()).collect()
}

pub async fn a_namespace_is_made_with_all_that_belongs_into_it(fixture: &ProvisioningFixture) {
    assert_eq!(fixture.editor.objects(&fixture.namespace()).await, [""; 0]);
    assert_eq!(fixture.provision(&fixture.manifests()).await, Provisioned::Done);
    let objects = fixture.editor.objects(&fixture.namespace()).await;
    assert_eq!(kinds(&objects), ["LimitRange", "Namespace", "NetworkPolicy", "ResourceQuota"]);
    assert_eq!(fixture.editor.quota(&fixture.namespace()).await, Provisioning::default().quota);
}

pub async fn provisioning_a_namespace_again_changes_nothing(fixture: &ProvisioningFixture) {
    assert_eq!(fixture.provision(&fixture.manifests()).await, Provisioned::Done);
    let before = fixture.editor.objects(&fixture.namespace()).await;
    assert_eq!(fixture.provision(&fixture.manifests()).await, Provisioned::Done);
    assert_eq!(fixture.editor.objects(&fixture.namespace()).await, before);
}

pub async fn other_values_are_applied_to_a_namespace_that_exists(fixture: &ProvisioningFixture) {
    assert_eq!(fixture.provision(&fixture.manifests()).await, Provisioned::Done);
    let mut values = Provisioning::default();
    values.quota.insert("pods".to_owned(), "7".to_owned());
    values.quota.remove("persistentvolumeclaims");
    assert_eq!(fixture.provision(&values.manifests(&fixture.friend, &[])).await, Provisioned::Done);
    assert_eq!(fixture.editor.quota(&fixture.namespace()).await, values.quota);
}

pub async fn a_namespace_provisioned_by_many_at_once_is_made_once(fixture: &ProvisioningFixture) {
    let manifests = fixture.manifests_with(&["openclaw/main"]);
    let provisioned = join_all((0..4).map(|_| fixture.provision(&manifests))).await;
    assert_eq!(provisioned, [Provisioned::Done; 4]);
    assert_eq!(fixture.editor.objects(&fixture.namespace()).await.len(), 5);
}

pub async fn agents_are_bound_once_and_their_binding_is_repaired(fixture: &ProvisioningFixture) {
    let manifests = fixture.manifests_with(&["openclaw/main", "openclaw/other", "openclaw/main"]);
    assert_eq!(fixture.provision(&manifests).await, Provisioned::Done);
    let bound = fixture.bindings().await;
    assert_eq!(bound.len(), 1, "{bound:?}");
    assert!(bound[0].contains("main") && bound[0].contains("other"), "{bound:?}");
    assert_eq!(fixture.provision(&manifests).await, Provisioned::Done);
    assert_eq!(fixture.bindings().await, bound);
    for role in ["friend-portal-agent", "view"] {
        fixture.editor.edit_binding(&fixture.namespace(), role).await;
        assert_ne!(fixture.bindings().await, bound, "{role}");
        assert_eq!(fixture.provision(&manifests).await, Provisioned::Done, "{role}");
        assert_eq!(fixture.bindings().await, bound, "{role}");
    }
}

pub async fn agents_that_are_not_named_any_more_are_unbound(fixture: &ProvisioningFixture) {
    assert_eq!(
        fixture.provision(&fixture.manifests_with(&["openclaw/main", "openclaw/other"])).await,
        Provisioned::Done
    );
    assert_eq!(fixture.provision(&fixture.manifests_with(&["openclaw/other"])).await, Provisioned::Done);
    let bound = fixture.bindings().await;
    assert!(bound.len() == 1 && !bound[0].contains("main") && bound[0].contains("other"), "{bound:?}");
    assert_eq!(fixture.provision(&fixture.manifests()).await, Provisioned::Done);
    assert_eq!(fixture.bindings().await, [""; 0]);
}

pub async fn a_binding_of_somebody_else_is_left_alone(fixture: &ProvisioningFixture) {
    assert_eq!(fixture.provision(&fixture.manifests()).await, Provisioned::Done);
    fixture.editor.create_binding(&fixture.namespace()).await;
    let before = fixture.editor.objects(&fixture.namespace()).await;
    let mut values = Provisioning::default();
    values.quota.insert("pods".to_owned(), "7".to_owned());
    let account = ServiceAccountName::parse("openclaw/main").unwrap();
    for accounts in [Vec::new(), vec![account]] {
        let manifests = values.manifests(&fixture.friend, &accounts);
        assert_eq!(fixture.provision(&manifests).await, Provisioned::ForeignBinding);
        assert_eq!(fixture.editor.objects(&fixture.namespace()).await, before);
    }
}

pub async fn a_namespace_of_somebody_else_is_left_alone(fixture: &ProvisioningFixture) {
    fixture.editor.create_namespace(&fixture.namespace()).await;
    let before = fixture.editor.objects(&fixture.namespace()).await;
    assert_eq!(kinds(&before), ["Namespace"]);
    assert_eq!(fixture.provision(&fixture.manifests()).await, Provisioned::Foreign);
    assert_eq!(fixture.editor.objects(&fixture.namespace()).await, before);
}

pub async fn a_namespace_that_ends_is_left_alone(fixture: &ProvisioningFixture) {
    assert_eq!(fixture.provision(&fixture.manifests()).await, Provisioned::Done);
    fixture.editor.begin_deletion(&fixture.namespace()).await;
    assert_eq!(fixture.provision(&fixture.manifests()).await, Provisioned::Terminating);
}
