//! Loading manifests, as people publish them.

use std::fs;
use std::sync::Arc;

use chrono::DateTime;
use portal_core::{FixedClock, FriendId};
use portal_dns::{Hostname, RoutePlace, Routes};
use portal_k8s::{Cluster, Kind, Overview, Phase};

use super::{Loaded, MemoryCluster};

const HOME: &str = "friend-alice";

fn cluster() -> MemoryCluster {
    MemoryCluster::new(Arc::new(FixedClock::new(DateTime::UNIX_EPOCH)))
}

async fn shown(cluster: &MemoryCluster) -> Arc<Overview> {
    cluster.overview(&FriendId::parse("alice").unwrap()).await.unwrap()
}

/// Checks the error of a text that is refused.
#[track_caller]
fn check_refused(text: &str, expected: &[&str]) {
    let error = cluster().load_yaml("app.yaml", text, HOME).unwrap_err().to_string();
    for part in expected {
        assert!(error.contains(part), "{error:?} does not contain {part:?}");
    }
}

#[tokio::test]
async fn documents_lists_and_comments_are_read_and_unknown_kinds_are_noted() {
    let cluster = cluster();
    let loaded = cluster.load_yaml("all.yaml", include_str!("tests/all.yaml"), HOME).unwrap();
    let skipped = [
        "all.yaml:5 (ServiceAccount my-app): nothing is shown of v1 ServiceAccount, left out",
        "all.yaml:49 (Deployment old): nothing is shown of extensions/v1beta1 Deployment, left out",
    ];
    assert_eq!(loaded, Loaded { objects: 8, skipped: skipped.map(str::to_owned).to_vec() });
    let shown = shown(&cluster).await;
    assert_eq!(shown.phase, Some(Phase::Active));
    assert_eq!(
        shown.deployments.iter().map(|it| (&*it.name, it.replicas())).collect::<Vec<_>>(),
        [("my-app", "0/2".to_owned())]
    );
    assert_eq!(shown.pods.iter().map(|it| (&*it.name, &*it.status)).collect::<Vec<_>>(), [("bare", "Pending")]);
    assert_eq!(shown.services.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["db", "elsewhere", "my-app"]);
    assert_eq!(shown.routes.iter().map(|it| it.hostname.as_deref()).collect::<Vec<_>>(), [Some("my-app.example.net")]);
    assert_eq!(shown.secrets(), Some(3));
    let bob = cluster.overview(&FriendId::parse("bob").unwrap()).await.unwrap();
    assert_eq!(bob.services.len(), 1);
}

#[test]
fn an_error_names_file_line_object_and_field() {
    check_refused("a: [", &["app.yaml:"]);
    check_refused("---\n# nothing\n---\nkind: Pod\n", &["app.yaml:4: ", "apiVersion is missing"]);
    check_refused("apiVersion: v1\nmetadata: {name: a}\n", &["app.yaml:1: ", "kind is missing"]);
    check_refused("apiVersion: v1\nkind: Pod\nmetadata: {}\n", &["(Pod without a name)", "metadata.name is missing"]);
    check_refused("just a text", &["app.yaml:1: "]);
    check_refused(
        "# a comment\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: two\n",
        &["app.yaml:7 (Deployment a): ", "spec.replicas"],
    );
    check_refused(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: 80}}",
        &["app.yaml:4 (Service a): ", "spec.ports"],
    );
    check_refused(
        "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"a\"}}\n{\"apiVersion\":\n 7",
        &["app.yaml:3: "],
    );
}

/// The one object that a text is read as, shown.
#[track_caller]
fn check_loaded(text: &str, objects: usize) -> MemoryCluster {
    let cluster = cluster();
    let loaded = cluster.load_yaml("app.yaml", text, HOME).unwrap();
    assert_eq!(loaded, Loaded { objects, skipped: Vec::new() }, "{text}");
    cluster
}

#[tokio::test]
async fn scalars_of_yaml_1_1_and_merge_keys_are_read_as_kubectl_reads_them() {
    let pod = "apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  hostNetwork: no
  enableServiceLinks: on
  volumes: [{name: s, secret: {secretName: tls, defaultMode: 0400}}]
  initContainers: [&base {name: init, image: busybox}]
  containers: [{<<: *base, name: main}]
";
    assert_eq!(shown(&check_loaded(pod, 1)).await.pods[0].image.as_deref(), Some("busybox"));
    let deployment = "apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec: {replicas: 0o2, replicas: 012, selector: {}, template: {spec: {containers: []}}}
";
    assert_eq!(shown(&check_loaded(deployment, 1)).await.deployments[0].desired, 10);
}

#[tokio::test]
async fn a_byte_order_mark_and_windows_line_ends_are_no_obstacle() {
    let service = "\u{feff}apiVersion: v1\r\nkind: Service\r\nmetadata: {name: a}\r\n---\r\n";
    check_loaded(service, 1);
    check_loaded(&format!("# first\n---\n{}", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n...\n"), 1);
}

#[tokio::test]
async fn json_objects_may_follow_each_other() {
    let object = |name: &str| {
        format!(
            "{{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Service\",\n\t\"metadata\": {{\"name\": \"{name}\", \"annotations\": {{\"a\": \"\\ud83d\\ude80 \\/\"}}}}\n}}"
        )
    };
    let shown = shown(&check_loaded(&format!("{}\n{}{}", object("a"), object("b"), object("c")), 3)).await;
    assert_eq!(shown.services.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_list_of_one_kind_lends_its_items_kind_and_version() {
    let list = "kind: ServiceList\napiVersion: v1\nmetadata: {resourceVersion: \"7\"}\nitems: [{metadata: {name: a}}, {metadata: {name: b}}]\n";
    assert_eq!(shown(&check_loaded(list, 2)).await.services.len(), 2);
    check_loaded("kind: DeploymentList\napiVersion: apps/v1\nitems: null\n", 0);
}

#[tokio::test]
async fn in_a_folder_only_what_cannot_be_read_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).unwrap();
    put("a.yaml", b"apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\nkind: [\n---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\n");
    put("kustomization.yaml", b"resources:\n- a.yaml\n");
    put("latin.yaml", b"# caf\xe9\n");
    let cluster = cluster();
    let loaded = cluster.load_path(folder.path(), HOME).unwrap();
    assert_eq!(loaded.objects, 2);
    let place = |name: &str| folder.path().join(name).display().to_string();
    let expected = [place("a.yaml:"), place("kustomization.yaml:1: kind is missing, left out"), place("latin.yaml: ")];
    assert_eq!(loaded.skipped.len(), expected.len(), "{:?}", loaded.skipped);
    for (line, expected) in loaded.skipped.iter().zip(expected) {
        assert!(line.starts_with(&expected), "{line} does not start with {expected}");
    }
    assert_eq!(shown(&cluster).await.services.len(), 2);
}

#[tokio::test]
async fn objects_that_claim_hostnames_are_loaded_though_nothing_is_shown_of_them() {
    let ingress = "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a, namespace: other}
spec: {rules: [{host: '*.example.net'}]}
";
    let place = RoutePlace { namespace: HOME.to_owned(), name: "expose-a".to_owned() };
    let host = Hostname::parse("a-alice.example.net").unwrap();
    let claims = check_loaded(ingress, 1).claims(&place, &[host]).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.kind.as_str()).collect::<Vec<_>>(), ["ingress.networking.k8s.io"]);
}

#[tokio::test]
async fn a_manifest_with_one_wrong_object_changes_nothing() {
    let cluster = cluster();
    let good = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";
    assert!(cluster.load_yaml("app.yaml", &format!("{good}---\nkind: Pod\n"), HOME).is_err());
    assert_eq!(shown(&cluster).await.phase, None);
}

#[tokio::test]
async fn a_folder_is_read_in_the_order_of_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let service =
        |kind: &str| format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{type: {kind}}}\n");
    fs::write(folder.path().join("b.yml"), service("NodePort")).unwrap();
    fs::write(folder.path().join("a.yaml"), service("LoadBalancer")).unwrap();
    fs::write(folder.path().join("notes.txt"), "no manifest").unwrap();
    let cluster = cluster();
    assert_eq!(cluster.load_path(folder.path(), HOME).unwrap().objects, 2);
    assert_eq!(&*shown(&cluster).await.services[0].kind, "NodePort");
    assert_eq!(cluster.load_path(&folder.path().join("a.yaml"), HOME).unwrap().objects, 1);
}

#[test]
fn a_folder_without_manifests_and_a_missing_one_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let error = cluster().load_path(folder.path(), HOME).unwrap_err();
    assert!(error.to_string().contains("holds no .yaml, .yml or .json file"), "{error}");
    let error = cluster().load_path(&folder.path().join("missing"), HOME).unwrap_err();
    assert!(error.to_string().contains("cannot read"), "{error}");
}

#[tokio::test]
async fn a_namespace_that_ends_takes_its_objects_along() {
    let cluster = cluster();
    cluster.load_yaml("app.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n", HOME).unwrap();
    cluster.set_phase(HOME, Some(Phase::Terminating));
    assert_eq!((shown(&cluster).await.phase, shown(&cluster).await.services.len()), (Some(Phase::Terminating), 1));
    cluster.set_phase(HOME, None);
    assert_eq!((shown(&cluster).await.phase, shown(&cluster).await.services.len()), (None, 0));
    assert!(!cluster.delete(Kind::Service, HOME, "a"));
}
