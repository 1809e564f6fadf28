//! Pods as shown.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus};

use crate::metadata::{created_at, name, text};

/// Longest message that is kept, in bytes; schedulers write one sentence per node.
const MESSAGE_MAX: usize = 512;
/// Waiting reasons of a start that goes as planned.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// What is shown of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSummary {
    /// Its name.
    pub name: Arc<str>,
    /// Its phase: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub status: Arc<str>,
    /// Whether every container of it is ready.
    pub ready: bool,
    /// How often its containers (sidecars among them) were restarted, in all.
    pub restarts: u32,
    /// The image of its first container.
    pub image: Option<Arc<str>>,
    /// When it was created.
    pub age: Option<DateTime<Utc>>,
    /// Why it is not simply running, as a word: `CrashLoopBackOff`, `Terminating`, `Evicted`, `Unschedulable`.
    pub reason: Option<Arc<str>>,
    /// What the cluster says about that, at most 512 bytes.
    pub message: Option<Arc<str>>,
}

impl From<&Pod> for PodSummary {
    fn from(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let containers = pod.spec.as_ref().map_or(&[][..], |spec| &spec.containers);
        let trouble = trouble(pod);
        Self {
            name: name(&pod.metadata),
            status: text(status.and_then(|status| status.phase.as_deref()).unwrap_or("Unknown")),
            ready: ready(containers, status),
            restarts: restarts(pod),
            image: containers.first().and_then(|container| container.image.as_deref()).map(text),
            age: created_at(&pod.metadata),
            reason: trouble.map(|(reason, _)| text(reason)),
            message: trouble.and_then(|(_, message)| message).map(bounded),
        }
    }
}

/// Every container that the pod should have reports to be ready.
fn ready(containers: &[Container], status: Option<&PodStatus>) -> bool {
    let reported = container_statuses(status);
    !containers.is_empty()
        && containers
            .iter()
            .all(|container| reported.iter().any(|status| status.ready && status.name == container.name))
}

/// Restarts of containers and of sidecars, which are init containers that keep running; an init container that did
/// its work and left is not counted, as `kubectl` does not.
fn restarts(pod: &Pod) -> u32 {
    let init_containers = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let is_sidecar = |status: &&ContainerStatus| {
        init_containers.iter().any(|init| init.name == status.name && init.restart_policy.as_deref() == Some("Always"))
    };
    let sidecars = init_statuses(pod.status.as_ref()).iter().filter(is_sidecar);
    container_statuses(pod.status.as_ref())
        .iter()
        .chain(sidecars)
        .map(|status| u32::try_from(status.restart_count).unwrap_or(0))
        .fold(0, u32::saturating_add)
}

/// What keeps the pod from simply running, the most telling thing first.
fn trouble(pod: &Pod) -> Option<(&str, Option<&str>)> {
    if pod.metadata.deletion_timestamp.is_some() {
        return Some(("Terminating", None));
    }
    let status = pod.status.as_ref()?;
    if let Some(reason) = status.reason.as_deref().filter(|reason| !reason.is_empty()) {
        return Some((reason, status.message.as_deref()));
    }
    let statuses = || init_statuses(Some(status)).iter().chain(container_statuses(Some(status)));
    statuses()
        .find_map(waiting_in_trouble)
        .or_else(|| statuses().find_map(ended_in_trouble))
        .or_else(|| unschedulable(status))
        .or_else(|| statuses().find_map(waiting))
}

/// A container that waits for something other than its ordinary start.
fn waiting_in_trouble(status: &ContainerStatus) -> Option<(&str, Option<&str>)> {
    waiting(status).filter(|(reason, _)| !STARTING.contains(reason))
}

/// A container that waits, and what it waits for.
fn waiting(status: &ContainerStatus) -> Option<(&str, Option<&str>)> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    waiting.reason.as_deref().map(|reason| (reason, waiting.message.as_deref()))
}

/// A container that ended with an error and was not started again.
fn ended_in_trouble(status: &ContainerStatus) -> Option<(&str, Option<&str>)> {
    let terminated = status.state.as_ref()?.terminated.as_ref()?;
    (terminated.exit_code != 0)
        .then(|| (terminated.reason.as_deref().unwrap_or("Error"), terminated.message.as_deref()))
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

/// The message, cut at a character boundary if it is too long.
fn bounded(message: &str) -> Arc<str> {
    if message.len() <= MESSAGE_MAX {
        return text(message);
    }
    let (kept, _) = message.split_at(message.floor_char_boundary(MESSAGE_MAX.saturating_sub('…'.len_utf8())));
    Arc::from(format!("{kept}…"))
}
