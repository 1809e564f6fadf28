//! The part of each watched object that is stored; the rest is dropped at once.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota, Service};
use kube::ResourceExt;
use kube::api::DynamicObject;
use portal_dns::ObservedRoute;
use portal_k8s::{
    ClaimKind, DeploymentSummary, HostClaims, IngressRoute, Kind, Phase, PodSummary, QuotaSummary, RouteSummary,
    ServiceSummary, Summary,
};
use serde_json::Value;

use crate::ingress_route::observed;

/// The subject of one watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// Namespaces.
    Namespaces,
    /// Objects inside them that are shown.
    Objects(Kind),
    /// Objects that are watched only for the hostnames that they claim.
    Claims(ClaimKind),
}

impl Topic {
    /// Topics without which no namespace can be shown.
    pub(super) const SHOWN: [Self; 6] = [
        Self::Namespaces,
        Self::Objects(Kind::Pod),
        Self::Objects(Kind::Service),
        Self::Objects(Kind::Deployment),
        Self::Objects(Kind::Quota),
        Self::Objects(Kind::Route),
    ];

    /// Topics without which nobody knows whether a hostname is free.
    pub(super) fn claiming() -> impl Iterator<Item = Self> {
        ClaimKind::ALL.into_iter().map(Self::Claims).chain([Self::Objects(Kind::Route)])
    }

    /// Every topic.
    #[cfg(test)]
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::SHOWN.into_iter().chain(ClaimKind::ALL.into_iter().map(Self::Claims))
    }

    /// Tells whether a cluster may leave this kind out.
    pub(super) fn is_optional(self) -> bool {
        // Their definitions may not be installed, and what is not served claims nothing.
        matches!(self, Self::Claims(_))
    }
}

/// The stored part of an object.
#[derive(Debug)]
pub(super) struct ObjectUpdate {
    /// The namespace it is in; of a namespace, its own name.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
    /// The rest.
    pub(super) content: Content,
}

/// The stored part of an object beside its name.
#[derive(Debug)]
pub(super) enum Content {
    /// Of a namespace.
    Phase(Phase),
    /// Of an object that only its friend sees.
    Shown(Summary),
    /// Of a route, which may also claim somebody else's hostname.
    Route(Box<RouteContent>),
    /// Of any other object that may do so.
    Claims(ClaimKind, HostClaims),
}

/// The stored part of a route.
#[derive(Debug)]
pub(super) struct RouteContent {
    /// The route as it is shown.
    pub(super) summary: RouteSummary,
    /// The route as exposing sees it; `None` without the metadata that an API server gives to every object.
    pub(super) observed: Option<ObservedRoute>,
    /// The hostnames that it claims.
    pub(super) claims: HostClaims,
}

/// An object of a kind that is shown.
pub(super) trait Observe {
    /// Returns the part that is stored.
    fn content(&self) -> Content;
}

impl Observe for Namespace {
    fn content(&self) -> Content {
        Content::Phase(Phase::from(self))
    }
}

impl Observe for Pod {
    fn content(&self) -> Content {
        Content::Shown(Summary::Pod(PodSummary::from(self)))
    }
}

impl Observe for Service {
    fn content(&self) -> Content {
        Content::Shown(Summary::Service(ServiceSummary::from(self)))
    }
}

impl Observe for Deployment {
    fn content(&self) -> Content {
        Content::Shown(Summary::Deployment(DeploymentSummary::from(self)))
    }
}

impl Observe for ResourceQuota {
    fn content(&self) -> Content {
        Content::Shown(Summary::Quota(self.name_any().into(), QuotaSummary::from(self)))
    }
}

impl Observe for IngressRoute {
    fn content(&self) -> Content {
        Content::Route(Box::new(RouteContent {
            summary: RouteSummary::from(self),
            observed: observed(self),
            claims: HostClaims::of_route(self),
        }))
    }
}

/// Returns the part of an object of a claim kind that is stored. Such objects are taken as they come: one of a shape
/// that nobody expects must not end the whole watch.
pub(super) fn claims(kind: ClaimKind, object: &DynamicObject) -> Content {
    let spec = object.data.get("spec").unwrap_or(&Value::Null);
    Content::Claims(kind, HostClaims::read(kind, object.metadata.annotations.as_ref(), spec))
}
