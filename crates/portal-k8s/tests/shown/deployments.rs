use k8s_openapi::api::apps::v1::Deployment;
use portal_k8s::DeploymentSummary;

use crate::{object, texts};

#[track_caller]
fn deployment(yaml: &str) -> DeploymentSummary {
    DeploymentSummary::from(&object::<Deployment>(yaml))
}

#[track_caller]
fn check_replicas(spec: &str, status: &str, expected: &str) {
    let yaml = format!("metadata: {{name: a}}\nspec: {{selector: {{}}, template: {{}}, {spec}}}\n{status}");
    assert_eq!(deployment(&yaml).replicas(), expected, "{yaml}");
}

#[test]
fn replicas_are_ready_ones_of_desired_ones() {
    check_replicas("replicas: 3", "status: {replicas: 3, readyReplicas: 2}", "2/3");
    check_replicas("replicas: 0", "status: {}", "0/0");
    check_replicas("replicas: 2", "", "0/2");
    check_replicas("", "status: {readyReplicas: 1}", "1/1");
    check_replicas("", "", "0/1");
}

#[test]
fn secrets_are_found_wherever_a_pod_can_use_one() {
    let shown = deployment(include_str!("secrets.yaml"));
    assert_eq!(
        texts(&shown.secret_refs),
        [
            "azure-key",
            "ceph-key",
            "csi-login",
            "env-key",
            "env-whole",
            "flex-login",
            "init-key",
            "init-whole",
            "iscsi-login",
            "mounted",
            "projected-a",
            "projected-b",
            "pull",
            "rbd-key",
            "shared",
        ]
    );
    assert_eq!(shown.image.as_deref(), Some("registry.example/app@sha256:0123"));
}

#[test]
fn a_deployment_without_containers_has_neither_image_nor_secrets() {
    let shown = deployment("metadata: {name: a}\nspec: {selector: {}, template: {}}");
    assert_eq!((shown.image, shown.secret_refs.len(), shown.age), (None, 0, None));
}

#[track_caller]
fn check_failure(conditions: &str, expected: Option<(&str, &str)>) {
    let yaml = format!(
        "metadata: {{name: a}}\nspec: {{selector: {{}}, template: {{}}}}\nstatus: {{conditions: [{conditions}]}}"
    );
    let shown = deployment(&yaml);
    assert_eq!(shown.reason.as_deref().zip(shown.message.as_deref()), expected, "{conditions}");
}

#[test]
fn a_deployment_says_why_it_does_not_get_on() {
    let available = "{type: Available, status: \"False\", reason: MinimumReplicasUnavailable, message: low}";
    let stuck = "{type: Progressing, status: \"False\", reason: ProgressDeadlineExceeded, message: timed out}";
    let quota = "{type: ReplicaFailure, status: \"True\", reason: FailedCreate, message: \"exceeded quota: pods=3\"}";
    let going_on = "{type: Progressing, status: \"True\", reason: ReplicaSetUpdated, message: going on}";
    check_failure(&format!("{available}, {stuck}"), Some(("ProgressDeadlineExceeded", "timed out")));
    check_failure(&format!("{stuck}, {quota}"), Some(("FailedCreate", "exceeded quota: pods=3")));
    check_failure(&format!("{going_on}, {quota}"), Some(("FailedCreate", "exceeded quota: pods=3")));
    check_failure(&format!("{available}, {going_on}"), None);
    check_failure("", None);
}

#[test]
fn a_deployment_says_since_when_it_does_not_get_on() {
    let since = |conditions: &str| {
        let yaml = format!(
            "metadata: {{name: a}}\nspec: {{selector: {{}}, template: {{}}}}\nstatus: {{conditions: [{conditions}]}}"
        );
        deployment(&yaml).since.map(|since| since.to_rfc3339())
    };
    let at = |type_: &str, status: &str, time: &str| {
        format!(
            "{{type: {type_}, status: \"{status}\", lastUpdateTime: \"2026-03-01T09:30:00Z\", lastTransitionTime: {time}}}"
        )
    };
    let stuck = at("Progressing", "False", "\"2026-03-01T08:00:00Z\"");
    let refused = at("ReplicaFailure", "True", "\"2026-03-01T09:10:00Z\"");
    assert_eq!(since(&stuck).as_deref(), Some("2026-03-01T08:00:00+00:00"));
    // The time of the condition that is shown.
    assert_eq!(since(&format!("{stuck}, {refused}")).as_deref(), Some("2026-03-01T09:10:00+00:00"));
    assert_eq!(since(&at("Progressing", "True", "\"2026-03-01T08:00:00Z\"")), None);
    assert_eq!(since("{type: ReplicaFailure, status: \"True\"}"), None);
}
