//! Changes and runs of jobs that are kept elsewhere.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use portal_core::{
    Action, AgentId, AuditFilter, Clock, Expired, FriendId, FriendshipKey, FriendshipStatus, Ids, Topic,
};
use portal_cron::{
    ChangeBegun, ChangeEnd, HeldChange, MANUAL_RUNS_PER_MINUTE, NewChange, RemoteRun, RemoteRunEnd, RemoteStore,
    RunStatus, Sent,
};

use crate::fixture::Fixture;

/// An empty store of changes and runs, and the other stores in its database.
pub struct RemoteFixture {
    /// The stores.
    pub stores: Fixture,
    /// The port that is tested.
    pub remote: Arc<dyn RemoteStore>,
    /// Whether changes are granted by the clock of the fixture, and not by that of a server.
    pub has_own_clock: bool,
}

impl RemoteFixture {
    async fn alice(&self) -> FriendshipKey {
        let (friend, agent) = self.stores.pair("alice", "main").await;
        FriendshipKey { friend, agent }
    }

    fn change(&self, owner: &FriendshipKey, job: &str, action: Action) -> NewChange {
        let audit = self.stores.audit(action).with_friend(owner.friend.clone()).with_detail("agent main");
        NewChange { id: self.stores.ids.id(), owner: owner.clone(), job: job.to_owned(), audit }
    }

    async fn begin(&self, owner: &FriendshipKey, job: &str, action: Action) -> ChangeBegun {
        self.remote.begin(self.change(owner, job, action)).await.unwrap()
    }

    async fn held(&self, owner: &FriendshipKey, job: &str, action: Action) -> HeldChange {
        match self.begin(owner, job, action).await {
            ChangeBegun::Held(held) => held,
            other => panic!("not held: {other:?}"),
        }
    }

    async fn end(&self, held: &HeldChange, end: ChangeEnd) {
        self.remote.end(&held.id, end).await.unwrap();
    }

    /// Returns the audit log's lines of an action, as subject and detail, the newest first.
    async fn lines(&self, action: Action) -> Vec<(String, String)> {
        let filter = AuditFilter { action: Some(action.as_str().to_owned()), limit: 100, ..AuditFilter::default() };
        let lines = self.stores.audit.list(filter).await.unwrap();
        lines.into_iter().map(|line| (line.subject, line.detail)).collect()
    }

    fn run(&self, owner: &FriendshipKey, job: &str) -> RemoteRun {
        let now = self.stores.clock.now();
        RemoteRun {
            id: self.stores.ids.id(),
            owner: owner.clone(),
            job: job.to_owned(),
            remote_id: Some("manual:1".to_owned()),
            requested_at: now,
            expected_by: now + Duration::from_mins(5),
            end: None,
        }
    }

    /// Stores a run that was asked for now.
    async fn ask(&self, owner: &FriendshipKey, job: &str) -> RemoteRun {
        let (held, run) = (self.held(owner, job, Action::JobRun).await, self.run(owner, job));
        self.end(&held, made("daily", Some(run.clone()))).await;
        run
    }
}

fn made(name: &str, run: Option<RemoteRun>) -> ChangeEnd {
    ChangeEnd::Done { name: name.to_owned(), id: format!("id of {name}"), run: run.map(Box::new) }
}

pub async fn of_many_changes_of_a_job_one_is_under_way(fixture: &RemoteFixture) {
    let alice = fixture.alice().await;
    let begun = join_all((0..8).map(|_| fixture.begin(&alice, "daily", Action::JobCreate))).await;
    let held: Vec<_> = begun.iter().filter(|begun| matches!(begun, ChangeBegun::Held(_))).collect();
    assert_eq!(held.len(), 1, "{begun:?}");
    assert_eq!(begun.iter().filter(|begun| **begun == ChangeBegun::Busy).count(), 7);
    // Another job of hers, and one of that name of somebody else's.
    fixture.held(&alice, "weekly", Action::JobCreate).await;
    let bob = FriendshipKey { friend: fixture.stores.friend("bob").await, ..alice.clone() };
    assert_eq!(fixture.begin(&bob, "daily", Action::JobCreate).await, ChangeBegun::NoFriendship);
    fixture.stores.befriend(&bob.agent, &bob.friend, FriendshipStatus::Active).await;
    let held_by_bob = fixture.held(&bob, "daily", Action::JobCreate).await;
    fixture.end(&held_by_bob, ChangeEnd::Nothing).await;
    fixture.held(&bob, "daily", Action::JobCreate).await;
}

pub async fn a_change_leaves_a_line_unless_nothing_was_changed(fixture: &RemoteFixture) {
    let alice = fixture.alice().await;
    for (end, lines) in [
        (ChangeEnd::Nothing, 0),
        (made("daily", None), 1),
        (ChangeEnd::Lost { name: "daily".to_owned() }, 2),
        (ChangeEnd::Nothing, 2),
    ] {
        let held = fixture.held(&alice, "id", Action::JobUpdate).await;
        assert_eq!(held.follows_lost, lines == 2 && end == ChangeEnd::Nothing, "{end:?}");
        fixture.end(&held, end).await;
        assert_eq!(fixture.lines(Action::JobUpdate).await.len(), lines);
    }
    let lines = fixture.lines(Action::JobUpdate).await;
    assert_eq!(lines[0], ("daily".to_owned(), "agent main, outcome unknown".to_owned()));
    assert_eq!(lines[1], ("daily".to_owned(), "agent main".to_owned()));
    let filter = AuditFilter { friend: Some(alice.friend), limit: 10, ..AuditFilter::default() };
    let of_alice = fixture.stores.audit.list(filter).await.unwrap();
    assert_eq!(of_alice.iter().filter(|line| line.action == Action::JobUpdate.as_str()).count(), 2);
}

pub async fn a_change_whose_process_died_is_entered_once(fixture: &RemoteFixture) {
    if !fixture.has_own_clock {
        return;
    }
    let alice = fixture.alice().await;
    let dead = fixture.held(&alice, "daily", Action::JobCreate).await;
    let late = fixture.held(&alice, "weekly", Action::JobCreate).await;
    assert_eq!(fixture.remote.recover_changes().await.unwrap(), 0);
    fixture.stores.clock.advance(Duration::from_secs(45));
    // Whoever asks next takes it over.
    let next = fixture.held(&alice, "daily", Action::JobCreate).await;
    assert!(next.follows_lost);
    assert_eq!(fixture.lines(Action::JobCreate).await.len(), 1);
    assert_eq!(fixture.remote.recover_changes().await.unwrap(), 1);
    assert_eq!(fixture.remote.recover_changes().await.unwrap(), 0);
    assert_eq!(fixture.lines(Action::JobCreate).await.len(), 2);
    // Their own ends come too late.
    fixture.end(&dead, made("daily", None)).await;
    fixture.end(&late, made("weekly", None)).await;
    assert_eq!(fixture.lines(Action::JobCreate).await.len(), 2);
    fixture.end(&next, made("daily", None)).await;
    assert_eq!(fixture.lines(Action::JobCreate).await[0].1, "agent main");
    assert!(!fixture.held(&alice, "daily", Action::JobDelete).await.follows_lost);
}

pub async fn jobs_that_are_being_made_count(fixture: &RemoteFixture) {
    let alice = fixture.alice().await;
    assert_eq!(fixture.held(&alice, "a", Action::JobCreate).await.other_jobs, 0);
    assert_eq!(fixture.held(&alice, "b", Action::JobCreate).await.other_jobs, 1);
    assert_eq!(fixture.held(&alice, "c", Action::JobDelete).await.other_jobs, 2);
    assert_eq!(fixture.held(&alice, "d", Action::JobCreate).await.other_jobs, 2);
}

pub async fn a_friend_asks_for_ten_runs_a_minute_of_all_jobs(fixture: &RemoteFixture) {
    let alice = fixture.alice().await;
    for number in 0..MANUAL_RUNS_PER_MINUTE {
        fixture.ask(&alice, &format!("job {number}")).await;
    }
    if !fixture.has_own_clock {
        return;
    }
    let ChangeBegun::TooMany { retry_after } = fixture.begin(&alice, "one more", Action::JobRun).await else {
        panic!("not limited");
    };
    assert_eq!(retry_after, Duration::from_mins(1));
    fixture.held(&alice, "one more", Action::JobUpdate).await;
    fixture.stores.clock.advance(retry_after);
    fixture.ask(&alice, "another").await;
}

pub async fn a_run_is_open_until_it_is_ended_once(fixture: &RemoteFixture) {
    let alice = fixture.alice().await;
    let agent = alice.agent.clone();
    let first = fixture.ask(&alice, "daily").await;
    fixture.stores.clock.advance(Duration::from_secs(1));
    let second = fixture.ask(&alice, "weekly").await;
    assert_eq!(fixture.remote.open_runs(&agent, 10).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(fixture.remote.open_runs(&agent, 1).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(fixture.remote.open_runs(&AgentId::parse("other").unwrap(), 10).await.unwrap(), []);
    let now = fixture.stores.clock.now();
    let end = |status| RemoteRunEnd {
        status,
        started_at: Some(now),
        finished_at: now,
        finished: Some(false),
        sent: None,
        error: Some("the agent did not finish in time".to_owned()),
    };
    assert!(fixture.remote.end_run(&first.id, end(RunStatus::Failed)).await.unwrap());
    assert!(!fixture.remote.end_run(&first.id, end(RunStatus::Delivered)).await.unwrap());
    assert_eq!(fixture.remote.open_runs(&agent, 10).await.unwrap(), std::slice::from_ref(&second));
    let unknown = RemoteRunEnd { started_at: None, finished: None, error: None, ..end(RunStatus::Unknown) };
    assert!(fixture.remote.end_run(&second.id, unknown.clone()).await.unwrap());
    let runs = async |job: &str| fixture.remote.requested_runs(&alice, job, 10).await.unwrap();
    assert_eq!(runs("daily").await, [RemoteRun { end: Some(end(RunStatus::Failed)), ..first }]);
    assert_eq!(runs("weekly").await, [RemoteRun { end: Some(unknown), ..second }]);
    let bob = FriendshipKey { friend: FriendId::parse("bob").unwrap(), agent };
    assert_eq!(fixture.remote.requested_runs(&bob, "daily", 10).await.unwrap(), []);
}

pub async fn the_end_of_the_work_and_the_delivery_of_the_answer_are_stored(fixture: &RemoteFixture) {
    let alice = fixture.alice().await;
    let finished_at = fixture.stores.clock.now();
    for (number, sent) in Sent::ALL.map(Some).into_iter().chain([None]).enumerate() {
        let job = format!("job {number}");
        let run = fixture.ask(&alice, &job).await;
        let finished = sent.map(|sent| sent == Sent::Sent);
        let end =
            RemoteRunEnd { status: RunStatus::Delivered, started_at: None, finished_at, finished, sent, error: None };
        assert!(fixture.remote.end_run(&run.id, end.clone()).await.unwrap());
        let stored = fixture.remote.requested_runs(&alice, &job, 1).await.unwrap();
        assert_eq!(stored, [RemoteRun { end: Some(end), ..run }]);
    }
}

pub async fn a_pause_is_stored_once_and_goes_with_its_friendship(fixture: &RemoteFixture) {
    let alice = fixture.alice().await;
    for job in ["b", "a", "b"] {
        fixture.remote.pause(&alice, job).await.unwrap();
    }
    let paused = async || {
        let mut paused = fixture.remote.paused(&alice.agent).await.unwrap();
        paused.sort_by(|one, other| one.1.cmp(&other.1));
        paused
    };
    assert_eq!(paused().await, [(alice.clone(), "a".to_owned()), (alice.clone(), "b".to_owned())]);
    fixture.remote.resume(&alice, "a").await.unwrap();
    fixture.remote.resume(&alice, "a").await.unwrap();
    assert_eq!(paused().await, [(alice.clone(), "b".to_owned())]);
    fixture.stores.friends.remove(&alice.friend, fixture.stores.audit(Action::FriendRemove)).await.unwrap();
    assert_eq!(paused().await, []);
}

pub async fn old_runs_are_forgotten_in_batches(fixture: &RemoteFixture) {
    let alice = fixture.alice().await;
    for number in 0..3 {
        fixture.ask(&alice, &format!("job {number}")).await;
    }
    let now = fixture.stores.clock.now();
    let retention = &fixture.stores.retention;
    assert_eq!(retention.delete(Expired::Runs { before: now }, 10).await.unwrap(), 0);
    let later = Expired::Runs { before: now + Duration::from_millis(1) };
    assert_eq!(retention.count(later).await.unwrap(), 3);
    assert_eq!(retention.delete(later, 2).await.unwrap(), 2);
    assert_eq!(retention.delete(later, 2).await.unwrap(), 1);
    assert_eq!(fixture.remote.open_runs(&alice.agent, 10).await.unwrap(), []);
}

pub async fn a_job_that_was_made_is_told_of_by_its_id(fixture: &RemoteFixture) {
    let alice = fixture.alice().await;
    let made_one = fixture.held(&alice, "daily", Action::JobCreate).await;
    fixture.end(&made_one, made("daily", None)).await;
    let none = fixture.held(&alice, "weekly", Action::JobCreate).await;
    fixture.end(&none, ChangeEnd::Nothing).await;
    let told = fixture.stores.changes.recent(Duration::from_mins(10), 100).await.unwrap().changes;
    let mut jobs: Vec<_> =
        told.iter().filter(|change| change.topic == Topic::Job).map(|change| &change.subject).collect();
    jobs.sort();
    assert_eq!(jobs, ["id of daily", "weekly"]);
}

pub async fn a_run_is_told_of_by_its_job(fixture: &RemoteFixture) {
    let alice = fixture.alice().await;
    let run = fixture.ask(&alice, "daily").await;
    assert_ne!(run.id, run.job);
    let end = RemoteRunEnd {
        status: RunStatus::Delivered,
        started_at: None,
        finished_at: fixture.stores.clock.now(),
        finished: Some(true),
        sent: Some(Sent::Nowhere),
        error: None,
    };
    assert!(fixture.remote.end_run(&run.id, end).await.unwrap());
    let told = fixture.stores.changes.recent(Duration::from_mins(10), 100).await.unwrap().changes;
    let runs: Vec<_> = told.iter().filter(|change| change.topic == Topic::Run).map(|change| &change.subject).collect();
    assert_eq!(runs, [&run.job, &run.job]);
}
