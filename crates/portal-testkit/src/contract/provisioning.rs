//! Namespaces, as the portal makes them.

use futures::future::join_all;
use portal_k8s::{NamespaceManifests, Provisioned, Provisioning};

use crate::fixture::ProvisioningFixture;

impl ProvisioningFixture {
    fn manifests(&self) -> NamespaceManifests {
        Provisioning::default().manifests(&self.friend)
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
    assert_eq!(fixture.provision(&values.manifests(&fixture.friend)).await, Provisioned::Done);
    assert_eq!(fixture.editor.quota(&fixture.namespace()).await, values.quota);
}

pub async fn a_namespace_provisioned_by_many_at_once_is_made_once(fixture: &ProvisioningFixture) {
    let manifests = fixture.manifests();
    let provisioned = join_all((0..4).map(|_| fixture.provision(&manifests))).await;
    assert_eq!(provisioned, [Provisioned::Done; 4]);
    assert_eq!(fixture.editor.objects(&fixture.namespace()).await.len(), 4);
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
