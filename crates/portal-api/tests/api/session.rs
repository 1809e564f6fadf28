//! Authentication, and the friend's sessions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::test::TestRequest;
use portal_adapters::db::Db;
use portal_core::{
    Action, Actor, Agent, Friend, Friendship, FriendshipKey, FriendshipStatus, SeededIds, Sessions, Token,
};
use serde_json::json;
use tokio::runtime::Handle;

use crate::fixture::{Fixture, agent_id, audit, friend_id, now, request};

#[actix_web::test]
async fn without_a_token_nobody_is_let_in() {
    let fixture = Fixture::new().await;
    for authorization in ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer two words", "fps_token"] {
        let asked = TestRequest::get().uri("/api/portal/me").insert_header(("authorization", authorization));
        let answer = fixture.ask(asked).await;
        answer.assert_problem(401, "session-missing");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"friend-portal\""), "{authorization:?}");
    }
    fixture.ask(TestRequest::get().uri("/api/portal/me")).await.assert_problem(401, "session-missing");
}

#[actix_web::test]
async fn two_tokens_are_none() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let twice =
        request(Method::GET, "/api/portal/me", &token).append_header(("authorization", format!("Bearer {token}")));
    fixture.ask(twice).await.assert_problem(401, "session-missing");
}

#[actix_web::test]
async fn a_token_that_opens_nothing_is_said_to_be_invalid() {
    let fixture = Fixture::new().await;
    let answer = fixture.get("/api/portal/me", "fps_unknown").await;
    answer.assert_problem(401, "session-invalid");
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""), "{challenge}");
}

#[actix_web::test]
async fn an_agent_s_token_and_a_token_in_the_query_open_nothing() {
    let fixture = Fixture::new().await;
    fixture.get("/api/portal/me", "fpa_main").await.assert_problem(401, "session-invalid");
    let token = fixture.login("alice").await;
    let asked = TestRequest::get().uri(&format!("/api/portal/me?token={token}"));
    fixture.ask(asked).await.assert_problem(401, "session-missing");
}

#[actix_web::test]
async fn a_session_ends_with_its_friendship_and_with_its_time() {
    let fixture = Fixture::new().await;
    let (alice, bob) = (fixture.login("alice").await, fixture.login("bob").await);
    fixture.befriend("main", "alice", FriendshipStatus::Blocked).await;
    fixture.get("/api/portal/me", &alice).await.assert_problem(401, "session-invalid");
    assert_eq!(fixture.get("/api/portal/me", &bob).await.status, 200);
    fixture.clock.advance(Duration::from_hours(30 * 24));
    fixture.get("/api/portal/me", &bob).await.assert_problem(401, "session-invalid");
}

#[actix_web::test]
async fn the_scheme_is_compared_without_case() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let asked = TestRequest::get().uri("/api/portal/me").insert_header(("authorization", format!("bearer {token}")));
    assert_eq!(fixture.ask(asked).await.status, 200);
}

#[actix_web::test]
async fn sessions_are_listed_newest_first_and_hold_no_token() {
    let fixture = Fixture::new().await;
    let first = fixture.login("alice").await;
    fixture.clock.advance(Duration::from_mins(1));
    let second = fixture.login("alice").await;
    fixture.login("bob").await;
    let answer = fixture.get("/api/portal/sessions", &first).await;
    let sessions = answer.json()["sessions"].as_array().unwrap().clone();
    let shown: Vec<_> = sessions.iter().map(|item| (item["created_at"].as_str(), item["current"].as_bool())).collect();
    assert_eq!(shown, [(Some("2026-03-01T10:01:00Z"), Some(false)), (Some("2026-03-01T10:00:00Z"), Some(true))]);
    assert_eq!(sessions[1]["expires_at"], "2026-03-31T10:00:00Z");
    assert_eq!(sessions[0]["agent_id"], "main");
    let text = answer.json().to_string();
    assert!(!text.contains(&first) && !text.contains(&second) && !text.contains("fps_"), "{text}");
}

#[actix_web::test]
async fn a_logout_ends_the_session_that_asks_and_no_other() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.login("alice").await, fixture.login("alice").await);
    let answer = fixture.delete("/api/portal/sessions/current", &first).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"ok": true})));
    fixture.get("/api/portal/me", &first).await.assert_problem(401, "session-invalid");
    assert_eq!(fixture.get("/api/portal/me", &second).await.status, 200);
    let newest = fixture.audit_of("alice").await.first().cloned().unwrap();
    assert!(newest.starts_with("friend:alice session.revoke "), "{newest}");
}

#[actix_web::test]
async fn a_session_of_somebody_else_is_not_found() {
    let fixture = Fixture::new().await;
    let (alice, bob) = (fixture.login("alice").await, fixture.login("bob").await);
    let sessions = fixture.get("/api/portal/sessions", &alice).await.json();
    let path = format!("/api/portal/sessions/{}", sessions["sessions"][0]["id"].as_str().unwrap());
    fixture.delete(&path, &bob).await.assert_problem(404, "session-not-found");
    assert_eq!(fixture.delete(&path, &alice).await.json(), json!({"ok": true}));
    fixture.get("/api/portal/me", &alice).await.assert_problem(401, "session-invalid");
}

#[actix_web::test]
async fn a_friend_who_was_removed_has_no_session() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    assert_eq!(fixture.get("/api/portal/me", &token).await.status, 200);
    let id = crate::fixture::friend_id("alice");
    let audit = crate::fixture::audit(portal_core::Action::FriendRemove);
    fixture.stores.friends.remove(&id, audit).await.unwrap();
    // What was looked up is believed for a second, here as by every other replica.
    let removed = Instant::now();
    while fixture.get("/api/portal/me", &token).await.status == 200 {
        assert!(removed.elapsed() < Duration::from_secs(2), "the session outlives its friend");
        tokio::task::yield_now().await;
    }
    fixture.get("/api/portal/me", &token).await.assert_problem(401, "session-invalid");
}

#[actix_web::test]
async fn a_token_that_opens_nothing_is_said_before_anything_else_is_refused() {
    let fixture = Fixture::new().await;
    let ask = |method: Method, path: &str| request(method, path, "fps_unknown");
    let memory = "/api/portal/workspace/memory";
    let asked = vec![
        ask(Method::PUT, memory).insert_header(("content-type", "text/plain")).set_payload("{}"),
        ask(Method::PUT, memory).insert_header(("content-type", "application/json")).set_payload("{"),
        ask(Method::PUT, memory).insert_header(("content-length", "99999999")),
        ask(Method::GET, memory).insert_header(("if-none-match", "not a tag")),
        ask(Method::GET, "/api/portal/workspace?agent=%ff"),
        ask(Method::GET, "/api/portal/nothing"),
        ask(Method::POST, "/api/portal/me"),
        ask(Method::GET, "/api/%70ortal/me"),
    ];
    for answer in fixture.ask_all(asked).await {
        answer.assert_problem(401, "session-invalid");
    }
}

#[actix_web::test]
async fn a_session_that_cannot_be_checked_is_no_401() {
    let fixture = Fixture::new().await;
    fixture.outage.go_down(crate::fixture::CAUSE);
    let asked = request(Method::PUT, "/api/portal/workspace/memory", "fps_unknown");
    let answer = fixture.ask(asked.insert_header(("content-type", "text/plain"))).await;
    answer.assert_problem(503, "database-unavailable");
    assert_eq!(answer.header("www-authenticate"), None);
}

#[actix_web::test]
async fn all_other_sessions_end_and_the_one_that_asks_stays() {
    let fixture = Fixture::new().await;
    let (mine, other, third) =
        (fixture.login("alice").await, fixture.login("alice").await, fixture.login("alice").await);
    let bob = fixture.login("bob").await;
    assert_eq!(fixture.delete("/api/portal/sessions", &mine).await.json(), json!({"ok": true}));
    for ended in [&other, &third] {
        fixture.get("/api/portal/me", ended).await.assert_problem(401, "session-invalid");
    }
    assert_eq!(fixture.get("/api/portal/me", &bob).await.status, 200);
    let sessions = fixture.get("/api/portal/sessions", &mine).await.json();
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(fixture.audit_of("alice").await.iter().filter(|line| line.contains("session.revoke")).count(), 2);
}

#[actix_web::test]
async fn a_friend_of_accounts_elsewhere_whom_no_store_knows_is_told_so() {
    let (elsewhere, key) =
        (Db::in_memory(Handle::current()).unwrap(), FriendshipKey::new(friend_id("zoe"), agent_id("main")));
    let agent = Agent { id: key.agent.clone(), created_at: now() };
    let token = Token::presented("fpa_main").hash();
    elsewhere.agents().create(agent, token, audit(Action::AgentCreate)).await.unwrap();
    let zoe = Friend::new(key.friend.clone(), now());
    elsewhere.friends().create(zoe, audit(Action::FriendCreate)).await.unwrap();
    let friendship = Friendship::new(key.clone(), now());
    elsewhere.friendships().set(friendship, audit(Action::FriendshipSet)).await.unwrap();
    let accounts = elsewhere.sessions();
    let fixture = Fixture::with(|state| {
        let ids = Arc::new(SeededIds::from_seed(3));
        state.sessions = Arc::new(Sessions::new(accounts, state.clock.clone(), ids));
    });
    let fixture = fixture.await;
    let service = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}";
    fixture.kubernetes.load_yaml("service", service, "friend-zoe").unwrap();
    let issued = fixture.state.sessions.issue(key.friend, key.agent, Actor::Operator("root".to_owned())).await.unwrap();
    let token = issued.unwrap().token.reveal().to_owned();
    assert_eq!(fixture.get("/api/portal/me", &token).await.status, 200, "the accounts let zoe in");
    let expose = json!({"name": "web", "service": "web"});
    fixture.post("/api/portal/namespace/expose", &token, expose).await.assert_problem(409, "friend-unknown");
    let job = json!({"name": "daily", "message": "hello", "cron": "0 9 * * *"});
    fixture.post("/api/portal/workspace/crons", &token, job).await.assert_problem(409, "friend-unknown");
}
