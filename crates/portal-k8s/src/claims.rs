//! Hostnames that objects of a cluster claim, whatever their kind.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::IngressRoute;
use crate::rule::{HostRule, Protocol, plain};

/// Priority taken for routers whose own one is computed from more than their rule: above any of those.
const COMPUTED_PRIORITY: i64 = 100_000;
/// The annotation with which an Ingress sets the priority of its routers.
const INGRESS_PRIORITY: &str = "traefik.ingress.kubernetes.io/router.priority";
/// The annotation with further hosts of an Ingress, separated by commas, which Traefik takes from ingress-nginx.
const INGRESS_ALIASES: &str = "nginx.ingress.kubernetes.io/server-alias";

/// A kind of object, other than Traefik's current `IngressRoute`, that can claim hostnames. A cluster need not serve
/// any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClaimKind {
    /// `IngressRouteTCP` of Traefik 2.10 and later.
    IngressRouteTcp,
    /// `IngressRoute` of the API group that Traefik 2 began with.
    LegacyIngressRoute,
    /// `IngressRouteTCP` of that group.
    LegacyIngressRouteTcp,
    /// `Ingress`.
    Ingress,
    /// `HTTPRoute` of the Gateway API.
    HttpRoute,
    /// `GRPCRoute` of the Gateway API.
    GrpcRoute,
    /// `TLSRoute` of the Gateway API.
    TlsRoute,
}

impl ClaimKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::IngressRouteTcp,
        Self::LegacyIngressRoute,
        Self::LegacyIngressRouteTcp,
        Self::Ingress,
        Self::HttpRoute,
        Self::GrpcRoute,
        Self::TlsRoute,
    ];

    /// Returns the kind of an object; `None` for one that claims nothing, and for Traefik's current `IngressRoute`.
    #[must_use]
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/')?;
        Self::ALL.into_iter().find(|it| it.kind() == kind && it.group() == group && it.versions().contains(&version))
    }

    /// Returns the kind's name, such as `HTTPRoute`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::IngressRouteTcp | Self::LegacyIngressRouteTcp => "IngressRouteTCP",
            Self::LegacyIngressRoute => "IngressRoute",
            Self::Ingress => "Ingress",
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
            Self::TlsRoute => "TLSRoute",
        }
    }

    /// Returns the API group.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::IngressRouteTcp => "traefik.io",
            Self::LegacyIngressRoute | Self::LegacyIngressRouteTcp => "traefik.containo.us",
            Self::Ingress => "networking.k8s.io",
            Self::HttpRoute | Self::GrpcRoute | Self::TlsRoute => "gateway.networking.k8s.io",
        }
    }

    /// Returns the resource's name in paths and roles.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::IngressRouteTcp | Self::LegacyIngressRouteTcp => "ingressroutetcps",
            Self::LegacyIngressRoute => "ingressroutes",
            Self::Ingress => "ingresses",
            Self::HttpRoute => "httproutes",
            Self::GrpcRoute => "grpcroutes",
            Self::TlsRoute => "tlsroutes",
        }
    }

    /// Returns the versions that are understood, the newest first. All of a kind's objects are served in each version
    /// that the cluster serves, so one of them is enough.
    #[must_use]
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            Self::IngressRouteTcp | Self::LegacyIngressRoute | Self::LegacyIngressRouteTcp => &["v1alpha1"],
            Self::Ingress => &["v1"],
            Self::HttpRoute => &["v1", "v1beta1"],
            Self::GrpcRoute => &["v1", "v1alpha2"],
            Self::TlsRoute => &["v1", "v1alpha3", "v1alpha2"],
        }
    }
}

/// A claim to one hostname.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The claim was read, and does not merely follow from the text of something that cannot be read.
    pub is_certain: bool,
    /// The ingress controller's priority of the rule: the higher one of two rules is asked first.
    pub priority: i64,
}

/// The hostnames that one object claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostClaims {
    rules: Vec<(HostRule, i64)>,
}

impl HostClaims {
    /// Reads Traefik's current `IngressRoute`.
    #[must_use]
    pub fn of_route(route: &IngressRoute) -> Self {
        let routes = route.spec.routes.iter();
        let rules =
            routes.map(|route| (HostRule::parse(&route.rule, Protocol::Http), priority(route.priority, &route.rule)));
        Self { rules: rules.collect() }
    }

    /// Reads an object of any other kind from its annotations and its `spec`. What has another shape than its kind
    /// prescribes claims nothing.
    #[must_use]
    pub fn read(kind: ClaimKind, annotations: Option<&BTreeMap<String, String>>, spec: &Value) -> Self {
        let rules = match kind {
            ClaimKind::LegacyIngressRoute => routes(spec, Protocol::Http),
            ClaimKind::IngressRouteTcp | ClaimKind::LegacyIngressRouteTcp => routes(spec, Protocol::Tcp),
            ClaimKind::Ingress => ingress(annotations, spec),
            ClaimKind::HttpRoute | ClaimKind::GrpcRoute | ClaimKind::TlsRoute => {
                let hostnames = members(spec, "hostnames").filter_map(Value::as_str);
                hostnames.map(|host| (HostRule::gateway_host(host), COMPUTED_PRIORITY)).collect()
            }
        };
        Self { rules }
    }

    /// Returns the claim to a hostname; the strongest of several.
    #[must_use]
    pub fn claim(&self, hostname: &str) -> Option<Claim> {
        // Exposures have lower-case names already; whoever embeds this may not.
        let hostname = plain(hostname);
        let claims = self.rules.iter().filter(|(rule, _)| rule.claims(&hostname));
        claims.map(|(rule, priority)| Claim { is_certain: rule.is_readable(), priority: *priority }).reduce(
            |one, other| Claim {
                is_certain: one.is_certain || other.is_certain,
                priority: one.priority.max(other.priority),
            },
        )
    }

    /// Returns the only hostnames, in lower case, that [`Self::claim`] can return a claim to; `None` if patterns make
    /// them too many to list.
    #[must_use]
    pub fn names(&self) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for (rule, _) in &self.rules {
            names.extend(rule.claimed_names()?);
        }
        names.sort_unstable();
        names.dedup();
        Some(names)
    }
}

fn routes(spec: &Value, protocol: Protocol) -> Vec<(HostRule, i64)> {
    let rule = |route: &Value| {
        let rule = route.get("match")?.as_str()?;
        let explicit = route.get("priority").and_then(Value::as_i64);
        Some((HostRule::parse(rule, protocol), priority(explicit, rule)))
    };
    members(spec, "routes").filter_map(rule).collect()
}

fn ingress(annotations: Option<&BTreeMap<String, String>>, spec: &Value) -> Vec<(HostRule, i64)> {
    let annotation = |name| annotations.and_then(|annotations| annotations.get(name)).map(String::as_str);
    let explicit = annotation(INGRESS_PRIORITY).and_then(|priority| priority.parse().ok());
    let priority = explicit.filter(|priority| is_set(*priority)).unwrap_or(COMPUTED_PRIORITY);
    let hosts = members(spec, "rules").filter_map(|rule| rule.get("host")?.as_str());
    let aliases = annotation(INGRESS_ALIASES).into_iter().flat_map(|aliases| aliases.split(',').map(str::trim));
    // A rule without a host means every host, and so none in particular.
    hosts.chain(aliases).filter(|host| !host.is_empty()).map(|host| (HostRule::host(host), priority)).collect()
}

/// Traefik's priority of a router: the length of its rule unless it is set to something else than 0.
fn priority(explicit: Option<i64>, rule: &str) -> i64 {
    let length = || i64::try_from(rule.len()).unwrap_or(i64::MAX);
    explicit.filter(|priority| is_set(*priority)).unwrap_or_else(length)
}

/// Tells whether a priority was set: Traefik cannot tell 0 from absent.
fn is_set(priority: i64) -> bool {
    priority != 0
}

fn members<'a>(spec: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    spec.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests;
