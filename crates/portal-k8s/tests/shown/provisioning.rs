use std::collections::BTreeMap;

use portal_core::FriendId;
use portal_k8s::{NamespaceManifests, Provisioning};
use serde_json::json;

#[expect(clippy::unwrap_used, reason = "a test's own id")]
fn manifests() -> NamespaceManifests {
    Provisioning::default().manifests(&FriendId::parse("alice").unwrap())
}

#[test]
fn the_namespace_is_marked_as_the_friends_and_runs_restricted_pods_only() {
    let namespace = manifests().namespace;
    assert_eq!(namespace.metadata.name.as_deref(), Some("friend-alice"));
    let labels = namespace.metadata.labels.unwrap();
    assert_eq!(labels.get("friend-portal/friend").map(String::as_str), Some("alice"));
    for mode in ["enforce", "audit", "warn"] {
        assert_eq!(labels.get(&format!("pod-security.kubernetes.io/{mode}")).map(String::as_str), Some("restricted"));
    }
}

#[test]
fn every_object_lies_in_the_friends_namespace_under_one_name() {
    let NamespaceManifests { quota, limits, network, .. } = manifests();
    for metadata in [quota.metadata, limits.metadata, network.metadata] {
        assert_eq!(metadata.namespace.as_deref(), Some("friend-alice"));
        assert_eq!(metadata.name.as_deref(), Some("friend-portal"));
    }
}

#[test]
fn the_quota_makes_the_cluster_count_secrets() {
    let quota = serde_json::to_value(manifests().quota).unwrap();
    assert_eq!(quota["spec"]["hard"]["secrets"], json!("20"));
    assert_eq!(quota["spec"]["hard"]["pods"], json!("3"));
}

#[test]
fn a_container_that_asks_for_nothing_gets_what_the_quota_can_count() {
    let limits = serde_json::to_value(manifests().limits).unwrap();
    let expected = json!([{
        "type": "Container",
        "default": {"cpu": "100m", "memory": "64Mi"},
        "defaultRequest": {"cpu": "100m", "memory": "64Mi"},
        "max": {"cpu": "500m", "memory": "256Mi"},
    }]);
    assert_eq!(limits["spec"]["limits"], expected);
}

#[test]
fn pods_are_reached_from_the_ingress_controllers_namespace_and_from_nowhere_else() {
    let values = Provisioning { ingress_namespace: "edge".to_owned(), ..Provisioning::default() };
    let network = values.manifests(&FriendId::parse("alice").unwrap()).network;
    let expected = json!({
        "podSelector": {},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}}]}],
    });
    assert_eq!(serde_json::to_value(network).unwrap()["spec"], expected);
}

#[test]
fn an_operator_decides_the_limits() {
    let quota = BTreeMap::from([("count/secrets".to_owned(), "7".to_owned())]);
    let values = Provisioning { quota, ..Provisioning::default() };
    let quota = serde_json::to_value(values.manifests(&FriendId::parse("bob").unwrap()).quota).unwrap();
    assert_eq!(quota["spec"]["hard"], json!({"count/secrets": "7"}));
}
