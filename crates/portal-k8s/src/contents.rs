//! The objects of a namespace, kept up to date one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{DeploymentSummary, Overview, Phase, PodSummary, QuotaSummary, RouteSummary, ServiceSummary};

/// A kind of object that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `Pod`.
    Pod,
    /// `Service`.
    Service,
    /// `Deployment`.
    Deployment,
    /// `ResourceQuota`.
    Quota,
    /// `IngressRoute`.
    Route,
}

/// The summary of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Summary {
    /// Of a pod.
    Pod(PodSummary),
    /// Of a service.
    Service(ServiceSummary),
    /// Of a deployment.
    Deployment(DeploymentSummary),
    /// Of the quota of that name.
    Quota(Arc<str>, QuotaSummary),
    /// Of a route.
    Route(RouteSummary),
}

impl Summary {
    /// Passes every text that other objects are likely to have in common with this one to `share`, which may replace
    /// it with a copy that is already in memory.
    pub fn share_texts(&mut self, mut share: impl FnMut(&mut Arc<str>)) {
        match self {
            Self::Pod(pod) => {
                share(&mut pod.status);
                pod.image.iter_mut().chain(&mut pod.reason).chain(&mut pod.last_reason).for_each(share);
            }
            Self::Service(service) => {
                share(&mut service.kind);
                service.ports.iter_mut().map(|port| &mut port.protocol).for_each(share);
            }
            Self::Deployment(deployment) => {
                let words = deployment.image.iter_mut().chain(&mut deployment.reason);
                words.chain(&mut deployment.secret_refs).for_each(share);
            }
            Self::Quota(name, quota) => {
                share(name);
                quota.hard.values_mut().chain(quota.used.values_mut()).for_each(share);
            }
            Self::Route(_) => {}
        }
    }
}

/// The objects of a namespace by kind and name, from which an [`Overview`] is made whenever something shown changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    phase: Option<Phase>,
    pods: Named<PodSummary>,
    services: Named<ServiceSummary>,
    deployments: Named<DeploymentSummary>,
    quotas: Named<QuotaSummary>,
    routes: Named<RouteSummary>,
}

/// Objects of one kind, sorted by name.
type Named<T> = BTreeMap<Arc<str>, Arc<T>>;

impl Contents {
    /// The namespace's phase; `None` if there is no such namespace.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.phase
    }

    /// The service of that name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ServiceSummary> {
        self.services.get(name).map(AsRef::as_ref)
    }

    /// The names of all objects of a kind.
    #[must_use]
    pub fn names(&self, kind: Kind) -> Vec<Arc<str>> {
        match kind {
            Kind::Pod => self.pods.keys().cloned().collect(),
            Kind::Service => self.services.keys().cloned().collect(),
            Kind::Deployment => self.deployments.keys().cloned().collect(),
            Kind::Quota => self.quotas.keys().cloned().collect(),
            Kind::Route => self.routes.keys().cloned().collect(),
        }
    }

    /// Stores the namespace's phase, or that there is no such namespace; tells whether that is new.
    pub fn set_phase(&mut self, phase: Option<Phase>) -> bool {
        std::mem::replace(&mut self.phase, phase) != phase
    }

    /// Stores an object that was added or changed; tells whether anything that is shown of it is new.
    pub fn put(&mut self, summary: Summary) -> bool {
        match summary {
            Summary::Pod(pod) => put(&mut self.pods, pod.name.clone(), pod),
            Summary::Service(service) => put(&mut self.services, service.name.clone(), service),
            Summary::Deployment(deployment) => put(&mut self.deployments, deployment.name.clone(), deployment),
            Summary::Quota(name, quota) => put(&mut self.quotas, name, quota),
            Summary::Route(route) => put(&mut self.routes, route.name.clone(), route),
        }
    }

    /// Removes an object; tells whether it was there.
    pub fn remove(&mut self, kind: Kind, name: &str) -> bool {
        match kind {
            Kind::Pod => self.pods.remove(name).is_some(),
            Kind::Service => self.services.remove(name).is_some(),
            Kind::Deployment => self.deployments.remove(name).is_some(),
            Kind::Quota => self.quotas.remove(name).is_some(),
            Kind::Route => self.routes.remove(name).is_some(),
        }
    }

    /// Tells whether nothing at all is known of the namespace, so that it need not be stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// Returns the overview, whose content was first seen at `observed_at`.
    #[must_use]
    pub fn overview(&self, observed_at: DateTime<Utc>) -> Overview {
        // Watches of different kinds are not in step: pods may be told of before their namespace, and after it.
        if self.phase.is_none() {
            return Overview::absent(observed_at);
        }
        Overview {
            phase: self.phase,
            pods: self.pods.values().cloned().collect(),
            services: self.services.values().cloned().collect(),
            deployments: self.deployments.values().cloned().collect(),
            quota: QuotaSummary::merged(self.quotas.values().map(AsRef::as_ref)),
            routes: self.routes.values().cloned().collect(),
            observed_at,
        }
    }
}

fn put<T: PartialEq>(objects: &mut Named<T>, name: Arc<str>, object: T) -> bool {
    // Most events change what is not shown, such as a heartbeat; those must change neither bytes nor ETag.
    if objects.get(&name).is_some_and(|known| **known == object) {
        return false;
    }
    objects.insert(name, Arc::new(object));
    true
}
