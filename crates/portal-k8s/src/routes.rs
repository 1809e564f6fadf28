//! Routes as shown.

use std::sync::Arc;

use crate::ingress_route::{IngressRoute, RouteRule};
use crate::metadata::{name, text};
use crate::rule;

/// An `IngressRoute` as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSummary {
    /// Its name.
    pub name: Arc<str>,
    /// The first hostname that one of its rules names; none where the rules name no host, or only patterns of hosts.
    pub hostname: Option<Arc<str>>,
    /// The first service behind the rule that names the hostname; without a hostname, behind any rule.
    pub service: Option<Arc<str>>,
}

impl From<&IngressRoute> for RouteSummary {
    fn from(route: &IngressRoute) -> Self {
        let rules = &route.spec.routes;
        let named = rules.iter().find_map(|rule| Some((rule::hosts(&rule.rule).into_iter().next()?, rule)));
        let service = match &named {
            Some((_, rule)) => service(rule),
            // A route by path alone is shown too, so that nobody wonders what answers.
            None => rules.iter().find_map(service),
        };
        Self {
            name: name(&route.metadata),
            hostname: named.as_ref().map(|(hostname, _)| text(hostname)),
            service: service.map(text),
        }
    }
}

fn service(rule: &RouteRule) -> Option<&str> {
    rule.services.first().map(|service| service.name.as_str())
}
