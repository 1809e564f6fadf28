//! The manifests of `deploy/base`, which the tier applied as they are.

use std::path::Path;

use serde_json::{Value, json};

use crate::fixture::until;
use crate::kubectl::{apply, kubectl, object};

/// Namespace of the portal.
const HOME: &str = "friend-portal";

async fn pods() -> anyhow::Result<Vec<Value>> {
    let arguments = ["get", "pods", "-n", HOME, "-l", "app.kubernetes.io/name=friend-portal", "-o", "json"];
    let mut pods: Value = serde_json::from_str(&kubectl(&arguments, "").await?)?;
    Ok(pods["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn the_shipped_deployment_is_admitted_where_pods_are_restricted() -> anyhow::Result<()> {
    until("there are two pods", async || Ok(pods().await?.len() == 2)).await?;
    for pod in pods().await? {
        let spec = &pod["spec"];
        assert_eq!(spec["serviceAccountName"], "friend-portal");
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert_eq!(spec["containers"][0][probe]["httpGet"]["port"], "http", "{probe}");
        }
    }
    let deployment = object("deployment", "friend-portal", HOME).await?;
    let conditions = deployment["status"]["conditions"].as_array().cloned().unwrap_or_default();
    assert!(conditions.iter().all(|condition| condition["type"] != "ReplicaFailure"), "{conditions:?}");
    // The same namespace refuses what the profile forbids.
    let ordinary = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: ordinary, namespace: {HOME}}}, spec: {{containers: [{{name: a, image: a}}]}}}}"
    );
    let refusal = apply(&ordinary).await.map_err(|error| error.to_string());
    assert!(refusal.is_err_and(|refusal| refusal.contains("violates PodSecurity \"restricted")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn what_is_shipped_around_the_pods_is_about_them() -> anyhow::Result<()> {
    until("the disruption budget counts the pods", async || {
        Ok(object("poddisruptionbudget", "friend-portal", HOME).await?["status"]["expectedPods"] == 2)
    })
    .await?;
    let named =
        |object: &Value, path: &str| object.pointer(path).map(|labels| labels["app.kubernetes.io/name"].clone());
    for (kind, path) in [("service", "/spec/selector"), ("networkpolicy", "/spec/podSelector/matchLabels")] {
        let chosen = named(&object(kind, "friend-portal", HOME).await?, path);
        assert_eq!(chosen, Some(json!("friend-portal")), "{kind}");
    }
    // Both name the ports by name: they have to be ports of the pods.
    let pods = pods().await?;
    let ports: Vec<_> = pods[0]["spec"]["containers"][0]["ports"].as_array().into_iter().flatten().collect();
    let ports: Vec<_> = ports.iter().filter_map(|port| port["name"].as_str()).collect();
    assert_eq!(ports, ["http", "operations"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn what_is_shipped_is_taken_without_a_warning() -> anyhow::Result<()> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/base").display().to_string();
    let applied = kubectl(&["apply", "--dry-run=server", "--warnings-as-errors", "-k", &base], "").await?;
    assert_eq!(applied.lines().count(), 9, "{applied}");
    Ok(())
}
