//! `/namespace/expose`.

use std::sync::Arc;

use actix_web::http::Method;
use async_trait::async_trait;
use portal_adapters::memory::ZoneRecord;
use portal_dns::{Exposure, Reach, ReachHint, Reachability, Reached};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::fixture::{CAUSE, Fixture, Reply, request};

const PATH: &str = "/api/portal/namespace/expose";
const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: my-app}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: two}
spec: {ports: [{port: 8080}, {port: 9090}]}
---
apiVersion: v1
kind: Service
metadata: {name: far}
spec: {type: ExternalName, externalName: far.example}
";

async fn with_services() -> (Fixture, String) {
    let fixture = Fixture::new().await;
    for home in ["friend-alice", "friend-alice-b", "friend-b"] {
        fixture.kubernetes.load_yaml("services.yaml", SERVICES, home).unwrap();
    }
    let token = fixture.login("alice").await;
    (fixture, token)
}

/// The specification's own body.
fn example() -> Value {
    json!({"name": "my-app", "service": "my-app", "port": 80, "domain": "your-domain.net"})
}

fn expected_body(status: &str) -> Value {
    let steps = if status == "removed" { ["record", "route"] } else { ["route", "record"] };
    json!({
        "ok": true, "name": "my-app", "hostname": "my-app-alice.your-domain.net",
        "url": "https://my-app-alice.your-domain.net", "service": "my-app", "port": 80, "domain": "your-domain.net",
        "status": status, "reason": null, "error": null, "created_at": "2026-03-01T10:00:00Z",
        "steps": steps.map(|step| json!({"step": step, "done": true})),
        "reachable": {"state": "unknown", "checked_at": null, "hint": null},
    })
}

#[track_caller]
fn check(answer: &Reply, status: u16, said: &Value) {
    assert_eq!((answer.status.as_u16(), &answer.json()), (status, said));
}

/// Finds every address in the same state.
struct FixedReach(Reached);

#[async_trait]
impl Reach for FixedReach {
    async fn ask(&self, _: &Exposure) -> Reached {
        self.0
    }
}

#[actix_web::test]
async fn an_active_exposure_is_asked_whether_it_answers_once_somebody_looks() {
    for (reached, state, hint) in
        [(Reached::Yes, "yes", json!(null)), (Reached::No(ReachHint::AppUnavailable), "no", json!("app-unavailable"))]
    {
        let fixture = Fixture::with(|state| {
            let reach: Arc<dyn Reach> = Arc::new(FixedReach(reached));
            state.reachability = Reachability::new(Some(reach), state.clock.clone(), Handle::current());
        })
        .await;
        fixture.kubernetes.load_yaml("services.yaml", SERVICES, "friend-alice").unwrap();
        let token = fixture.login("alice").await;
        let opened = fixture.post(PATH, &token, example()).await;
        assert_eq!(opened.json()["reachable"]["state"], "unknown");
        let told = json!({"state": state, "checked_at": "2026-03-01T10:00:00Z", "hint": hint});
        // The first look has it asked; the answer is there a moment later.
        let mut seen = json!(null);
        for _ in 0..1000 {
            seen = fixture.get(&format!("{PATH}/my-app"), &token).await.json()["reachable"].clone();
            if seen["state"] != "unknown" {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(seen, told);
        assert_eq!(fixture.get(PATH, &token).await.json()["exposures"][0]["reachable"], told);
        let namespace = fixture.get("/api/portal/namespace", &token).await;
        assert_eq!(namespace.json()["ingressRoutes"][0]["exposure"]["reachable"], told);
    }
}

#[actix_web::test]
async fn the_specification_s_example_is_exposed_once_and_removed_once() {
    let (fixture, token) = with_services().await;
    check(&fixture.post(PATH, &token, example()).await, 201, &expected_body("active"));
    check(&fixture.post(PATH, &token, example()).await, 200, &expected_body("active"));
    let records = fixture.zones[0].records();
    assert_eq!(records.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["my-app-alice.your-domain.net"]);
    assert!(fixture.kubernetes.route("friend-alice", "expose-my-app").is_some());
    check(&fixture.delete(&format!("{PATH}/my-app"), &token).await, 200, &expected_body("removed"));
    assert!(
        fixture.zones[0].records().is_empty() && fixture.kubernetes.route("friend-alice", "expose-my-app").is_none()
    );
    fixture.delete(&format!("{PATH}/my-app"), &token).await.assert_problem(404, "exposure-not-found");
    let lines = fixture.audit_of("alice").await;
    let newest: Vec<_> = lines.iter().take(2).map(String::as_str).collect();
    assert_eq!(newest, ["friend:alice exposure.close my-app", "friend:alice exposure.open my-app"]);
}

#[actix_web::test]
async fn port_and_domain_may_be_left_out() {
    let (fixture, token) = with_services().await;
    check(
        &fixture.post(PATH, &token, json!({"name": "my-app", "service": "my-app"})).await,
        201,
        &expected_body("active"),
    );
    let problem = fixture.post(PATH, &token, json!({"name": "two", "service": "two"})).await;
    let problem = problem.assert_problem(422, "value-invalid");
    assert_eq!(problem["error"], "port must be one of the TCP ports of service two: 8080, 9090");
    assert_eq!(problem["errors"][0]["field"], "port");
}

#[actix_web::test]
async fn an_exposure_is_changed_in_place() {
    let (fixture, token) = with_services().await;
    fixture.post(PATH, &token, example()).await;
    let answer = fixture
        .post(PATH, &token, json!({"name": "my-app", "service": "two", "port": 9090, "domain": "other.example"}))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["hostname"], "my-app-alice.other.example");
    assert!(fixture.zones[0].records().is_empty());
}

#[actix_web::test]
async fn bad_values_are_named() {
    let (fixture, token) = with_services().await;
    for (body, field) in [
        (json!({"name": "My-App", "service": "my-app"}), "name"),
        (json!({"name": "a".repeat(21), "service": "my-app"}), "name"),
        (json!({"name": "-a", "service": "my-app"}), "name"),
        (json!({"name": "a", "service": "../x"}), "service"),
        (json!({"name": "a", "service": "far"}), "service"),
        (json!({"name": "a", "service": "my-app", "port": 0}), "port"),
        (json!({"name": "a", "service": "my-app", "port": 65536}), "port"),
        (json!({"name": "a", "service": "my-app", "port": 81}), "port"),
        (json!({"name": "a", "service": "my-app", "domain": "nowhere.example"}), "domain"),
    ] {
        let problem = fixture.post(PATH, &token, body.clone()).await.assert_problem(422, "value-invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    for body in [
        json!({"service": "my-app"}),
        json!({"name": "a", "service": "my-app", "port": "80"}),
        json!({"name": "a", "service": "my-app", "port": 80.5}),
        json!({"name": "a", "service": "my-app", "friend": "bob"}),
        json!([]),
    ] {
        fixture.post(PATH, &token, body).await.assert_problem(400, "body-malformed");
    }
    assert_eq!(fixture.audit_of("alice").await.len(), 1, "only the login");
}

#[actix_web::test]
async fn a_service_or_a_namespace_that_is_not_there_is_not_found() {
    let (fixture, token) = with_services().await;
    let problem = fixture.post(PATH, &token, json!({"name": "a", "service": "none"})).await;
    assert_eq!(problem.assert_problem(404, "service-not-found")["errors"][0]["field"], "service");
    let al = fixture.login("al").await;
    fixture.post(PATH, &al, example()).await.assert_problem(404, "namespace-not-found");
}

#[actix_web::test]
async fn one_hostname_has_one_owner_and_the_answer_names_nobody() {
    let (fixture, _) = with_services().await;
    let (alice_b, b) = (fixture.login("alice-b").await, fixture.login("b").await);
    let first = fixture.post(PATH, &alice_b, json!({"name": "x", "service": "my-app"})).await;
    assert_eq!((first.status.as_u16(), &first.json()["hostname"]), (201, &json!("x-alice-b.your-domain.net")));
    let second = fixture.post(PATH, &b, json!({"name": "x-alice", "service": "my-app"})).await;
    let problem = second.assert_problem(409, "hostname-taken");
    assert_eq!(problem["error"], "x-alice-b.your-domain.net is taken; choose another name or domain.");
    assert_eq!(fixture.zones[0].records().len(), 1);
    assert!(fixture.kubernetes.route("friend-b", "expose-x-alice").is_none());
}

#[actix_web::test]
async fn a_record_that_somebody_else_made_is_left_alone() {
    let (fixture, token) = with_services().await;
    let foreign = ZoneRecord::Plain { kind: "TXT".to_owned(), data: "theirs".to_owned() };
    fixture.zones[0].insert_record("my-app-alice.your-domain.net", foreign.clone());
    fixture.post(PATH, &token, example()).await.assert_problem(409, "hostname-taken");
    assert_eq!(fixture.zones[0].records(), [("my-app-alice.your-domain.net".to_owned(), foreign)]);
    assert_eq!(fixture.get("/api/portal/namespace", &token).await.json()["ingressRoutes"], json!([]));
}

#[actix_web::test]
async fn a_friend_has_at_most_ten_exposures() {
    let (fixture, token) = with_services().await;
    for number in 0..10 {
        let answer = fixture.post(PATH, &token, json!({"name": format!("app{number}"), "service": "my-app"})).await;
        assert_eq!(answer.status, 201);
    }
    let problem = fixture.post(PATH, &token, example()).await.assert_problem(409, "exposure-limit-reached");
    assert!(problem["error"].as_str().unwrap().contains("10"), "{problem}");
}

#[actix_web::test]
async fn what_a_provider_keeps_from_being_finished_is_stored_and_said() {
    let (fixture, token) = with_services().await;
    fixture.zones[0].go_down(CAUSE);
    let answer = fixture.post(PATH, &token, example()).await;
    assert_eq!(answer.status, 202, "{:?}", answer.bytes);
    let said = answer.json();
    assert_eq!((&said["ok"], &said["status"]), (&json!(false), &json!("pending")));
    assert!(said["reason"].as_str().unwrap().starts_with("dns-unavailable: "), "{said}");
    assert_eq!(said["error"], said["reason"]);
    assert!(!said.to_string().contains(CAUSE), "{said}");
}

#[actix_web::test]
async fn a_removal_that_waits_says_so_each_time() {
    let (fixture, token) = with_services().await;
    fixture.post(PATH, &token, example()).await;
    fixture.zones[0].go_down(CAUSE);
    for _ in 0..2 {
        let answer = fixture.delete(&format!("{PATH}/my-app"), &token).await;
        assert_eq!((answer.status.as_u16(), answer.json()["status"].clone()), (202, json!("removing")));
        assert_eq!(answer.json()["ok"], false);
    }
}

#[actix_web::test]
async fn a_service_that_cannot_be_looked_at_is_503_and_nothing_is_stored() {
    let (fixture, token) = with_services().await;
    fixture.kubernetes.go_down(CAUSE);
    fixture.post(PATH, &token, example()).await.assert_problem(503, "cluster-unavailable");
    fixture.kubernetes.come_back();
    let namespace = fixture.get("/api/portal/namespace", &token).await.json();
    assert_eq!(namespace["ingressRoutes"], json!([]));
}

#[actix_web::test]
async fn exposures_are_listed_and_shown_where_their_location_says() {
    let (fixture, token) = with_services().await;
    assert_eq!(fixture.get(PATH, &token).await.json(), json!({"exposures": []}));
    let made = fixture.post(PATH, &token, example()).await;
    let location = made.header("location").unwrap().to_owned();
    assert_eq!((made.status.as_u16(), &*location), (201, "/api/portal/namespace/expose/my-app"));
    check(&fixture.get(&location, &token).await, 200, &expected_body("active"));
    assert_eq!(fixture.get(PATH, &token).await.json(), json!({"exposures": [expected_body("active")]}));
    let again = fixture.post(PATH, &token, example()).await;
    assert_eq!((again.status.as_u16(), again.header("location")), (200, None));
    let other = fixture.login("b").await;
    fixture.get(&location, &other).await.assert_problem(404, "exposure-not-found");
    fixture.get(&format!("{PATH}/No_Name"), &token).await.assert_problem(404, "exposure-not-found");
    fixture.delete(&location, &token).await;
    fixture.get(&location, &token).await.assert_problem(404, "exposure-not-found");
}

/// A request to expose with a condition.
async fn post_if_none_match(fixture: &Fixture, token: &str, value: &str, body: &Value) -> Reply {
    let asked = request(Method::POST, PATH, token).insert_header(("content-type", "application/json"));
    fixture.ask(asked.insert_header(("if-none-match", value)).set_payload(body.to_string())).await
}

#[actix_web::test]
async fn if_none_match_never_changes_an_existing_exposure() {
    let (fixture, token) = with_services().await;
    let changed = json!({"name": "my-app", "service": "two", "port": 9090});
    check(&post_if_none_match(&fixture, &token, "*", &example()).await, 201, &expected_body("active"));
    for body in [example(), changed] {
        let refused = post_if_none_match(&fixture, &token, "*", &body).await;
        assert_eq!(refused.assert_problem(412, "exposure-exists")["errors"][0]["field"], "name");
    }
    check(&fixture.get(&format!("{PATH}/my-app"), &token).await, 200, &expected_body("active"));
    post_if_none_match(&fixture, &token, "\"a\"", &example()).await.assert_problem(400, "header-malformed");
}

#[actix_web::test]
async fn a_dry_run_names_the_hostname_and_stores_nothing() {
    let (fixture, token) = with_services().await;
    let dry = format!("{PATH}?dry_run=true");
    let answer = fixture.post(&dry, &token, json!({"name": "my-app", "service": "my-app"})).await;
    let body = answer.json();
    assert_eq!((answer.status.as_u16(), &body["ok"], &body["status"]), (200, &json!(true), &json!("pending")));
    assert_eq!((&body["hostname"], &body["port"]), (&json!("my-app-alice.your-domain.net"), &json!(80)));
    assert_eq!(body["steps"], json!([{"step": "route", "done": false}, {"step": "record", "done": false}]));
    assert_eq!(fixture.get(PATH, &token).await.json(), json!({"exposures": []}));
    assert!(fixture.zones[0].records().is_empty() && fixture.zones[0].calls().is_empty());
    assert_eq!(fixture.audit_of("alice").await.len(), 1, "only the login");
    fixture.post(&dry, &token, json!({"name": "a", "service": "none"})).await.assert_problem(404, "service-not-found");
    fixture
        .post(&dry, &token, json!({"name": "ab--cd", "service": "my-app"}))
        .await
        .assert_problem(422, "value-invalid");
    fixture.post(&format!("{PATH}?dry_run=maybe"), &token, example()).await.assert_problem(400, "query-malformed");
    fixture.post(PATH, &token, example()).await;
    let changed = fixture.post(&dry, &token, json!({"name": "my-app", "service": "two", "port": 8080})).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["service"]), (200, &json!("two")));
    check(&fixture.get(&format!("{PATH}/my-app"), &token).await, 200, &expected_body("active"));
}

#[actix_web::test]
async fn a_label_that_no_authority_certifies_is_refused_with_the_reason() {
    let (fixture, token) = with_services().await;
    let problem = fixture.post(PATH, &token, json!({"name": "ab--cd", "service": "my-app"})).await;
    let problem = problem.assert_problem(422, "value-invalid");
    assert_eq!(problem["errors"][0]["field"], "name");
    assert!(problem["error"].as_str().unwrap().contains("certificate"), "{problem}");
}
