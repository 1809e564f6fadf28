//! Jobs that friends make and change.

use portal_core::{Action, BackendErrorKind, FriendshipStatus};
use portal_cron::{CronError, EngineRefusal, JobDraft, JobPatch, TimingDraft};
use serde_json::{Value, json};

use super::fixture::{Fixture, INSTANCE, actor, draft, owner};
use crate::fake::{Fault, Version};

fn asked(fixture: &Fixture, method: &str) -> Vec<Value> {
    fixture.fake.calls().into_iter().filter(|(called, _)| called == method).map(|(_, params)| params).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_made_of_typed_members_in_a_conversation_that_the_portal_builds() {
    let fixture = Fixture::new(Version::New).await;
    fixture.add_contact("alice", "signal", "+155").await;
    let full = JobDraft {
        session: Some("AGENT:main:SIGNAL:direct:+155".to_owned()),
        thinking: Some("low".to_owned()),
        timeout_seconds: Some(60),
        description: Some("why".to_owned()),
        ..draft("full")
    };
    let job = fixture.jobs.create(&owner("alice"), full, actor("alice")).await.unwrap();
    assert_eq!(job.spec.session, "agent:main:signal:direct:+155");
    fixture.create("bob", "plain").await.unwrap();
    let [full, plain] = &asked(&fixture, "cron.add")[..] else { panic!("not two calls") };
    assert_eq!(
        *full,
        json!({
            "name": "full", "agentId": "main", "enabled": true, "description": "why", "wakeMode": "now",
            "schedule": {"kind": "cron", "expr": "0 9 * * *", "tz": "Europe/Berlin", "staggerMs": 0},
            "sessionTarget": "session:agent:main:signal:direct:+155", "sessionKey": "agent:main:signal:direct:+155",
            "payload": {"kind": "agentTurn", "message": "Water the roses", "thinking": "low", "timeoutSeconds": 60},
            "delivery": {"mode": "announce", "channel": "signal", "to": "+155"},
            "declarationKey": format!("friend-portal:{INSTANCE}:alice:full"),
        })
    );
    assert_eq!(
        (&plain["delivery"], &plain["sessionTarget"]),
        (&json!({"mode": "none"}), &json!("session:agent:main:direct:bob"))
    );
    let timings = [
        ("at", "2024-02-01T08:30:00Z", json!({"kind": "at", "at": "2024-02-01T08:30:00.000Z"})),
        ("every", "90m", json!({"kind": "every", "everyMs": 5_400_000})),
    ];
    for (name, text, expected) in timings {
        let text = Some(text.to_owned());
        let timing = match name {
            "at" => TimingDraft { at: text, ..TimingDraft::default() },
            _ => TimingDraft { every: text, ..TimingDraft::default() },
        };
        fixture.jobs.create(&owner("bob"), JobDraft { timing, ..draft(name) }, actor("bob")).await.unwrap();
        assert_eq!(asked(&fixture, "cron.add")[0]["schedule"], expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stores_another_job_is_too_old_and_left_as_it_was() {
    let fixture = Fixture::new(Version::Pin).await;
    let refused = fixture.create("alice", "daily").await;
    assert!(matches!(refused, Err(CronError::Refused(EngineRefusal::GatewayTooOld))), "{refused:?}");
    assert!(fixture.fake.with(|gateway| gateway.jobs.is_empty()));
    assert_eq!(fixture.audited(Action::JobCreate).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_a_chat_are_for_gateways_that_send_all_of_them() {
    for (version, sends) in [(Version::New, true), (Version::Mid, true), (Version::Old, false)] {
        let fixture = Fixture::new(version).await;
        fixture.add_contact("alice", "signal", "+1").await;
        let job = fixture.create("alice", "daily").await.unwrap();
        let expected = if sends { "chat" } else { "nowhere" };
        assert_eq!(job.spec.answer_to.as_str(), expected, "{version:?}");
        let chat = JobDraft { answer_to: Some("chat".to_owned()), ..draft("chat") };
        let asked_for = fixture.jobs.create(&owner("alice"), chat, actor("alice")).await;
        assert_eq!(asked_for.is_ok(), sends, "{version:?} {asked_for:?}");
        let patch = JobPatch { answer_to: Some("chat".to_owned()), ..JobPatch::default() };
        let patched = fixture.jobs.update(&owner("alice"), "daily", patch, actor("alice")).await;
        assert_eq!(patched.is_ok(), sends);
        if let Err(CronError::Invalid(invalid)) = asked_for {
            assert!(invalid.field == "answer_to" && invalid.message.contains("too old"), "{}", invalid.message);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_sends_what_changes_and_the_revision_that_was_read() {
    let fixture = Fixture::new(Version::New).await;
    fixture.create("alice", "daily").await.unwrap();
    let revision = fixture.fake.with(|gateway| gateway.jobs[0]["configRevision"].clone());
    let id = fixture.fake.with(|gateway| gateway.jobs[0]["id"].clone());
    let patch = JobPatch { message: Some("Mow the lawn".to_owned()), enabled: Some(false), ..JobPatch::default() };
    let job = fixture.jobs.update(&owner("alice"), "daily", patch, actor("alice")).await.unwrap();
    assert_eq!((job.spec.message.as_str(), job.enabled), ("Mow the lawn", false));
    let patch = json!({"enabled": false, "payload": {"kind": "agentTurn", "message": "Mow the lawn"}});
    let expected = json!({"id": id, "patch": patch, "expectedConfigRevision": revision});
    assert_eq!(asked(&fixture, "cron.update"), [expected]);
    // A revision that is not the job's any more, as If-Match names it.
    let stale = JobPatch { enabled: Some(true), revisions: Some(vec![job.revision + 1]), ..JobPatch::default() };
    let refused = fixture.jobs.update(&owner("alice"), "daily", stale, actor("alice")).await;
    assert!(matches!(refused, Err(CronError::Changed { revision }) if revision == job.revision), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_an_older_gateway_cannot_take_away_stays() {
    for (version, can) in [(Version::New, true), (Version::Mid, true), (Version::Old, false)] {
        let fixture = Fixture::new(version).await;
        let with_limit = JobDraft { timeout_seconds: Some(60), ..draft("daily") };
        fixture.jobs.create(&owner("alice"), with_limit, actor("alice")).await.unwrap();
        let patch = JobPatch { timeout_seconds: portal_core::Change::Clear, ..JobPatch::default() };
        let cleared = fixture.jobs.update(&owner("alice"), "daily", patch, actor("alice")).await;
        match cleared {
            Ok(job) => assert!(can && job.spec.timeout_seconds.is_none()),
            Err(error) => {
                assert!(!can && matches!(error, CronError::Refused(EngineRefusal::GatewayTooOld)), "{error:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_others_change_all_the_time_is_busy_in_the_end() {
    let fixture = Fixture::new(Version::New).await;
    let id = fixture.fake.with(|gateway| gateway.insert(json!({})));
    for number in 0..9 {
        let id = id.clone();
        let edit = Fault::After(Box::new(move |gateway| {
            gateway.edit(&id, |job| job["description"] = number.to_string().into());
        }));
        fixture.fake.fail("cron.update", edit);
    }
    let patch = JobPatch { enabled: Some(false), ..JobPatch::default() };
    let busy = fixture.jobs.update(&owner("alice"), &id, patch, actor("alice")).await;
    assert!(matches!(busy, Err(CronError::Refused(EngineRefusal::Busy))), "{busy:?}");
    assert!(fixture.fake.with(|gateway| gateway.job(&id)["enabled"] == true));
    assert_eq!(fixture.audited(Action::JobToggle).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_replicas_makes_a_job_of_a_name() {
    let fixture = Fixture::new(Version::Old).await;
    let other = fixture.replica();
    for number in 0..5 {
        let name = format!("job {number}");
        let alice = owner("alice");
        let both = tokio::join!(
            fixture.jobs.create(&alice, draft(&name), actor("alice")),
            other.create(&alice, draft(&name), actor("alice")),
        );
        let made = [&both.0, &both.1].iter().filter(|made| made.is_ok()).count();
        assert_eq!(made, 1, "{both:?}");
    }
    assert_eq!(fixture.fake.with(|gateway| gateway.jobs.len()), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_told_with_its_pause_and_blocks_nobodys_reading() {
    let fixture = Fixture::new(Version::New).await;
    for number in 0..30 {
        fixture.create("alice", &format!("job {number}")).await.unwrap();
    }
    for friend in ["alice", "bob"] {
        let Err(CronError::Port(error)) = fixture.create(friend, "one more").await else { panic!("not limited") };
        assert_eq!(
            (error.kind, error.retry_after.map(|after| after.as_millis())),
            (BackendErrorKind::Unavailable, Some(52_280))
        );
    }
    assert_eq!(fixture.fake.count("cron.add"), 32, "nothing is tried again inside a request");
    assert_eq!((fixture.list("alice").await.len(), fixture.list("bob").await.len()), (30, 0));
    fixture.run("alice", "job 1").await.unwrap();
    fixture.fake.with(super::super::fake::Gateway::forget_rate);
    fixture.create("bob", "one more").await.unwrap();
    assert_eq!(fixture.audited(Action::JobCreate).await.len(), 31);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_friendship_that_is_not_active_are_paused_and_no_others() {
    for version in [Version::New, Version::Old] {
        let fixture = Fixture::new(version).await;
        for (friend, name) in [("alice", "on"), ("alice", "off"), ("bob", "on")] {
            fixture.create(friend, name).await.unwrap();
        }
        let patch = JobPatch { enabled: Some(false), ..JobPatch::default() };
        fixture.jobs.update(&owner("alice"), "off", patch, actor("alice")).await.unwrap();
        let enabled = |fixture: &Fixture| {
            fixture.fake.with(|gateway| gateway.jobs.iter().map(|job| job["enabled"] == true).collect::<Vec<_>>())
        };
        fixture.engine.pause_jobs().await.unwrap();
        assert_eq!(enabled(&fixture), [true, false, true]);
        fixture.befriend("alice", FriendshipStatus::Blocked).await;
        fixture.engine.pause_jobs().await.unwrap();
        assert_eq!(enabled(&fixture), [false, false, true], "{version:?}");
        fixture.engine.pause_jobs().await.unwrap();
        fixture.befriend("alice", FriendshipStatus::Active).await;
        fixture.engine.pause_jobs().await.unwrap();
        // What alice had switched off herself stays off.
        assert_eq!(enabled(&fixture), [true, false, true], "{version:?}");
        assert_eq!(fixture.db.remote().paused(&owner("alice").agent).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_removed_friend_are_disabled_where_they_are_known() {
    let fixture = Fixture::new(Version::New).await;
    fixture.create("alice", "daily").await.unwrap();
    fixture.create("bob", "daily").await.unwrap();
    fixture.fake.with(|gateway| gateway.insert(json!({"name": "of the agent"})));
    fixture.db.friends().remove(&owner("alice").friend, fixture.audit(Action::FriendRemove)).await.unwrap();
    fixture.engine.pause_jobs().await.unwrap();
    let enabled =
        fixture.fake.with(|gateway| gateway.jobs.iter().map(|job| job["enabled"] == true).collect::<Vec<_>>());
    assert_eq!(enabled, [false, true, true]);
}
