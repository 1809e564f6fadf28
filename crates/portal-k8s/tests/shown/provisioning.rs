use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::ClusterRole;
use portal_core::FriendId;
use portal_k8s::{AGENT_ROLE, NamespaceManifests, Provisioning, ServiceAccountName};
use serde_json::{Value, json};

#[expect(clippy::unwrap_used, reason = "a test's own id")]
fn manifests() -> NamespaceManifests {
    Provisioning::default().manifests(&FriendId::parse("alice").unwrap(), &[])
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
    let network = values.manifests(&FriendId::parse("alice").unwrap(), &[]).network;
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
    let quota = serde_json::to_value(values.manifests(&FriendId::parse("bob").unwrap(), &[]).quota).unwrap();
    assert_eq!(quota["spec"]["hard"], json!({"count/secrets": "7"}));
}

#[expect(clippy::unwrap_used, reason = "a test's own names")]
fn bound(accounts: &[&str]) -> Option<Value> {
    let accounts: Vec<_> = accounts.iter().map(|account| ServiceAccountName::parse(account).unwrap()).collect();
    let manifests = Provisioning::default().manifests(&FriendId::parse("alice").unwrap(), &accounts);
    manifests.agents.map(|binding| serde_json::to_value(binding).unwrap())
}

#[test]
fn agents_are_bound_to_the_shipped_role_in_their_friends_namespace() {
    assert_eq!(bound(&[]), None);
    let binding = bound(&["openclaw/main"]).unwrap();
    assert_eq!((&binding["kind"], &binding["metadata"]["namespace"]), (&json!("RoleBinding"), &json!("friend-alice")));
    assert_eq!(binding["metadata"]["labels"]["friend-portal/friend"], "alice");
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": AGENT_ROLE});
    assert_eq!(binding["roleRef"], role);
    assert_eq!(binding["subjects"], json!([{"kind": "ServiceAccount", "name": "main", "namespace": "openclaw"}]));
    assert_eq!(bound(&["b/x", "a/y", "b/x"]), bound(&["a/y", "b/x"]), "each once, in an order of its own");
}

/// The rights of a shipped role, as `verb resource`.
#[track_caller]
#[expect(clippy::unwrap_used, reason = "a role that is shipped")]
fn granted(text: &str, name: &str) -> Vec<String> {
    let role: ClusterRole = serde_saphyr::from_str(text).unwrap();
    assert_eq!(role.metadata.name.as_deref(), Some(name));
    let mut granted = Vec::new();
    for rule in role.rules.into_iter().flatten() {
        let named = rule.resource_names.map(|names| format!(" {}", names.join(","))).unwrap_or_default();
        for resource in rule.resources.iter().flatten() {
            granted.extend(rule.verbs.iter().map(|verb| format!("{verb} {resource}{named}")));
        }
    }
    granted
}

#[test]
fn the_shipped_role_of_agents_deploys_and_reads_no_secret() {
    let granted = granted(include_str!("../../../../deploy/provisioner/agent-role.yaml"), AGENT_ROLE);
    let mut expected: Vec<_> = ["services", "configmaps", "pods", "deployments", "jobs"]
        .iter()
        .flat_map(|resource| {
            ["get", "list", "watch", "create", "update", "patch", "delete"].map(|verb| format!("{verb} {resource}"))
        })
        .collect();
    expected.extend(["get pods/log", "create secrets", "patch secrets"].map(str::to_owned));
    assert_eq!(granted, expected);
}

#[test]
fn whoever_provisions_may_give_away_the_role_of_agents_and_no_other() {
    let granted =
        granted(include_str!("../../../../deploy/provisioner/cluster-role.yaml"), "friend-portal-provisioner");
    let about_rights: Vec<_> = granted.iter().filter(|right| right.contains("role")).collect();
    let on_bindings = ["get", "create", "patch", "delete"].map(|verb| format!("{verb} rolebindings"));
    let expected: Vec<_> = on_bindings.into_iter().chain([format!("bind clusterroles {AGENT_ROLE}")]).collect();
    assert_eq!(about_rights, expected.iter().collect::<Vec<_>>());
}
