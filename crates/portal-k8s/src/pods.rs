//! Pods as shown.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus,
};

use crate::metadata::{bounded, created_at, name, text};

/// Waiting reasons of a start that goes as planned.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// Phases of a pod that will not run again.
const FINISHED: [&str; 2] = ["Succeeded", "Failed"];

/// A pod as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSummary {
    /// Its name.
    pub name: Arc<str>,
    /// Its phase: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub status: Arc<str>,
    /// Every container and every native sidecar of it is ready.
    pub ready: bool,
    /// Restarts of its containers and native sidecars, in all.
    pub restarts: u32,
    /// The image of its first container.
    pub image: Option<Arc<str>>,
    /// Its time of creation.
    pub age: Option<DateTime<Utc>>,
    /// The cause why it is not simply running, as a word: `CrashLoopBackOff`, `Terminating`, `Evicted`.
    pub reason: Option<Arc<str>>,
    /// The cluster's sentence about that, at most 512 bytes.
    pub message: Option<Arc<str>>,
    /// The exit code of the container that ended last, where that was an error or a restart followed.
    pub exit_code: Option<i32>,
    /// The cluster's word for how that container ended, such as `OOMKilled`.
    pub last_reason: Option<Arc<str>>,
    /// That container's termination message, at most 512 bytes.
    pub last_message: Option<Arc<str>>,
}

impl From<&Pod> for PodSummary {
    fn from(pod: &Pod) -> Self {
        let containers = pod.spec.as_ref().map_or(&[][..], |spec| &spec.containers);
        let failure = failure(pod);
        let last = last_termination(pod);
        Self {
            name: name(&pod.metadata),
            status: text(phase(pod).unwrap_or("Unknown")),
            ready: is_ready(pod),
            restarts: restarts(pod),
            image: containers.first().and_then(|container| container.image.as_deref()).map(text),
            age: created_at(&pod.metadata),
            reason: failure.map(|(reason, _)| text(reason)),
            message: failure.and_then(|(_, message)| message).map(bounded),
            exit_code: last.map(|last| last.exit_code),
            last_reason: last.and_then(|last| last.reason.as_deref()).map(text),
            last_message: last.and_then(|last| last.message.as_deref()).map(bounded),
        }
    }
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

/// Native sidecars: init containers that keep running.
fn sidecars(pod: &Pod) -> impl Iterator<Item = &Container> {
    let init_containers = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    init_containers.filter(|init| init.restart_policy.as_deref() == Some("Always"))
}

fn is_sidecar(pod: &Pod, status: &ContainerStatus) -> bool {
    sidecars(pod).any(|sidecar| sidecar.name == status.name)
}

/// Every container and sidecar that the pod should have reports to be ready, as `kubectl` counts them.
fn is_ready(pod: &Pod) -> bool {
    let containers = pod.spec.as_ref().map_or(&[][..], |spec| &spec.containers);
    let reports = |statuses: &[ContainerStatus], container: &Container| {
        statuses.iter().any(|status| status.ready && status.name == container.name)
    };
    let status = pod.status.as_ref();
    // A pod without a specification has nothing that could be ready.
    !containers.is_empty()
        && containers.iter().all(|container| reports(container_statuses(status), container))
        && sidecars(pod).all(|sidecar| reports(init_statuses(status), sidecar))
}

/// Restarts of containers and of sidecars; an init container that did its work and left is not counted, as `kubectl`
/// does not.
fn restarts(pod: &Pod) -> u32 {
    let sidecars = init_statuses(pod.status.as_ref()).iter().filter(|status| is_sidecar(pod, status));
    container_statuses(pod.status.as_ref())
        .iter()
        .chain(sidecars)
        .map(|status| u32::try_from(status.restart_count).unwrap_or(0))
        .fold(0, u32::saturating_add)
}

/// The reason why the pod is not simply running, the most telling one first.
fn failure(pod: &Pod) -> Option<(&str, Option<&str>)> {
    // Whatever else is wrong with it will not matter any more.
    if pod.metadata.deletion_timestamp.is_some() {
        return Some(("Terminating", None));
    }
    let status = pod.status.as_ref()?;
    if let Some(reason) = status.reason.as_deref().filter(|reason| !reason.is_empty()) {
        return Some((reason, status.message.as_deref()));
    }
    relevant_statuses(pod)
        .find_map(waiting_unexpectedly)
        .or_else(|| relevant_statuses(pod).find_map(ended_with_error))
        .or_else(|| unschedulable(status))
        .or_else(|| relevant_statuses(pod).find_map(waiting))
}

/// Statuses of init containers, then of containers.
fn relevant_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let is_finished = phase(pod).is_some_and(|phase| FINISHED.contains(&phase));
    // A finished pod's sidecars were killed, because nobody needed them any more: that is no failure.
    let init = init_statuses(status).iter().filter(move |status| !(is_finished && is_sidecar(pod, status)));
    init.chain(container_statuses(status))
}

/// A container that waits for something other than its ordinary start.
fn waiting_unexpectedly(status: &ContainerStatus) -> Option<(&str, Option<&str>)> {
    waiting(status).filter(|(reason, _)| !STARTING.contains(reason))
}

fn waiting(status: &ContainerStatus) -> Option<(&str, Option<&str>)> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    waiting.reason.as_deref().map(|reason| (reason, waiting.message.as_deref()))
}

/// A container that ended with an error and was not started again.
fn ended_with_error(status: &ContainerStatus) -> Option<(&str, Option<&str>)> {
    let terminated = terminated(status.state.as_ref())?;
    (terminated.exit_code != 0)
        .then(|| (terminated.reason.as_deref().unwrap_or("Error"), terminated.message.as_deref()))
}

/// The latest end of a container that was an error, or after which the container was started again.
fn last_termination(pod: &Pod) -> Option<&ContainerStateTerminated> {
    let ends = relevant_statuses(pod).flat_map(|status| {
        let current = terminated(status.state.as_ref()).filter(|terminated| terminated.exit_code != 0);
        current.into_iter().chain(terminated(status.last_state.as_ref()))
    });
    let finished_at = |end: &ContainerStateTerminated| end.finished_at.as_ref().map(|time| time.0);
    ends.max_by(|one, other| finished_at(one).cmp(&finished_at(other)))
}

fn terminated(state: Option<&ContainerState>) -> Option<&ContainerStateTerminated> {
    state?.terminated.as_ref()
}

/// A pod for which no node was found.
fn unschedulable(status: &PodStatus) -> Option<(&str, Option<&str>)> {
    let condition = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    Some((condition.reason.as_deref().unwrap_or("Unschedulable"), condition.message.as_deref()))
}

fn container_statuses(status: Option<&PodStatus>) -> &[ContainerStatus] {
    status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default()
}

fn init_statuses(status: Option<&PodStatus>) -> &[ContainerStatus] {
    status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default()
}
