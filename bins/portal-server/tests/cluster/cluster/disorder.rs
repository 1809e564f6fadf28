//! Changes by others in the cluster, before and while a service is exposed.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::fixture::{Fixture, at_home, until, until_within};
use crate::kubectl::{apply, kubectl, object};
use crate::portal::Reply;

/// A watched change is acted upon at once, not with the next pass, which comes after a minute.
const QUICKLY: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_deleted_service_is_told_and_its_exposure_recovers_with_it() -> anyhow::Result<()> {
    let (fixture, one) = (Fixture::start().await?, Backend::start("one").await?);
    fixture.serve(&[&one]).await?;
    fixture.exposed().await?;
    fixture.delete("service", "web").await?;
    until_within(QUICKLY, "the loss is shown", async || {
        let exposure = fixture.exposure().await?;
        let reason = exposure["reason"].as_str().unwrap_or_default().to_owned();
        Ok(exposure["status"] == "failed" && reason.starts_with("service-missing"))
    })
    .await?;
    fixture.serve(&[&one]).await?;
    until_within(QUICKLY, "the exposure recovers", async || Ok(fixture.exposure().await?["status"] == "active"))
        .await?;
    until("the hostname answers again", async || Ok(fixture.visit().await?.0 == StatusCode::OK)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_route_that_was_edited_by_hand_is_repaired() -> anyhow::Result<()> {
    let (fixture, one) = (Fixture::start().await?, Backend::start("one").await?);
    fixture.serve(&[&one]).await?;
    fixture.exposed().await?;
    let route = async || object("ingressroutes.traefik.io", "expose-web", &fixture.namespace).await;
    let written = route().await?["spec"].take();
    let other = json!([{"kind": "Rule", "match": "Host(`elsewhere.test`)", "services": [{"name": "web", "port": 80}]}]);
    let edit = json!({"spec": {"routes": other, "tls": {"options": {"name": "old"}}}}).to_string();
    let arguments =
        ["patch", "ingressroutes.traefik.io", "expose-web", "-n", &fixture.namespace, "--type=merge", "-p", &edit];
    kubectl(&arguments, "").await?;
    until_within(QUICKLY, "the route is repaired", async || Ok(route().await?["spec"] == written)).await?;
    until("the hostname answers", async || Ok(fixture.visit().await?.0 == StatusCode::OK)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_deleted_route_is_made_again() -> anyhow::Result<()> {
    let (fixture, one) = (Fixture::start().await?, Backend::start("one").await?);
    fixture.serve(&[&one]).await?;
    fixture.exposed().await?;
    let uid = async || {
        let arguments =
            ["get", "ingressroutes.traefik.io", "-n", &fixture.namespace, "-o", "jsonpath={.items[*].metadata.uid}"];
        kubectl(&arguments, "").await
    };
    let first = uid().await?;
    fixture.delete("ingressroutes.traefik.io", "expose-web").await?;
    until_within(QUICKLY, "there is another route", async || {
        let now = uid().await?;
        Ok(!now.is_empty() && now != first)
    })
    .await?;
    until("the hostname answers", async || Ok(fixture.visit().await?.0 == StatusCode::OK)).await
}

/// Somebody else's route.
fn foreign(namespace: &str, name: &str, host: &str) -> String {
    let rule = json!({"kind": "Rule", "match": format!("Host(`{host}`)"), "services": [{"name": "web", "port": 80}]});
    json!({
        "apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute",
        "metadata": {"name": name, "namespace": namespace}, "spec": {"entryPoints": ["web"], "routes": [rule]},
    })
    .to_string()
}

/// That the hostname is refused, and the route of somebody else left as it is, to the byte.
async fn check_refused(fixture: &Fixture, namespace: &str, name: &str) -> anyhow::Result<()> {
    let before = object("ingressroutes.traefik.io", name, namespace).await?;
    let Reply { status, body, .. } = fixture.expose(80).await?;
    assert_eq!((status, &body["code"]), (StatusCode::CONFLICT, &json!("hostname-taken")), "{body}");
    assert_eq!(object("ingressroutes.traefik.io", name, namespace).await?.to_string(), before.to_string());
    assert_eq!(fixture.exposure().await?, Value::Null);
    assert!(!fixture.has_record());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn somebody_else_s_route_of_the_same_name_is_left_alone() -> anyhow::Result<()> {
    let (fixture, one) = (Fixture::start().await?, Backend::start("one").await?);
    fixture.serve(&[&one]).await?;
    apply(&foreign(&fixture.namespace, "expose-web", "elsewhere.test")).await?;
    check_refused(&fixture, &fixture.namespace, "expose-web").await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_hostname_that_a_route_of_another_namespace_claims_is_taken() -> anyhow::Result<()> {
    let (fixture, one) = (Fixture::start().await?, Backend::start("one").await?);
    fixture.serve(&[&one]).await?;
    let other = at_home().await?.namespace();
    apply(&foreign(&other, "theirs", &fixture.hostname())).await?;
    check_refused(&fixture, &other, "theirs").await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn what_ends_with_its_namespace_is_told_and_leaves_no_record() -> anyhow::Result<()> {
    let (fixture, one) = (Fixture::start().await?, Backend::start("one").await?);
    fixture.serve(&[&one]).await?;
    fixture.exposed().await?;
    // What holds this up keeps the namespace from being gone before anybody has looked.
    apply(&format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: hold, namespace: {}, finalizers: [test/hold]}}}}",
        fixture.namespace
    ))
    .await?;
    kubectl(&["delete", "namespace", &fixture.namespace, "--wait=false"], "").await?;
    until_within(QUICKLY, "the end is shown", async || {
        Ok(fixture.portal.api.namespace().await?["phase"] == "Terminating")
    })
    .await?;
    until_within(QUICKLY, "the record is removed", async || Ok(!fixture.has_record())).await?;
    until_within(QUICKLY, "the exposure tells why", async || {
        let exposure = fixture.exposure().await?;
        Ok(exposure["reason"].as_str().is_some_and(|reason| reason.starts_with("namespace-gone")))
    })
    .await?;
    let again = json!({"name": "again", "service": "web", "port": 80});
    let Reply { status, body, .. } = fixture.portal.api.post("/namespace/expose", &again).await?;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");

    let release = ["patch", "configmap", "hold", "-n", &fixture.namespace, "--type=merge"];
    let release: Vec<&str> = release.into_iter().chain(["-p", r#"{"metadata": {"finalizers": null}}"#]).collect();
    kubectl(&release, "").await?;
    until("the namespace is gone", async || {
        let shown = fixture.portal.api.namespace().await?;
        Ok(shown["phase"].is_null() && shown["services"] == json!([]))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn an_exhausted_quota_is_shown() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let namespace = &fixture.namespace;
    apply(&format!(
        r#"{{apiVersion: v1, kind: ResourceQuota, metadata: {{name: small, namespace: {namespace}}},
            spec: {{hard: {{services: "1", pods: "0"}}}}}}"#
    ))
    .await?;
    let used = async || Ok(fixture.portal.api.namespace().await?["quota"]["used"].take());
    until("the quota counts", async || used().await.map(|used: Value| used["services"] == "0")).await?;
    let one = Backend::start("one").await?;
    fixture.serve(&[&one]).await?;
    until("the Service is counted", async || used().await.map(|used| used["services"] == "1")).await?;
    let second = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: second, namespace: {namespace}}}, spec: {{ports: [{{port: 80}}]}}}}"
    );
    let refusal = apply(&second).await.map_err(|error| error.to_string());
    assert!(refusal.is_err_and(|refusal| refusal.contains("exceeded quota")));
    apply(&format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: app, namespace: {namespace}}}, spec: {{replicas: 1, \
         selector: {{matchLabels: {{app: a}}}}, template: {{metadata: {{labels: {{app: a}}}}, \
         spec: {{containers: [{{name: a, image: a}}]}}}}}}}}"
    ))
    .await?;
    until("the Deployment is shown", async || {
        Ok(fixture.portal.api.namespace().await?["deployments"][0]["replicas"] == "0/1")
    })
    .await?;
    let shown = fixture.portal.api.namespace().await?;
    assert_eq!(shown["pods"], json!([]));
    assert_eq!(shown["quota"], json!({"hard": {"pods": "0", "services": "1"}, "used": {"pods": "0", "services": "1"}}));
    Ok(())
}
