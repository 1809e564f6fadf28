//! Namespaces, as they are shown to their friends.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use portal_core::FriendId;
use portal_k8s::{Overview, Phase};
use tokio::time::{Instant, sleep};

use crate::fixture::NamespaceFixture;

/// Longest time in which a change of the cluster is seen.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

const DEPLOYMENT: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: a, image: nginx, envFrom: [{secretRef: {name: key}}]}]}
";
const ROUTE: &str = r"
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: shop}
spec: {routes: [{kind: Rule, match: 'Host(`shop.example.org`)', services: [{name: web, port: 80}]}]}
";

fn service(name: &str) -> String {
    format!("{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{ports: [{{port: 80}}]}}}}")
}

/// Waits until something is so.
#[track_caller]
fn until<F: Future<Output = bool>>(is_so: impl Fn() -> F) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let started = Instant::now();
        while !is_so().await {
            assert!(started.elapsed() < TIMEOUT, "it did not come to be: {caller}");
            sleep(PAUSE).await;
        }
    }
}

impl NamespaceFixture {
    async fn shown(&self, friend: &FriendId) -> Arc<Overview> {
        self.cluster.overview(friend).await.unwrap()
    }

    /// Creates a friend's namespace and waits until it is shown.
    async fn create(&self, friend: &FriendId) {
        self.editor.create_namespace(&friend.namespace()).await;
        until(|| async { self.shown(friend).await.phase == Some(Phase::Active) }).await;
    }

    /// Creates or changes an object and waits until the overview shows it.
    async fn apply(&self, friend: &FriendId, yaml: &str, is_shown: impl Fn(&Overview) -> bool) {
        self.editor.apply(&friend.namespace(), yaml).await;
        let is_shown = &is_shown;
        until(|| async move {
            let shown = self.shown(friend).await;
            is_shown(&shown)
        })
        .await;
    }
}

/// Names of the Services.
fn services(overview: &Overview) -> Vec<&str> {
    overview.services.iter().map(|service| &*service.name).collect()
}

#[track_caller]
fn assert_empty(overview: &Overview) {
    let sizes = [overview.pods.len(), overview.services.len(), overview.deployments.len(), overview.routes.len()];
    assert_eq!((sizes, &overview.quota), ([0; 4], &None));
}

pub async fn a_namespace_that_does_not_exist_is_known_to_be_empty(fixture: &NamespaceFixture) {
    let shown = fixture.shown(&fixture.friend).await;
    assert_eq!((shown.phase, shown.secrets()), (None, Some(0)));
    assert_empty(&shown);
}

pub async fn a_new_namespace_is_active_and_empty(fixture: &NamespaceFixture) {
    fixture.create(&fixture.friend).await;
    let shown = fixture.shown(&fixture.friend).await;
    assert_eq!((shown.phase, shown.secrets()), (Some(Phase::Active), None), "nobody counts its secrets");
    assert_empty(&shown);
}

pub async fn what_is_in_a_namespace_is_shown_by_name(fixture: &NamespaceFixture) {
    let alice = &fixture.friend;
    fixture.create(alice).await;
    for name in ["web-2", "a", "web"] {
        fixture.apply(alice, &service(name), |shown| services(shown).contains(&name)).await;
    }
    fixture.apply(alice, DEPLOYMENT, |shown| !shown.deployments.is_empty()).await;
    fixture.apply(alice, ROUTE, |shown| !shown.routes.is_empty()).await;
    let shown = fixture.shown(alice).await;
    assert_eq!(services(&shown), ["a", "web", "web-2"]);
    let [deployment] = &shown.deployments[..] else { panic!("{:?}", shown.deployments) };
    assert_eq!((&*deployment.name, deployment.replicas()), ("shop", "0/2".to_owned()));
    assert_eq!(deployment.secret_refs.iter().map(|name| &**name).collect::<Vec<_>>(), ["key"]);
    let [route] = &shown.routes[..] else { panic!("{:?}", shown.routes) };
    assert_eq!((&*route.name, route.hostname.as_deref()), ("shop", Some("shop.example.org")));
}

pub async fn what_is_in_another_namespace_is_not_shown(fixture: &NamespaceFixture) {
    let (alice, bob) = (&fixture.friend, &fixture.other);
    fixture.create(alice).await;
    fixture.create(bob).await;
    let before = fixture.shown(alice).await;
    fixture.apply(bob, &service("theirs"), |shown| services(shown) == ["theirs"]).await;
    let after = fixture.shown(alice).await;
    assert!(Arc::ptr_eq(&before, &after), "the overview of one namespace is untouched by another");
    assert_empty(&after);
}

pub async fn an_overview_stays_the_same_until_something_changes(fixture: &NamespaceFixture) {
    let alice = &fixture.friend;
    fixture.create(alice).await;
    fixture.apply(alice, DEPLOYMENT, |shown| !shown.deployments.is_empty()).await;
    // A controller may still be writing; two overviews in a row are the same one once it is done.
    until(|| async { Arc::ptr_eq(&fixture.shown(alice).await, &fixture.shown(alice).await) }).await;
    let before = fixture.shown(alice).await;
    fixture.apply(alice, &service("web"), |shown| services(shown) == ["web"]).await;
    let after = fixture.shown(alice).await;
    assert!(after.observed_at >= before.observed_at, "{} {}", after.observed_at, before.observed_at);
    assert!(before.services.is_empty(), "an overview that was handed out does not change");
}

pub async fn what_is_deleted_is_shown_no_more(fixture: &NamespaceFixture) {
    let alice = &fixture.friend;
    fixture.create(alice).await;
    for name in ["stays", "goes"] {
        fixture.apply(alice, &service(name), |shown| services(shown).contains(&name)).await;
    }
    fixture.editor.delete_service(&alice.namespace(), "goes").await;
    until(|| async {
        let shown = fixture.shown(alice).await;
        services(&shown) == ["stays"]
    })
    .await;
}

pub async fn a_namespace_that_ends_is_not_shown_as_active(fixture: &NamespaceFixture) {
    let alice = &fixture.friend;
    fixture.create(alice).await;
    fixture.editor.end_namespace(&alice.namespace()).await;
    until(|| async { fixture.shown(alice).await.phase != Some(Phase::Active) }).await;
    let shown = fixture.shown(alice).await;
    if shown.phase.is_none() {
        assert_empty(&shown);
    }
}
