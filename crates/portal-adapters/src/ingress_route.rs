//! Between the routes that exposing speaks of and Traefik's objects; every cluster adapter uses this.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use portal_dns::{
    EXPOSURE_LABEL, ExposureId, Hostname, INSTANCE_LABEL, InstanceId, ObservedRoute, OwnershipMarker, RoutePlace,
    RouteSpec, RouteVersion, ServiceName, ServicePort, Tls,
};
use portal_k8s::{ClaimKind, IngressRoute, IngressRouteSpec, RouteRule, RouteService, RouteTls, rule};

/// The kind of every rule.
const RULE: &str = "Rule";

/// The object of a route of ours. Its labels hold the marker, its metadata nothing else.
pub(crate) fn object(place: &RoutePlace, spec: &RouteSpec, marker: &OwnershipMarker) -> IngressRoute {
    let labels = BTreeMap::from([
        ("app.kubernetes.io/managed-by".to_owned(), "friend-portal".to_owned()),
        (EXPOSURE_LABEL.to_owned(), marker.exposure.to_string()),
        (INSTANCE_LABEL.to_owned(), marker.instance.to_string()),
    ]);
    let metadata = ObjectMeta {
        name: Some(place.name.clone()),
        namespace: Some(place.namespace.clone()),
        labels: Some(labels),
        ..ObjectMeta::default()
    };
    IngressRoute::new(metadata, wire_spec(spec))
}

/// Returns a route that exists in the cluster as exposing sees it; `None` for one without the metadata that an API server
/// gives to every object.
pub(crate) fn observed(route: &IngressRoute) -> Option<ObservedRoute> {
    let metadata = &route.metadata;
    Some(ObservedRoute {
        place: RoutePlace { namespace: metadata.namespace.clone()?, name: metadata.name.clone()? },
        version: RouteVersion { uid: metadata.uid.clone()?, resource_version: metadata.resource_version.clone()? },
        marker: marker(metadata),
        spec: spoken(&route.spec),
    })
}

/// The marker in an object's labels.
pub(crate) fn marker(metadata: &ObjectMeta) -> Option<OwnershipMarker> {
    let labels = metadata.labels.as_ref()?;
    // A label that holds no id of ours was written by somebody else.
    let instance = InstanceId::parse(labels.get(INSTANCE_LABEL)?).ok()?;
    let exposure = ExposureId::parse(labels.get(EXPOSURE_LABEL)?).ok()?;
    Some(OwnershipMarker { instance, exposure })
}

/// The kind of Traefik's current routes, as operators write it.
pub(crate) const INGRESS_ROUTE: &str = "ingressroute.traefik.io";

/// Returns any other kind that claims hostnames, as operators write it.
pub(crate) fn claim_kind(kind: ClaimKind) -> String {
    format!("{}.{}", kind.kind().to_ascii_lowercase(), kind.group())
}

fn wire_spec(spec: &RouteSpec) -> IngressRouteSpec {
    let service = RouteService {
        name: spec.service.to_string(),
        port: Some(IntOrString::Int(i32::from(spec.port.number()))),
        ..RouteService::default()
    };
    let rule = RouteRule {
        kind: RULE.to_owned(),
        rule: rule_of(&spec.hosts),
        services: vec![service],
        priority: spec.priority,
        ..RouteRule::default()
    };
    IngressRouteSpec {
        entry_points: spec.entry_points.clone(),
        routes: vec![rule],
        tls: wire_tls(&spec.tls),
        ..IngressRouteSpec::default()
    }
}

fn rule_of(hosts: &[Hostname]) -> String {
    let hosts: Vec<_> = hosts.iter().map(|host| format!("Host(`{host}`)")).collect();
    hosts.join(" || ")
}

fn wire_tls(tls: &Tls) -> Option<RouteTls> {
    match tls {
        Tls::Off => None,
        Tls::Default => Some(RouteTls::default()),
        Tls::Secret(name) => Some(RouteTls { secret_name: Some(name.clone()), ..RouteTls::default() }),
        Tls::Resolver(name) => Some(RouteTls { cert_resolver: Some(name.clone()), ..RouteTls::default() }),
    }
}

/// Returns the specification of a route, if [`object`] could have written it word for word.
fn spoken(wire: &IngressRouteSpec) -> Option<RouteSpec> {
    let [route] = wire.routes.as_slice() else { return None };
    let [service] = route.services.as_slice() else { return None };
    let Some(IntOrString::Int(port)) = service.port else { return None };
    let hosts: Result<Vec<_>, _> = rule::hosts(&route.rule).iter().map(|host| Hostname::parse(host)).collect();
    let spec = RouteSpec {
        hosts: hosts.ok().filter(|hosts| !hosts.is_empty())?,
        service: ServiceName::parse(&service.name).ok()?,
        port: ServicePort::parse(port.into()).ok()?,
        entry_points: wire.entry_points.clone(),
        tls: spoken_tls(wire.tls.as_ref())?,
        priority: route.priority,
    };
    // Written once more and compared: whatever an operator added would be lost by a change of ours.
    (wire_spec(&spec) == *wire).then_some(spec)
}

fn spoken_tls(tls: Option<&RouteTls>) -> Option<Tls> {
    let Some(tls) = tls else { return Some(Tls::Off) };
    match (tls.secret_name.as_ref(), tls.cert_resolver.as_ref()) {
        (None, None) => Some(Tls::Default),
        (Some(secret), None) => Some(Tls::Secret(secret.clone())),
        (None, Some(resolver)) => Some(Tls::Resolver(resolver.clone())),
        // We never write both.
        (Some(_), Some(_)) => None,
    }
}

#[cfg(test)]
mod tests;
