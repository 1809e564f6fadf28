//! Scheduled messages.

use std::time::Duration;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::fixture::{Fixture, Reply, audit, friend_id, request};

const CRONS: &str = "/api/portal/workspace/crons";

/// The example of the specification.
fn example() -> Value {
    json!({
        "name": "daily-check",
        "message": "Check my portfolio",
        "cron": "0 9 * * *",
        "session": "agent:main:direct:channel:alice",
        "tz": "Europe/Berlin"
    })
}

async fn post(fixture: &Fixture, path: &str, token: &str, body: &Value) -> Reply {
    fixture.ask(request(Method::POST, path, token).set_json(body)).await
}

async fn patch(fixture: &Fixture, path: &str, token: &str, body: &Value) -> Reply {
    fixture.ask(request(Method::PATCH, path, token).set_json(body)).await
}

/// The answer to the specification's example with something changed.
async fn create_with(fixture: &Fixture, token: &str, change: Value) -> Reply {
    let mut body = example();
    let (Value::Object(members), Value::Object(changes)) = (&mut body, change) else { panic!("not objects") };
    members.extend(changes);
    post(fixture, CRONS, token, &body).await
}

async fn jobs(fixture: &Fixture, token: &str) -> Vec<Value> {
    let answer = fixture.get(CRONS, token).await;
    assert_eq!(answer.status, 200, "{:?}", answer.bytes);
    answer.json()["jobs"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn the_example_of_the_specification_makes_a_job() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let answer = post(&fixture, CRONS, &token, &example()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), Some("/api/portal/workspace/crons/daily-check"));
    assert_eq!(answer.header("etag"), Some("\"1\""));
    let mut job = answer.json();
    let id = job["id"].take();
    assert_eq!(id.as_str().map(str::len), Some(32));
    let expected = json!({
        "id": null,
        "name": "daily-check",
        "agent_id": "main",
        "description": null,
        "message": "Check my portfolio",
        "cron": "0 9 * * *",
        "tz": "Europe/Berlin",
        "session": "agent:main:direct:channel:alice",
        "enabled": true,
        "read_only": false,
        "thinking": null,
        "timeout_seconds": null,
        "answer_to": "chat",
        "created_at": "2026-03-01T10:00:00Z",
        "next_run": "2026-03-02T08:00:00Z",
        "last_run": null,
        "last_status": null,
        "last_error": null,
        "recent": [],
        "schedule": {"kind": "cron", "expr": "0 9 * * *", "tz": "Europe/Berlin", "at": null, "everyMs": null},
        "sessionTarget": "agent:main:direct:channel:alice",
        "payload": {"message": "Check my portfolio"},
        "state": {"nextRunAtMs": 1_772_438_400_000_i64, "lastRunAtMs": null, "lastStatus": null, "consecutiveErrors": 0}
    });
    assert_eq!(job, expected);
    let mut listed = jobs(&fixture, &token).await.remove(0);
    assert_eq!(listed["id"].take(), id);
    assert_eq!(listed, expected);
    assert_eq!(fixture.audit_of("alice").await[0], "friend:alice job.create daily-check");
}

#[actix_web::test]
async fn a_friend_s_own_time_zone_is_the_default() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let job = create_with(&fixture, &token, json!({"tz": null})).await.json();
    assert_eq!((&job["tz"], &job["next_run"]), (&json!("UTC"), &json!("2026-03-02T09:00:00Z")));
    let friends = &fixture.stores.friends;
    let mut alice = friends.find(&friend_id("alice")).await.unwrap().unwrap();
    alice.time_zone = Some("Asia/Tokyo".to_owned());
    friends.update(alice, audit(portal_core::Action::FriendUpdate)).await.unwrap();
    // The friend is read with the session, which is cached for a second.
    let token = fixture.login("alice").await;
    let job = create_with(&fixture, &token, json!({"tz": null, "name": "other"})).await.json();
    assert_eq!((&job["tz"], &job["next_run"]), (&json!("Asia/Tokyo"), &json!("2026-03-02T00:00:00Z")));
}

#[actix_web::test]
async fn what_is_left_out_has_its_default_and_what_is_given_is_kept() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let least = json!({"name": "a b", "message": "Hi", "cron": "@daily"});
    let answer = post(&fixture, CRONS, &token, &least).await;
    assert_eq!(answer.header("location"), Some("/api/portal/workspace/crons/a%20b"));
    assert_eq!(answer.json()["session"], "isolated");
    let most =
        json!({"description": "why", "thinking": "high", "timeoutSeconds": 3600, "session": "agent:MAIN:direct:Alice"});
    let job = create_with(&fixture, &token, most).await.json();
    assert_eq!((&job["description"], &job["session"]), (&json!("why"), &json!("agent:MAIN:direct:Alice")));
    assert_eq!((&job["thinking"], &job["timeout_seconds"]), (&json!("high"), &json!(3600)));
}

#[actix_web::test]
async fn a_value_that_breaks_its_rule_is_named() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    for (change, field) in [
        (json!({"name": "-x"}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"message": " "}), "message"),
        (json!({"message": "a".repeat(8193)}), "message"),
        (json!({"cron": "0 0 9 * * *"}), "cron"),
        (json!({"cron": "0 9 ? * MON"}), "cron"),
        (json!({"cron": "0 0 30 2 *"}), "cron"),
        (json!({"tz": "Mars/Olympus"}), "tz"),
        (json!({"description": "a".repeat(513)}), "description"),
        (json!({"thinking": "ultra"}), "thinking"),
        (json!({"answer_to": "+15550100"}), "answer_to"),
        (json!({"at": "2026-03-02T08:00:00Z"}), "cron"),
        (json!({"cron": null, "at": "2026-03-01T10:00:00Z"}), "at"),
        (json!({"cron": null, "every": "30s"}), "every"),
        (json!({"timeoutSeconds": 0}), "timeoutSeconds"),
    ] {
        let problem = create_with(&fixture, &token, change).await.assert_problem(422, "value-invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        assert!(problem["error"].as_str().unwrap().starts_with(field), "{problem}");
    }
    assert_eq!(jobs(&fixture, &token).await, Vec::<Value>::new());
}

#[actix_web::test]
async fn what_other_schedulers_have_is_refused_with_the_way_out() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    for member in ["announce", "to", "channel", "model"] {
        for value in [json!("15m"), json!(true), json!({"a": 1}), json!(false)] {
            let problem =
                create_with(&fixture, &token, json!({member: value})).await.assert_problem(422, "unsupported");
            assert_eq!(problem["errors"][0]["field"], member);
            assert!(problem["error"].as_str().unwrap().starts_with(&format!("{member} is not supported: ")));
        }
        let answer = create_with(&fixture, &token, json!({member: null, "name": member})).await;
        assert_eq!(answer.status, 201, "null means nothing: {:?}", answer.bytes);
    }
}

#[actix_web::test]
async fn a_body_of_another_shape_is_refused() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    for (field, value) in [
        ("nmae", json!("x")),
        ("cron", json!(9)),
        ("timeoutSeconds", json!(1.5)),
        ("name", json!(null)),
        ("cron", json!(null)),
    ] {
        let problem = create_with(&fixture, &token, json!({field: value})).await.assert_problem(400, "body-malformed");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    create_with(&fixture, &token, json!({"message": "a\u{0}b"})).await.assert_problem(422, "value-invalid");
    let form = request(Method::POST, CRONS, &token).set_form([("name", "a")]);
    fixture.ask(form).await.assert_problem(415, "media-type-unsupported");
    create_with(&fixture, &token, json!({"message": "a".repeat(70_000)})).await.assert_problem(413, "body-too-large");
}

#[actix_web::test]
async fn a_session_that_is_not_the_friend_s_own_is_refused() {
    let fixture = Fixture::new().await;
    let token = fixture.login("al").await;
    for session in [
        "main",
        "agent:main:main",
        "agent:main:direct:alice",
        "agent:main:direct:channel:alice",
        "agent:main:signal:direct:+15550100",
        "agent:main:direct:\u{430}l",
        "agent:second:direct:al",
        "",
    ] {
        let answer = create_with(&fixture, &token, json!({"session": session})).await;
        let problem = answer.assert_problem(403, "session-not-owned");
        assert_eq!(problem["errors"][0]["field"], "session");
    }
    assert_eq!(create_with(&fixture, &token, json!({"session": "agent:main:direct:al"})).await.status, 201);
}

#[actix_web::test]
async fn a_name_is_taken_once_and_fifty_jobs_are_enough() {
    let fixture = Fixture::new().await;
    let (alice, bob) = (fixture.login("alice").await, fixture.login("bob").await);
    create_with(&fixture, &alice, json!({})).await;
    create_with(&fixture, &alice, json!({})).await.assert_problem(409, "job-name-taken");
    assert_eq!(create_with(&fixture, &bob, json!({"session": null})).await.status, 201);
    for number in 1..50 {
        assert_eq!(create_with(&fixture, &alice, json!({"name": format!("job {number}")})).await.status, 201);
    }
    let problem = create_with(&fixture, &alice, json!({"name": "more"})).await.assert_problem(409, "job-limit-reached");
    assert!(problem["error"].as_str().unwrap().contains("50"), "{problem}");
}

#[actix_web::test]
async fn a_disabled_job_stays_in_the_list() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    create_with(&fixture, &token, json!({})).await;
    let toggle = format!("{CRONS}/daily-check/toggle");
    for enabled in [false, false, true] {
        let answer = post(&fixture, &toggle, &token, &json!({"enabled": enabled})).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"ok": true})));
        let job = jobs(&fixture, &token).await.remove(0);
        assert_eq!((&job["enabled"], job["next_run"].is_string()), (&json!(enabled), enabled));
        assert_eq!(job["state"]["nextRunAtMs"].is_i64(), enabled);
    }
    let audit = fixture.audit_of("alice").await;
    assert_eq!(audit.iter().filter(|line| *line == "friend:alice job.toggle daily-check").count(), 2, "{audit:?}");
    for body in [json!({}), json!({"enabled": "yes"}), json!({"enabled": true, "x": 1})] {
        post(&fixture, &toggle, &token, &body).await.assert_problem(400, "body-malformed");
    }
}

#[actix_web::test]
async fn a_run_by_hand_is_followed_in_the_list_of_runs() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    create_with(&fixture, &token, json!({})).await;
    post(&fixture, &format!("{CRONS}/daily-check/toggle"), &token, &json!({"enabled": false})).await;
    let run = format!("{CRONS}/daily-check/run");
    let answer = fixture.ask(request(Method::POST, &run, &token)).await;
    assert_eq!(answer.status, 202);
    let started = answer.json();
    assert_eq!(started["ok"], true);
    let listed = fixture.get(&format!("{CRONS}/daily-check/runs"), &token).await.json();
    let expected = json!({"runs": [{
        "run_id": started["run_id"],
        "trigger": "manual",
        "due_at": "2026-03-01T10:00:00Z",
        "started_at": null,
        "finished_at": null,
        "status": "queued",
        "accepted": null,
        "finished": null,
        "sent": null,
        "answer": null,
        "attempts": 0,
        "error": null
    }]});
    assert_eq!(listed, expected);
    post(&fixture, &run, &token, &json!({})).await.assert_problem(409, "run-open");
    assert_eq!(fixture.audit_of("alice").await[0], "friend:alice job.run daily-check");
}

#[actix_web::test]
async fn missed_fire_times_are_listed_with_their_number() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    create_with(&fixture, &token, json!({"cron": "@hourly"})).await;
    fixture.clock.advance(Duration::from_mins(150));
    post(&fixture, &format!("{CRONS}/daily-check/toggle"), &token, &json!({"enabled": false})).await;
    let runs = fixture.get(&format!("{CRONS}/daily-check/runs"), &token).await.json();
    let error = "2 runs, due from 2026-03-01T11:00:00Z to 2026-03-01T12:00:00Z, were missed";
    assert_eq!((&runs["runs"][0]["status"], &runs["runs"][0]["error"]), (&json!("missed"), &json!(error)));
    assert_eq!((&runs["runs"][0]["accepted"], &runs["runs"][0]["finished"]), (&json!(false), &json!(null)));
    let job = jobs(&fixture, &token).await.remove(0);
    assert_eq!((&job["last_status"], &job["state"]["lastStatus"]), (&json!("missed"), &json!("skipped")));
}

#[actix_web::test]
async fn runs_are_listed_page_by_page() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    create_with(&fixture, &token, json!({"cron": "@hourly"})).await;
    create_with(&fixture, &token, json!({"cron": "@hourly", "name": "other"})).await;
    for _ in 0..3 {
        fixture.clock.advance(Duration::from_mins(61));
        for (enabled, job) in [(false, "daily-check"), (true, "daily-check"), (false, "other"), (true, "other")] {
            let toggled = post(&fixture, &format!("{CRONS}/{job}/toggle"), &token, &json!({"enabled": enabled})).await;
            assert_eq!(toggled.status, 200);
        }
    }
    let list = async |job: &str, query: &str| fixture.get(&format!("{CRONS}/{job}/runs{query}"), &token).await;
    let ids = |answer: Reply| -> Vec<String> {
        let runs = answer.json()["runs"].as_array().unwrap().clone();
        runs.iter().map(|run| run["run_id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ids(list("daily-check", "").await);
    assert_eq!(all.len(), 3);
    assert_eq!(ids(list("daily-check", &format!("?before={}", all[0])).await), all[1..]);
    assert_eq!(ids(list("daily-check", &format!("?agent=main&before={}", all[1])).await), all[2..]);
    assert_eq!(ids(list("daily-check", &format!("?before={}", all[2])).await), [""; 0]);
    for (job, before) in [("daily-check", "nothing"), ("daily-check", ""), ("other", &all[0])] {
        let problem = list(job, &format!("?before={before}")).await.assert_problem(422, "value-invalid");
        assert_eq!(problem["errors"][0]["field"], "before", "{problem}");
    }
    list("daily-check", &format!("?before={}&before={}", all[0], all[1])).await.assert_problem(400, "query-malformed");
    let bob = fixture.login("bob").await;
    let asked = format!("{CRONS}/daily-check/runs?before={}", all[0]);
    fixture.get(&asked, &bob).await.assert_problem(404, "job-not-found");
}

#[actix_web::test]
async fn a_job_is_deleted_by_name_or_id() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    create_with(&fixture, &token, json!({"name": "a b"})).await;
    let id = create_with(&fixture, &token, json!({})).await.json()["id"].as_str().unwrap().to_owned();
    for name in ["a%20b", &id] {
        let answer = fixture.delete(&format!("{CRONS}/{name}"), &token).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"ok": true})));
        fixture.delete(&format!("{CRONS}/{name}"), &token).await.assert_problem(404, "job-not-found");
    }
    assert_eq!(jobs(&fixture, &token).await, Vec::<Value>::new());
    assert_eq!(fixture.audit_of("alice").await[0], "friend:alice job.delete daily-check");
}

#[actix_web::test]
async fn somebody_else_s_job_is_not_there() {
    let fixture = Fixture::new().await;
    let alice = fixture.login("alice").await;
    let job = create_with(&fixture, &alice, json!({})).await.json();
    for friend in ["bob", "al", "alice-b"] {
        let token = fixture.login(friend).await;
        assert_eq!(jobs(&fixture, &token).await, Vec::<Value>::new());
        for name in ["daily-check", job["id"].as_str().unwrap(), "..%2f..%2fdaily-check", "--daily-check"] {
            let path = format!("{CRONS}/{name}");
            fixture.delete(&path, &token).await.assert_problem(404, "job-not-found");
            fixture.get(&path, &token).await.assert_problem(404, "job-not-found");
            patch(&fixture, &path, &token, &json!({"message": "x"})).await.assert_problem(404, "job-not-found");
            post(&fixture, &format!("{path}/run"), &token, &json!({})).await.assert_problem(404, "job-not-found");
            let toggled = post(&fixture, &format!("{path}/toggle"), &token, &json!({"enabled": false})).await;
            toggled.assert_problem(404, "job-not-found");
            fixture.get(&format!("{path}/runs"), &token).await.assert_problem(404, "job-not-found");
        }
    }
    assert_eq!(jobs(&fixture, &alice).await, [job]);
}

#[actix_web::test]
async fn each_agent_has_jobs_of_its_own() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let second = format!("{CRONS}?agent=second");
    let mut body = example();
    post(&fixture, &second, &token, &body).await.assert_problem(403, "session-not-owned");
    body["session"] = json!("agent:second:direct:alice");
    let answer = post(&fixture, &second, &token, &body).await;
    assert_eq!(answer.json()["agent_id"], "second");
    assert_eq!(answer.header("location"), Some("/api/portal/workspace/crons/daily-check?agent=second"));
    assert_eq!(jobs(&fixture, &token).await, Vec::<Value>::new());
    assert_eq!(fixture.get(&second, &token).await.json()["jobs"].as_array().unwrap().len(), 1);
    for agent in ["old", "none", "MAIN", "../main"] {
        fixture.get(&format!("{CRONS}?agent={agent}"), &token).await.assert_problem(404, "agent-not-found");
    }
}

#[actix_web::test]
async fn without_a_session_nothing_is_shown() {
    let fixture = Fixture::new().await;
    fixture.get(CRONS, "fps_unknown").await.assert_problem(401, "session-invalid");
    post(&fixture, CRONS, "fps_unknown", &example()).await.assert_problem(401, "session-invalid");
}

#[actix_web::test]
async fn a_database_that_is_gone_is_no_empty_list() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    create_with(&fixture, &token, json!({})).await;
    fixture.outage.go_down(crate::fixture::CAUSE);
    let answer = fixture.get(CRONS, &token).await;
    answer.assert_problem(503, "database-unavailable");
    assert!(answer.header("retry-after").is_some());
    create_with(&fixture, &token, json!({"name": "x"})).await.assert_problem(503, "database-unavailable");
    fixture.get(&format!("{CRONS}/daily-check/runs"), &token).await.assert_problem(503, "database-unavailable");
}

#[actix_web::test]
async fn a_job_for_one_moment_or_an_interval_shows_its_kind() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let at = json!({"name": "once", "message": "Hi", "at": "2026-03-02T09:00", "tz": "Europe/Berlin"});
    let job = post(&fixture, CRONS, &token, &at).await.json();
    assert_eq!(
        (&job["cron"], &job["next_run"], &job["tz"]),
        (&json!(null), &json!("2026-03-02T08:00:00Z"), &json!("Europe/Berlin"))
    );
    let schedule = json!({"kind": "at", "expr": null, "tz": null, "at": "2026-03-02T08:00:00Z", "everyMs": null});
    assert_eq!(job["schedule"], schedule);
    let every = json!({"name": "often", "message": "Hi", "every": "90m"});
    let job = post(&fixture, CRONS, &token, &every).await.json();
    assert_eq!((&job["cron"], &job["next_run"]), (&json!(null), &json!("2026-03-01T11:30:00Z")));
    let schedule = json!({"kind": "every", "expr": null, "tz": null, "at": null, "everyMs": 5_400_000});
    assert_eq!(job["schedule"], schedule);
}

#[actix_web::test]
async fn a_job_is_changed_in_parts_and_tagged_with_its_revision() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    create_with(&fixture, &token, json!({"description": "why", "thinking": "low"})).await;
    let path = format!("{CRONS}/daily-check");
    let shown = fixture.get(&path, &token).await;
    assert_eq!((shown.status.as_u16(), shown.header("etag")), (200, Some("\"1\"")));
    let change = json!({"message": "Other", "description": null, "cron": "30 9 * * *", "thinking": "xhigh", "timeoutSeconds": 60});
    let answer = patch(&fixture, &path, &token, &change).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, Some("\"2\"")));
    let job = answer.json();
    assert_eq!(
        (&job["message"], &job["description"], &job["thinking"]),
        (&json!("Other"), &json!(null), &json!("xhigh"))
    );
    assert_eq!((&job["next_run"], &job["timeout_seconds"]), (&json!("2026-03-02T08:30:00Z"), &json!(60)));
    assert_eq!(fixture.get(&path, &token).await.json(), job);
    let same = patch(&fixture, &path, &token, &json!({"message": "Other"})).await;
    assert_eq!(same.header("etag"), Some("\"2\""), "nothing changed, so nothing is counted");
    let audit = fixture.audit_of("alice").await;
    assert_eq!(audit.iter().filter(|line| *line == "friend:alice job.update daily-check").count(), 1, "{audit:?}");
    post(&fixture, &format!("{path}/toggle"), &token, &json!({"enabled": false})).await;
    assert_eq!(fixture.get(&path, &token).await.header("etag"), Some("\"3\""));
    for (change, status, code) in [
        (json!({"message": null, "name": "other"}), 400, "body-malformed"),
        (json!({"session": "isolated"}), 400, "body-malformed"),
        (json!({"cron": "0 0 30 2 *"}), 422, "value-invalid"),
        (json!({"cron": "@daily", "every": "1h"}), 422, "value-invalid"),
        (json!({"tz": "Mars"}), 422, "value-invalid"),
    ] {
        patch(&fixture, &path, &token, &change).await.assert_problem(status, code);
    }
}

#[actix_web::test]
async fn a_change_of_a_job_that_was_changed_meanwhile_is_refused() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    create_with(&fixture, &token, json!({})).await;
    let path = format!("{CRONS}/daily-check");
    let change = |tag: &'static str, message: &str| {
        request(Method::PATCH, &path, &token).insert_header(("If-Match", tag)).set_json(json!({"message": message}))
    };
    assert_eq!(fixture.ask(change("\"1\"", "first")).await.status, 200);
    let refused = fixture.ask(change("\"1\"", "second")).await;
    refused.assert_problem(412, "job-changed");
    assert_eq!(refused.header("etag"), Some("\"2\""));
    assert_eq!(fixture.ask(change("*", "third")).await.status, 200);
    assert_eq!(fixture.ask(change("W/\"3\"", "fourth")).await.status, 200, "a proxy may weaken a tag");
    fixture.ask(change("3", "fifth")).await.assert_problem(400, "header-malformed");
    assert_eq!(fixture.get(&path, &token).await.json()["message"], "fourth");
}

#[actix_web::test]
async fn a_preview_names_fire_times_and_clock_changes_and_stores_nothing() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let preview = format!("{CRONS}/preview");
    let asked = json!({"cron": "30 2 29,30 3 *", "tz": "Europe/Berlin", "count": 2});
    let answer = post(&fixture, &preview, &token, &asked).await;
    let expected = json!({
        "next": ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        "notes": ["On 2026-03-29 the clock in Europe/Berlin is put from 02:00 to 03:00: it fires at 03:00 instead of 02:30."]
    });
    assert_eq!((answer.status.as_u16(), answer.json()), (200, expected));
    let every = post(&fixture, &preview, &token, &json!({"every": "1d"})).await.json();
    assert_eq!((every["next"].as_array().unwrap().len(), &every["next"][0]), (5, &json!("2026-03-02T10:00:00Z")));
    let once = post(&fixture, &preview, &token, &json!({"at": "2026-03-02T10:00:00Z", "count": 20})).await.json();
    assert_eq!(once, json!({"next": ["2026-03-02T10:00:00Z"], "notes": []}));
    for (body, status, code) in [
        (json!({}), 400, "body-malformed"),
        (json!({"cron": "0 0 30 2 *"}), 422, "value-invalid"),
        (json!({"cron": "@daily", "count": 0}), 422, "value-invalid"),
        (json!({"cron": "@daily", "count": 21}), 422, "value-invalid"),
        (json!({"cron": "@daily", "at": "2026-03-02T10:00:00Z"}), 422, "value-invalid"),
    ] {
        post(&fixture, &preview, &token, &body).await.assert_problem(status, code);
    }
    assert_eq!(jobs(&fixture, &token).await, Vec::<Value>::new());
}

#[actix_web::test]
async fn an_answer_goes_to_the_chat_only_where_the_friend_has_a_contact() {
    let fixture = Fixture::new().await;
    let token = fixture.login("bob").await;
    let refused = create_with(&fixture, &token, json!({"session": null, "answer_to": "chat"})).await;
    let problem = refused.assert_problem(422, "value-invalid");
    assert_eq!(problem["errors"][0]["field"], "answer_to");
    for (name, answer_to) in [("a", json!("nowhere")), ("b", json!(null))] {
        let change = json!({"name": name, "session": null, "answer_to": answer_to});
        let created = create_with(&fixture, &token, change).await;
        assert_eq!(created.status, 201);
        assert_eq!(created.json()["answer_to"], "nowhere");
    }
    patch(&fixture, &format!("{CRONS}/a"), &token, &json!({"answer_to": "chat"}))
        .await
        .assert_problem(422, "value-invalid");
}

#[actix_web::test]
async fn ten_runs_a_minute_are_enough() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    for number in 0..11 {
        create_with(&fixture, &token, json!({"name": format!("job-{number}")})).await;
    }
    let run = async |number: u32| post(&fixture, &format!("{CRONS}/job-{number}/run"), &token, &json!({})).await;
    for number in 0..10 {
        assert_eq!(run(number).await.status, 202);
        fixture.clock.advance(Duration::from_secs(2));
    }
    let refused = run(10).await;
    refused.assert_problem(429, "rate-limited");
    assert_eq!(refused.header("retry-after"), Some("40"));
    fixture.clock.advance(Duration::from_secs(40));
    assert_eq!(run(10).await.status, 202);
}
