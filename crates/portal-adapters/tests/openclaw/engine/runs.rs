//! Runs: asked for, followed and listed.

use std::time::Duration;

use portal_core::Action;
use portal_cron::{CronError, Run, RunRequested, RunStatus, RunsListed, Sent, Trigger};
use serde_json::json;

use super::fixture::{Fixture, actor, owner};
use crate::fake::{Fault, RunEnd, Version};

impl Fixture {
    /// Looks for the ends of runs, as the portal does every other second.
    async fn follow(&self) {
        self.engine.follow_runs().await.unwrap();
    }

    /// Returns the end of the newest run that was asked for, as the portal stores it.
    async fn stored(&self, job: &str) -> Option<(RunStatus, Option<String>)> {
        let runs = self.db.remote().requested_runs(&owner("alice"), job, 1).await.unwrap();
        runs[0].end.clone().map(|end| (end.status, end.error))
    }
}

fn brief(run: &Run) -> (&str, Trigger, RunStatus) {
    (&run.id, run.trigger, run.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_to_its_end() {
    for version in [Version::New, Version::Mid, Version::Old] {
        for (end, status, part) in
            [(RunEnd::Ok, RunStatus::Delivered, ""), (RunEnd::TimedOut, RunStatus::Failed, "did not finish in time")]
        {
            let fixture = Fixture::new(version).await;
            let job = fixture.create("alice", "daily").await.unwrap().id;
            let run = fixture.run("alice", "daily").await.unwrap();
            let [listed] = &fixture.runs("alice", "daily").await[..] else { panic!("not one run") };
            assert_eq!(brief(listed), (run.as_str(), Trigger::Manual, RunStatus::Running), "{version:?}");
            assert!(matches!(fixture.run("alice", "daily").await, Err(CronError::RunOpen)));
            fixture.follow().await;
            assert_eq!(fixture.stored(&job).await, None);
            fixture.pass(Duration::from_secs(2));
            fixture.fake.with(|gateway| gateway.finish(&job, end));
            let [listed] = &fixture.runs("alice", "daily").await[..] else { panic!("not one run") };
            assert_eq!(brief(listed), (run.as_str(), Trigger::Manual, status), "{version:?}");
            assert!(listed.error.as_deref().unwrap_or_default().contains(part), "{listed:?}");
            assert!(!format!("{listed:?}").contains("/var/lib"));
            fixture.follow().await;
            assert_eq!(fixture.stored(&job).await.map(|(status, _)| status), Some(status), "{version:?}");
            // A list may be a quarter of a second old.
            while fixture.list("alice").await[0].state.last_status != Some(status) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            fixture.run("alice", "daily").await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_answer_was_lost_is_found_by_its_begin() {
    for version in [Version::New, Version::Old] {
        let fixture = Fixture::new(version).await;
        let job = fixture.create("alice", "daily").await.unwrap().id;
        fixture.fake.fail("cron.run", Fault::CloseAfter);
        let run = fixture.run("alice", "daily").await.unwrap();
        fixture.fake.with(|gateway| gateway.finish(&job, RunEnd::Ok));
        fixture.client.hello().await.unwrap();
        let [listed] = &fixture.runs("alice", "daily").await[..] else { panic!("not one run") };
        assert_eq!(brief(listed), (run.as_str(), Trigger::Manual, RunStatus::Delivered), "{version:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_answers_when_the_run_is_over_holds_no_request() {
    let fixture = Fixture::new(Version::Pin).await;
    let job = fixture
        .fake
        .with(|gateway| gateway.insert(json!({"sessionTarget": "isolated", "sessionKey": "agent:main:direct:alice"})));
    let (release, held) = tokio::sync::oneshot::channel();
    fixture.fake.fail("cron.run", Fault::Hold(held));
    let begun = std::time::Instant::now();
    let run = fixture.run("alice", &job).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(release);
    while fixture.stored(&job).await.is_none() {
        fixture.follow().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let [listed] = &fixture.runs("alice", &job).await[..] else { panic!("not one run") };
    assert_eq!(brief(listed), (run.as_str(), Trigger::Manual, RunStatus::Delivered));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_restart_interrupted_failed_or_is_unknown_and_never_delivered() {
    for (version, status) in [(Version::New, RunStatus::Failed), (Version::Old, RunStatus::Unknown)] {
        let fixture = Fixture::new(version).await;
        let job = fixture.create("alice", "daily").await.unwrap().id;
        let run = fixture.run("alice", "daily").await.unwrap();
        fixture.fake.with(|gateway| gateway.finish(&job, RunEnd::Interrupted));
        // A minute later the schedule runs the job, which is another run.
        fixture.pass(Duration::from_mins(1));
        fixture.fake.with(|gateway| gateway.fire(&job));
        fixture.pass(Duration::from_hours(2));
        fixture.follow().await;
        let (stored, error) = fixture.stored(&job).await.unwrap();
        assert_eq!(stored, status, "{version:?} {error:?}");
        let runs = fixture.runs("alice", "daily").await;
        let listed: Vec<_> = runs.iter().map(|run| (run.trigger, run.status)).collect();
        assert_eq!(listed, [(Trigger::Schedule, RunStatus::Delivered), (Trigger::Manual, status)], "{version:?}");
        assert_eq!(runs[1].id, run);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_did_not_reach_the_chat_is_told() {
    let fixture = Fixture::new(Version::New).await;
    fixture.add_contact("alice", "signal", "+1").await;
    let job = fixture.create("alice", "daily").await.unwrap().id;
    fixture.run("alice", "daily").await.unwrap();
    fixture.fake.with(|gateway| gateway.finish(&job, RunEnd::NotSent));
    let run = fixture.runs("alice", "daily").await.remove(0);
    assert_eq!(run.status, RunStatus::Delivered);
    assert!(run.error.unwrap().contains("not sent to your chat yet"));
    assert!(fixture.list("alice").await[0].state.last_error.is_some());
}

/// Accepted, finished, sent, and the answer.
type Facts = (Option<bool>, Option<bool>, Option<Sent>, Option<String>);

fn facts(run: &Run) -> Facts {
    (run.accepted(), run.finished, run.sent, run.answer.clone())
}

/// Ends a run of alice's job, whose answers go to her chat, and compares what is known of it: from the gateway, and from
/// the portal's database once the gateway has forgotten it.
async fn check_facts(
    version: Version,
    end: RunEnd,
    expected: (Option<bool>, Option<bool>, Option<Sent>),
    answer: bool,
) {
    let fixture = Fixture::new(version).await;
    let (key, to) = ("agent:main:direct:alice", json!({"mode": "announce", "channel": "signal", "to": "+1"}));
    let target = format!("session:{key}");
    let job = fixture
        .fake
        .with(|gateway| gateway.insert(json!({"sessionTarget": target, "sessionKey": key, "delivery": to})));
    fixture.run("alice", &job).await.unwrap();
    let open = fixture.runs("alice", &job).await.remove(0);
    assert_eq!(facts(&open), (None, None, None, None), "{version:?} {end:?}");
    fixture.fake.with(|gateway| gateway.finish(&job, end));
    let listed = fixture.runs("alice", &job).await.remove(0);
    let (accepted, finished, sent) = expected;
    let answer = answer.then(|| "Hello from the fake model.".to_owned());
    assert_eq!(facts(&listed), (accepted, finished, sent, answer), "{version:?} {end:?}");
    fixture.follow().await;
    fixture.fake.with(|gateway| gateway.forget_runs(&job));
    let stored = fixture.runs("alice", &job).await.remove(0);
    assert_eq!(facts(&stored), (accepted, finished, sent, None), "{version:?} {end:?}");
    assert_eq!((stored.status, &stored.error), (listed.status, &listed.error), "{version:?} {end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_finished_and_sent_are_three_facts() {
    let yes = Some(true);
    for version in [Version::New, Version::Mid] {
        check_facts(version, RunEnd::Ok, (yes, yes, Some(Sent::Sent)), true).await;
        check_facts(version, RunEnd::NotSent, (yes, yes, Some(Sent::Pending)), true).await;
        check_facts(version, RunEnd::Silent, (yes, yes, Some(Sent::Silent)), false).await;
        check_facts(version, RunEnd::TimedOut, (yes, Some(false), None), false).await;
    }
    check_facts(Version::New, RunEnd::Interrupted, (yes, Some(false), None), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_of_protocol_3_is_not_believed_that_it_sent_an_answer() {
    // It says "delivered" of every answer and sends the first one alone.
    check_facts(Version::Old, RunEnd::Ok, (Some(true), Some(true), None), true).await;
    check_facts(Version::Old, RunEnd::NotSent, (Some(true), Some(false), None), false).await;
    check_facts(Version::Old, RunEnd::TimedOut, (Some(true), Some(false), None), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_asked_for_is_sent_nowhere() {
    for version in [Version::New, Version::Mid, Version::Old] {
        let fixture = Fixture::new(version).await;
        let job = fixture.create("alice", "daily").await.unwrap().id;
        fixture.fake.with(|gateway| gateway.fire(&job));
        let run = fixture.runs("alice", "daily").await.remove(0);
        assert_eq!(
            (run.accepted(), run.finished, run.sent),
            (Some(true), Some(true), Some(Sent::Nowhere)),
            "{version:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_gateway_forgot_says_nothing() {
    let fixture = Fixture::new(Version::Old).await;
    let job = fixture.create("alice", "daily").await.unwrap().id;
    fixture.run("alice", "daily").await.unwrap();
    fixture.fake.with(|gateway| gateway.finish(&job, RunEnd::Interrupted));
    fixture.pass(Duration::from_hours(2));
    fixture.follow().await;
    let run = fixture.runs("alice", "daily").await.remove(0);
    assert_eq!((run.status, facts(&run)), (RunStatus::Unknown, (None, None, None, None)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_somebody_else_is_never_shown() {
    let fixture = Fixture::new(Version::New).await;
    let isolated =
        |friend: &str| json!({"sessionTarget": "isolated", "sessionKey": format!("agent:main:direct:{friend}")});
    let (moved, lone) = fixture.fake.with(|gateway| {
        "for bob's eyes".clone_into(&mut gateway.answer);
        let moved = gateway.insert(json!({"sessionTarget": "session:agent:main:direct:bob"}));
        let lone = gateway.insert(isolated("bob"));
        for id in [&moved, &lone] {
            gateway.fire(id);
        }
        gateway.now += 60_000;
        "for alice's eyes".clone_into(&mut gateway.answer);
        gateway.edit(&moved, |job| job["sessionTarget"] = "session:agent:main:direct:alice".into());
        gateway.edit(&lone, |job| job["sessionKey"] = "agent:main:direct:alice".into());
        gateway.fire(&moved);
        (moved, lone)
    });
    let answers: Vec<_> = fixture.runs("alice", &moved).await.into_iter().map(|run| run.answer).collect();
    assert_eq!(answers, [Some("for alice's eyes".to_owned())]);
    // The run's own session does not say whose the job was then.
    let answers: Vec<_> = fixture.runs("alice", &lone).await.into_iter().map(|run| run.answer).collect();
    assert_eq!(answers, [None]);
    let page = fixture.runs("alice", &lone).await;
    assert!(!format!("{page:?}").contains("bob's eyes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_others_are_never_listed() {
    let fixture = Fixture::new(Version::New).await;
    let id = fixture.fake.with(|gateway| {
        let id = gateway.insert(json!({"sessionTarget": "session:agent:main:direct:bob"}));
        gateway.fire(&id);
        gateway.edit(&id, |job| job["sessionTarget"] = "session:agent:main:direct:alice".into());
        gateway.now += 60_000;
        gateway.fire(&id);
        let other = gateway.insert(json!({"sessionTarget": "session:agent:main:direct:bob"}));
        gateway.fire(&other);
        id
    });
    // Of a job that was bob's, the runs of that time are not alice's to see.
    assert_eq!(fixture.runs("alice", &id).await.len(), 1);
    for (method, params) in fixture.fake.calls() {
        assert!(method != "cron.runs" || params["id"].is_string(), "{params}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_page_by_page() {
    let fixture = Fixture::new(Version::Old).await;
    let job = fixture.create("alice", "daily").await.unwrap().id;
    fixture.fake.with(|gateway| {
        for _ in 0..450 {
            gateway.now += 60_000;
            gateway.fire(&job);
        }
    });
    let (mut before, mut count) = (None, 0);
    loop {
        let RunsListed::Page(page) = fixture.listed("alice", "daily", before.as_deref()).await else {
            panic!("no page")
        };
        count += page.len();
        assert!(page.windows(2).all(|pair| pair[0].due_at > pair[1].due_at));
        if page.len() < 100 {
            break;
        }
        before = page.last().map(|run| run.id.clone());
    }
    assert_eq!(count, 450);
    assert_eq!(fixture.listed("alice", "daily", Some("nothing")).await, RunsListed::RunUnknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_friend_asks_for_ten_runs_a_minute() {
    let fixture = Fixture::new(Version::New).await;
    for number in 0..11 {
        let name = format!("job {number}");
        let job = fixture.create("alice", &name).await.unwrap().id;
        let asked = fixture.requested("alice", &name).await;
        if number < 10 {
            assert!(matches!(asked, RunRequested::Queued(_)), "{asked:?}");
            fixture.fake.with(|gateway| gateway.finish(&job, RunEnd::Ok));
        } else {
            assert!(matches!(asked, RunRequested::TooMany { .. }), "{asked:?}");
        }
    }
    fixture.pass(Duration::from_mins(1));
    assert!(matches!(fixture.requested("alice", "job 10").await, RunRequested::Queued(_)));
    assert_eq!(fixture.audited(Action::JobRun).await.len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_a_job_for_a_moment_that_is_gone_when_it_is_done() {
    for version in [Version::New, Version::Old] {
        let fixture = Fixture::new(version).await;
        let run = fixture.messages.send(&owner("alice"), "What is wrong?".to_owned(), actor("alice")).await.unwrap();
        let job = fixture.fake.with(|gateway| gateway.jobs[0].clone());
        assert_eq!((&job["schedule"]["kind"], &job["payload"]["message"]), (&json!("at"), &json!("What is wrong?")));
        assert_eq!(job["sessionTarget"], "session:agent:main:direct:alice");
        assert_eq!(job["schedule"]["at"], "2023-11-14T22:13:25.120Z");
        let id = job["id"].as_str().unwrap().to_owned();
        fixture.pass(Duration::from_secs(6));
        fixture.fake.with(|gateway| {
            gateway.fire(&id);
            gateway.jobs.clear();
        });
        fixture.follow().await;
        assert_eq!(fixture.stored(&id).await, Some((RunStatus::Delivered, None)), "{version:?}");
        let asked = fixture.db.remote().requested_runs(&owner("alice"), &id, 1).await.unwrap();
        assert_eq!(asked[0].id, run);
        let lines = fixture.audited(Action::MessageSend).await;
        assert!(matches!(&lines[..], [(name, _)] if name.starts_with("Message 2023-11-14")), "{lines:?}");
        assert!(fixture.db.jobs().list(&owner("alice")).await.unwrap().is_empty());
    }
}
