//! Traefik's `IngressRoute`, as far as the portal reads and writes it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::{ListableResource, Metadata, NamespaceResourceScope, Resource};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Members by name.
pub type OtherMembers = Map<String, Value>;

/// A route of Traefik's (`traefik.io/v1alpha1`). Members that the portal has no use for stay as they came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub struct IngressRoute {
    #[serde(default)]
    api_version: ApiVersion,
    /// Name, namespace, labels and so on.
    pub metadata: ObjectMeta,
    /// The desired state.
    #[serde(default)]
    pub spec: IngressRouteSpec,
}

impl IngressRoute {
    /// A route to be sent to the API server.
    #[must_use]
    pub fn new(metadata: ObjectMeta, spec: IngressRouteSpec) -> Self {
        Self { api_version: ApiVersion, metadata, spec }
    }
}

/// Specification of an [`IngressRoute`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressRouteSpec {
    /// Names of the entry points at which Traefik listens for it; all default ones if empty.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub entry_points: Vec<String>,
    /// Rules, each with the services behind it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub routes: Vec<RouteRule>,
    /// TLS at the entry points; absent means plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<RouteTls>,
    /// Members that the portal has no use for, such as `parentRefs`.
    #[serde(flatten)]
    pub other: OtherMembers,
}

/// One rule of an [`IngressRoute`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteRule {
    /// Always `Rule`.
    #[serde(default = "kind_rule")]
    pub kind: String,
    /// Expression that selects requests, such as ``Host(`a.example.net`)``; see [`crate::rule`].
    #[serde(default, rename = "match", deserialize_with = "null_as_default")]
    pub rule: String,
    /// Services that share the requests.
    #[serde(default, deserialize_with = "null_as_default")]
    pub services: Vec<RouteService>,
    /// Its priority over other rules that match; absent and 0 mean the length of [`Self::rule`].
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Members that the portal has no use for, such as `middlewares`.
    #[serde(flatten)]
    pub other: OtherMembers,
}

/// A service behind a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteService {
    /// Its name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    /// Its port, by number or by name; absent where what is written is neither.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub port: Option<IntOrString>,
    /// Its namespace, where that is not the route's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Members that the portal has no use for, such as `kind` and `weight`.
    #[serde(flatten)]
    pub other: OtherMembers,
}

/// TLS of an [`IngressRoute`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteTls {
    /// The secret that holds the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// The resolver of Traefik's that gets the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_resolver: Option<String>,
    /// Members that the portal has no use for, such as `options`.
    #[serde(flatten)]
    pub other: OtherMembers,
}

impl Resource for IngressRoute {
    const API_VERSION: &'static str = "traefik.io/v1alpha1";
    const GROUP: &'static str = "traefik.io";
    const KIND: &'static str = "IngressRoute";
    const VERSION: &'static str = "v1alpha1";
    const URL_PATH_SEGMENT: &'static str = "ingressroutes";
    type Scope = NamespaceResourceScope;
}

impl ListableResource for IngressRoute {
    const LIST_KIND: &'static str = "IngressRouteList";
}

impl Metadata for IngressRoute {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Always written, never looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct ApiVersion;

impl Serialize for ApiVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(IngressRoute::API_VERSION)
    }
}

impl<'de> Deserialize<'de> for ApiVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The API server was asked for this version; a list leaves it out of its items.
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

fn kind_rule() -> String {
    "Rule".to_owned()
}

/// An explicit `null` is what Go writes for an empty list.
fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a member, and takes one of another shape for absent: the API server takes numbers that are no port, of any
/// size, and one odd object must not keep all others from being read.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let written = Option::<Value>::deserialize(deserializer)?;
    Ok(written.and_then(|member| serde_json::from_value(member).ok()))
}
