//! What happens at the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_adapters::memory::{MemoryContacts, MemoryJobs};
use portal_core::{Action, Backend, BackendError, Clock, ContactStore, FriendshipStatus};
use portal_cron::{
    DueJob, Firing, JobDraft, Lease, LeasedRun, RunQueue, RunStatus, RunnerSettings, Settled, Settlement, Stretch,
    Trigger, Verdict,
};
use tokio::sync::Notify;

use crate::world::{Answer, Outcome, World, alice, at, audit, contact, draft, friend};

/// A queue that fails to settle so many times.
struct Restarting {
    queue: Arc<MemoryJobs>,
    failures: AtomicUsize,
}

#[async_trait]
impl RunQueue for Restarting {
    async fn now(&self) -> Result<DateTime<Utc>, BackendError> {
        self.queue.now().await
    }

    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<DueJob>, BackendError> {
        self.queue.due(now, limit).await
    }

    async fn fire(&self, firings: Vec<Firing>, lease: Lease) -> Result<Vec<LeasedRun>, BackendError> {
        self.queue.fire(firings, lease).await
    }

    async fn take(&self, lease: Lease, limit: u32) -> Result<Vec<LeasedRun>, BackendError> {
        self.queue.take(lease, limit).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, BackendError> {
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            return Err(BackendError::unavailable(Backend::Database, "restarting"));
        }
        self.queue.settle(settlement).await
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError> {
        self.queue.sweep(before).await
    }
}

/// What became of alice's job `hourly`, newest first.
async fn told(world: &World) -> Outcome<Vec<(RunStatus, u32)>> {
    Ok(world.runs("hourly").await?.into_iter().map(|run| (run.status, run.attempts)).collect())
}

#[tokio::test]
async fn an_instant_is_delivered_once_to_the_key_that_we_built() -> Outcome<()> {
    let world = World::new().await?;
    let asked = JobDraft {
        session: Some("agent:MAIN:direct:signal:+15550100".to_owned()),
        thinking: Some("low".to_owned()),
        timeout_seconds: Some(60),
        ..draft("hourly", "@hourly")
    };
    let job = world.jobs.create(&alice(), asked, friend("alice")).await?;
    assert_eq!(world.pass_after(59).await?, 0);
    assert_eq!(world.pass_after(1).await?, 1);
    assert_eq!(world.pass_after(0).await?, 0);
    let [message] = &world.receiver.take()[..] else { return Err("not one message".into()) };
    assert_eq!(message.session.as_str(), "agent:main:signal:direct:+15550100");
    assert_eq!((message.text.as_str(), message.trigger, message.attempt), ("Hello", Trigger::Schedule, 1));
    assert_eq!((message.job.as_str(), message.due_at), (job.id.as_str(), at("2026-01-01T10:00:00Z")));
    assert_eq!(message.timeout_seconds, Some(60));
    let [run] = &world.runs("hourly").await?[..] else { return Err("not one run".into()) };
    assert_eq!((run.id.as_str(), run.status), (message.run.as_str(), RunStatus::Delivered));
    let state = world.find("hourly").await?.state;
    assert_eq!((state.last_status, state.last_run), (Some(RunStatus::Delivered), Some(world.clock.now())));
    assert_eq!(state.next_run, Some(at("2026-01-01T11:00:00Z")));
    Ok(())
}

#[tokio::test]
async fn after_a_standstill_the_newest_instant_runs_and_the_rest_is_told_as_missed() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.pass_after(4 * 60 + 30).await?;
    assert_eq!(world.receiver.take().len(), 1);
    let runs = world.runs("hourly").await?;
    assert_eq!((runs[0].status, runs[0].due_at), (RunStatus::Delivered, at("2026-01-01T13:00:00Z")));
    let stretch = Stretch { from: at("2026-01-01T10:00:00Z"), to: at("2026-01-01T12:00:00Z"), count: 3 };
    assert_eq!((runs[1].status, runs[1].missed), (RunStatus::Missed, Some(stretch)));
    assert_eq!(world.find("hourly").await?.state.last_status, Some(RunStatus::Delivered));
    Ok(())
}

#[tokio::test]
async fn an_instant_older_than_the_window_is_missed() -> Outcome<()> {
    let world = World::new().await?;
    world.job("daily", "0 11 * * *").await?;
    world.pass_after(2 * 60 + 1).await?;
    assert_eq!(world.receiver.take(), []);
    assert_eq!(world.runs("daily").await?[0].status, RunStatus::Missed);
    assert_eq!(world.find("daily").await?.state.last_status, Some(RunStatus::Missed));
    Ok(())
}

#[tokio::test]
async fn trouble_is_tried_again_under_the_same_run() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.receiver.will(Answer::Trouble);
    world.pass_after(60).await?;
    assert_eq!(told(&world).await?, [(RunStatus::Retrying, 1)]);
    assert_eq!(world.pass_after(0).await?, 0, "not before the pause is over");
    world.pass_after(1).await?;
    assert_eq!(told(&world).await?, [(RunStatus::Delivered, 2)]);
    let messages = world.receiver.take();
    assert_eq!((messages[0].run.as_str(), messages[1].attempt), (messages[1].run.as_str(), 2));
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.receiver.will(Answer::Busy(Duration::from_mins(10)));
    world.pass_after(60).await?;
    assert_eq!(world.pass_after(9).await?, 0);
    assert_eq!(world.pass_after(1).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_final() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.receiver.will(Answer::Refuse);
    world.pass_after(60).await?;
    assert_eq!(world.runs("hourly").await?[0].error.as_deref(), Some("the receiver said no"));
    assert_eq!(told(&world).await?, [(RunStatus::Failed, 1)]);
    assert_eq!(world.pass_after(10).await?, 0);
    assert_eq!(world.find("hourly").await?.state.consecutive_errors, 1);
    Ok(())
}

#[tokio::test]
async fn attempts_end_with_the_window() -> Outcome<()> {
    let world = World::new().await?;
    world.job("daily", "0 11 * * *").await?;
    (0..100).for_each(|_| world.receiver.will(Answer::Trouble));
    world.pass_after(60).await?;
    for _ in 0..65 {
        world.pass_after(1).await?;
    }
    let run = &world.runs("daily").await?[0];
    assert_eq!(run.status, RunStatus::Failed);
    assert!(run.finished_at <= Some(at("2026-01-01T11:00:00Z")), "{run:?}");
    assert!((10..30).contains(&run.attempts), "{run:?}");
    Ok(())
}

#[tokio::test]
async fn instants_that_come_while_a_run_is_open_wait_for_its_end() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "*/10 * * * *").await?;
    world.receiver.will(Answer::Busy(Duration::from_mins(25)));
    world.pass_after(10).await?;
    world.pass_after(24).await?;
    assert_eq!(told(&world).await?, [(RunStatus::Retrying, 1)]);
    world.pass_after(1).await?;
    world.pass_after(0).await?;
    let runs = world.runs("hourly").await?;
    let statuses: Vec<_> = runs.iter().map(|run| (run.status, run.due_at)).collect();
    assert_eq!(
        statuses,
        [
            (RunStatus::Delivered, at("2026-01-01T09:30:00Z")),
            (RunStatus::Missed, at("2026-01-01T09:20:00Z")),
            (RunStatus::Delivered, at("2026-01-01T09:10:00Z")),
        ]
    );
    Ok(())
}

/// Takes what is due like a process that dies before it has delivered anything.
async fn take_and_die(world: &World) -> Outcome<Vec<LeasedRun>> {
    let now = world.clock.now();
    let lease = Lease { now, until: now + RunnerSettings::default().lease };
    let due = world.store.due(now, 10).await?;
    let fire = |job: &DueJob| Firing {
        job: job.id.clone(),
        due_since: job.due_since,
        missed: None,
        run: Some(("run-of-the-dead".to_owned(), job.due_since)),
        next_due: job.schedule.next_after(now),
    };
    Ok(world.store.fire(due.iter().map(fire).collect(), lease).await?)
}

#[tokio::test]
async fn a_run_that_a_dead_process_left_is_taken_over_when_its_lease_ends() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.clock.set(at("2026-01-01T10:00:00Z"));
    assert_eq!(take_and_die(&world).await?.len(), 1);
    world.clock.set(at("2026-01-01T10:00:59Z"));
    assert_eq!(world.pass_after(0).await?, 0);
    world.clock.set(at("2026-01-01T10:01:00Z"));
    assert_eq!(world.pass_after(0).await?, 1);
    assert_eq!(told(&world).await?, [(RunStatus::Delivered, 2)]);
    assert_eq!(world.receiver.take()[0].run, "run-of-the-dead");
    Ok(())
}

#[tokio::test]
async fn a_run_left_open_is_not_delivered_after_the_window() -> Outcome<()> {
    let world = World::new().await?;
    world.job("daily", "0 11 * * *").await?;
    world.clock.set(at("2026-01-01T10:00:00Z"));
    take_and_die(&world).await?;
    world.clock.set(at("2026-01-01T11:00:01Z"));
    world.pass_after(0).await?;
    assert_eq!(world.receiver.take(), []);
    assert_eq!(world.runs("daily").await?[0].status, RunStatus::Failed);
    Ok(())
}

#[tokio::test]
async fn what_a_stalled_process_says_after_its_run_was_taken_over_does_not_count() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.clock.set(at("2026-01-01T10:00:00Z"));
    let stalled = take_and_die(&world).await?.remove(0);
    world.pass_after(2).await?;
    let late = Settlement {
        run: stalled.id,
        attempt: stalled.attempt,
        at: world.clock.now(),
        verdict: Verdict::Failed("I was asleep".to_owned()),
    };
    assert_eq!(world.store.settle(late).await?, Settled::Superseded);
    assert_eq!(told(&world).await?, [(RunStatus::Delivered, 2)]);
    Ok(())
}

#[tokio::test]
async fn a_runner_that_stalls_in_a_delivery_leaves_the_newer_attempt_alone() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    let awake = Arc::new(Notify::new());
    world.receiver.will(Answer::AcceptAfter(awake.clone()));
    world.receiver.will(Answer::Refuse);
    world.clock.set(at("2026-01-01T10:00:00Z"));
    world.runner.tick().await?;
    while world.receiver.received.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    world.clock.set(at("2026-01-01T10:02:00Z"));
    let other = world.runner(RunnerSettings::default())?;
    other.tick().await?;
    other.idle().await;
    awake.notify_one();
    world.runner.idle().await;
    assert_eq!(told(&world).await?, [(RunStatus::Failed, 2)]);
    Ok(())
}

#[tokio::test]
async fn a_delivery_that_hangs_is_given_up_before_its_lease_ends() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.receiver.will(Answer::Hang);
    let lease = Duration::from_millis(400);
    let runner = world.runner(RunnerSettings { lease, ..RunnerSettings::default() })?;
    world.clock.set(at("2026-01-01T10:00:00Z"));
    let begun = std::time::Instant::now();
    runner.tick().await?;
    runner.idle().await;
    assert!(begun.elapsed() < lease);
    let run = &world.runs("hourly").await?[0];
    assert_eq!((run.status, run.error.as_deref()), (RunStatus::Retrying, Some("the receiver did not answer in time")));
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_delivery_is_recorded_when_the_database_is_back_in_time() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    let queue = Arc::new(Restarting { queue: world.store.clone(), failures: AtomicUsize::new(1) });
    let runner = world.runner_of(queue.clone(), RunnerSettings::default())?;
    world.clock.set(at("2026-01-01T10:00:00Z"));
    runner.tick().await?;
    runner.idle().await;
    assert_eq!(queue.failures.load(Ordering::SeqCst), 0);
    assert_eq!(told(&world).await?, [(RunStatus::Delivered, 1)]);
    Ok(())
}

#[tokio::test]
async fn a_session_that_changed_hands_gets_nothing() -> Outcome<()> {
    let world = World::new().await?;
    let session = Some("agent:main:signal:direct:+15550100".to_owned());
    world.jobs.create(&alice(), JobDraft { session, ..draft("hourly", "@hourly") }, friend("alice")).await?;
    MemoryContacts::new(&world.people).remove(&contact()?, audit(Action::ContactRemove)).await?;
    world.pass_after(60).await?;
    assert_eq!(world.receiver.take(), []);
    assert_eq!(told(&world).await?, [(RunStatus::Failed, 1)]);
    Ok(())
}

#[tokio::test]
async fn a_friendship_that_rests_pauses_its_jobs_without_missing_any() -> Outcome<()> {
    for rest in [FriendshipStatus::Inactive, FriendshipStatus::Blocked] {
        let world = World::new().await?;
        world.job("hourly", "@hourly").await?;
        world.befriend(rest).await?;
        for _ in 0..3 {
            assert_eq!(world.pass_after(60).await?, 0);
        }
        world.befriend(FriendshipStatus::Active).await?;
        assert_eq!(world.pass_after(59).await?, 0);
        assert_eq!(world.pass_after(1).await?, 1);
        assert_eq!(told(&world).await?, [(RunStatus::Delivered, 1)]);
    }
    Ok(())
}

#[tokio::test]
async fn a_run_of_a_friendship_that_rests_is_not_tried_again() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.receiver.will(Answer::Trouble);
    world.pass_after(60).await?;
    world.befriend(FriendshipStatus::Blocked).await?;
    assert_eq!(world.pass_after(5).await?, 0);
    world.befriend(FriendshipStatus::Active).await?;
    world.pass_after(1).await?;
    assert_eq!(told(&world).await?, [(RunStatus::Delivered, 2)]);
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_disabled_is_not_tried_again() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.receiver.will(Answer::Trouble);
    world.pass_after(60).await?;
    world.jobs.toggle(&alice(), "hourly", false, friend("alice")).await?;
    world.pass_after(5).await?;
    assert_eq!(world.receiver.take().len(), 1);
    assert_eq!(world.runs("hourly").await?[0].status, RunStatus::Failed);
    Ok(())
}

#[tokio::test]
async fn no_more_deliveries_are_under_way_than_there_are_slots() -> Outcome<()> {
    let world = World::new().await?;
    for number in 0..10 {
        world.job(&format!("job {number}"), "@hourly").await?;
    }
    let runner = world.runner(RunnerSettings { slots: 4, ..RunnerSettings::default() })?;
    let accept = Arc::new(Notify::new());
    (0..4).for_each(|_| world.receiver.will(Answer::AcceptAfter(accept.clone())));
    world.clock.set(at("2026-01-01T10:00:00Z"));
    assert_eq!((runner.tick().await?, runner.tick().await?), (4, 0));
    while world.receiver.received.lock().len() < 4 {
        tokio::task::yield_now().await;
    }
    accept.notify_waiters();
    runner.idle().await;
    let mut begun = 4;
    for _ in 0..2 {
        begun += runner.tick().await?;
        runner.idle().await;
    }
    assert_eq!((begun, world.receiver.take().len()), (10, 10));
    Ok(())
}

#[tokio::test]
async fn runners_that_share_a_queue_deliver_each_instant_once() -> Outcome<()> {
    let world = World::new().await?;
    for number in 0..20 {
        world.job(&format!("job {number}"), "@hourly").await?;
    }
    let others = [world.runner(RunnerSettings::default())?, world.runner(RunnerSettings::default())?];
    world.clock.set(at("2026-01-01T10:00:00Z"));
    let (a, b, c) = tokio::join!(world.runner.tick(), others[0].tick(), others[1].tick());
    assert_eq!(a? + b? + c?, 20);
    for runner in others.iter().chain([&world.runner]) {
        runner.idle().await;
    }
    assert_eq!(world.receiver.take().len(), 20);
    Ok(())
}

#[tokio::test]
async fn old_runs_are_forgotten_and_open_ones_kept() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.pass_after(60).await?;
    world.clock.set(at("2026-02-15T09:00:00Z"));
    world.jobs.run(&alice(), "hourly", friend("alice")).await?;
    assert_eq!(world.runner.sweep().await?, 1);
    assert_eq!(told(&world).await?, [(RunStatus::Queued, 0)]);
    Ok(())
}
