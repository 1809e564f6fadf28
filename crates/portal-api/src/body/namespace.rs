//! The namespace: inside it, members are named as Kubernetes names them.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use portal_dns::{Exposure, Reachable};
use portal_k8s::{
    DeploymentSummary, Overview, Phase, PodSummary, QuotaSummary, RouteSummary, ServicePortSummary, ServiceSummary,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::exposure;
use super::time;

/// A friend's namespace.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Namespace {
    /// Its pods, sorted by name, as every list here.
    pods: Vec<Pod>,
    /// Its services.
    services: Vec<Service>,
    /// Its deployments.
    deployments: Vec<Deployment>,
    /// Its quota; several are merged, of each resource the smallest limit. `null` if it has none.
    #[schema(required)]
    quota: Option<Quota>,
    /// Its routes, whoever made them, and exposures that have no route yet.
    ingress_routes: Vec<IngressRoute>,
    /// `Active`, `Terminating`, or `null` for a namespace that does not exist.
    #[schema(example = "Active", required)]
    phase: Option<&'static str>,
    /// The time at which this content was first seen. It changes only with the content.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime)]
    pub(crate) observed_at: String,
}

/// A pod.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pod {
    #[schema(example = "my-app-5d8c7b9f4-x2xkq")]
    name: String,
    /// Its phase: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[schema(example = "Running")]
    status: String,
    /// Every container and native sidecar of it is ready.
    #[schema(example = true)]
    ready: bool,
    /// Restarts of its containers and native sidecars, in all.
    #[schema(example = 0)]
    restarts: u32,
    /// The image of its first container.
    #[schema(example = "nginx:alpine", required)]
    image: Option<String>,
    /// Its time of creation.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime, required)]
    age: Option<String>,
    /// The cause why it is not simply running, as a word, such as `CrashLoopBackOff` or `Terminating`.
    #[schema(example = json!(null), required)]
    reason: Option<String>,
    /// The cluster's sentence about that.
    #[schema(example = json!(null), required)]
    message: Option<String>,
    /// The exit code of the container that ended last, if that was an error or a restart followed.
    #[schema(example = json!(null), required)]
    exit_code: Option<i32>,
    /// The cluster's word for how that container ended, such as `OOMKilled`.
    #[schema(example = json!(null), required)]
    last_reason: Option<String>,
    /// The message that that container left behind.
    #[schema(example = json!(null), required)]
    last_message: Option<String>,
}

/// A service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Service {
    #[schema(example = "my-app")]
    name: String,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[schema(example = "ClusterIP")]
    r#type: String,
    /// Its address inside the cluster; `None` as a word if it is headless.
    #[serde(rename = "clusterIP")]
    #[schema(example = "10.43.17.20", required)]
    cluster_ip: Option<String>,
    /// Its ports.
    ports: Vec<ServicePort>,
}

/// A port of a service.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServicePort {
    #[schema(example = "http", required)]
    name: Option<String>,
    #[schema(example = 80)]
    port: i32,
    /// The port of the pods behind it, by number or by name.
    target_port: TargetPort,
    /// `TCP`, `UDP` or `SCTP`.
    #[schema(example = "TCP")]
    protocol: String,
}

/// A port by number or by name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(example = 8080)]
pub(crate) enum TargetPort {
    /// By number.
    Number(i32),
    /// By name.
    Name(String),
}

/// A deployment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deployment {
    #[schema(example = "my-app")]
    name: String,
    /// Ready and desired pods.
    #[schema(example = "1/1")]
    replicas: String,
    /// The image of its first container.
    #[schema(example = "nginx:alpine", required)]
    image: Option<String>,
    /// Its time of creation.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime, required)]
    age: Option<String>,
    /// The names of the secrets that its pods use, sorted, once each.
    #[schema(example = json!(["my-api-key"]))]
    secret_refs: Vec<String>,
    /// The cause why it does not get on, as a word, such as `FailedCreate` or `ProgressDeadlineExceeded`.
    #[schema(example = json!(null), required)]
    reason: Option<String>,
    /// The cluster's sentence about that.
    #[schema(example = json!(null), required)]
    message: Option<String>,
    /// Moment since which it does not get on.
    #[schema(example = json!(null), format = DateTime, required)]
    since: Option<String>,
}

/// A quota, in Kubernetes' quantities.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quota {
    /// The limit of each resource.
    #[schema(example = json!({"pods": "10", "secrets": "20"}))]
    hard: BTreeMap<String, String>,
    /// The amount in use, where the cluster has counted.
    #[schema(example = json!({"pods": "4", "secrets": "3"}))]
    used: BTreeMap<String, String>,
}

/// A route of the ingress controller, or an exposure that has none yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IngressRoute {
    #[schema(example = "expose-my-app")]
    pub(crate) name: String,
    /// The first hostname that it names, if any.
    #[schema(example = "my-app-alice.your-domain.net", required)]
    hostname: Option<String>,
    /// The service behind it, if any.
    #[schema(example = "my-app", required)]
    service: Option<String>,
    /// The exposure that it belongs to; `null` for a route that the portal did not make.
    #[schema(required)]
    exposure: Option<exposure::Exposure>,
}

impl Namespace {
    /// The namespace with its routes; the caller fills in when it was first seen.
    pub(crate) fn new(overview: &Overview, ingress_routes: Vec<IngressRoute>) -> Self {
        Self {
            pods: overview.pods.iter().map(|pod| Pod::from(&**pod)).collect(),
            services: overview.services.iter().map(|service| Service::from(&**service)).collect(),
            deployments: overview.deployments.iter().map(|deployment| Deployment::from(&**deployment)).collect(),
            quota: overview.quota.as_ref().map(Quota::from),
            ingress_routes,
            phase: overview.phase.map(Phase::as_str),
            // Not of the content: whether it changed is decided without it.
            observed_at: String::new(),
        }
    }
}

impl IngressRoute {
    /// A route that stands in the cluster, with the exposure that it belongs to.
    pub(crate) fn of_route(route: &RouteSummary, exposure: Option<(&Exposure, Reachable)>) -> Self {
        Self {
            name: route.name.to_string(),
            hostname: text(route.hostname.as_ref()),
            service: text(route.service.as_ref()),
            exposure: exposure.map(|(exposure, reachable)| exposure::Exposure::new(exposure, reachable)),
        }
    }

    /// An exposure whose route, `name`, does not stand.
    pub(crate) fn without_route(name: String, exposure: &Exposure, reachable: Reachable) -> Self {
        Self {
            name,
            // Shown as the route will name them, so that the entry stays the same when it stands.
            hostname: Some(exposure.spec.hostname.to_string()),
            service: Some(exposure.spec.service.to_string()),
            exposure: Some(exposure::Exposure::new(exposure, reachable)),
        }
    }
}

impl From<&PodSummary> for Pod {
    fn from(pod: &PodSummary) -> Self {
        Self {
            name: pod.name.to_string(),
            status: pod.status.to_string(),
            ready: pod.ready,
            restarts: pod.restarts,
            image: text(pod.image.as_ref()),
            age: age(pod.age),
            reason: text(pod.reason.as_ref()),
            message: text(pod.message.as_ref()),
            exit_code: pod.exit_code,
            last_reason: text(pod.last_reason.as_ref()),
            last_message: text(pod.last_message.as_ref()),
        }
    }
}

impl From<&ServiceSummary> for Service {
    fn from(service: &ServiceSummary) -> Self {
        Self {
            name: service.name.to_string(),
            r#type: service.kind.to_string(),
            cluster_ip: text(service.cluster_ip.as_ref()),
            ports: service.ports.iter().map(ServicePort::from).collect(),
        }
    }
}

impl From<&ServicePortSummary> for ServicePort {
    fn from(port: &ServicePortSummary) -> Self {
        let target_port = match &port.target_port {
            portal_k8s::TargetPort::Number(number) => TargetPort::Number(*number),
            portal_k8s::TargetPort::Name(name) => TargetPort::Name(name.to_string()),
        };
        Self { name: text(port.name.as_ref()), port: port.port, target_port, protocol: port.protocol.to_string() }
    }
}

impl From<&DeploymentSummary> for Deployment {
    fn from(deployment: &DeploymentSummary) -> Self {
        Self {
            name: deployment.name.to_string(),
            replicas: deployment.replicas(),
            image: text(deployment.image.as_ref()),
            age: age(deployment.age),
            secret_refs: deployment.secret_refs.iter().map(ToString::to_string).collect(),
            reason: text(deployment.reason.as_ref()),
            message: text(deployment.message.as_ref()),
            since: deployment.since.map(time),
        }
    }
}

impl From<&QuotaSummary> for Quota {
    fn from(quota: &QuotaSummary) -> Self {
        let quantities = |quantities: &BTreeMap<Arc<str>, Arc<str>>| {
            quantities.iter().map(|(resource, quantity)| (resource.to_string(), quantity.to_string())).collect()
        };
        Self { hard: quantities(&quota.hard), used: quantities(&quota.used) }
    }
}

fn text(text: Option<&Arc<str>>) -> Option<String> {
    text.map(ToString::to_string)
}

fn age(created_at: Option<DateTime<Utc>>) -> Option<String> {
    created_at.map(time)
}
