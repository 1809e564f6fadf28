//! Services as shown.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::metadata::{name, text};

/// A service as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSummary {
    /// Its name.
    pub name: Arc<str>,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub kind: Arc<str>,
    /// Its address inside the cluster; `None` as a word for a headless service; absent for an `ExternalName`.
    pub cluster_ip: Option<Arc<str>>,
    /// Its ports, in the order in which they are declared.
    pub ports: Vec<ServicePortSummary>,
}

/// One port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePortSummary {
    /// Its name, where it has one.
    pub name: Option<Arc<str>>,
    /// The port at which the service listens.
    pub port: i32,
    /// The port, or a port's name, of the pods behind it.
    pub target_port: TargetPort,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Arc<str>,
}

/// A port of pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPort {
    /// By its number.
    Number(i32),
    /// By the name that the container gives it.
    Name(Arc<str>),
}

impl From<&Service> for ServiceSummary {
    fn from(service: &Service) -> Self {
        let spec = service.spec.as_ref();
        let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
        // Empty for an ExternalName; a headless service has the word `None`.
        let cluster_ip = spec.and_then(|spec| spec.cluster_ip.as_deref()).filter(|ip| !ip.is_empty());
        Self {
            name: name(&service.metadata),
            kind: text(spec.and_then(|spec| spec.type_.as_deref()).unwrap_or("ClusterIP")),
            cluster_ip: cluster_ip.map(text),
            ports: ports.iter().map(ServicePortSummary::from).collect(),
        }
    }
}

impl From<&ServicePort> for ServicePortSummary {
    fn from(port: &ServicePort) -> Self {
        Self {
            name: port.name.as_deref().filter(|name| !name.is_empty()).map(text),
            port: port.port,
            // The API server fills these two in; a manifest may leave them out.
            target_port: port.target_port.as_ref().map_or(TargetPort::Number(port.port), TargetPort::from),
            protocol: text(port.protocol.as_deref().unwrap_or("TCP")),
        }
    }
}

impl From<&IntOrString> for TargetPort {
    fn from(port: &IntOrString) -> Self {
        match port {
            IntOrString::Int(number) => Self::Number(*number),
            IntOrString::String(name) => Self::Name(text(name)),
        }
    }
}
