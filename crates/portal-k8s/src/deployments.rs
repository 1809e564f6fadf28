//! Deployments as shown.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use k8s_openapi::api::apps::v1::Deployment;

use crate::metadata::{created_at, name, text};
use crate::secret_refs::secret_refs;

/// What is shown of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentSummary {
    /// Its name.
    pub name: Arc<str>,
    /// How many of its pods are ready.
    pub ready: i32,
    /// How many pods it should have.
    pub desired: i32,
    /// The image of its first container.
    pub image: Option<Arc<str>>,
    /// When it was created.
    pub age: Option<DateTime<Utc>>,
    /// The names of the secrets that its pods use, sorted, once each.
    pub secret_refs: Vec<Arc<str>>,
}

impl DeploymentSummary {
    /// Ready and desired pods, as in `1/3`.
    #[must_use]
    pub fn replicas(&self) -> String {
        format!("{}/{}", self.ready, self.desired)
    }
}

impl From<&Deployment> for DeploymentSummary {
    fn from(deployment: &Deployment) -> Self {
        let spec = deployment.spec.as_ref();
        let pod = spec.and_then(|spec| spec.template.spec.as_ref());
        let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas);
        let image = pod.and_then(|pod| pod.containers.first()).and_then(|container| container.image.as_deref());
        Self {
            name: name(&deployment.metadata),
            ready: ready.unwrap_or(0),
            // The API server's default for a deployment that does not say.
            desired: spec.and_then(|spec| spec.replicas).unwrap_or(1),
            image: image.map(text),
            age: created_at(&deployment.metadata),
            secret_refs: pod.map(secret_refs).unwrap_or_default(),
        }
    }
}
