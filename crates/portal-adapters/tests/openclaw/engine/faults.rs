//! Gateways that answer wrongly, late or not at all.

use std::time::{Duration, Instant};

use portal_adapters::openclaw::CallKind;
use portal_core::{Action, BackendErrorKind};
use portal_cron::{CronError, JobPatch};
use serde_json::json;

use super::fixture::{Fixture, actor, draft, owner};
use crate::fake::{Fault, Version};

const NEW: [Version; 3] = [Version::New, Version::Mid, Version::Old];

/// Every way in which an answer is lost although the call was carried out.
fn lost_answers() -> Vec<(&'static str, Fault)> {
    vec![
        ("close", Fault::CloseAfter),
        ("no payload", Fault::NoPayload),
        ("truncated", Fault::Truncated),
        ("two in one", Fault::TwoInOne),
        ("binary", Fault::Binary),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_answer_was_lost_is_found_and_not_made_twice() {
    for version in NEW {
        for (name, fault) in lost_answers() {
            // One gateway each: the pauses between connections grow.
            let fixture = Fixture::new(version).await;
            fixture.fake.fail("cron.add", fault);
            let made = fixture.create("alice", name).await;
            assert!(made.is_ok(), "{version:?} {name} {made:?}");
            assert_eq!(fixture.fake.count("cron.add"), 1, "{version:?} {name}");
            assert_eq!(fixture.names("alice").await, [name]);
            let line = (name.to_owned(), "agent main".to_owned());
            assert_eq!(fixture.audited(Action::JobCreate).await, [line]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_not_made_is_asked_for_once_more() {
    for version in NEW {
        let fixture = Fixture::new(version).await;
        fixture.fake.fail("cron.add", Fault::CloseBefore);
        fixture.create("alice", "daily").await.unwrap();
        assert_eq!(fixture.fake.count("cron.add"), 2, "{version:?}");
        assert_eq!(fixture.names("alice").await, ["daily"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_after_an_unknown_outcome_finds_the_job() {
    for version in NEW {
        let fixture = Fixture::new(version).await;
        // The answer is lost, and the list that would show the job fails as well.
        fixture.fake.fail("cron.add", Fault::CloseAfter);
        fixture.fake.fail("cron.list", Fault::After(Box::new(|_| ())));
        fixture.fake.fail("cron.list", Fault::NoPayload);
        let lost = fixture.create("alice", "daily").await;
        assert!(matches!(lost, Err(CronError::Port(_))), "{version:?} {lost:?}");
        assert_eq!(
            fixture.audited(Action::JobCreate).await,
            [("daily".to_owned(), "agent main, outcome unknown".to_owned())]
        );
        // Another job of that name is refused, the same one is found.
        let other = portal_cron::JobDraft { message: "Mow the lawn".to_owned(), ..draft("daily") };
        let again = fixture.create("alice", "daily").await.unwrap();
        assert_eq!(fixture.fake.count("cron.add"), 1, "{version:?}");
        let taken = fixture.jobs.create(&owner("alice"), other, actor("alice")).await;
        assert!(matches!(taken, Err(CronError::NameTaken)), "{taken:?}");
        assert_eq!(fixture.list("alice").await, [again]);
        assert!(matches!(fixture.create("alice", "daily").await, Err(CronError::NameTaken)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_was_lost_is_looked_for() {
    for version in NEW {
        for (name, fault) in lost_answers() {
            let fixture = Fixture::new(version).await;
            fixture.create("alice", "daily").await.unwrap();
            fixture.fake.fail("cron.update", fault);
            let patch = JobPatch { enabled: Some(false), ..JobPatch::default() };
            let off = fixture.jobs.update(&owner("alice"), "daily", patch, actor("alice")).await;
            assert!(off.as_ref().is_ok_and(|job| !job.enabled), "{version:?} {name} {off:?}");
            assert_eq!(fixture.audited(Action::JobToggle).await.len(), 1);
        }
        for (name, fault) in lost_answers() {
            let fixture = Fixture::new(version).await;
            fixture.create("alice", "daily").await.unwrap();
            fixture.fake.fail("cron.remove", fault);
            let removed = fixture.jobs.remove(&owner("alice"), "daily", actor("alice")).await;
            assert!(removed.is_ok(), "{version:?} {name} {removed:?}");
            assert_eq!(fixture.audited(Action::JobDelete).await.len(), 1);
        }
        // What was not carried out is of unknown outcome, and said so.
        let fixture = Fixture::new(version).await;
        fixture.create("alice", "daily").await.unwrap();
        fixture.fake.fail("cron.remove", Fault::CloseBefore);
        let lost = fixture.jobs.remove(&owner("alice"), "daily", actor("alice")).await;
        assert!(matches!(lost, Err(CronError::Port(_))), "{lost:?}");
        assert_eq!(fixture.audited(Action::JobDelete).await[0].1, "agent main, outcome unknown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_says_nothing_is_no_empty_list() {
    for (name, fault) in lost_answers() {
        let fixture = Fixture::new(Version::New).await;
        fixture.fake.with(|gateway| gateway.insert(json!({})));
        fixture.fake.fail("cron.list", fault);
        let failed = fixture.jobs.list(&owner("alice")).await;
        assert!(matches!(failed, Err(CronError::Port(_))), "{name} {failed:?}");
        assert_eq!(fixture.list("alice").await.len(), 1, "{name}");
    }
    let fixture = Fixture::new(Version::New).await;
    fixture.fake.fail("cron.list", Fault::Twice);
    assert!(fixture.list("alice").await.is_empty());
    fixture.create("alice", "daily").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_nobody_expected_is_no_success_and_no_text_of_the_gateways_reaches_a_friend() {
    let fixture = Fixture::new(Version::Old).await;
    fixture.create("alice", "daily").await.unwrap();
    let error =
        json!({"code": "UNAVAILABLE", "message": "TypeError: /var/lib/openclaw/cron.json", "details": {"x": 1}});
    for method in ["cron.add", "cron.update", "cron.remove", "cron.run"] {
        fixture.fake.fail(method, Fault::Refuse(error.clone()));
        let patch = JobPatch { enabled: Some(false), ..JobPatch::default() };
        let refused = match method {
            "cron.add" => fixture.create("alice", "other").await.map(drop),
            "cron.update" => fixture.jobs.update(&owner("alice"), "daily", patch, actor("alice")).await.map(drop),
            "cron.remove" => fixture.jobs.remove(&owner("alice"), "daily", actor("alice")).await,
            _ => fixture.run("alice", "daily").await.map(drop),
        };
        let Err(CronError::Port(error)) = refused else { panic!("{method} {refused:?}") };
        assert_eq!(error.kind, BackendErrorKind::Failed);
        assert!(!format!("{error} {}", error.source).contains("/var/lib"), "{method}");
    }
    assert_eq!(fixture.names("alice").await, ["daily"]);
    for action in [Action::JobToggle, Action::JobDelete, Action::JobRun] {
        assert_eq!(fixture.audited(action).await, [], "{action:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_not_there_fails_at_once_and_changes_nothing() {
    let fixture = Fixture::new(Version::New).await;
    fixture.create("alice", "daily").await.unwrap();
    let portal = fixture.end_gateway();
    let jobs = &portal.jobs;
    // The first one may wait for a connection, two seconds at most.
    let begun = Instant::now();
    for _ in 0..3 {
        for failed in [
            jobs.list(&owner("alice")).await.map(drop),
            jobs.create(&owner("alice"), draft("other"), actor("alice")).await.map(drop),
            jobs.run(&owner("alice"), "daily", actor("alice")).await.map(drop),
            jobs.remove(&owner("alice"), "daily", actor("alice")).await,
        ] {
            assert!(matches!(failed, Err(CronError::Port(_))), "{failed:?}");
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_forced_reconnects_lose_no_call_without_an_error() {
    let fixture = Fixture::new(Version::New).await;
    let mut failed = 0;
    // Each cut has a client of its own: the pauses of one would grow to half a minute.
    for _ in 0..500 {
        let client = fixture.fake.client();
        let call = client.call(CallKind::Read, "cron.list", json!({"limit": 1}));
        let cut = async {
            tokio::task::yield_now().await;
            fixture.fake.disconnect();
        };
        // Every call ends, with its answer or an error.
        let (answered, ()) =
            tokio::time::timeout(Duration::from_secs(5), async { tokio::join!(call, cut) }).await.unwrap();
        failed += usize::from(answered.is_err());
    }
    assert!(failed < 500, "no call was answered");
    assert!(fixture.fake.client().call(CallKind::Read, "cron.list", json!({"limit": 1})).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_leaves_no_half_change() {
    let fixture = Fixture::new(Version::New).await;
    let (release, held) = tokio::sync::oneshot::channel();
    fixture.fake.fail("cron.add", Fault::Hold(held));
    let given_up = tokio::time::timeout(Duration::from_millis(300), fixture.create("alice", "daily")).await;
    assert!(given_up.is_err());
    // Meanwhile nobody else makes a job of that name.
    assert!(matches!(fixture.create("alice", "daily").await, Err(CronError::NameTaken)));
    drop(release);
    while fixture.audited(Action::JobCreate).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(fixture.names("alice").await, ["daily"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_process_died_is_entered_as_of_unknown_outcome() {
    let fixture = Fixture::new(Version::New).await;
    let audit = fixture.audit(Action::JobCreate).with_friend(owner("alice").friend).with_subject("daily");
    let change =
        portal_cron::NewChange { id: "dead".to_owned(), owner: owner("alice"), job: "daily".to_owned(), audit };
    fixture.db.remote().begin(change).await.unwrap();
    assert!(matches!(fixture.create("alice", "daily").await, Err(CronError::NameTaken)));
    fixture.engine.follow_runs().await.unwrap();
    assert_eq!(fixture.audited(Action::JobCreate).await, []);
    fixture.pass(Duration::from_secs(46));
    assert_eq!(fixture.db.remote().recover_changes().await.unwrap(), 1);
    assert_eq!(fixture.audited(Action::JobCreate).await, [("daily".to_owned(), "outcome unknown".to_owned())]);
    // Its end comes too late to be entered again.
    let end = portal_cron::ChangeEnd::Done { name: "daily".to_owned(), id: "1".to_owned(), run: None };
    fixture.db.remote().end("dead", end).await.unwrap();
    assert_eq!(fixture.audited(Action::JobCreate).await.len(), 1);
    fixture.create("alice", "daily").await.unwrap();
}
