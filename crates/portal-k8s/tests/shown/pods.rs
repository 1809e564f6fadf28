use k8s_openapi::api::core::v1::Pod;
use portal_k8s::PodSummary;

use crate::object;

const METADATA: &str = "{name: my-app-7d9, creationTimestamp: \"2026-03-01T10:00:00Z\"}";

fn pod(metadata: &str, spec: &str, status: &str) -> PodSummary {
    let yaml = format!("apiVersion: v1\nkind: Pod\nmetadata: {metadata}\nspec: {spec}\nstatus: {status}\n");
    PodSummary::from(&object::<Pod>(&yaml))
}

fn container(name: &str, ready: bool, restarts: u32, state: &str) -> String {
    format!("{{name: {name}, ready: {ready}, restartCount: {restarts}, image: x, imageID: x, state: {state}}}")
}

/// The reason and message of a pod of one container whose status is `status`.
#[track_caller]
fn check_reason(status: &str, expected: Option<(&str, Option<&str>)>) {
    let pod = pod(METADATA, "{containers: [{name: app, image: nginx}]}", status);
    assert_eq!(pod.reason.as_deref(), expected.map(|(reason, _)| reason), "{status}");
    assert_eq!(pod.message.as_deref(), expected.and_then(|(_, message)| message), "{status}");
}

#[test]
fn a_running_pod_is_shown_with_its_first_image_and_all_restarts() {
    let statuses = [container("app", true, 2, "{running: {}}"), container("proxy", true, 3, "{running: {}}")].join(",");
    let pod = pod(
        METADATA,
        "{containers: [{name: app, image: \"nginx:alpine\"}, {name: proxy, image: envoy}]}",
        &format!("{{phase: Running, containerStatuses: [{statuses}]}}"),
    );
    assert_eq!(&*pod.name, "my-app-7d9");
    assert_eq!(&*pod.status, "Running");
    assert!(pod.ready);
    assert_eq!(pod.restarts, 5);
    assert_eq!(pod.image.as_deref(), Some("nginx:alpine"));
    assert_eq!(pod.age.map(|age| age.to_rfc3339()), Some("2026-03-01T10:00:00+00:00".to_owned()));
    assert_eq!((pod.reason, pod.message), (None, None));
}

#[test]
fn a_pod_is_ready_only_when_every_container_says_so() {
    let spec = "{containers: [{name: app}, {name: proxy}]}";
    for (statuses, ready) in [
        (vec![container("app", true, 0, "{}"), container("proxy", true, 0, "{}")], true),
        (vec![container("app", true, 0, "{}"), container("proxy", false, 0, "{}")], false),
        (vec![container("app", true, 0, "{}")], false),
        (vec![], false),
    ] {
        let status = format!("{{phase: Running, containerStatuses: [{}]}}", statuses.join(","));
        assert_eq!(pod(METADATA, spec, &status).ready, ready, "{status}");
    }
}

#[test]
fn restarts_of_sidecars_count_and_those_of_finished_init_containers_do_not() {
    let pod = pod(
        METADATA,
        "{initContainers: [{name: migrate}, {name: log, restartPolicy: Always}], containers: [{name: app}]}",
        &format!(
            "{{phase: Running, initContainerStatuses: [{}, {}], containerStatuses: [{}]}}",
            container("migrate", true, 7, "{terminated: {exitCode: 0}}"),
            container("log", true, 2, "{running: {}}"),
            container("app", true, 1, "{running: {}}"),
        ),
    );
    assert_eq!(pod.restarts, 3);
    assert_eq!(pod.reason, None);
}

#[test]
fn a_pod_that_nobody_reported_on_claims_nothing() {
    let pod = PodSummary::from(&object::<Pod>("metadata: {name: bare}\nspec: {containers: []}"));
    assert_eq!(&*pod.status, "Unknown");
    assert!(!pod.ready);
    assert_eq!((pod.restarts, pod.image, pod.age, pod.reason), (0, None, None, None));
}

#[test]
fn the_reason_tells_what_keeps_a_pod_from_running() {
    let back_off = "{waiting: {reason: CrashLoopBackOff, message: back-off 5m0s restarting failed container}}";
    check_reason(
        &format!("{{phase: Running, containerStatuses: [{}]}}", container("app", false, 12, back_off)),
        Some(("CrashLoopBackOff", Some("back-off 5m0s restarting failed container"))),
    );
    check_reason(
        &format!(
            "{{phase: Pending, initContainerStatuses: [{}], containerStatuses: [{}]}}",
            container("init", false, 0, "{waiting: {reason: ImagePullBackOff}}"),
            container("app", false, 0, "{waiting: {reason: PodInitializing}}"),
        ),
        Some(("ImagePullBackOff", None)),
    );
    check_reason(
        &format!(
            "{{phase: Failed, containerStatuses: [{}]}}",
            container("app", false, 0, "{terminated: {exitCode: 137, reason: OOMKilled}}")
        ),
        Some(("OOMKilled", None)),
    );
    check_reason("{phase: Failed, reason: Evicted, message: low on memory}", Some(("Evicted", Some("low on memory"))));
    check_reason(
        "{phase: Pending, conditions: [{type: PodScheduled, status: \"False\", reason: Unschedulable, message: no node}]}",
        Some(("Unschedulable", Some("no node"))),
    );
    check_reason(
        &format!(
            "{{phase: Pending, containerStatuses: [{}]}}",
            container("app", false, 0, "{waiting: {reason: ContainerCreating}}")
        ),
        Some(("ContainerCreating", None)),
    );
}

#[test]
fn a_pod_that_ended_well_has_no_reason() {
    check_reason(
        &format!(
            "{{phase: Succeeded, containerStatuses: [{}]}}",
            container("app", false, 0, "{terminated: {exitCode: 0, reason: Completed}}")
        ),
        None,
    );
}

#[test]
fn a_pod_that_is_being_deleted_is_terminating_whatever_else_it_is() {
    let pod = pod(
        "{name: a, deletionTimestamp: \"2026-03-01T10:00:00Z\"}",
        "{containers: [{name: app}]}",
        "{phase: Running, reason: NodeLost}",
    );
    assert_eq!(&*pod.status, "Running");
    assert_eq!(pod.reason.as_deref(), Some("Terminating"));
}

#[test]
fn a_long_message_is_cut_between_two_letters() {
    let message = "ä".repeat(400);
    let pod = pod(METADATA, "{containers: [{name: app}]}", &format!("{{reason: Evicted, message: {message}}}"));
    let shown = pod.message.unwrap();
    assert!(shown.len() <= 512 && shown.len() > 500, "{}", shown.len());
    assert!(shown.ends_with("ä…"));
}
