//! The runner, from fire times to deliveries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use portal_core::{Action, BackendError, Clock, FriendshipStatus};
use portal_cron::{
    AttemptOutcome, CompletedAttempt, DueJob, Firing, FriendShares, JobDraft, LeasedRun, MissedWindow, RunLease,
    RunQueue, RunStatus, Runner, RunnerSettings, Schedule, TimeZones, Trigger,
};
use portal_testkit::{Call, Effect, Intercepted, Interceptor};
use tokio::sync::Notify;

use crate::fixture::{Fixture, Response, TestResult, alice, audit, contact, draft, friend, owner, utc};

/// Lets the first calls that store ends of attempts fail, and counts all of them.
#[derive(Default)]
struct Restarting {
    failures: AtomicUsize,
    calls: AtomicUsize,
}

#[async_trait]
impl Interceptor for Restarting {
    async fn intercept(&self, call: Call, effect: Effect<'_>) -> Result<(), BackendError> {
        if call.method != "complete_attempts" {
            return effect.await;
        }
        self.calls.fetch_add(1, Ordering::SeqCst);
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            return Err(BackendError::unavailable(call.backend, "restarting"));
        }
        // Every task that is ready has its turn before the database answers, however fast it is.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        effect.await
    }
}

/// A runner of the fixture's queue with something before it.
fn runner_behind(fixture: &Fixture, interceptor: &Arc<Restarting>, settings: RunnerSettings) -> TestResult<Runner> {
    let queue = Intercepted::<dyn RunQueue>::new(fixture.stores.runs.clone(), interceptor.clone());
    fixture.runner_of(queue, settings)
}

/// The statuses and attempts of alice's job `hourly`, newest first.
async fn statuses(fixture: &Fixture) -> TestResult<Vec<(RunStatus, u32)>> {
    Ok(fixture.runs("hourly").await?.into_iter().map(|run| (run.status, run.attempts)).collect())
}

#[tokio::test]
async fn a_fire_time_is_delivered_once_to_the_key_that_we_built() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    let asked = JobDraft {
        session: Some("agent:MAIN:direct:signal:+15550100".to_owned()),
        thinking: Some("low".to_owned()),
        timeout_seconds: Some(60),
        ..draft("hourly", "@hourly")
    };
    let job = fixture.jobs.create(&alice(), asked, friend("alice")).await?;
    assert_eq!(fixture.pass_after(59).await?, 0);
    assert_eq!(fixture.pass_after(1).await?, 1);
    assert_eq!(fixture.pass_after(0).await?, 0);
    let [(message, session)] = &fixture.receiver.take()[..] else { return Err("not one message".into()) };
    assert_eq!(session.as_str(), "agent:main:signal:direct:+15550100");
    let spec = &message.job.spec;
    assert_eq!((spec.message.as_str(), message.trigger, message.attempt), ("Hello", Trigger::Schedule, 1));
    assert_eq!((message.job.id.as_str(), message.due_at), (job.id.as_str(), utc("2026-01-01T10:00:00Z")));
    assert_eq!(spec.timeout_seconds, Some(60));
    let [run] = &fixture.runs("hourly").await?[..] else { return Err("not one run".into()) };
    assert_eq!((run.id.as_str(), run.status), (message.id.as_str(), RunStatus::Delivered));
    let state = fixture.find("hourly").await?.state;
    assert_eq!((state.last_status, state.last_run), (Some(RunStatus::Delivered), Some(fixture.clock.now())));
    assert_eq!(state.next_run, Some(utc("2026-01-01T11:00:00Z")));
    Ok(())
}

#[tokio::test]
async fn after_an_outage_the_newest_fire_time_runs_and_the_others_are_missed() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.pass_after(4 * 60 + 30).await?;
    assert_eq!(fixture.receiver.take().len(), 1);
    let runs = fixture.runs("hourly").await?;
    assert_eq!((runs[0].status, runs[0].due_at), (RunStatus::Delivered, utc("2026-01-01T13:00:00Z")));
    let window = MissedWindow { from: utc("2026-01-01T10:00:00Z"), to: utc("2026-01-01T12:00:00Z"), count: 3 };
    assert_eq!((runs[1].status, runs[1].missed), (RunStatus::Missed, Some(window)));
    assert_eq!(fixture.find("hourly").await?.state.last_status, Some(RunStatus::Delivered));
    Ok(())
}

#[tokio::test]
async fn a_fire_time_older_than_the_window_is_missed() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("daily", "0 11 * * *").await?;
    fixture.pass_after(2 * 60 + 1).await?;
    assert_eq!(fixture.receiver.take(), []);
    assert_eq!(fixture.runs("daily").await?[0].status, RunStatus::Missed);
    assert_eq!(fixture.find("daily").await?.state.last_status, Some(RunStatus::Missed));
    Ok(())
}

// Paused where a later attempt is due at a moment that the test names: an attempt ends by the steady clock.
#[tokio::test(start_paused = true)]
async fn an_error_is_tried_again_under_the_same_run() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.receiver.will(Response::Fail);
    fixture.pass_after(60).await?;
    assert_eq!(statuses(&fixture).await?, [(RunStatus::Retrying, 1)]);
    assert_eq!(fixture.pass_after(0).await?, 0, "not before the pause is over");
    fixture.pass_after(1).await?;
    assert_eq!(statuses(&fixture).await?, [(RunStatus::Delivered, 2)]);
    let messages = fixture.receiver.take();
    assert_eq!((messages[0].0.id.as_str(), messages[1].0.attempt), (messages[1].0.id.as_str(), 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_for_time_gets_it() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.receiver.will(Response::Busy(Duration::from_mins(10)));
    fixture.pass_after(60).await?;
    assert_eq!(fixture.pass_after(9).await?, 0);
    assert_eq!(fixture.pass_after(1).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_final() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.receiver.will(Response::Refuse);
    fixture.pass_after(60).await?;
    assert_eq!(fixture.runs("hourly").await?[0].error.as_deref(), Some("the receiver said no"));
    assert_eq!(statuses(&fixture).await?, [(RunStatus::Failed, 1)]);
    assert_eq!(fixture.pass_after(10).await?, 0);
    assert_eq!(fixture.find("hourly").await?.state.consecutive_errors, 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn attempts_end_with_the_window() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("daily", "0 11 * * *").await?;
    (0..100).for_each(|_| fixture.receiver.will(Response::Fail));
    fixture.pass_after(60).await?;
    for _ in 0..65 {
        fixture.pass_after(1).await?;
    }
    let run = &fixture.runs("daily").await?[0];
    assert_eq!(run.status, RunStatus::Failed);
    assert!(run.finished_at <= Some(utc("2026-01-01T11:00:00Z")), "{run:?}");
    assert!((10..30).contains(&run.attempts), "{run:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn fire_times_that_come_while_a_run_is_open_wait_for_its_end() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "*/10 * * * *").await?;
    fixture.receiver.will(Response::Busy(Duration::from_mins(25)));
    fixture.pass_after(10).await?;
    fixture.pass_after(24).await?;
    assert_eq!(statuses(&fixture).await?, [(RunStatus::Retrying, 1)]);
    fixture.pass_after(1).await?;
    fixture.pass_after(0).await?;
    let runs = fixture.runs("hourly").await?;
    let statuses: Vec<_> = runs.iter().map(|run| (run.status, run.due_at)).collect();
    assert_eq!(
        statuses,
        [
            (RunStatus::Delivered, utc("2026-01-01T09:30:00Z")),
            (RunStatus::Missed, utc("2026-01-01T09:20:00Z")),
            (RunStatus::Delivered, utc("2026-01-01T09:10:00Z")),
        ]
    );
    Ok(())
}

/// Claims what is due like a process that dies before it has delivered anything.
#[expect(clippy::unwrap_used, reason = "the timings are written in the tests")]
async fn claim_and_die(fixture: &Fixture) -> TestResult<Vec<LeasedRun>> {
    let now = fixture.clock.now();
    let lease = RunLease { now, until: now + RunnerSettings::default().lease };
    let due = fixture.stores.runs.due(now, 10, FriendShares::of(10)).await?;
    let fire = |job: &DueJob| Firing {
        job: job.id.clone(),
        due_since: job.due_since,
        missed: None,
        run: Some(("run-of-the-dead".to_owned(), job.due_since)),
        next_due: Schedule::new(&job.timing, job.created_at, &TimeZones::bundled()).unwrap().next_after(now),
        moved_to: None,
    };
    Ok(fixture.stores.runs.fire(due.iter().map(fire).collect(), lease).await?)
}

#[tokio::test]
async fn a_run_that_a_dead_process_left_is_claimed_again_when_its_lease_ends() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.clock.set(utc("2026-01-01T10:00:00Z"));
    assert_eq!(claim_and_die(&fixture).await?.len(), 1);
    fixture.clock.set(utc("2026-01-01T10:00:59Z"));
    assert_eq!(fixture.pass_after(0).await?, 0);
    fixture.clock.set(utc("2026-01-01T10:01:00Z"));
    assert_eq!(fixture.pass_after(0).await?, 1);
    assert_eq!(statuses(&fixture).await?, [(RunStatus::Delivered, 2)]);
    assert_eq!(fixture.receiver.take()[0].0.id, "run-of-the-dead");
    Ok(())
}

#[tokio::test]
async fn a_run_left_open_is_not_delivered_after_the_window() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("daily", "0 11 * * *").await?;
    fixture.clock.set(utc("2026-01-01T10:00:00Z"));
    claim_and_die(&fixture).await?;
    fixture.clock.set(utc("2026-01-01T11:00:01Z"));
    fixture.pass_after(0).await?;
    assert_eq!(fixture.receiver.take(), []);
    assert_eq!(fixture.runs("daily").await?[0].status, RunStatus::Failed);
    Ok(())
}

#[tokio::test]
async fn a_stalled_process_whose_run_was_claimed_again_changes_nothing() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.clock.set(utc("2026-01-01T10:00:00Z"));
    let stalled = claim_and_die(&fixture).await?.remove(0);
    fixture.pass_after(2).await?;
    let late = CompletedAttempt {
        run: stalled.id,
        attempt: stalled.attempt,
        at: fixture.clock.now(),
        outcome: AttemptOutcome::Failed("I was asleep".to_owned()),
    };
    assert_eq!(fixture.stores.runs.complete_attempts(vec![late]).await?, [false]);
    assert_eq!(statuses(&fixture).await?, [(RunStatus::Delivered, 2)]);
    Ok(())
}

#[tokio::test]
async fn a_runner_that_stalls_in_a_delivery_leaves_the_newer_attempt_alone() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    let awake = Arc::new(Notify::new());
    fixture.receiver.will(Response::AcceptAfter(awake.clone()));
    fixture.receiver.will(Response::Refuse);
    fixture.clock.set(utc("2026-01-01T10:00:00Z"));
    fixture.runner.tick().await?;
    while fixture.receiver.received.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    fixture.clock.set(utc("2026-01-01T10:02:00Z"));
    let other = fixture.runner(RunnerSettings::default())?;
    other.tick().await?;
    other.idle().await;
    awake.notify_one();
    fixture.runner.idle().await;
    assert_eq!(statuses(&fixture).await?, [(RunStatus::Failed, 2)]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_hangs_is_given_up_before_its_lease_ends() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.receiver.will(Response::Hang);
    fixture.clock.set(utc("2026-01-01T10:00:00Z"));
    let begun = tokio::time::Instant::now();
    fixture.runner.tick().await?;
    fixture.runner.idle().await;
    assert!(begun.elapsed() < RunnerSettings::default().lease);
    let run = &fixture.runs("hourly").await?[0];
    assert_eq!((run.status, run.error.as_deref()), (RunStatus::Retrying, Some("the receiver did not answer in time")));
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_delivery_is_recorded_when_the_database_is_back_in_time() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    let queue = Arc::new(Restarting { failures: AtomicUsize::new(1), ..Restarting::default() });
    let runner = runner_behind(&fixture, &queue, RunnerSettings::default())?;
    fixture.clock.set(utc("2026-01-01T10:00:00Z"));
    runner.tick().await?;
    runner.idle().await;
    assert_eq!(queue.failures.load(Ordering::SeqCst), 0);
    assert_eq!(statuses(&fixture).await?, [(RunStatus::Delivered, 1)]);
    Ok(())
}

#[tokio::test]
async fn a_session_that_changed_hands_gets_nothing() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    let session = Some("agent:main:signal:direct:+15550100".to_owned());
    fixture.jobs.create(&alice(), JobDraft { session, ..draft("hourly", "@hourly") }, friend("alice")).await?;
    fixture.stores.contacts.remove(&contact()?, audit(Action::ContactRemove)).await?;
    fixture.pass_after(60).await?;
    assert_eq!(fixture.receiver.take(), []);
    assert_eq!(statuses(&fixture).await?, [(RunStatus::Failed, 1)]);
    Ok(())
}

#[tokio::test]
async fn a_friendship_that_rests_pauses_its_jobs_without_missing_any() -> TestResult<()> {
    for rest in [FriendshipStatus::Inactive, FriendshipStatus::Blocked] {
        let fixture = Fixture::new().await?;
        fixture.job("hourly", "@hourly").await?;
        fixture.befriend(rest).await?;
        for _ in 0..3 {
            assert_eq!(fixture.pass_after(60).await?, 0);
        }
        assert_eq!(fixture.pass_after(1).await?, 0);
        fixture.befriend(FriendshipStatus::Active).await?;
        assert_eq!(fixture.pass_after(58).await?, 0);
        assert_eq!(fixture.pass_after(1).await?, 1);
        assert_eq!(statuses(&fixture).await?, [(RunStatus::Delivered, 1)]);
    }
    Ok(())
}

#[tokio::test]
async fn a_run_of_a_friendship_that_rests_is_not_tried_again() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.receiver.will(Response::Fail);
    fixture.pass_after(60).await?;
    fixture.befriend(FriendshipStatus::Blocked).await?;
    assert_eq!(fixture.pass_after(5).await?, 0);
    fixture.befriend(FriendshipStatus::Active).await?;
    fixture.pass_after(1).await?;
    assert_eq!(statuses(&fixture).await?, [(RunStatus::Delivered, 2)]);
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_disabled_is_not_tried_again() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.receiver.will(Response::Fail);
    fixture.pass_after(60).await?;
    fixture.toggle("hourly", false).await?;
    fixture.pass_after(5).await?;
    assert_eq!(fixture.receiver.take().len(), 1);
    assert_eq!(fixture.runs("hourly").await?[0].status, RunStatus::Failed);
    Ok(())
}

#[tokio::test]
async fn no_more_deliveries_are_under_way_than_there_are_slots() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    for number in 0..10 {
        fixture.job(&format!("job {number}"), "@hourly").await?;
    }
    let runner = fixture.runner(RunnerSettings { slots: 4, ..RunnerSettings::default() })?;
    let accept = Arc::new(Notify::new());
    (0..4).for_each(|_| fixture.receiver.will(Response::AcceptAfter(accept.clone())));
    fixture.clock.set(utc("2026-01-01T10:00:00Z"));
    assert_eq!((runner.tick().await?, runner.tick().await?), (4, 0));
    while fixture.receiver.received.lock().len() < 4 {
        tokio::task::yield_now().await;
    }
    accept.notify_waiters();
    runner.idle().await;
    let mut begun = 4;
    for _ in 0..2 {
        begun += runner.tick().await?;
        runner.idle().await;
    }
    assert_eq!((begun, fixture.receiver.take().len()), (10, 10));
    Ok(())
}

#[tokio::test]
async fn runners_that_share_a_queue_deliver_each_fire_time_once() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    for number in 0..20 {
        fixture.job(&format!("job {number}"), "@hourly").await?;
    }
    // With more slots than the default, a friend's share holds all of them: runners that look at once look at the same.
    let runner = || fixture.runner(RunnerSettings { slots: 1024, ..RunnerSettings::default() });
    let runners = [runner()?, runner()?, runner()?];
    fixture.clock.set(utc("2026-01-01T10:00:00Z"));
    let (a, b, c) = tokio::join!(runners[0].run_due(), runners[1].run_due(), runners[2].run_due());
    a.and(b).and(c)?;
    for runner in &runners {
        runner.idle().await;
    }
    assert_eq!(fixture.receiver.take().len(), 20);
    Ok(())
}

#[tokio::test]
async fn a_clock_that_went_back_silences_no_job() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "*/10 * * * *").await?;
    assert_eq!(fixture.pass_after(10).await?, 1);
    // Three hours ahead for one pass, and back.
    fixture.clock.set(utc("2026-01-01T12:15:00Z"));
    assert_eq!(fixture.pass_after(0).await?, 1);
    fixture.clock.set(utc("2026-01-01T09:15:00Z"));
    assert_eq!(fixture.pass_after(0).await?, 0);
    assert_eq!(fixture.find("hourly").await?.state.next_run, Some(utc("2026-01-01T09:20:00Z")));
    assert_eq!(fixture.pass_after(5).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_runner_that_starts_after_the_clock_went_back_plans_anew() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "*/10 * * * *").await?;
    fixture.clock.set(utc("2026-01-01T12:15:00Z"));
    assert_eq!(fixture.pass_after(0).await?, 1);
    fixture.clock.set(utc("2026-01-01T09:15:00Z"));
    let restarted = fixture.runner(RunnerSettings::default())?;
    restarted.tick().await?;
    assert_eq!(fixture.find("hourly").await?.state.next_run, Some(utc("2026-01-01T09:20:00Z")));
    Ok(())
}

#[tokio::test]
async fn a_friend_whose_receiver_is_slow_leaves_slots_to_others() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    for number in 0..50 {
        fixture.job(&format!("job {number}"), "@hourly").await?;
    }
    fixture.jobs.create(&owner("bob"), draft("daily", "@hourly"), friend("bob")).await?;
    (0..50).for_each(|_| fixture.receiver.will(Response::Hang));
    let runner = fixture.runner(RunnerSettings { slots: 32, ..RunnerSettings::default() })?;
    fixture.clock.set(utc("2026-01-01T10:00:00Z"));
    // Four of alice's, which is all that she may have of 32, and bob's in the same pass.
    assert_eq!(runner.tick().await?, 5);
    assert_eq!(runner.tick().await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_stopping_runner_claims_nothing_and_hands_back_what_does_not_end() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.job("yearly", "0 0 1 12 *").await?;
    fixture.receiver.will(Response::Hang);
    // One more slot than deliveries under way, so that only its stop keeps the runner from claiming.
    let runner = fixture.runner(RunnerSettings { slots: 2, ..RunnerSettings::default() })?;
    fixture.clock.set(utc("2026-01-01T10:00:00Z"));
    assert_eq!(runner.tick().await?, 1);
    while fixture.receiver.received.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    runner.stop(Duration::from_millis(20)).await;
    fixture.jobs.run(&alice(), "yearly", friend("alice")).await?;
    assert_eq!(runner.tick().await?, 0, "it claims nothing more");
    let handed_back = fixture.receiver.take().remove(0).0;
    // The other replica makes the next attempt now, long before the lease ends.
    let other = fixture.runner(RunnerSettings::default())?;
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(other.tick().await?, 2);
    other.idle().await;
    let attempts: Vec<_> = fixture.receiver.take().into_iter().map(|(run, _)| (run.id, run.attempt)).collect();
    assert!(attempts.contains(&(handed_back.id, 2)), "{attempts:?}");
    Ok(())
}

#[tokio::test]
async fn a_stopping_runner_waits_for_a_delivery_that_ends_in_time() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    let accept = Arc::new(Notify::new());
    fixture.receiver.will(Response::AcceptAfter(accept.clone()));
    fixture.clock.set(utc("2026-01-01T10:00:00Z"));
    fixture.runner.tick().await?;
    tokio::join!(fixture.runner.stop(Duration::from_mins(1)), async { accept.notify_one() });
    assert_eq!(statuses(&fixture).await?, [(RunStatus::Delivered, 1)]);
    Ok(())
}

#[tokio::test]
async fn ends_that_come_together_share_a_transaction() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    for number in 0..40 {
        fixture.job(&format!("job {number}"), "@hourly").await?;
    }
    let accept = Arc::new(Notify::new());
    (0..40).for_each(|_| fixture.receiver.will(Response::AcceptAfter(accept.clone())));
    let queue = Arc::new(Restarting::default());
    let runner = runner_behind(&fixture, &queue, RunnerSettings { slots: 1024, ..RunnerSettings::default() })?;
    fixture.clock.set(utc("2026-01-01T10:00:00Z"));
    runner.run_due().await?;
    while fixture.receiver.received.lock().len() < 40 {
        tokio::task::yield_now().await;
    }
    accept.notify_waiters();
    runner.idle().await;
    let ended = fixture.jobs.list(&alice()).await?;
    let delivered = ended.iter().filter(|job| job.state.last_status == Some(RunStatus::Delivered));
    assert_eq!((ended.len(), delivered.count()), (40, 40));
    let calls = queue.calls.load(Ordering::SeqCst);
    assert!(calls <= 2, "{calls} transactions");
    Ok(())
}
