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

#[test]
fn a_pod_is_ready_only_when_its_native_sidecars_are() {
    let spec = "{initContainers: [{name: wait}, {name: log, restartPolicy: Always}], containers: [{name: app}]}";
    for (log, ready) in [(true, true), (false, false)] {
        let status = format!(
            "{{phase: Running, initContainerStatuses: [{}, {}], containerStatuses: [{}]}}",
            container("wait", false, 0, "{terminated: {exitCode: 0}}"),
            container("log", log, 0, "{running: {}}"),
            container("app", true, 0, "{running: {}}"),
        );
        assert_eq!(pod(METADATA, spec, &status).ready, ready, "{status}");
    }
}

/// Pods with a mesh as a native sidecar, which was killed when the main container had ended.
#[test]
fn a_sidecar_that_was_killed_in_the_end_is_no_failure() {
    let spec = "{initContainers: [{name: mesh, restartPolicy: Always}], containers: [{name: app}]}";
    let killed = container("mesh", false, 0, "{terminated: {exitCode: 137, reason: Error}}");
    for (phase, main, reason, exit_code) in [
        ("Succeeded", "{terminated: {exitCode: 0, reason: Completed}}", None, None),
        ("Failed", "{terminated: {exitCode: 3, reason: Fatal}}", Some("Fatal"), Some(3)),
        ("Running", "{running: {}}", Some("Error"), Some(137)),
    ] {
        let main = container("app", false, 0, main);
        let status = format!("{{phase: {phase}, initContainerStatuses: [{killed}], containerStatuses: [{main}]}}");
        let pod = pod(METADATA, spec, &status);
        assert_eq!((pod.reason.as_deref(), pod.exit_code), (reason, exit_code), "{status}");
    }
}

#[test]
fn a_container_that_ran_out_of_memory_says_so_while_it_waits_for_its_restart() {
    let status = "{phase: Running, containerStatuses: [
        {name: proxy, ready: true, restartCount: 1, image: x, imageID: x, state: {running: {}},
         lastState: {terminated: {exitCode: 1, reason: Error, message: old, finishedAt: \"2026-03-01T10:00:00Z\"}}},
        {name: app, ready: false, restartCount: 4, image: x, imageID: x,
         state: {waiting: {reason: CrashLoopBackOff, message: back-off 1m20s restarting failed container}},
         lastState: {terminated: {exitCode: 137, reason: OOMKilled, finishedAt: \"2026-03-01T10:05:00Z\"}}}]}";
    let pod = pod(METADATA, "{containers: [{name: proxy}, {name: app}]}", status);
    assert_eq!(pod.reason.as_deref(), Some("CrashLoopBackOff"));
    assert_eq!((pod.exit_code, pod.last_reason.as_deref(), pod.last_message), (Some(137), Some("OOMKilled"), None));
}

#[test]
fn the_termination_message_is_shown_and_cut() {
    let message = "x".repeat(4096);
    let status = format!(
        "{{phase: Failed, containerStatuses: [{}]}}",
        container("app", false, 0, &format!("{{terminated: {{exitCode: 2, reason: Error, message: {message}}}}}"))
    );
    let pod = pod(METADATA, "{containers: [{name: app}]}", &status);
    assert_eq!((pod.exit_code, pod.last_reason.as_deref()), (Some(2), Some("Error")));
    assert_eq!(pod.last_message.map(|message| message.len()), Some(512));
}

#[test]
fn an_image_that_cannot_be_pulled_has_no_exit_code() {
    let status = "{phase: Pending, containerStatuses: [
        {name: app, ready: false, restartCount: 0, image: nginx, imageID: \"\", started: false, lastState: {},
         state: {waiting: {reason: ErrImagePull, message: \"failed to resolve reference docker.io/library/nginx:0\"}}}]}";
    check_reason(status, Some(("ErrImagePull", Some("failed to resolve reference docker.io/library/nginx:0"))));
    let pod = pod(METADATA, "{containers: [{name: app}]}", status);
    assert_eq!((pod.exit_code, pod.last_reason, pod.last_message), (None, None, None));
}
