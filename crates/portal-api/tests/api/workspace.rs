//! The documents.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use portal_core::{Friendship, FriendshipKey, FriendshipStatus};
use portal_workspace::{DocumentName, DocumentPath};
use serde_json::json;

use crate::fixture::{Fixture, Reply, agent_id, audit, friend_id, now, request};

const MEMORY: &str = "/api/portal/workspace/memory";
const HEARTBEAT: &str = "/api/portal/workspace/heartbeat";

fn path(friend: &str, name: DocumentName) -> DocumentPath {
    DocumentPath::of(&FriendshipKey::new(friend_id(friend), agent_id("main")), name)
}

/// Writes `content`, with these headers.
async fn put(fixture: &Fixture, at: &str, token: &str, content: &str, headers: &[(&'static str, &str)]) -> Reply {
    let mut asked = request(Method::PUT, at, token).insert_header(("content-type", "application/json"));
    for (name, value) in headers {
        asked = asked.insert_header((*name, (*value).to_owned()));
    }
    fixture.ask(asked.set_payload(json!({"content": content}).to_string())).await
}

#[actix_web::test]
async fn memory_is_as_the_specification_shows_it() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    fixture.files.write(&path("alice", DocumentName::Memory), "# My Notes\n\nRemember to ask the agent about...");
    let answer = fixture.get(MEMORY, &token).await;
    assert_eq!(answer.status, 200);
    let specified = json!({"content": "# My Notes\n\nRemember to ask the agent about...", "exists": true});
    assert_eq!(answer.json(), specified);
    let written = put(&fixture, MEMORY, &token, "# Updated Notes\n\n...", &[]).await;
    assert_eq!((written.status.as_u16(), written.json()), (200, json!({"ok": true})));
    assert_eq!(fixture.get(MEMORY, &token).await.json()["content"], "# Updated Notes\n\n...");
}

#[actix_web::test]
async fn a_document_that_is_not_there_is_empty_and_has_no_tag() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    for name in ["memory", "friend-notes", "heartbeat"] {
        let answer = fixture.get(&format!("/api/portal/workspace/{name}"), &token).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"content": "", "exists": false})));
        assert_eq!(answer.header("etag"), None);
        assert_eq!(answer.header("cache-control"), Some("private, no-cache, no-transform"));
    }
}

#[actix_web::test]
async fn a_document_has_a_strong_tag_and_is_sent_as_it_is() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let written = put(&fixture, MEMORY, &token, &"notes ".repeat(1000), &[]).await;
    let tag = written.header("etag").unwrap().to_owned();
    assert_eq!(tag.len(), 66, "{tag}");
    let asked = request(Method::GET, MEMORY, &token).insert_header(("accept-encoding", "gzip, br"));
    let answer = fixture.ask(asked).await;
    assert_eq!(answer.header("etag"), Some(tag.as_str()));
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.header("cache-control"), Some("private, no-cache, no-transform"));
    let again = request(Method::GET, MEMORY, &token).insert_header(("if-none-match", tag.clone()));
    let again = fixture.ask(again).await;
    assert_eq!((again.status.as_u16(), again.header("etag"), again.bytes.len()), (304, Some(tag.as_str()), 0));
}

#[actix_web::test]
async fn a_write_over_a_text_that_was_not_seen_is_refused_with_the_current_tag() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let first = put(&fixture, MEMORY, &token, "one", &[("if-none-match", "*")]).await;
    let first = first.header("etag").unwrap().to_owned();
    fixture.files.write(&path("alice", DocumentName::Memory), "the agent's");
    let current = fixture.get(MEMORY, &token).await.header("etag").unwrap().to_owned();
    for condition in [("if-match", first.as_str()), ("if-none-match", "*"), ("if-match", "\"never-ours\"")] {
        let refused = put(&fixture, MEMORY, &token, "two", &[condition]).await;
        refused.assert_problem(412, "document-changed");
        assert_eq!(refused.header("etag"), Some(current.as_str()), "{condition:?}");
    }
    let weakened = format!("W/{current}");
    let mut tag =
        put(&fixture, MEMORY, &token, "two", &[("if-match", &weakened)]).await.header("etag").unwrap().to_owned();
    for (text, suffix) in [("a", "-gzip"), ("b", "-br"), ("two", ";gzip")] {
        let changed = format!("{}{suffix}\"", tag.trim_end_matches('"'));
        let written = put(&fixture, MEMORY, &token, text, &[("if-match", &changed)]).await;
        assert_eq!(written.status, 200, "{changed}");
        written.header("etag").unwrap().clone_into(&mut tag);
    }
    for headers in [[("if-none-match", current.as_str())].as_slice(), &[("if-match", "*"), ("if-none-match", "*")]] {
        put(&fixture, MEMORY, &token, "three", headers).await.assert_problem(400, "header-malformed");
    }
    assert_eq!(fixture.get(MEMORY, &token).await.json()["content"], "two");
}

#[actix_web::test]
async fn what_is_no_document_is_refused_and_says_why() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let fits = "a".repeat(256 * 1024);
    assert_eq!(put(&fixture, MEMORY, &token, &fits, &[]).await.status, 200);
    let refused = put(&fixture, MEMORY, &token, &format!("{fits}a"), &[]).await;
    let problem = refused.assert_problem(422, "value-invalid");
    assert_eq!(problem["errors"][0]["field"], "content");
    assert!(problem["error"].as_str().unwrap().contains("262144"), "{problem}");
    put(&fixture, MEMORY, &token, "a\0b", &[]).await.assert_problem(422, "value-invalid");
    put(&fixture, MEMORY, &token, &"a".repeat(2 * 1024 * 1024), &[]).await.assert_problem(413, "body-too-large");
    let asked = request(Method::PUT, MEMORY, &token).insert_header(("content-type", "application/json"));
    let unknown = fixture.ask(asked.set_payload(r#"{"content":"a","mode":"append"}"#)).await;
    unknown.assert_problem(400, "body-malformed");
    fixture.files.write(&path("alice", DocumentName::Memory), b"caf\xe9".as_slice());
    fixture.get(MEMORY, &token).await.assert_problem(409, "document-unreadable");
    put(&fixture, MEMORY, &token, "mine", &[]).await.assert_problem(409, "document-unreadable");
}

#[actix_web::test]
async fn the_agent_s_notes_are_read_only() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    fixture.files.write(&path("alice", DocumentName::FriendNotes), "likes tea");
    let notes = "/api/portal/workspace/friend-notes";
    assert_eq!(fixture.get(notes, &token).await.json(), json!({"content": "likes tea", "exists": true}));
    put(&fixture, notes, &token, "likes coffee", &[]).await.assert_problem(405, "method-not-allowed");
}

#[actix_web::test]
async fn the_heartbeat_is_shared_and_nobody_overwrites_another_s_text_unseen() {
    let fixture = Fixture::new().await;
    let (alice, bob) = (fixture.login("alice").await, fixture.login("bob").await);
    let tag = put(&fixture, HEARTBEAT, &alice, "alice's", &[]).await.header("etag").unwrap().to_owned();
    let blind = put(&fixture, HEARTBEAT, &bob, "bob's", &[]).await;
    blind.assert_problem(428, "precondition-required");
    put(&fixture, HEARTBEAT, &bob, "bob's", &[("if-match", "*")]).await.assert_problem(428, "precondition-required");
    assert_eq!(blind.header("etag"), Some(tag.as_str()));
    assert_eq!(put(&fixture, HEARTBEAT, &bob, "bob's", &[("if-match", &tag)]).await.status, 200);
    assert_eq!(fixture.get(HEARTBEAT, &alice).await.json()["content"], "bob's");

    let friendship = Friendship {
        agent: agent_id("main"),
        friend: friend_id("bob"),
        status: FriendshipStatus::Active,
        heartbeat_writable: Some(false),
        created_at: now(),
    };
    let friendships = &fixture.stores.friendships;
    friendships.set(friendship, audit(portal_core::Action::FriendshipSet)).await.unwrap();
    put(&fixture, HEARTBEAT, &bob, "bob's", &[]).await.assert_problem(403, "document-read-only");
    assert_eq!(fixture.get(HEARTBEAT, &bob).await.json()["content"], "bob's");
}

#[actix_web::test]
async fn the_heartbeat_is_read_where_the_operator_says_that_the_gateway_does() {
    let fixture = Fixture::with(|state| {
        state.documents = state.documents.clone().with_heartbeat_readers([agent_id("second")].into());
    });
    let fixture = fixture.await;
    let token = fixture.login("alice").await;
    let heartbeat = async |query: &str| {
        fixture.get(&format!("/api/portal/workspace{query}"), &token).await.json()["documents"][2].clone()
    };
    let read = heartbeat("?agent=second").await;
    assert_eq!((&read["agent_reads"], &read["agent_reads_chars"]), (&json!("always"), &json!(20_000)));
    let ignored = heartbeat("").await;
    assert_eq!((&ignored["agent_reads"], &ignored["agent_reads_chars"]), (&json!("no"), &json!(null)));
}

#[actix_web::test]
async fn the_list_says_of_each_document_what_a_page_needs() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    fixture.files.write(&path("alice", DocumentName::Memory), "notes");
    let tag = portal_workspace::Tag::of(b"notes");
    let memory = async || fixture.get("/api/portal/workspace", &token).await.json()["documents"][0].clone();
    assert_eq!(memory().await["agent_reads"], "no", "nobody has read it yet");
    let receipt = portal_workspace::ReadReceipt { tag: tag.clone(), at: now() };
    fixture.files.set_receipt(&FriendshipKey::new(friend_id("alice"), agent_id("main")), receipt);
    let etag = format!("\"{tag}\"");
    let item = |name: &str, exists: bool| {
        json!({
            "name": name,
            "exists": exists,
            "bytes": if exists { 5 } else { 0 },
            "max_bytes": 262_144,
            "agent_reads": if name == "memory" { "hook" } else { "no" },
            "agent_reads_chars": (name == "memory").then_some(20_000),
            "updated_at": if exists { json!("2026-03-01T10:00:00Z") } else { json!(null) },
            "updated_by": exists.then_some("agent:main"),
            "etag": exists.then_some(&etag),
            "writable": name != "friend-notes",
            "shared_with": if name == "heartbeat" { 4 } else { 0 },
            "read": (name == "memory").then(|| json!({"etag": etag, "at": "2026-03-01T10:00:00Z"})),
        })
    };
    let expected = [item("memory", true), item("friend-notes", false), item("heartbeat", false)];
    assert_eq!(fixture.get("/api/portal/workspace", &token).await.json(), json!({ "documents": expected }));
}

#[actix_web::test]
async fn an_earlier_text_is_listed_read_and_restored() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    fixture.files.write(&path("alice", DocumentName::Memory), "the agent's");
    fixture.clock.advance(Duration::from_mins(1));
    put(&fixture, MEMORY, &token, "mine", &[]).await;
    let listed = fixture.get(&format!("{MEMORY}/versions"), &token).await.json();
    let [mine, agents] = listed["versions"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&mine["saved_by"], &mine["saved_at"]), (&json!("friend:alice"), &json!("2026-03-01T10:01:00Z")));
    assert_eq!((&agents["saved_by"], &agents["bytes"]), (&json!("agent:main"), &json!(11)));
    assert_eq!(agents["etag"], format!("\"{}\"", portal_workspace::Tag::of(b"the agent's")));
    let version = format!("{MEMORY}/versions/{}", agents["id"].as_str().unwrap());
    assert_eq!(fixture.get(&version, &token).await.json(), json!({"content": "the agent's", "exists": true}));

    let restore = request(Method::POST, &format!("{version}/restore"), &token);
    let restored = fixture.ask(restore.insert_header(("content-type", "text/plain")).set_payload("{}")).await;
    assert_eq!((restored.status.as_u16(), restored.json()), (200, json!({"ok": true})));
    let read = fixture.get(MEMORY, &token).await;
    assert_eq!((&read.json()["content"], read.header("etag")), (&json!("the agent's"), restored.header("etag")));
    let newest = fixture.audit_of("alice").await.first().cloned().unwrap();
    assert_eq!(newest, "friend:alice document.restore memory");
    fixture.get(&format!("{MEMORY}/versions/none"), &token).await.assert_problem(404, "version-unknown");
    let foreign = version.replace("memory", "heartbeat");
    fixture.get(&foreign, &token).await.assert_problem(404, "version-unknown");
}

#[actix_web::test]
async fn a_friend_of_two_agents_has_a_memory_with_each() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    put(&fixture, MEMORY, &token, "for main", &[]).await;
    put(&fixture, &format!("{MEMORY}?agent=second"), &token, "for second", &[]).await;
    assert_eq!(fixture.get(&format!("{MEMORY}?agent=main"), &token).await.json()["content"], "for main");
    assert_eq!(fixture.get(&format!("{MEMORY}?agent=second"), &token).await.json()["content"], "for second");
    for agent in ["old", "none", "../main", "Main"] {
        let answer = fixture.get(&format!("{MEMORY}?agent={agent}"), &token).await;
        answer.assert_problem(404, "agent-not-found");
    }
}

#[actix_web::test]
async fn a_workspace_out_of_reach_is_never_an_absent_document() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    put(&fixture, MEMORY, &token, "mine", &[]).await;
    fixture.files.go_down(crate::fixture::CAUSE);
    for at in ["", "/memory", "/friend-notes", "/heartbeat"] {
        let answer = fixture.get(&format!("/api/portal/workspace{at}"), &token).await;
        answer.assert_problem(503, "workspace-unavailable");
        assert!(answer.header("retry-after").is_some());
    }
    put(&fixture, MEMORY, &token, "wiped", &[]).await.assert_problem(503, "workspace-unavailable");
    fixture.files.come_back();
    assert_eq!(fixture.get(MEMORY, &token).await.json()["content"], "mine");
}

#[actix_web::test]
async fn the_profile_counts_the_logs_of_the_session_s_agent() {
    let fixture = Fixture::with(|state| state.logs = Arc::new(state.documents.clone())).await;
    let token = fixture.login("alice").await;
    fixture.files.set_logs(&FriendshipKey::new(friend_id("alice"), agent_id("main")), 42);
    assert_eq!(fixture.get("/api/portal/me", &token).await.json()["stats"]["logs"], 42);
    fixture.files.go_down(crate::fixture::CAUSE);
    assert_eq!(fixture.get("/api/portal/me", &token).await.json()["stats"]["logs"], json!(null));
}
