//! Deployments as shown.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};

use crate::metadata::{bounded, created_at, moment, name, text};
use crate::secret_refs::secret_refs;

/// A deployment as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentSummary {
    /// Its name.
    pub name: Arc<str>,
    /// Pods of it that are ready.
    pub ready: i32,
    /// Pods that it should have.
    pub desired: i32,
    /// The image of its first container.
    pub image: Option<Arc<str>>,
    /// Its time of creation.
    pub age: Option<DateTime<Utc>>,
    /// The names of the secrets that its pods use, sorted, once each.
    pub secret_refs: Vec<Arc<str>>,
    /// The cause why it does not get on, as a word: `FailedCreate`, `ProgressDeadlineExceeded`.
    pub reason: Option<Arc<str>>,
    /// The cluster's sentence about that, at most 512 bytes.
    pub message: Option<Arc<str>>,
    /// Moment since which it does not get on.
    pub since: Option<DateTime<Utc>>,
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
        let failure = failure(deployment);
        Self {
            name: name(&deployment.metadata),
            ready: ready.unwrap_or(0),
            // The API server's default for a deployment that does not say.
            desired: spec.and_then(|spec| spec.replicas).unwrap_or(1),
            image: image.map(text),
            age: created_at(&deployment.metadata),
            secret_refs: pod.map(secret_refs).unwrap_or_default(),
            reason: failure.map(|failure| text(failure.reason.as_deref().unwrap_or(&failure.type_))),
            message: failure.and_then(|failure| failure.message.as_deref()).map(bounded),
            since: moment(failure.and_then(|failure| failure.last_transition_time.as_ref())),
        }
    }
}

/// The condition that says why pods are missing. That none could be created explains why a rollout does not get on,
/// so it comes first.
fn failure(deployment: &Deployment) -> Option<&DeploymentCondition> {
    let conditions = deployment.status.as_ref()?.conditions.as_deref()?;
    let find = |type_: &str, status: &str| {
        conditions.iter().find(|condition| condition.type_ == type_ && condition.status == status)
    };
    find("ReplicaFailure", "True").or_else(|| find("Progressing", "False"))
}
