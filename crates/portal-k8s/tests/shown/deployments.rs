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
