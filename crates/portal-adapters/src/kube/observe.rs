//! What is kept of each object that a watch brings; the rest is dropped at once.

use std::fmt::Debug;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota, Service};
use kube::{Resource, ResourceExt};
use portal_dns::ObservedRoute;
use portal_k8s::{
    DeploymentSummary, IngressRoute, Kind, Phase, PodSummary, QuotaSummary, RouteRule, RouteSummary, ServiceSummary,
    Summary,
};
use serde::de::DeserializeOwned;

use crate::ingress_route::seen;

/// What one watch tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// Namespaces.
    Namespaces,
    /// Objects inside them.
    Objects(Kind),
}

impl Topic {
    /// Every topic there is, in the order of [`Topic::index`].
    pub(super) const ALL: [Self; 6] = [
        Self::Namespaces,
        Self::Objects(Kind::Pod),
        Self::Objects(Kind::Service),
        Self::Objects(Kind::Deployment),
        Self::Objects(Kind::Quota),
        Self::Objects(Kind::Route),
    ];

    /// Its place among all topics.
    pub(super) fn index(self) -> usize {
        match self {
            Self::Namespaces => 0,
            Self::Objects(Kind::Pod) => 1,
            Self::Objects(Kind::Service) => 2,
            Self::Objects(Kind::Deployment) => 3,
            Self::Objects(Kind::Quota) => 4,
            Self::Objects(Kind::Route) => 5,
        }
    }
}

/// What is kept of an object.
#[derive(Debug)]
pub(super) struct ObjectUpdate {
    /// The namespace it is in; of a namespace, its own name.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
    /// The rest.
    pub(super) what: What,
}

/// What is kept of an object beside its name.
#[derive(Debug)]
pub(super) enum What {
    /// Of a namespace.
    Phase(Phase),
    /// Of an object that only its friend sees.
    Shown(Summary),
    /// Of a route, which may stand in anybody's way.
    Route(RouteSummary, Option<Box<StandingRoute>>),
}

/// A route that stands in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StandingRoute {
    /// What there is to know of it.
    pub(super) seen: ObservedRoute,
    /// Its rules.
    pub(super) rules: Vec<RouteRule>,
}

/// An object that is watched.
pub(super) trait Observe:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static
{
    /// What the watch of this kind tells of.
    const TOPIC: Topic;

    /// What is kept of it.
    fn what(&self) -> What;

    /// What is kept of it, with its name.
    fn observe(&self) -> ObjectUpdate {
        let name = self.name_any();
        ObjectUpdate { namespace: self.namespace().unwrap_or_else(|| name.clone()), name, what: self.what() }
    }
}

impl Observe for Namespace {
    const TOPIC: Topic = Topic::Namespaces;

    fn what(&self) -> What {
        What::Phase(Phase::from(self))
    }
}

impl Observe for Pod {
    const TOPIC: Topic = Topic::Objects(Kind::Pod);

    fn what(&self) -> What {
        What::Shown(Summary::Pod(PodSummary::from(self)))
    }
}

impl Observe for Service {
    const TOPIC: Topic = Topic::Objects(Kind::Service);

    fn what(&self) -> What {
        What::Shown(Summary::Service(ServiceSummary::from(self)))
    }
}

impl Observe for Deployment {
    const TOPIC: Topic = Topic::Objects(Kind::Deployment);

    fn what(&self) -> What {
        What::Shown(Summary::Deployment(DeploymentSummary::from(self)))
    }
}

impl Observe for ResourceQuota {
    const TOPIC: Topic = Topic::Objects(Kind::Quota);

    fn what(&self) -> What {
        What::Shown(Summary::Quota(self.name_any().into(), QuotaSummary::from(self)))
    }
}

impl Observe for IngressRoute {
    const TOPIC: Topic = Topic::Objects(Kind::Route);

    fn what(&self) -> What {
        let standing = seen(self).map(|seen| StandingRoute { seen, rules: self.spec.routes.clone() });
        What::Route(RouteSummary::from(self), standing.map(Box::new))
    }
}
