//! The objects that a friend's namespace is provisioned with.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use k8s_openapi::Metadata;
use k8s_openapi::api::core::v1::{
    LimitRange, LimitRangeItem, LimitRangeSpec, Namespace, ResourceQuota, ResourceQuotaSpec,
};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicySpec};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use portal_core::{BackendError, FriendId};

use crate::service_account::ServiceAccountName;

/// The name of each object in a provisioned namespace, but of the binding of agents.
const OBJECT_NAME: &str = "friend-portal";
/// The name of the `ClusterRole` that holds an agent's rights in its friends' namespaces, and of the bindings to it.
pub const AGENT_ROLE: &str = "friend-portal-agent";
/// The API group of roles.
const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
/// The label that every namespace carries with its own name, set by the API server.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The label that names the friend whose namespace it is.
const FRIEND_LABEL: &str = "friend-portal/friend";
/// The levels at which Pod Security can speak; all are set to the same profile.
const POD_SECURITY_MODES: [&str; 3] = ["enforce", "audit", "warn"];

/// An operator's values for friends' namespaces. Quantities are written as in Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioning {
    /// The namespace of the ingress controller, from which alone a friend's pods can be reached.
    pub ingress_namespace: String,
    /// The quota: a limit per resource. One on `secrets` also makes the cluster count them.
    pub quota: BTreeMap<String, String>,
    /// Requests and limits of a container that names none, per resource.
    pub container_default: BTreeMap<String, String>,
    /// Largest limits of a container, per resource.
    pub container_max: BTreeMap<String, String>,
}

impl Default for Provisioning {
    /// A small namespace: half a CPU, 512 MiB, three pods, two volume claims and 20 secrets.
    fn default() -> Self {
        Self {
            ingress_namespace: "traefik".to_owned(),
            quota: owned(&[
                ("limits.cpu", "500m"),
                ("limits.memory", "512Mi"),
                ("persistentvolumeclaims", "2"),
                ("pods", "3"),
                ("secrets", "20"),
            ]),
            container_default: owned(&[("cpu", "100m"), ("memory", "64Mi")]),
            container_max: owned(&[("cpu", "500m"), ("memory", "256Mi")]),
        }
    }
}

/// The objects that make a friend's namespace, to be applied in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct NamespaceManifests {
    /// The namespace with its labels, under the Pod Security profile `restricted`.
    pub namespace: Namespace,
    /// Its quota.
    pub quota: ResourceQuota,
    /// Limits of each container, without which a quota on CPU or memory would refuse every plain pod.
    pub limits: LimitRange,
    /// Sources from which its pods can be reached.
    pub network: NetworkPolicy,
    /// Rights of the friend's agents in it; `None` for no binding of the name [`AGENT_ROLE`].
    pub agents: Option<RoleBinding>,
}

impl NamespaceManifests {
    /// Tells whether an existing object, the namespace or the binding of agents, was made for the same friend. Any other
    /// one is left alone.
    #[must_use]
    pub fn is_ours(&self, existing: &impl Metadata<Ty = ObjectMeta>) -> bool {
        let friend = |metadata: &ObjectMeta| metadata.labels.as_ref()?.get(FRIEND_LABEL).cloned();
        let ours = friend(&self.namespace.metadata);
        ours.is_some() && friend(existing.metadata()) == ours
    }
}

/// Outcome of provisioning a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provisioned {
    /// It is as it should be.
    Done,
    /// A namespace of that name stands there that was not made for this friend; nothing changed.
    Foreign,
    /// A binding of the name [`AGENT_ROLE`] stands there that was not made for this friend; nothing changed.
    ForeignBinding,
    /// The namespace is being deleted; nothing changed.
    Terminating,
}

/// The means to provision namespaces.
#[async_trait]
pub trait Namespaces: Send + Sync {
    /// Creates or updates the namespace and all that belongs into it, and removes a binding of agents that it made and
    /// that is not wanted any more; repeating it changes nothing.
    async fn provision(&self, manifests: &NamespaceManifests) -> Result<Provisioned, BackendError>;
}

impl Provisioning {
    /// Builds the objects of `friend`'s namespace, in which the accounts of `agents` may deploy. The same friend and values
    /// always give the same objects.
    #[must_use]
    pub fn manifests(&self, friend: &FriendId, agents: &[ServiceAccountName]) -> NamespaceManifests {
        NamespaceManifests {
            namespace: namespace(friend),
            quota: self.quota(friend),
            limits: self.limits(friend),
            network: self.network(friend),
            agents: (!agents.is_empty()).then(|| agents_binding(friend, agents)),
        }
    }

    fn quota(&self, friend: &FriendId) -> ResourceQuota {
        let spec = ResourceQuotaSpec { hard: Some(quantities(&self.quota)), ..ResourceQuotaSpec::default() };
        ResourceQuota { metadata: inside(friend), spec: Some(spec), status: None }
    }

    fn limits(&self, friend: &FriendId) -> LimitRange {
        let container = LimitRangeItem {
            type_: "Container".to_owned(),
            default: Some(quantities(&self.container_default)),
            default_request: Some(quantities(&self.container_default)),
            max: Some(quantities(&self.container_max)),
            ..LimitRangeItem::default()
        };
        LimitRange { metadata: inside(friend), spec: Some(LimitRangeSpec { limits: vec![container] }) }
    }

    /// All pods, from the ingress controller's namespace and from nowhere else; what they call is not restricted.
    fn network(&self, friend: &FriendId) -> NetworkPolicy {
        let label = (NAMESPACE_NAME_LABEL.to_owned(), self.ingress_namespace.clone());
        let ingress_controller = NetworkPolicyPeer {
            namespace_selector: Some(LabelSelector { match_labels: Some([label].into()), match_expressions: None }),
            ..NetworkPolicyPeer::default()
        };
        let spec = NetworkPolicySpec {
            // An empty selector selects every pod.
            pod_selector: Some(LabelSelector::default()),
            // Without `Egress`, what pods call stays open.
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule { from: Some(vec![ingress_controller]), ports: None }]),
            egress: None,
        };
        NetworkPolicy { metadata: inside(friend), spec: Some(spec) }
    }
}

fn namespace(friend: &FriendId) -> Namespace {
    let mut all = labels(friend);
    for mode in POD_SECURITY_MODES {
        all.insert(format!("pod-security.kubernetes.io/{mode}"), "restricted".to_owned());
    }
    let metadata = ObjectMeta { name: Some(friend.namespace()), labels: Some(all), ..ObjectMeta::default() };
    Namespace { metadata, spec: None, status: None }
}

/// The rights of these accounts in the friend's namespace: those of a `ClusterRole` that is shipped, so that whoever
/// provisions needs the right to bind this one role and no right to write roles.
fn agents_binding(friend: &FriendId, agents: &[ServiceAccountName]) -> RoleBinding {
    let subject = |account: &ServiceAccountName| Subject {
        api_group: None,
        kind: "ServiceAccount".to_owned(),
        name: account.name.clone(),
        namespace: Some(account.namespace.clone()),
    };
    RoleBinding {
        metadata: ObjectMeta { name: Some(AGENT_ROLE.to_owned()), ..inside(friend) },
        role_ref: RoleRef {
            api_group: RBAC_GROUP.to_owned(),
            kind: "ClusterRole".to_owned(),
            name: AGENT_ROLE.to_owned(),
        },
        // Each once and in an order of its own, so that the same agents are the same binding.
        subjects: Some(agents.iter().collect::<BTreeSet<_>>().into_iter().map(subject).collect()),
    }
}

/// Metadata of an object in the friend's namespace.
fn inside(friend: &FriendId) -> ObjectMeta {
    ObjectMeta {
        name: Some(OBJECT_NAME.to_owned()),
        namespace: Some(friend.namespace()),
        labels: Some(labels(friend)),
        ..ObjectMeta::default()
    }
}

/// Labels that tell operators whose it is.
fn labels(friend: &FriendId) -> BTreeMap<String, String> {
    owned(&[
        ("app.kubernetes.io/managed-by", "friend-portal"),
        ("app.kubernetes.io/part-of", "friend-portal"),
        (FRIEND_LABEL, friend.as_str()),
        ("friend-portal/type", "friend"),
    ])
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn quantities(values: &BTreeMap<String, String>) -> BTreeMap<String, Quantity> {
    values.iter().map(|(resource, value)| (resource.clone(), Quantity(value.clone()))).collect()
}
