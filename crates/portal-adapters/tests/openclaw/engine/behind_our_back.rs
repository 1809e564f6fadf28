//! Jobs that somebody else made or changed in the gateway.

use portal_cron::{CronError, EngineRefusal, Job, JobPatch, JobUpdated, RunRequested, TimingKind};
use serde_json::{Value, json};

use super::fixture::{Fixture, INSTANCE, actor, owner};
use crate::fake::{Fault, Version};

/// Asserts to whom each of these jobs of the agent's belongs.
async fn check(fixture: &Fixture, rows: &[(Value, &[&str])]) {
    let insert = |(job, _): &(Value, &[&str])| fixture.fake.with(|gateway| gateway.insert(job.clone()));
    let ids: Vec<String> = rows.iter().map(insert).collect();
    let lists = [("alice", fixture.list("alice").await), ("bob", fixture.list("bob").await)];
    for (id, (job, expected)) in ids.iter().zip(rows) {
        let owns = |(_, list): &&(&str, Vec<Job>)| list.iter().any(|job| job.id == *id);
        let owners: Vec<_> = lists.iter().filter(owns).map(|(friend, _)| *friend).collect();
        assert_eq!(owners, *expected, "{job}");
        for (friend, _) in &lists {
            let found = fixture.jobs.find(&owner(friend), id).await;
            assert_eq!(found.is_ok(), expected.contains(friend), "{friend} {job}");
        }
    }
}

fn target(target: &str) -> Value {
    json!({"sessionTarget": target})
}

fn keyed(target: &str, key: &str) -> Value {
    json!({"sessionTarget": target, "sessionKey": key})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_belongs_to_the_one_whom_all_its_parts_name() {
    let fixture = Fixture::new(Version::New).await;
    fixture.add_contact("alice", "signal", "+1").await;
    fixture.add_contact("alice", "fakechat", "A#1").await;
    let long = format!("session:agent:main:direct:{}", "a".repeat(5000));
    let rows = [
        (target("session:agent:main:direct:alice"), &["alice"][..]),
        (target("session:agent:main:direct:bob"), &["bob"]),
        (target("session:AGENT:Main:Direct:Alice"), &["alice"]),
        (target("Session:agent:main:direct:alice"), &["alice"]),
        (target("session:agent:main:direct:channel:alice"), &["alice"]),
        (target("session:agent:main:signal:direct:+1"), &["alice"]),
        (target("session:agent:main:signal:direct:alice"), &["alice"]),
        // A channel of hers that jobs may not name: her default conversation may be there.
        (target("session:agent:main:fakechat:direct:a#1"), &["alice"]),
        (target("session:agent:main:signal:direct:+2"), &[]),
        (target("session:agent:main:telegram:direct:alice"), &[]),
        (target("session:agent:main:direct:al"), &[]),
        (target("session:agent:main:direct:alice:thread:1"), &[]),
        (target("session:agent:main:direct:alice2"), &[]),
        (target("session:agent:main:direct:"), &[]),
        (target("session:agent::direct:alice"), &[]),
        (target("session:agent:main:direct:alice\n"), &[]),
        (target("session:agent:main:direct:alice\0"), &[]),
        (target("session:agent:main:direct:ali\u{107}e"), &[]),
        (target("session:session:agent:main:direct:alice"), &[]),
        (target("session:"), &[]),
        (target(&long), &[]),
        (target("session:direct:alice"), &[]),
        (target("session:isolated"), &[]),
        (target("session:agent:other:direct:alice"), &[]),
        (target("session:agent:main:main"), &[]),
        (target("session:agent:main:signal:group:alice"), &[]),
        (target("agent:main:direct:alice"), &[]),
        (target("isolated"), &[]),
        (target("main"), &[]),
        (keyed("isolated", "agent:main:direct:alice"), &["alice"]),
        (keyed("current", "agent:main:direct:alice"), &["alice"]),
        (keyed("isolated", "isolated"), &[]),
        (keyed("main", "agent:main:direct:alice"), &[]),
        (keyed("session:agent:main:direct:alice", "agent:main:direct:alice"), &["alice"]),
        (keyed("session:agent:main:direct:alice", "agent:main:direct:bob"), &[]),
        (keyed("session:agent:main:direct:alice", "agent:main:main"), &[]),
        (json!({"sessionTarget": 7, "sessionKey": ["agent:main:direct:alice"]}), &[]),
        (json!({"agentId": "main", "effectiveAgentId": "main"}), &["alice"]),
        (json!({"agentId": "MAIN"}), &["alice"]),
        (json!({"agentId": "other"}), &[]),
        (json!({"agentId": "main", "effectiveAgentId": "other"}), &[]),
    ];
    check(&fixture, &rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_another_program_declared_or_that_runs_one_is_nobodys() {
    let fixture = Fixture::new(Version::New).await;
    let declared = |key: &str| json!({"declarationKey": key});
    let rows = [
        (declared(&format!("friend-portal:{INSTANCE}:alice:daily")), &["alice"][..]),
        (declared(&format!("friend-portal:{INSTANCE}:bob:daily")), &[]),
        (declared(&format!("friend-portal:{INSTANCE}:al:ice")), &[]),
        (declared("friend-portal:ffffffffffffffffffffffffffffffff:alice:daily"), &[]),
        (declared("memory-core:memory-dreaming-promotion"), &[]),
        (declared(""), &[]),
        (json!({"payload": {"kind": "command", "argv": ["true"]}}), &[]),
        (json!({"payload": {"kind": "script", "script": "1"}}), &[]),
        (json!({"payload": {"kind": "heartbeat"}}), &[]),
        (json!({"payload": {"kind": "a kind of next year"}}), &[]),
        (json!({"payload": null}), &[]),
        (json!({"schedule": {"kind": "on-exit", "command": "true"}}), &[]),
        (json!({"schedule": {"kind": "stream", "command": ["true"]}}), &[]),
        (json!({"schedule": null}), &[]),
        (json!({"a member of next year": {"x": 1}, "state": {"y": [1]}}), &["alice"]),
        (json!({"payload": {"kind": "systemEvent", "text": "x"}}), &["alice"]),
        (json!({"payload": {"kind": "systemEvent", "text": "x"}, "sessionTarget": "main"}), &[]),
        (
            json!({
                "payload": {"kind": "systemEvent", "text": "x"}, "sessionTarget": "main",
                "sessionKey": "agent:main:direct:alice",
            }),
            &["alice"],
        ),
    ];
    check(&fixture, &rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_jobs_are_shown_as_far_as_they_can_be() {
    let fixture = Fixture::new(Version::New).await;
    fixture.fake.with(|gateway| {
        gateway.insert(json!({"name": "a".repeat(100_000), "payload": {"kind": "agentTurn", "message": "m".repeat(5_000_000)}}));
        gateway.insert(json!({"name": "line\nbreak\u{202e}\u{7}", "schedule": {"kind": "cron", "expr": "0 9 ? * MON"}}));
        gateway.insert(json!({"name": "  ", "schedule": {"kind": "every", "everyMs": 1}}));
        gateway.insert(json!({"name": 7, "schedule": {"kind": "at", "at": "2030-01-01T00:00:00.5Z"}}));
        gateway.insert(json!({
            "name": "t\u{e4}glich", "schedule": {"kind": "cron", "expr": "0 9 * * *", "tz": " Europe/Berlin", "staggerMs": 300_000},
            "payload": {"kind": "agentTurn", "message": "x", "thinking": "huge", "timeoutSeconds": 1e9},
            "createdAtMs": "yesterday", "state": "odd",
        }));
        gateway.insert(json!({"name": "no id", "id": null}));
        gateway.insert(json!({"name": "path", "id": "../../etc/passwd"}));
    });
    let jobs = fixture.list("alice").await;
    let names: Vec<_> = jobs.iter().map(|job| job.spec.name.as_str()).collect();
    assert_eq!(names, [&"a".repeat(64), "job", "job", "line break", "t\u{e4}glich"]);
    assert!(jobs[0].spec.message.len() <= 8192 && jobs[0].spec.message.ends_with('\u{2026}'));
    let every = jobs.iter().find_map(|job| match job.spec.timing.kind {
        TimingKind::Every(interval) => Some(interval.length().num_milliseconds()),
        _ => None,
    });
    assert_eq!(every, Some(1));
    // The gateway takes its host's zone where the agent named none, and does not tell it.
    assert_eq!(jobs[3].spec.timing.tz, "");
    assert_eq!((jobs[4].spec.timing.tz.as_str(), jobs[4].spec.thinking), ("Europe/Berlin", None));
    // Such a job can be switched off although nobody could have made it through the portal.
    for job in [&jobs[0], &jobs[3], &jobs[4]] {
        let patch = JobPatch { enabled: Some(false), ..JobPatch::default() };
        let off = fixture.jobs.update(&owner("alice"), &job.id, patch, actor("alice")).await.unwrap();
        assert!(!off.enabled);
    }
    let message = fixture.fake.with(|gateway| gateway.job("job-0001")["payload"]["message"].as_str().unwrap().len());
    assert_eq!(message, 5_000_000, "what is shown in part is not written back");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_one_name_are_all_listed_and_told_apart_by_their_ids() {
    let fixture = Fixture::new(Version::Old).await;
    let [first, second] = fixture.fake.with(|gateway| [gateway.insert(json!({})), gateway.insert(json!({}))]);
    assert_eq!(fixture.names("alice").await, ["reminder", "reminder"]);
    assert_eq!(fixture.jobs.find(&owner("alice"), "reminder").await.unwrap().id, first);
    fixture.jobs.remove(&owner("alice"), &second, actor("alice")).await.unwrap();
    assert_eq!(fixture.list("alice").await[0].id, first);
    // The agent's reminders count as well, and their names are taken.
    assert!(matches!(fixture.create("alice", "reminder").await, Err(CronError::NameTaken)));
    fixture.fake.with(|gateway| (0..49).for_each(|number| drop(gateway.insert(json!({"name": format!("n{number}")})))));
    assert!(matches!(fixture.create("alice", "daily").await, Err(CronError::LimitReached { limit: 50 })));
    assert!(fixture.create("bob", "daily").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_of_the_agents_own_kind_can_only_be_read() {
    let fixture = Fixture::new(Version::New).await;
    let id = fixture.fake.with(|gateway| {
        gateway.insert(json!({"name": "a turn"}));
        gateway.insert(json!({"payload": {"kind": "systemEvent", "text": "Tea time"}}))
    });
    let listed = fixture.list("alice").await;
    let [turn, reminder] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((reminder.spec.message.as_str(), reminder.read_only), ("Tea time", true));
    // One on which the agent works can be changed like a friend's own.
    assert!(!turn.read_only);
    fixture.fake.with(|gateway| gateway.fire(&id));
    // The line stands in the conversation; nobody tells of an answer to it.
    let run = fixture.runs("alice", &id).await.remove(0);
    assert_eq!((run.accepted(), run.finished, run.sent, run.answer), (Some(true), None, None, None));
    let patch = JobPatch { enabled: Some(false), ..JobPatch::default() };
    let refused = [
        fixture.jobs.update(&owner("alice"), &id, patch, actor("alice")).await.map(drop),
        fixture.jobs.remove(&owner("alice"), &id, actor("alice")).await,
        fixture.run("alice", &id).await.map(drop),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(CronError::Refused(EngineRefusal::ReadOnly))), "{refused:?}");
    }
    for method in ["cron.update", "cron.remove", "cron.run"] {
        assert_eq!(fixture.fake.count(method), 0, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_moved_to_another_friend_meanwhile_is_left_alone() {
    for version in [Version::New, Version::Mid, Version::Old] {
        let fixture = Fixture::new(version).await;
        let id = fixture.fake.with(|gateway| gateway.insert(json!({})));
        let job = fixture.jobs.find(&owner("alice"), &id).await.unwrap();
        // The portal's list is a moment old, and the agent moves the job before it is read again.
        fixture.fake.with(|gateway| {
            gateway.edit(&id, |job| job["sessionTarget"] = "session:agent:main:direct:bob".into());
        });
        let audit = fixture.audit(portal_core::Action::JobToggle);
        let updated = portal_cron::Engine::update(&fixture.engine, job.clone(), job.spec.clone(), false, audit).await;
        assert_eq!(updated.unwrap(), JobUpdated::Absent, "{version:?}");
        assert_eq!(fixture.requested("alice", &id).await, RunRequested::Absent);
        assert!(matches!(fixture.jobs.remove(&owner("alice"), &id, actor("alice")).await, Err(CronError::NotFound)));
        assert!(fixture.fake.with(|gateway| gateway.job(&id)["enabled"] == true));
        assert_eq!(fixture.list("bob").await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_changed_between_read_and_write_is_not_overwritten() {
    for edit in [
        json!({"sessionTarget": "session:agent:main:direct:bob"}),
        json!({"payload": {"kind": "command", "argv": ["true"]}}),
    ] {
        let fixture = Fixture::new(Version::New).await;
        let id = fixture.fake.with(|gateway| gateway.insert(json!({})));
        let (moved, change) = (id.clone(), edit.clone());
        let set = move |job: &mut serde_json::Value| {
            change.as_object().unwrap().iter().for_each(|(member, value)| job[member] = value.clone());
        };
        fixture.fake.fail("cron.update", Fault::After(Box::new(move |gateway| gateway.edit(&moved, set))));
        let patch = JobPatch { enabled: Some(false), ..JobPatch::default() };
        let gone = fixture.jobs.update(&owner("alice"), &id, patch, actor("alice")).await;
        assert!(matches!(gone, Err(CronError::NotFound)), "{gone:?}");
        assert!(fixture.fake.with(|gateway| gateway.job(&id)["enabled"] == true), "{edit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_deleted_meanwhile_is_gone_in_the_words_of_every_version() {
    for version in [Version::New, Version::Mid, Version::Old] {
        // An older gateway has no `cron.get`.
        let methods = ["cron.update", "cron.remove", "cron.run", "cron.get"];
        for method in methods.into_iter().filter(|method| version != Version::Old || *method != "cron.get") {
            let fixture = Fixture::new(version).await;
            let id = fixture.fake.with(|gateway| gateway.insert(json!({})));
            fixture.fake.fail(method, Fault::After(Box::new(|gateway| gateway.jobs.clear())));
            let patch = JobPatch { enabled: Some(false), ..JobPatch::default() };
            let gone = match method {
                "cron.update" => fixture.jobs.update(&owner("alice"), &id, patch, actor("alice")).await.map(drop),
                "cron.remove" => fixture.jobs.remove(&owner("alice"), &id, actor("alice")).await,
                _ => fixture.run("alice", &id).await.map(drop),
            };
            assert!(matches!(gone, Err(CronError::NotFound)), "{version:?} {method} {gone:?}");
        }
    }
}
