//! Changes that happen while the portal's API server is away, and which that server no longer tells of afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::ensure;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::api_server::{ApiServer, ITSELF};
use crate::fixture::{Fixture, at_home, until, until_within};
use crate::kubectl::kubectl;
use crate::portal::{ApiClient, Reply};

/// Log line of the portal about a 410 answer.
const FORGOTTEN: &str = "the API server has forgotten a watch's version; everything is listed again";
/// Watched resources that are shown, all of which the test changes.
const TOPICS: [&str; 6] =
    ["Namespaces", "Objects(Deployment)", "Objects(Pod)", "Objects(Quota)", "Objects(Route)", "Objects(Service)"];

fn service(name: &str) -> String {
    format!("{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{ports: [{{port: 80}}]}}}}")
}

fn quota(services: u32) -> String {
    format!(
        "{{apiVersion: v1, kind: ResourceQuota, metadata: {{name: all}}, spec: {{hard: {{services: '{services}'}}}}}}"
    )
}

fn deployment(name: &str) -> String {
    let labels = format!("{{app: {name}}}");
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{replicas: 1, \
         selector: {{matchLabels: {labels}}}, template: {{metadata: {{labels: {labels}}}, \
         spec: {{containers: [{{name: a, image: a}}]}}}}}}}}"
    )
}

fn route(name: &str) -> String {
    format!(
        "{{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {{name: {name}}}, \
         spec: {{routes: [{{kind: Rule, match: 'Host(`{name}.test`)', services: [{{name: web, port: 80}}]}}]}}}}"
    )
}

/// Applies manifests in a friend's namespace.
async fn put(fixture: &Fixture, manifests: &[String]) -> anyhow::Result<()> {
    let arguments = ["apply", "--namespace", &fixture.namespace, "-f", "-"];
    kubectl(&arguments, &manifests.join("\n---\n")).await.map(drop)
}

/// The names that are shown in a list of the overview.
fn names(shown: &Value, list: &str) -> BTreeSet<String> {
    let items = shown[list].as_array().into_iter().flatten();
    items.filter_map(|item| item["name"].as_str().map(str::to_owned)).collect()
}

/// Reads the namespace over and over until it is told to stop: what always stood is always there, what was deleted
/// does not come back, and nothing is empty.
async fn read_on(api: ApiClient, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let mut is_over = false;
    while !stop.load(Ordering::Relaxed) {
        let Reply { status, body, .. } = api.get("/namespace").await?;
        if status != StatusCode::SERVICE_UNAVAILABLE {
            ensure!(status == StatusCode::OK && body["phase"] == "Active", "{status}: {body}");
            for list in ["services", "deployments", "pods", "ingressRoutes"] {
                ensure!(!names(&body, list).is_empty(), "{list} is empty: {body}");
            }
            let services = names(&body, "services");
            ensure!(services.contains("web") && !body["quota"].is_null(), "what always stood is missing: {body}");
            ensure!(!is_over || !services.contains("old"), "what was deleted is back: {body}");
            is_over = !services.contains("old");
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Returns the overview without the time of its first sight.
async fn shown(fixture: &Fixture) -> anyhow::Result<Value> {
    let mut shown = fixture.portal.api.namespace().await?;
    shown["observedAt"].take();
    Ok(shown)
}

/// Has the portal miss changes, through an API server with these flags.
async fn miss_changes(flags: &'static [&'static str]) -> anyhow::Result<()> {
    let mut server = ApiServer::start_in(tempfile::tempdir()?, flags)?;
    let mut fixture = Fixture::of(at_home().await?, &server.kubeconfig(ITSELF).await?).await?;
    put(&fixture, &[service("web"), service("old"), quota(5), deployment("stays"), deployment("old"), route("old")])
        .await?;
    until("all of it is shown", async || {
        let shown = shown(&fixture).await?;
        let (pods, routes) = (names(&shown, "pods"), names(&shown, "ingressRoutes"));
        Ok(pods.len() == 2 && routes.len() == 1 && shown["quota"]["used"]["services"] == "2")
    })
    .await?;
    assert_eq!(fixture.portal.logged(FORGOTTEN), Vec::<Value>::new());

    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_on(fixture.portal.api.clone(), stop.clone()));
    server.kill()?;
    // The other API server knows nothing of that.
    let namespace = fixture.namespace.clone();
    for (kind, name) in [("service", "old"), ("deployment", "old"), ("ingressroutes.traefik.io", "old")] {
        kubectl(&["delete", kind, name, "--namespace", &namespace, "--wait=false"], "").await?;
    }
    put(&fixture, &[service("new"), quota(6), deployment("new"), route("new")]).await?;
    // What the portal remembers of namespaces is to be too old as well.
    kubectl(&["label", "namespace", &namespace, "changed=yes"], "").await?;
    let pods = ["get", "pods", "--namespace", &namespace, "-o", "name"];
    until("the controllers are done", async || {
        let pods = kubectl(&pods, "").await?;
        Ok(!pods.contains("/old-") && pods.contains("/new-") && pods.contains("/stays-"))
    })
    .await?;
    server.restart()?;

    until_within(Duration::from_mins(1), "the changes are shown", async || {
        let Reply { status, body, .. } = fixture.portal.api.get("/namespace").await?;
        let of = |list| names(&body, list).into_iter().collect::<Vec<_>>();
        let pods = of("pods");
        Ok(status == StatusCode::OK
            && (of("services"), of("deployments")) == (strings(&["new", "web"]), strings(&["new", "stays"]))
            && of("ingressRoutes") == ["new"]
            && pods.len() == 2
            && pods.iter().all(|pod| !pod.starts_with("old-"))
            && body["quota"] == json!({"hard": {"services": "6"}, "used": {"services": "2"}}))
    })
    .await?;
    stop.store(true, Ordering::Relaxed);
    reader.await??;

    let forgotten = fixture.portal.logged(FORGOTTEN);
    let topics: BTreeSet<_> = forgotten.iter().filter_map(|event| event["topic"].as_str()).collect();
    // Nothing of the kinds that only claim was changed, so the server may still know where their watches were.
    assert!(topics.is_superset(&BTreeSet::from(TOPICS)), "{forgotten:?}");
    for event in &forgotten {
        let told = event["error"].as_str().unwrap_or_default();
        assert!(told.contains("too old resource version"), "the API server's own words: {event}");
    }
    // A portal that has seen nothing of all that shows the same.
    let resynced = shown(&fixture).await?;
    fixture.restart_portal()?;
    until("the new portal shows the namespace", async || {
        Ok(fixture.portal.api.get("/namespace").await?.status == StatusCode::OK)
    })
    .await?;
    assert_eq!(shown(&fixture).await?, resynced);
    Ok(())
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn changes_that_the_api_server_forgot_are_shown_after_a_streamed_list() -> anyhow::Result<()> {
    miss_changes(&[]).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn changes_that_the_api_server_forgot_are_shown_after_a_list_in_pages() -> anyhow::Result<()> {
    miss_changes(&["--feature-gates=WatchList=false"]).await
}
