//! Engines, as far as all of them promise the same. docs/agents.md says where they differ.

use std::sync::Arc;

use portal_core::{Action, AgentId, Clock, FriendId, FriendshipKey, FriendshipStatus};
use portal_cron::{
    AnswerTo, Engine, Job, JobCreated, JobName, JobRemoved, JobSpec, JobUpdated, RunRequested, RunStatus, RunsListed,
    Timing, TimingKind, Trigger,
};

use crate::fixture::Fixture;

/// An engine without jobs, and the stores beside it.
pub struct EngineFixture {
    /// The stores, in which nobody is registered. The engine's audit entries go there.
    pub stores: Fixture,
    /// The engine of the agent `main`.
    pub engine: Arc<dyn Engine>,
}

impl EngineFixture {
    /// Registers alice and bob as friends of the agent; returns both.
    async fn friends(&self) -> [FriendshipKey; 2] {
        let (alice, agent) = self.stores.pair("alice", "main").await;
        let bob = self.stores.friend("bob").await;
        self.stores.befriend(&agent, &bob, FriendshipStatus::Active).await;
        [FriendshipKey { friend: alice, agent: agent.clone() }, FriendshipKey { friend: bob, agent }]
    }

    async fn create(&self, owner: &FriendshipKey, spec: JobSpec) -> JobCreated {
        let mut audit = self.stores.audit(Action::JobCreate);
        audit.subject = spec.name.to_string();
        self.engine.create(owner, spec, audit).await.unwrap()
    }

    async fn new_job(&self, owner: &FriendshipKey, name: &str) -> Job {
        match self.create(owner, spec(name)).await {
            JobCreated::New(job) => *job,
            other => panic!("not created: {other:?}"),
        }
    }

    async fn update(&self, job: &Job, spec: JobSpec, enabled: bool) -> JobUpdated {
        let audit = self.stores.audit(if spec == job.spec { Action::JobToggle } else { Action::JobUpdate });
        self.engine.update(job.clone(), spec, enabled, audit).await.unwrap()
    }

    async fn find(&self, owner: &FriendshipKey, name: &str) -> Option<Job> {
        self.engine.find(owner, name).await.unwrap()
    }

    async fn names(&self, owner: &FriendshipKey) -> Vec<String> {
        self.engine.list(owner).await.unwrap().into_iter().map(|job| job.spec.name.to_string()).collect()
    }

    async fn remove(&self, owner: &FriendshipKey, name: &str) -> JobRemoved {
        self.engine.remove(owner, name, self.stores.audit(Action::JobDelete)).await.unwrap()
    }

    async fn run(&self, owner: &FriendshipKey, name: &str) -> RunRequested {
        self.engine.run(owner, name, self.stores.audit(Action::JobRun)).await.unwrap()
    }
}

fn spec(name: &str) -> JobSpec {
    JobSpec {
        name: JobName::parse(name).unwrap(),
        description: None,
        message: "Water the roses".to_owned(),
        timing: Timing { kind: TimingKind::Cron("0 9 * * *".to_owned()), tz: "Europe/Berlin".to_owned() },
        session: "isolated".to_owned(),
        thinking: None,
        timeout_seconds: None,
        answer_to: AnswerTo::Nowhere,
    }
}

#[track_caller]
fn updated(updated: JobUpdated) -> Job {
    match updated {
        JobUpdated::Done(job) => *job,
        other => panic!("not done: {other:?}"),
    }
}

pub async fn a_job_is_its_owners_alone(fixture: &EngineFixture) {
    let [alice, bob] = fixture.friends().await;
    assert_eq!(fixture.names(&alice).await, [""; 0]);
    let job = fixture.new_job(&alice, "daily").await;
    assert!(!job.read_only);
    assert!(job.enabled && job.state.next_run.is_some_and(|at| at > fixture.stores.clock.now()));
    assert_eq!((&job.spec.message, &job.spec.timing, &job.owner), (&spec("x").message, &spec("x").timing, &alice));
    fixture.new_job(&bob, "daily").await;
    assert_eq!(fixture.names(&alice).await, ["daily"]);
    assert_eq!(fixture.find(&alice, &job.id).await, fixture.find(&alice, "daily").await);
    // Neither by its name, which bob has as well, nor by its id.
    assert_ne!(fixture.find(&bob, "daily").await.unwrap().id, job.id);
    assert_eq!(fixture.find(&bob, &job.id).await, None);
    assert_eq!(fixture.remove(&bob, &job.id).await, JobRemoved::Absent);
    assert_eq!(fixture.run(&bob, &job.id).await, RunRequested::Absent);
    assert_eq!(fixture.engine.runs(&bob, &job.id, None).await.unwrap(), RunsListed::Absent);
    let taken = Job { owner: bob, ..job.clone() };
    assert_eq!(fixture.update(&taken, job.spec.clone(), false).await, JobUpdated::Absent);
    assert!(fixture.find(&alice, &job.id).await.is_some_and(|job| job.enabled));
}

pub async fn a_name_is_given_once(fixture: &EngineFixture) {
    let [alice, _] = fixture.friends().await;
    fixture.new_job(&alice, "daily").await;
    assert_eq!(fixture.create(&alice, spec("daily")).await, JobCreated::NameTaken);
    fixture.new_job(&alice, "Daily").await;
    let both = tokio::join!(fixture.create(&alice, spec("twice")), fixture.create(&alice, spec("twice")));
    let new = [&both.0, &both.1].iter().filter(|created| matches!(created, JobCreated::New(_))).count();
    assert_eq!(new, 1, "{both:?}");
    assert_eq!(fixture.names(&alice).await, ["Daily", "daily", "twice"]);
}

pub async fn a_job_needs_a_friendship(fixture: &EngineFixture) {
    fixture.friends().await;
    let nobody = FriendshipKey { friend: FriendId::parse("nobody").unwrap(), agent: AgentId::parse("main").unwrap() };
    assert_eq!(fixture.create(&nobody, spec("daily")).await, JobCreated::NoFriendship);
    assert_eq!(fixture.names(&nobody).await, [""; 0]);
}

pub async fn a_job_is_changed_from_the_revision_that_was_read(fixture: &EngineFixture) {
    let [alice, _] = fixture.friends().await;
    let job = fixture.new_job(&alice, "daily").await;
    let job = fixture.find(&alice, &job.id).await.unwrap();
    let other = JobSpec {
        message: "Mow the lawn".to_owned(),
        timing: Timing { kind: TimingKind::Cron("30 8 * * *".to_owned()), tz: "Asia/Tokyo".to_owned() },
        ..job.spec.clone()
    };
    let changed = updated(fixture.update(&job, other.clone(), true).await);
    assert_eq!((&changed.spec, changed.enabled), (&other, true));
    assert_ne!(changed.revision, job.revision);
    assert_eq!(fixture.find(&alice, "daily").await.unwrap().spec, other);
    // The change of somebody who has not seen this one.
    assert_eq!(fixture.update(&job, job.spec.clone(), false).await, JobUpdated::Stale);
    assert!(fixture.find(&alice, "daily").await.unwrap().enabled);
}

pub async fn a_disabled_job_is_due_never(fixture: &EngineFixture) {
    let [alice, _] = fixture.friends().await;
    fixture.new_job(&alice, "daily").await;
    let job = fixture.find(&alice, "daily").await.unwrap();
    let off = updated(fixture.update(&job, job.spec.clone(), false).await);
    assert_eq!((off.enabled, off.state.next_run), (false, None));
    let read = fixture.find(&alice, "daily").await.unwrap();
    assert_eq!((read.enabled, read.revision), (false, off.revision));
    let on = updated(fixture.update(&read, read.spec.clone(), true).await);
    assert!(on.enabled && on.state.next_run.is_some());
}

pub async fn a_removed_job_is_gone_and_its_name_is_free(fixture: &EngineFixture) {
    let [alice, _] = fixture.friends().await;
    let job = fixture.new_job(&alice, "daily").await;
    assert_eq!(fixture.remove(&alice, "daily").await, JobRemoved::Done);
    assert_eq!(fixture.remove(&alice, "daily").await, JobRemoved::Absent);
    assert_eq!(fixture.find(&alice, &job.id).await, None);
    assert_eq!(fixture.update(&job, job.spec.clone(), false).await, JobUpdated::Absent);
    assert_eq!(fixture.run(&alice, &job.id).await, RunRequested::Absent);
    fixture.new_job(&alice, "daily").await;
}

pub async fn a_run_is_listed_under_the_id_that_was_told(fixture: &EngineFixture) {
    let [alice, _] = fixture.friends().await;
    fixture.new_job(&alice, "daily").await;
    let RunRequested::Queued(id) = fixture.run(&alice, "daily").await else { panic!("not queued") };
    let RunsListed::Page(runs) = fixture.engine.runs(&alice, "daily", None).await.unwrap() else { panic!("absent") };
    let [run] = &runs[..] else { panic!("{runs:?}") };
    assert_eq!((&run.id, run.trigger, run.finished_at), (&id, Trigger::Manual, None));
    assert!(matches!(run.status, RunStatus::Queued | RunStatus::Running));
    assert_eq!((run.accepted(), run.finished, run.sent, &run.answer), (None, None, None, &None));
    // A job has one open run.
    assert_eq!(fixture.run(&alice, "daily").await, RunRequested::Open);
    for (before, expected) in [(id.as_str(), RunsListed::Page(Vec::new())), ("nothing", RunsListed::RunUnknown)] {
        assert_eq!(fixture.engine.runs(&alice, "daily", Some(before)).await.unwrap(), expected);
    }
}

pub async fn every_change_leaves_one_line_and_no_change_leaves_none(fixture: &EngineFixture) {
    let [alice, _] = fixture.friends().await;
    fixture.new_job(&alice, "daily").await;
    assert_eq!(fixture.create(&alice, spec("daily")).await, JobCreated::NameTaken);
    let job = fixture.find(&alice, "daily").await.unwrap();
    updated(fixture.update(&job, job.spec.clone(), false).await);
    assert_eq!(fixture.update(&job, job.spec.clone(), false).await, JobUpdated::Stale);
    fixture.run(&alice, "daily").await;
    fixture.run(&alice, "daily").await;
    fixture.remove(&alice, "daily").await;
    fixture.remove(&alice, "daily").await;
    for action in [Action::JobCreate, Action::JobToggle, Action::JobRun, Action::JobDelete] {
        assert_eq!(fixture.stores.audited(action).await, 1, "{action:?}");
    }
}
