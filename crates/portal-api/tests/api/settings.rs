//! `/settings`, `/activity`, `/about` and messages.

use actix_web::http::Method;
use portal_core::Action;
use serde_json::{Value, json};

use crate::fixture::{Fixture, Reply, audit, friend_id, request};

const SETTINGS: &str = "/api/portal/settings";
const ACTIVITY: &str = "/api/portal/activity";

async fn patch(fixture: &Fixture, token: &str, body: Value) -> Reply {
    fixture.ask(request(Method::PATCH, SETTINGS, token).set_json(body)).await
}

#[actix_web::test]
async fn settings_change_by_member_and_null_empties_one() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let settings = |zone, name, channel| json!({"time_zone": zone, "display_name": name, "preferred_channel": channel});
    let (berlin, al) = (Some("Europe/Berlin"), Some("Al"));
    assert_eq!(fixture.get(SETTINGS, &token).await.json(), settings(None::<&str>, None::<&str>, Some("signal")));
    let answer = patch(&fixture, &token, json!({"time_zone": "Europe/Berlin"})).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, settings(berlin, None, Some("signal"))));
    let answer = patch(&fixture, &token, json!({"display_name": "Al", "preferred_channel": null})).await;
    assert_eq!(answer.json(), settings(berlin, al, None));
    assert_eq!(fixture.get(SETTINGS, &token).await.json(), settings(berlin, al, None));
    // Nobody else's changed, and a job without a time zone gets the friend's.
    assert_eq!(fixture.get(SETTINGS, &fixture.login("bob").await).await.json()["time_zone"], json!(null));
    let fresh = fixture.login("alice").await;
    let job = json!({"name": "daily", "message": "Hello", "cron": "0 9 * * *"});
    assert_eq!(fixture.post("/api/portal/workspace/crons", &fresh, job).await.json()["tz"], "Europe/Berlin");
}

#[actix_web::test]
async fn a_change_of_nothing_is_stored_nowhere() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let before = fixture.audit_of("alice").await;
    assert_eq!(patch(&fixture, &token, json!({"preferred_channel": "signal"})).await.status, 200);
    assert_eq!(fixture.audit_of("alice").await, before);
    patch(&fixture, &token, json!({})).await.assert_problem(400, "body-malformed");
}

#[actix_web::test]
async fn a_setting_that_breaks_its_rule_is_named_with_it() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    for (field, value, rule) in [
        ("time_zone", json!("Europe/Atlantis"), "time-zone"),
        ("time_zone", json!("europe/berlin"), "time-zone"),
        ("display_name", json!(""), "max-characters"),
        ("display_name", json!(" Al"), "max-characters"),
        ("display_name", json!("A".repeat(81)), "max-characters"),
        ("display_name", json!("A\nl"), "max-characters"),
        ("preferred_channel", json!("pigeon"), "one-of"),
    ] {
        let problem = patch(&fixture, &token, json!({field: value})).await.assert_problem(422, "value-invalid");
        let error = &problem["errors"][0];
        assert_eq!((&error["field"], &error["rule"]), (&json!(field), &json!(rule)), "{problem}");
    }
}

#[actix_web::test]
async fn activity_is_the_friend_s_own_and_comes_in_pages() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    // Another one by an operator; who that was is not hers to know.
    fixture.state.audit.append(audit(Action::FriendUpdate).with_friend(friend_id("alice"))).await.unwrap();
    patch(&fixture, &token, json!({"display_name": "Al"})).await;
    let entries = fixture.get(ACTIVITY, &token).await.json();
    let first = &entries["activity"][0];
    assert_eq!(
        (&first["actor"], &first["action"], &first["detail"]),
        (&json!("you"), &json!("friend.update"), &json!("display_name"))
    );
    assert_eq!(first["at"], "2026-03-01T10:00:00Z");
    let text = entries.to_string();
    assert!(text.contains(r#""actor":"operator""#) && !text.contains("operator:"), "{text}");
    for _ in 0..60 {
        let entry = audit(Action::JobRun).with_friend(friend_id("alice")).with_subject("many");
        fixture.state.audit.append(entry).await.unwrap();
    }
    let page = fixture.get(ACTIVITY, &token).await.json();
    let page = page["activity"].as_array().unwrap();
    assert_eq!(page.len(), 50);
    let next = fixture.get(&format!("{ACTIVITY}?before={}", page[49]["id"]), &token).await.json();
    let next = next["activity"].as_array().unwrap();
    assert!(next[0]["id"].as_i64() < page[49]["id"].as_i64(), "{next:?}");
    assert_eq!(next.iter().filter(|entry| entry["subject"] == "many").count(), 10);
    fixture.get(&format!("{ACTIVITY}?before=x"), &token).await.assert_problem(400, "query-malformed");
}

#[actix_web::test]
async fn about_names_limits_channels_and_words() {
    let fixture = Fixture::new().await;
    let about = fixture.get("/api/portal/about", &fixture.login("alice").await).await.json();
    assert_eq!(about["limits"]["document_bytes"], 262_144);
    assert_eq!((&about["channels"], &about["thinking"][0]), (&json!(["signal"]), &json!("off")));
    assert_eq!(about["features"], json!([]), "nobody may log in by a link here");
}

#[actix_web::test]
async fn a_message_is_a_job_that_never_fires_with_one_run() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let message = json!({"message": "What is wrong with my-app?"});
    let sent = fixture.post("/api/portal/workspace/messages", &token, message).await;
    assert_eq!(sent.status, 202, "{:?}", sent.bytes);
    let jobs = fixture.get("/api/portal/workspace/crons", &token).await.json();
    let job = &jobs["jobs"][0];
    assert_eq!((&job["enabled"], &job["next_run"]), (&json!(false), &json!(null)));
    assert_eq!(job["message"], "What is wrong with my-app?");
    let runs = format!("/api/portal/workspace/crons/{}/runs", job["id"].as_str().unwrap());
    let runs = fixture.get(&runs, &token).await.json();
    assert_eq!((&runs["runs"][0]["run_id"], &runs["runs"][0]["status"]), (&sent.json()["run_id"], &json!("queued")));
    assert_eq!(
        fixture.get("/api/portal/workspace/crons", &fixture.login("bob").await).await.json(),
        json!({"jobs": []})
    );
}

#[actix_web::test]
async fn messages_are_bounded_as_runs_are() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let send = |text: String| fixture.post("/api/portal/workspace/messages", &token, json!({"message": text}));
    for refused in [String::new(), " ".to_owned(), "x".repeat(8193)] {
        send(refused).await.assert_problem(422, "value-invalid");
    }
    for number in 0..10 {
        assert_eq!(send(format!("Message {number}")).await.status, 202);
    }
    let answer = send("One too many".to_owned()).await;
    answer.assert_problem(429, "rate-limited");
    assert_eq!(answer.header("retry-after"), Some("60"));
}
