//! A Service as exposing sees it; every cluster adapter uses this.

use portal_dns::{ServicePort, ServiceState};
use portal_k8s::{ServicePortSummary, ServiceSummary};

/// The state of a Service that exists.
pub(crate) fn service_state(service: &ServiceSummary) -> ServiceState {
    if &*service.kind == "ExternalName" {
        return ServiceState::ExternalName;
    }
    let mut ports: Vec<_> = service.ports.iter().filter_map(tcp_port).collect();
    ports.sort_unstable();
    ports.dedup();
    ServiceState::Tcp(ports)
}

fn tcp_port(port: &ServicePortSummary) -> Option<ServicePort> {
    (&*port.protocol == "TCP").then_some(port.port).and_then(|number| ServicePort::parse(number.into()).ok())
}
