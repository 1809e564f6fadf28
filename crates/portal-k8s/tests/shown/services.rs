use k8s_openapi::api::core::v1::Service;
use portal_k8s::{ServiceSummary, TargetPort};

use crate::object;

#[track_caller]
fn service(spec: &str) -> ServiceSummary {
    ServiceSummary::from(&object::<Service>(&format!("metadata: {{name: my-app}}\nspec: {spec}\n")))
}

/// Type and address of a service.
#[track_caller]
fn check(spec: &str, kind: &str, cluster_ip: Option<&str>) {
    let service = service(spec);
    assert_eq!((&*service.kind, service.cluster_ip.as_deref()), (kind, cluster_ip), "{spec}");
}

#[test]
fn every_type_of_service_is_shown_as_it_is() {
    check("{clusterIP: 10.0.0.1}", "ClusterIP", Some("10.0.0.1"));
    check("{type: NodePort, clusterIP: 10.0.0.2}", "NodePort", Some("10.0.0.2"));
    check("{clusterIP: None, selector: {app: db}}", "ClusterIP", Some("None"));
    check("{type: ExternalName, externalName: example.net}", "ExternalName", None);
    check("{type: ExternalName, externalName: example.net, clusterIP: \"\"}", "ExternalName", None);
}

#[test]
fn ports_keep_their_order_and_get_the_defaults_of_the_api_server() {
    let service = service(
        "{ports: [{name: web, port: 80, targetPort: http}, {port: 53, protocol: UDP}, {port: 9, targetPort: 99}]}",
    );
    let shown: Vec<_> = service
        .ports
        .iter()
        .map(|port| (port.name.as_deref(), port.port, port.target_port.clone(), &*port.protocol))
        .collect();
    assert_eq!(
        shown,
        [
            (Some("web"), 80, TargetPort::Name("http".into()), "TCP"),
            (None, 53, TargetPort::Number(53), "UDP"),
            (None, 9, TargetPort::Number(99), "TCP"),
        ]
    );
}

#[test]
fn a_service_without_a_specification_has_no_ports() {
    let service = ServiceSummary::from(&object::<Service>("metadata: {name: bare}"));
    assert_eq!((service.ports.len(), service.cluster_ip), (0, None));
}
