//! `/namespace`.

use std::time::Duration;

use actix_web::http::Method;
use portal_adapters::memory::MemoryCluster;
use portal_api::{Count, QuotaSecrets};
use portal_core::{Actor, Backend, FixedClock, FriendshipKey};
use portal_dns::OpenExposure;
use portal_k8s::{Kind, Phase};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::fixture::{CAUSE, Fixture, Reply, agent_id, friend_id, now, request};

const PATH: &str = "/api/portal/namespace";
const HOME: &str = "friend-alice";

async fn with_workloads() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.kubernetes.load_yaml("namespace.yaml", include_str!("namespace.yaml"), HOME).unwrap();
    fixture
}

async fn expose(fixture: &Fixture) {
    let wanted = OpenExposure::parse("my-app", "my-app", None, None).unwrap();
    let alice = friend_id("alice");
    fixture.state.exposures.open(&alice, wanted, Actor::Friend(alice.clone())).await.unwrap();
}

async fn show(fixture: &Fixture) -> Reply {
    fixture.get(PATH, &fixture.login("alice").await).await
}

async fn show_unless(fixture: &Fixture, tag: &str) -> Reply {
    let token = fixture.login("alice").await;
    fixture.ask(request(Method::GET, PATH, &token).insert_header(("if-none-match", tag))).await
}

fn exposure() -> Value {
    json!({
        "ok": true,
        "name": "my-app",
        "hostname": "my-app-alice.your-domain.net",
        "url": "https://my-app-alice.your-domain.net",
        "service": "my-app",
        "port": 80,
        "domain": "your-domain.net",
        "status": "active",
        "reason": null,
        "error": null,
        "steps": [{"step": "route", "done": true}, {"step": "record", "done": true}],
        "reachable": {"state": "unknown", "checked_at": null, "hint": null},
        "created_at": "2026-03-01T10:00:00Z",
    })
}

#[actix_web::test]
async fn a_namespace_is_the_specification_s_example_with_what_was_added() {
    let fixture = with_workloads().await;
    expose(&fixture).await;
    let answer = show(&fixture).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    assert_eq!(
        answer.json(),
        json!({
            "pods": [{
                "name": "my-app-1", "status": "Running", "ready": false, "restarts": 7, "image": "nginx:alpine",
                "age": "2026-03-01T10:00:00Z", "reason": "CrashLoopBackOff", "message": "back-off",
                "exitCode": 137, "lastReason": "OOMKilled", "lastMessage": null,
            }],
            "services": [{
                "name": "my-app", "type": "ClusterIP", "clusterIP": "10.0.0.1",
                "ports": [
                    {"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"},
                    {"name": null, "port": 81, "targetPort": 81, "protocol": "TCP"},
                ],
            }],
            "deployments": [{
                "name": "my-app", "replicas": "1/1", "image": "nginx:alpine", "age": "2026-03-01T10:00:00Z",
                "secretRefs": ["my-api-key"], "reason": null, "message": null, "since": null,
            }],
            "quota": {"hard": {"pods": "3", "secrets": "20"}, "used": {"pods": "1", "secrets": "3"}},
            "ingressRoutes": [{
                "name": "expose-my-app", "hostname": "my-app-alice.your-domain.net", "service": "my-app",
                "exposure": exposure(),
            }],
            "phase": "Active",
            "observedAt": "2026-03-01T10:00:00Z",
        })
    );
}

#[actix_web::test]
async fn an_exposure_without_a_route_is_shown_under_the_name_of_its_route() {
    let fixture = with_workloads().await;
    expose(&fixture).await;
    assert!(fixture.kubernetes.delete(Kind::Route, HOME, "expose-my-app"));
    let routes = &show(&fixture).await.json()["ingressRoutes"];
    assert_eq!(routes[0]["name"], "expose-my-app");
    assert_eq!(routes[0]["hostname"], "my-app-alice.your-domain.net");
    assert_eq!(routes[0]["exposure"], exposure());
}

#[actix_web::test]
async fn a_route_that_the_portal_did_not_make_has_no_exposure() {
    let fixture = with_workloads().await;
    let route = "{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {name: a},
        spec: {routes: [{match: Host(`a.net`), services: [{name: b}]}]}}";
    fixture.kubernetes.load_yaml("route.yaml", route, HOME).unwrap();
    expose(&fixture).await;
    let shown = show(&fixture).await.json();
    assert_eq!(shown["ingressRoutes"][0], json!({"name": "a", "hostname": "a.net", "service": "b", "exposure": null}));
    assert_eq!(shown["ingressRoutes"][1]["exposure"]["name"], "my-app");
}

#[actix_web::test]
async fn a_namespace_that_does_not_exist_is_known_to_be_empty() {
    let fixture = Fixture::new().await;
    let expected = json!({
        "pods": [], "services": [], "deployments": [], "quota": null, "ingressRoutes": [],
        "phase": null, "observedAt": "2026-03-01T10:00:00Z",
    });
    assert_eq!(show(&fixture).await.json(), expected);
}

#[actix_web::test]
async fn a_friend_sees_their_own_namespace_only() {
    let fixture = with_workloads().await;
    for other in ["al", "alice-b", "bob"] {
        let answer = fixture.get(PATH, &fixture.login(other).await).await;
        assert_eq!(answer.json()["phase"], Value::Null, "{other}");
        assert_eq!(answer.json()["pods"], json!([]), "{other}");
    }
}

#[actix_web::test]
async fn a_caller_who_has_the_answer_already_is_told_so() {
    let fixture = with_workloads().await;
    let tag = show(&fixture).await.header("etag").unwrap().to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let again = show_unless(&fixture, &tag).await;
    assert_eq!((again.status.as_u16(), again.bytes.len()), (304, 0));
    assert_eq!(again.header("etag"), Some(&*tag));
    assert_eq!(again.header("cache-control"), Some("private, no-cache"));
    assert_eq!(show_unless(&fixture, "\"other\"").await.status, 200);
    show_unless(&fixture, "no tag").await.assert_problem(400, "header-malformed");

    fixture.kubernetes.set_phase(HOME, Some(Phase::Terminating));
    let changed = show_unless(&fixture, &tag).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(&*tag));
}

#[actix_web::test]
async fn the_time_of_observation_moves_with_the_content_and_only_then() {
    let fixture = with_workloads().await;
    let first = show(&fixture).await;
    fixture.clock.advance(Duration::from_mins(1));
    assert_eq!(show(&fixture).await.bytes, first.bytes);

    // The same objects again: the cluster changed nothing that is shown.
    fixture.kubernetes.load_yaml("namespace.yaml", include_str!("namespace.yaml"), HOME).unwrap();
    assert_eq!(show(&fixture).await.bytes, first.bytes);

    assert!(fixture.kubernetes.delete(Kind::Pod, HOME, "my-app-1"));
    fixture.clock.advance(Duration::from_mins(1));
    assert_eq!(show(&fixture).await.json()["observedAt"], "2026-03-01T10:01:00Z");

    // Another change and back, unobserved.
    fixture.kubernetes.set_phase(HOME, Some(Phase::Terminating));
    fixture.kubernetes.set_phase(HOME, Some(Phase::Active));
    assert_eq!(show(&fixture).await.json()["observedAt"], "2026-03-01T10:01:00Z");
}

#[actix_web::test]
async fn an_exposure_is_shown_at_once_to_the_friend_who_made_it() {
    let fixture = with_workloads().await;
    let before = show(&fixture).await;
    assert_eq!(before.json()["ingressRoutes"], json!([]));
    fixture.clock.advance(Duration::from_mins(1));
    expose(&fixture).await;
    let after = show(&fixture).await;
    assert_eq!(after.json()["ingressRoutes"][0]["exposure"]["status"], "active");
    assert_eq!(after.json()["observedAt"], "2026-03-01T10:01:00Z");
}

#[actix_web::test]
async fn a_cluster_that_cannot_be_asked_is_503_and_never_an_empty_list() {
    let fixture = with_workloads().await;
    let tag = show(&fixture).await.header("etag").unwrap().to_owned();
    fixture.kubernetes.go_down(CAUSE);
    show(&fixture).await.assert_problem(503, "cluster-unavailable");
    let conditional = show_unless(&fixture, &tag).await;
    conditional.assert_problem(503, "cluster-unavailable");
    assert_eq!(conditional.header("retry-after"), Some("5"));
    fixture.kubernetes.come_back();
    assert_eq!(show_unless(&fixture, &tag).await.status, 304);
}

#[actix_web::test]
async fn a_namespace_is_shown_to_a_friend_with_a_session_only() {
    let fixture = with_workloads().await;
    fixture.get(PATH, "fps_unknown").await.assert_problem(401, "session-invalid");
}

#[actix_web::test]
async fn secrets_are_counted_by_the_quota() {
    let cluster = MemoryCluster::new(Arc::new(FixedClock::new(now())));
    let secrets = QuotaSecrets(Arc::new(cluster.clone()));
    let key = FriendshipKey::new(friend_id("alice"), agent_id("main"));
    assert_eq!(secrets.count(&key).await.unwrap(), Some(0));
    cluster.load_yaml("service.yaml", "{apiVersion: v1, kind: Service, metadata: {name: a}}", HOME).unwrap();
    assert_eq!(secrets.count(&key).await.unwrap(), None);
    cluster.load_yaml("namespace.yaml", include_str!("namespace.yaml"), HOME).unwrap();
    assert_eq!(secrets.count(&key).await.unwrap(), Some(3));
    cluster.go_down(CAUSE);
    assert_eq!(secrets.count(&key).await.unwrap_err().backend, Backend::Cluster);
}
