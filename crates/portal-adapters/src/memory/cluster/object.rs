//! One object of a manifest.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota, Service};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use portal_k8s::{
    ClaimKind, DeploymentSummary, HostClaims, IngressRoute, Phase, PodSummary, QuotaSummary, RouteSummary,
    ServiceSummary, Summary, quantity,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An object of a kind that is shown, or that can claim hostnames.
#[derive(Debug, Clone)]
pub(super) enum Object {
    Namespace(Box<Namespace>),
    Pod(Box<Pod>),
    Service(Box<Service>),
    Deployment(Box<Deployment>),
    Quota(Box<ResourceQuota>),
    Route(Box<IngressRoute>),
    Claimant(Box<Claimant>),
}

/// An object that is known only for the hostnames that it claims.
#[derive(Debug, Clone)]
pub(super) struct Claimant {
    pub(super) kind: ClaimKind,
    pub(super) metadata: ObjectMeta,
    pub(super) claims: HostClaims,
}

/// Any object with a specification.
#[derive(Deserialize)]
struct AnyObject {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
}

impl Object {
    /// Reads an object; `None` for a kind that neither is shown nor claims hostnames.
    pub(super) fn read<'de, D: Deserializer<'de>>(
        api_version: &str,
        kind: &str,
        document: D,
    ) -> Option<Result<Self, D::Error>> {
        Some(match (api_version, kind) {
            ("v1", "Namespace") => boxed(document).map(Self::Namespace),
            ("v1", "Pod") => boxed(document).map(Self::Pod),
            ("v1", "Service") => boxed(document).map(Self::Service),
            ("v1", "ResourceQuota") => boxed(document).map(Self::Quota),
            ("apps/v1", "Deployment") => boxed(document).map(Self::Deployment),
            ("traefik.io/v1alpha1", "IngressRoute") => boxed(document).map(Self::Route),
            _ => {
                let kind = ClaimKind::of(api_version, kind)?;
                AnyObject::deserialize(document).map(|AnyObject { metadata, spec }| {
                    let claims = HostClaims::read(kind, metadata.annotations.as_ref(), &spec);
                    Self::Claimant(Box::new(Claimant { kind, metadata, claims }))
                })
            }
        })
    }

    /// The summary of the object; a namespace and what only claims hostnames have none.
    pub(super) fn summary(&self) -> Option<Summary> {
        Some(match self {
            Self::Namespace(_) | Self::Claimant(_) => return None,
            Self::Pod(pod) => Summary::Pod(PodSummary::from(&**pod)),
            Self::Service(service) => Summary::Service(ServiceSummary::from(&**service)),
            Self::Deployment(deployment) => Summary::Deployment(DeploymentSummary::from(&**deployment)),
            Self::Quota(quota) => Summary::Quota(self.name().into(), QuotaSummary::from(&**quota)),
            Self::Route(route) => Summary::Route(RouteSummary::from(&**route)),
        })
    }

    /// The phase of a namespace.
    pub(super) fn phase(&self) -> Option<Phase> {
        match self {
            Self::Namespace(namespace) => Some(Phase::from(&**namespace)),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// The namespace in which the object belongs: of a namespace, the namespace itself.
    pub(super) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Namespace(namespace) => namespace.metadata.name.as_deref(),
            other => other.metadata().namespace.as_deref(),
        }
    }

    /// Fills in what an API server fills in when it takes an object.
    pub(super) fn admit(&mut self, namespace: &str, known_uid: Option<String>, version: u64, now: DateTime<Utc>) {
        // No kubelet runs here, so a pod stays as the API server admits it.
        if let Self::Pod(pod) = self {
            pod.status.get_or_insert_default().phase.get_or_insert_with(|| "Pending".to_owned());
        }
        if let Self::Quota(quota) = self {
            let spec = quota.spec.iter_mut().filter_map(|spec| spec.hard.as_mut());
            let status = quota.status.iter_mut().flat_map(|status| [&mut status.hard, &mut status.used]).flatten();
            for Quantity(amount) in spec.chain(status).flat_map(BTreeMap::values_mut) {
                *amount = quantity::canonical(amount);
            }
        }
        let metadata = self.metadata_mut();
        metadata.namespace = Some(namespace.to_owned());
        metadata.resource_version = Some(version.to_string());
        metadata.uid = Some(known_uid.unwrap_or_else(|| format!("00000000-0000-4000-8000-{version:012x}")));
        if metadata.creation_timestamp.is_none() {
            metadata.creation_timestamp = Timestamp::from_second(now.timestamp()).ok().map(Time);
        }
    }

    fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Namespace(namespace) => &namespace.metadata,
            Self::Pod(pod) => &pod.metadata,
            Self::Service(service) => &service.metadata,
            Self::Deployment(deployment) => &deployment.metadata,
            Self::Quota(quota) => &quota.metadata,
            Self::Route(route) => &route.metadata,
            Self::Claimant(claimant) => &claimant.metadata,
        }
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Namespace(namespace) => &mut namespace.metadata,
            Self::Pod(pod) => &mut pod.metadata,
            Self::Service(service) => &mut service.metadata,
            Self::Deployment(deployment) => &mut deployment.metadata,
            Self::Quota(quota) => &mut quota.metadata,
            Self::Route(route) => &mut route.metadata,
            Self::Claimant(claimant) => &mut claimant.metadata,
        }
    }
}

fn boxed<'de, D: Deserializer<'de>, T: DeserializeOwned>(document: D) -> Result<Box<T>, D::Error> {
    T::deserialize(document).map(Box::new)
}
