//! Meanings of the API server's responses.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use http::{Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use portal_core::{BackendError, BackendErrorKind, FixedClock};
use portal_dns::{
    EXPOSURE_LABEL, ExposureId, Freshness, Hostname, INSTANCE_LABEL, InstanceId, OwnershipMarker, RouteChanged,
    RouteCreated, RoutePlace, RouteSpec, RouteVersion, Routes, ServiceName, ServicePort, Tls,
};
use portal_k8s::{ClaimKind, HostClaims, IngressRoute, Kind};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tower_test::mock::{self, SendResponse};

use super::KubeRoutes;
use crate::kube::observe::{Content, ObjectUpdate, Observe, Topic};
use crate::kube::{KubeCluster, KubeSettings};

type Server = mock::Handle<Request<Body>, Response<Body>>;

fn routes() -> (KubeRoutes, Server) {
    let (watched, _) = mock::pair::<Request<Body>, Response<Body>>();
    let clock = Arc::new(FixedClock::new(DateTime::UNIX_EPOCH));
    let watching = Client::new(watched, "default");
    let cluster = KubeCluster::watching(&watching, KubeSettings::default(), clock, &Handle::current());
    let (service, server) = mock::pair();
    (KubeRoutes::new(Client::new(service, "default"), Arc::new(cluster)), server)
}

fn route_place() -> RoutePlace {
    RoutePlace { namespace: "friend-alice".to_owned(), name: "expose-my-app".to_owned() }
}

fn host() -> Hostname {
    Hostname::parse("my-app-alice.your-domain.net").unwrap()
}

fn spec() -> RouteSpec {
    RouteSpec {
        hosts: vec![host()],
        service: ServiceName::parse("my-app").unwrap(),
        port: ServicePort::parse(80).unwrap(),
        entry_points: Vec::new(),
        tls: Tls::Off,
        priority: None,
    }
}

fn marker() -> OwnershipMarker {
    let id = "0".repeat(32);
    OwnershipMarker { instance: InstanceId::parse(&id).unwrap(), exposure: ExposureId::parse(&id).unwrap() }
}

fn send(answer: SendResponse<Response<Body>>, code: u16, body: &Value) {
    let bytes = serde_json::to_vec(body).unwrap();
    answer.send_response(Response::builder().status(code).body(Body::from(bytes)).unwrap());
}

fn failure(code: u16, reason: &str, details: &Value) -> Value {
    json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "no", "details": details})
}

/// Creates a route while the API server answers like this.
async fn created(code: u16, body: Value) -> Result<RouteCreated, BackendError> {
    let (routes, mut server) = routes();
    let answering = tokio::spawn(async move {
        let (request, answer) = server.next_request().await.unwrap();
        assert_eq!(request.method(), "POST");
        let path = "/apis/traefik.io/v1alpha1/namespaces/friend-alice/ingressroutes";
        assert_eq!(request.uri().path(), path);
        send(answer, code, &body);
    });
    let created = routes.create(&route_place(), &spec(), &marker()).await;
    answering.await.unwrap();
    created
}

#[tokio::test(start_paused = true)]
async fn a_route_that_cannot_be_created_is_told_from_one_that_must_not_be() {
    let exists = created(409, failure(409, "AlreadyExists", &json!({}))).await;
    assert_eq!(exists.unwrap(), RouteCreated::Exists);
    let no_namespace = created(404, failure(404, "NotFound", &json!({}))).await;
    assert_eq!(no_namespace.unwrap(), RouteCreated::NamespaceGone);
    let ending = json!({"causes": [{"reason": "NamespaceTerminating", "message": "", "field": ""}]});
    let ending = created(403, failure(403, "Forbidden", &ending)).await;
    assert_eq!(ending.unwrap(), RouteCreated::NamespaceGone);
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_apart_by_what_an_operator_would_do_about_it() {
    for code in [401, 403] {
        let denied = created(code, failure(code, "Forbidden", &json!({}))).await.unwrap_err();
        assert!(matches!(denied, BackendError { kind: BackendErrorKind::Denied, .. }), "{code}: {denied:?}");
    }
    for code in [429, 500, 503, 504] {
        let away = created(code, failure(code, "", &json!({"retryAfterSeconds": 7}))).await.unwrap_err();
        assert!(matches!(away, BackendError { kind: BackendErrorKind::Unavailable, .. }), "{code}: {away:?}");
        assert_eq!(away.retry_after, Some(Duration::from_secs(7)));
    }
    let refused = created(422, failure(422, "Invalid", &json!({}))).await.unwrap_err();
    assert!(matches!(refused, BackendError { kind: BackendErrorKind::Failed, .. }), "{refused:?}");
    let nonsense = created(200, json!({"kind": "Nonsense"})).await.unwrap_err();
    assert!(matches!(nonsense, BackendError { kind: BackendErrorKind::Failed, .. }), "{nonsense:?}");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_unavailable() {
    let (routes, _server) = routes();
    let silent = routes.create(&route_place(), &spec(), &marker()).await.unwrap_err();
    assert!(matches!(silent, BackendError { kind: BackendErrorKind::Unavailable, .. }), "{silent:?}");
}

/// The route at our place as the API server has it, of the exposure with this id.
fn stored(exposure: &str) -> Value {
    let labels = json!({EXPOSURE_LABEL: exposure, INSTANCE_LABEL: marker().instance.to_string()});
    let metadata = json!({
        "name": "expose-my-app", "namespace": "friend-alice", "uid": "u", "resourceVersion": "7", "labels": labels,
    });
    json!({"metadata": metadata, "spec": {"routes": []}})
}

fn version() -> RouteVersion {
    RouteVersion { uid: "u".to_owned(), resource_version: "7".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_route_is_deleted_only_as_it_was_read() {
    let (routes, mut server) = routes();
    let answering = tokio::spawn(async move {
        let (request, answer) = server.next_request().await.unwrap();
        assert_eq!(request.method(), "GET");
        send(answer, 200, &stored(marker().exposure.as_str()));
        let (request, answer) = server.next_request().await.unwrap();
        assert_eq!(request.method(), "DELETE");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["preconditions"], json!({"uid": "u", "resourceVersion": "7"}));
        send(answer, 200, &json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 200}));
    });
    assert_eq!(routes.delete(&route_place(), &marker(), &version()).await.unwrap(), RouteChanged::Done);
    answering.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_route_with_another_marker_is_neither_changed_nor_deleted() {
    let (routes, mut server) = routes();
    let answering = tokio::spawn(async move {
        while let Some((request, answer)) = server.next_request().await {
            assert_eq!(request.method(), "GET", "it is only looked at");
            send(answer, 200, &stored(&"1".repeat(32)));
        }
    });
    assert_eq!(routes.delete(&route_place(), &marker(), &version()).await.unwrap(), RouteChanged::Stale);
    assert_eq!(routes.change(&route_place(), &spec(), &marker(), &version()).await.unwrap(), RouteChanged::Stale);
    drop(routes);
    answering.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_not_watched_yet_is_unavailable_and_not_empty() {
    let (routes, _server) = routes();
    assert!(matches!(routes.list().await, Err(BackendError { kind: BackendErrorKind::Unavailable, .. })));
    for freshness in [Freshness::Live, Freshness::Watched] {
        let routes = routes.look(&route_place(), &[host()], freshness).await;
        assert!(matches!(routes, Err(BackendError { kind: BackendErrorKind::Unavailable, .. })));
    }
    routes.cluster.cache.listed_all(Topic::Objects(Kind::Route), &HashSet::new());
    assert!(routes.list().await.unwrap().is_empty());
    let claims = routes.claims(&route_place(), &[host()]).await;
    assert!(matches!(claims, Err(BackendError { kind: BackendErrorKind::Unavailable, .. })), "kinds that may claim it");
}

#[tokio::test(start_paused = true)]
async fn live_means_our_own_route_alone() {
    let (routes, mut server) = routes();
    for topic in Topic::all() {
        routes.cluster.cache.listed_all(topic, &HashSet::new());
    }
    let answering = tokio::spawn(async move {
        let (request, answer) = server.next_request().await.unwrap();
        let path = "/apis/traefik.io/v1alpha1/namespaces/friend-alice/ingressroutes/expose-my-app";
        assert_eq!(request.uri().path(), path);
        let metadata =
            json!({"name": "expose-my-app", "namespace": "friend-alice", "uid": "u", "resourceVersion": "1"});
        send(answer, 200, &json!({"metadata": metadata, "spec": {"routes": []}}));
        assert!(server.next_request().await.is_none(), "nothing is listed");
    });
    let seen = routes.look(&route_place(), &[host()], Freshness::Live).await.unwrap();
    assert_eq!(seen.own.map(|own| own.version.uid), Some("u".to_owned()));
    assert_eq!(routes.claims(&route_place(), &[host()]).await.unwrap(), []);
    drop(routes);
    answering.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn claims_of_all_kinds_are_told_and_our_own_route_is_none() {
    let (routes, _server) = routes();
    for topic in Topic::all() {
        routes.cluster.cache.listed_all(topic, &HashSet::new());
    }
    let labels = json!({EXPOSURE_LABEL: marker().exposure.to_string(), INSTANCE_LABEL: marker().instance.to_string()});
    for (namespace, name, labels) in
        [("friend-alice", "expose-my-app", json!({})), ("friend-bob", "copied", labels), ("other", "theirs", json!({}))]
    {
        let route: IngressRoute = serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": namespace, "uid": name, "resourceVersion": "1", "labels": labels},
            "spec": {"routes": [{"match": format!("Host(`{}`)", host()), "priority": 7}]},
        }))
        .unwrap();
        let content = route.content();
        routes.cluster.cache.put(ObjectUpdate { namespace: namespace.to_owned(), name: name.to_owned(), content });
    }
    let claims = HostClaims::read(ClaimKind::Ingress, None, &json!({"rules": [{"host": "*.your-domain.net"}]}));
    let content = Content::Claims(ClaimKind::Ingress, claims);
    routes.cluster.cache.put(ObjectUpdate { namespace: "other".to_owned(), name: "theirs".to_owned(), content });

    let others = routes.look(&route_place(), &[host()], Freshness::Watched).await.unwrap().others;
    assert_eq!(others.iter().map(|route| route.place.name.as_str()).collect::<Vec<_>>(), ["copied"]);
    let mut claims = routes.claims(&route_place(), &[host()]).await.unwrap();
    claims.sort_by(|one, other| one.kind.cmp(&other.kind));
    let told: Vec<_> = claims.iter().map(|it| (it.kind.as_str(), it.place.namespace.as_str(), it.priority)).collect();
    assert_eq!(told, [("ingress.networking.k8s.io", "other", 100_000), ("ingressroute.traefik.io", "other", 7)]);
}
