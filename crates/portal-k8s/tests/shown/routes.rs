use portal_k8s::{IngressRoute, IngressRouteSpec, RouteSummary};

use crate::object;

#[track_caller]
fn check(routes: &str, hostname: Option<&str>, service: Option<&str>) {
    let yaml = format!("metadata: {{name: expose-my-app}}\nspec: {{routes: {routes}}}\n");
    let shown = RouteSummary::from(&object::<IngressRoute>(&yaml));
    assert_eq!((shown.hostname.as_deref(), shown.service.as_deref()), (hostname, service), "{routes}");
}

#[test]
fn a_route_is_shown_by_its_first_hostname_and_the_service_behind_it() {
    check("[{match: 'Host(`a.net`)', services: [{name: app, port: 80}, {name: other}]}]", Some("a.net"), Some("app"));
    check("[{match: 'Host(`a.net`) || Host(`b.net`)', services: [{name: app}]}]", Some("a.net"), Some("app"));
    check(
        "[{match: 'PathPrefix(`/x`)', services: [{name: x}]}, {match: 'Host(`a.net`)', services: [{name: app}]}]",
        Some("a.net"),
        Some("app"),
    );
}

#[test]
fn a_route_that_names_no_host_is_shown_without_one() {
    check("[{match: 'HostRegexp(`^.+\\.a\\.net$`)', services: [{name: app}]}]", None, Some("app"));
    check("[{match: 'PathPrefix(`/`)', services: null}]", None, None);
    check("[]", None, None);
    check("null", None, None);
}

#[test]
fn members_that_the_portal_does_not_know_are_no_obstacle() {
    let route: IngressRoute = object(
        "apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: a, namespace: friend-alice}
spec:
  parentRefs: [{name: parent}]
  entryPoints: [websecure]
  tls: {certResolver: le, options: {name: modern}, domains: [{main: a.net}]}
  routes:
    - kind: Rule
      match: Host(`a.net`)
      syntax: v3
      priority: 10
      observability: {accessLogs: true}
      middlewares: [{name: auth}]
      services: [{kind: TraefikService, name: weighted, port: http, weight: 3, sticky: {cookie: {}}}]
",
    );
    assert_eq!(RouteSummary::from(&route).service.as_deref(), Some("weighted"));
    assert_eq!(route.spec.tls.and_then(|tls| tls.cert_resolver).as_deref(), Some("le"));
}

#[test]
fn a_port_that_is_none_keeps_no_route_from_being_read() {
    for port in ["99999999999", "-1", "8.5", "true", "[80]"] {
        let route: IngressRoute = object(&format!(
            "metadata: {{name: a}}\nspec: {{routes: [{{match: 'Host(`a.net`)', services: [{{name: app, port: {port}}}]}}]}}"
        ));
        assert_eq!(RouteSummary::from(&route).hostname.as_deref(), Some("a.net"), "{port}");
    }
}

#[test]
fn a_route_is_sent_with_its_kind_and_version() {
    let route = IngressRoute::new(object("{name: expose-my-app}"), IngressRouteSpec::default());
    let sent = serde_json::to_value(&route).unwrap();
    let expected = serde_json::json!({
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": "expose-my-app"},
        "spec": {"routes": []},
    });
    assert_eq!(sent, expected);
}
