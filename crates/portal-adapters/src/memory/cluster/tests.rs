//! Loading manifests, as people publish them.

use std::fs;
use std::sync::Arc;

use chrono::DateTime;
use portal_core::{FixedClock, FriendId};
use portal_k8s::{Cluster, Kind, Overview, Phase};

use super::{Loaded, MemoryCluster};

const HOME: &str = "friend-alice";

fn cluster() -> MemoryCluster {
    MemoryCluster::new(Arc::new(FixedClock::at(DateTime::UNIX_EPOCH)))
}

async fn shown(cluster: &MemoryCluster) -> Arc<Overview> {
    cluster.overview(&FriendId::parse("alice").unwrap()).await.unwrap()
}

/// What a text that is refused is refused with.
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
        "all.yaml, document 2 (ServiceAccount my-app): nothing is shown of v1 ServiceAccount, left out",
        "all.yaml, document 7 (Deployment old): nothing is shown of extensions/v1beta1 Deployment, left out",
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
fn an_error_names_file_document_object_and_field() {
    check_refused("a: [", &["app.yaml, document 1"]);
    check_refused("---\n# nothing\n---\nkind: Pod\n", &["app.yaml, document 2", "apiVersion is missing"]);
    check_refused("apiVersion: v1\nmetadata: {name: a}\n", &["app.yaml, document 1", "kind is missing"]);
    check_refused("apiVersion: v1\nkind: Pod\nmetadata: {}\n", &["(Pod without a name)", "metadata.name is missing"]);
    check_refused("just a text", &["app.yaml, document 1"]);
    check_refused(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: two\n",
        &["app.yaml, document 1 (Deployment a)", "spec.replicas", "line 5"],
    );
    check_refused(
        "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: 80}}]",
        &["app.yaml, document 1, item 1 (Service a)", "spec.ports"],
    );
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
