//! What the API server's answers mean.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use portal_core::{BackendError, BackendErrorKind, FixedClock};
use portal_dns::{
    ExposureId, Freshness, Hostname, InstanceId, OwnershipMarker, RouteCreated, RoutePlace, RouteSpec, Routes,
    ServiceName, ServicePort, Tls,
};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tower_test::mock::{self, SendResponse};

use super::KubeRoutes;
use crate::kube::{KubeCluster, KubeSettings};

type Server = mock::Handle<Request<Body>, Response<Body>>;

fn routes() -> (KubeRoutes, Server) {
    let (watched, _) = mock::pair::<Request<Body>, Response<Body>>();
    let clock = Arc::new(FixedClock::at(DateTime::UNIX_EPOCH));
    let watching = Client::new(watched, "default");
    let cluster = KubeCluster::watching(&watching, KubeSettings::default(), clock, &Handle::current());
    let (service, server) = mock::pair();
    (KubeRoutes::new(Client::new(service, "default"), Arc::new(cluster)), server)
}

fn place() -> RoutePlace {
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

/// What creating a route comes to when the API server answers like this.
async fn created(code: u16, body: Value) -> Result<RouteCreated, BackendError> {
    let (routes, mut server) = routes();
    let answering = tokio::spawn(async move {
        let (request, answer) = server.next_request().await.unwrap();
        assert_eq!(request.method(), "POST");
        let path = "/apis/traefik.io/v1alpha1/namespaces/friend-alice/ingressroutes";
        assert_eq!(request.uri().path(), path);
        send(answer, code, &body);
    });
    let created = routes.create(&place(), &spec(), &marker()).await;
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
async fn trouble_is_told_by_what_an_operator_would_do_about_it() {
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
    let silent = routes.look(&place(), &[host()], Freshness::Live).await.unwrap_err();
    assert!(matches!(silent, BackendError { kind: BackendErrorKind::Unavailable, .. }), "{silent:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_watched_yet_is_unavailable_and_not_empty() {
    let (routes, _server) = routes();
    assert!(matches!(routes.list().await, Err(BackendError { kind: BackendErrorKind::Unavailable, .. })));
    let watched = routes.look(&place(), &[host()], Freshness::Watched).await;
    assert!(matches!(watched, Err(BackendError { kind: BackendErrorKind::Unavailable, .. })));
}

#[tokio::test(start_paused = true)]
async fn every_page_of_routes_is_looked_at() {
    let (routes, mut server) = routes();
    let answering = tokio::spawn(async move {
        for (next, name) in [(json!("more"), "a"), (json!(null), "b")] {
            let (request, answer) = server.next_request().await.unwrap();
            assert!(request.uri().path().ends_with("/apis/traefik.io/v1alpha1/ingressroutes"));
            let route = json!({
                "metadata": {"name": name, "namespace": "other", "uid": name, "resourceVersion": "1"},
                "spec": {"routes": [{"match": format!("Host(`{}`)", host())}]},
            });
            let list = json!({"kind": "IngressRouteList", "apiVersion": "traefik.io/v1alpha1",
                "metadata": {"continue": next}, "items": [route]});
            send(answer, 200, &list);
        }
    });
    let seen = routes.look(&place(), &[host()], Freshness::Live).await.unwrap();
    answering.await.unwrap();
    let names: Vec<_> = seen.others.iter().map(|route| route.place.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}
