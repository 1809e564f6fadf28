//! Jobs.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use portal_core::{Action, AgentId, Clock, FriendId, FriendshipKey, FriendshipStatus, Ids};
use portal_cron::{
    AnswerTo, Interval, Job, JobCreated, JobName, JobSpec, JobState, JobUpdate, JobUpdated, MissedWindow, Moment, Run,
    RunRequested, RunStatus, RunsListed, Thinking, Timing, TimingKind,
};

use crate::fixture::Fixture;

pub(super) fn cron(expression: &str, tz: &str) -> Timing {
    Timing { kind: TimingKind::Cron(expression.to_owned()), tz: tz.to_owned() }
}

pub(super) async fn alice(fixture: &Fixture) -> FriendshipKey {
    let (friend, agent) = fixture.pair("alice", "main").await;
    FriendshipKey { friend, agent }
}

/// A job that is due next at `next_run`, not stored yet.
pub(super) fn job(fixture: &Fixture, owner: &FriendshipKey, name: &str, next_run: Option<DateTime<Utc>>) -> Job {
    let spec = JobSpec {
        name: JobName::parse(name).unwrap(),
        description: None,
        message: "Hello".to_owned(),
        timing: cron("@hourly", "Europe/Berlin"),
        session: "isolated".to_owned(),
        thinking: None,
        timeout_seconds: None,
        answer_to: AnswerTo::Nowhere,
    };
    let state = JobState { next_run, ..JobState::default() };
    let (id, created_at) = (fixture.ids.id(), fixture.clock.now());
    Job { id, owner: owner.clone(), spec, enabled: true, read_only: false, created_at, revision: 1, state }
}

fn new(job: &Job) -> JobCreated {
    JobCreated::New(Box::new(job.clone()))
}

/// A change of `job` as it is known to the caller.
pub(super) fn change(job: &Job, edit: impl FnOnce(&mut Job)) -> JobUpdate {
    let mut changed = Job { revision: job.revision + 1, ..job.clone() };
    edit(&mut changed);
    JobUpdate { job: changed, seen_revision: job.revision, seen_next_run: job.state.next_run, missed: None }
}

pub(super) fn disable(job: &mut Job) {
    job.enabled = false;
    job.state.next_run = None;
}

pub(super) async fn update(fixture: &Fixture, update: &JobUpdate) -> JobUpdated {
    fixture.jobs.update(update.clone(), fixture.audit(Action::JobUpdate)).await.unwrap()
}

pub(super) async fn create(fixture: &Fixture, job: &Job) -> JobCreated {
    fixture.jobs.create(job.clone(), 1000, fixture.audit(Action::JobCreate)).await.unwrap()
}

/// A stored job that is due now.
pub(super) async fn due_job(fixture: &Fixture, owner: &FriendshipKey, name: &str) -> Job {
    let job = job(fixture, owner, name, Some(fixture.clock.now()));
    assert_eq!(create(fixture, &job).await, new(&job));
    job
}

pub(super) async fn runs(fixture: &Fixture, job: &Job) -> Vec<Run> {
    let RunsListed::Page(runs) = page(fixture, job, None, 1000).await else { panic!("the job is gone") };
    runs
}

pub(super) async fn page(fixture: &Fixture, job: &Job, before: Option<&str>, limit: u32) -> RunsListed {
    fixture.jobs.runs(&job.owner, &job.id, before, limit).await.unwrap()
}

pub(super) async fn stored(fixture: &Fixture, job: &Job) -> Job {
    let jobs = fixture.jobs.list(&job.owner).await.unwrap();
    jobs.into_iter().find(|stored| stored.id == job.id).unwrap()
}

pub async fn a_job_comes_back_as_it_was_stored(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let plain = job(fixture, &owner, "plain", Some(fixture.clock.now()));
    let mut full = job(fixture, &owner, "full", None);
    let mut once = job(fixture, &owner, "once", Some(fixture.clock.now()));
    let moment = Moment { at: fixture.clock.now(), local: Some("2026-12-24T14:30:00".to_owned()) };
    once.spec.timing = Timing { kind: TimingKind::At(moment), tz: "Asia/Tokyo".to_owned() };
    let mut often = job(fixture, &owner, "often", Some(fixture.clock.now()));
    often.spec.timing = Timing { kind: TimingKind::Every(Interval::parse("90m").unwrap()), tz: "UTC".to_owned() };
    full.spec = JobSpec {
        description: Some("what \u{1f980} it's \"for\"".to_owned()),
        message: "Line\nÄ'; drop table jobs".to_owned(),
        timing: cron("*/15 8-18 * * MON-FRI", "Australia/Lord_Howe"),
        session: "agent:MAIN:direct:channel:Alice".to_owned(),
        thinking: Some(Thinking::Xhigh),
        timeout_seconds: Some(3600),
        answer_to: AnswerTo::Chat,
        ..full.spec
    };
    full.enabled = false;
    for job in [&plain, &full, &once, &often] {
        assert_eq!(create(fixture, job).await, new(job));
        assert_eq!(fixture.jobs.find(&owner, &job.id).await.unwrap().as_ref(), Some(job));
    }
    assert_eq!(fixture.jobs.list(&owner).await.unwrap(), [full, often, once, plain]);
}

pub async fn jobs_are_listed_by_name_for_their_owner(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let other_agent = FriendshipKey { agent: fixture.agent("other").await, ..owner.clone() };
    fixture.befriend(&other_agent.agent, &other_agent.friend, FriendshipStatus::Active).await;
    for name in ["b", "a b", "B", "a-b", "a"] {
        create(fixture, &job(fixture, &owner, name, None)).await;
    }
    create(fixture, &job(fixture, &other_agent, "elsewhere", None)).await;
    let listed = fixture.jobs.list(&owner).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.spec.name.as_str()).collect::<Vec<_>>(), ["B", "a", "a b", "a-b", "b"]);
    let stranger = FriendshipKey { friend: fixture.friend("al").await, ..owner };
    assert_eq!(fixture.jobs.list(&stranger).await.unwrap(), []);
}

pub async fn a_name_is_stored_once_for_each_owner(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let bob = FriendshipKey { friend: fixture.friend("bob").await, ..owner.clone() };
    fixture.befriend(&bob.agent, &bob.friend, FriendshipStatus::Active).await;
    let same: Vec<Job> = (0..8).map(|_| job(fixture, &owner, "daily", None)).collect();
    let created = join_all(same.iter().map(|job| create(fixture, job))).await;
    assert_eq!(created.iter().filter(|created| matches!(created, JobCreated::New(_))).count(), 1);
    assert_eq!(created.iter().filter(|created| **created == JobCreated::NameTaken).count(), 7);
    for other in [job(fixture, &bob, "daily", None), job(fixture, &owner, "Daily", None)] {
        assert_eq!(create(fixture, &other).await, new(&other));
    }
}

pub async fn a_limit_holds_for_all_agents_together_and_under_contention(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let other_agent = FriendshipKey { agent: fixture.agent("other").await, ..owner.clone() };
    fixture.befriend(&other_agent.agent, &other_agent.friend, FriendshipStatus::Active).await;
    let wanted: Vec<Job> = (0..8)
        .map(|number| job(fixture, if number % 2 == 0 { &owner } else { &other_agent }, &format!("job {number}"), None))
        .collect();
    let audit = || fixture.audit(Action::JobCreate);
    let created = join_all(wanted.iter().map(|job| fixture.jobs.create(job.clone(), 3, audit()))).await;
    let new = created.iter().filter(|created| matches!(created, Ok(JobCreated::New(_)))).count();
    let refused = created.iter().filter(|created| matches!(created, Ok(JobCreated::LimitReached))).count();
    assert_eq!((new, refused), (3, 5));
}

pub async fn a_job_needs_a_friendship(fixture: &Fixture) {
    let strangers = FriendshipKey { friend: fixture.friend("alice").await, agent: fixture.agent("main").await };
    assert_eq!(create(fixture, &job(fixture, &strangers, "daily", None)).await, JobCreated::NoFriendship);
    let nobody = FriendshipKey { friend: FriendId::parse("nobody").unwrap(), agent: AgentId::parse("none").unwrap() };
    assert_eq!(create(fixture, &job(fixture, &nobody, "daily", None)).await, JobCreated::NoFriendship);
}

pub async fn a_change_is_stored_once_and_only_where_nothing_moved_on(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let now = fixture.clock.now();
    let window = MissedWindow { from: now - TimeDelta::hours(1), to: now, count: 2 };
    let off = JobUpdate { missed: Some((fixture.ids.id(), window)), ..change(&job, disable) };
    for stale in [
        JobUpdate { seen_next_run: Some(now - TimeDelta::hours(1)), ..off.clone() },
        JobUpdate { seen_next_run: None, ..off.clone() },
        JobUpdate { seen_revision: 2, ..off.clone() },
    ] {
        assert_eq!(update(fixture, &stale).await, JobUpdated::Stale);
    }
    assert_eq!(runs(fixture, &job).await, []);
    let JobUpdated::Done(done) = update(fixture, &off).await else { panic!("not done") };
    let stored = stored(fixture, &job).await;
    assert_eq!((&*done, stored.revision), (&stored, 2));
    assert_eq!(
        (stored.enabled, stored.state.next_run, stored.state.last_status),
        (false, None, Some(RunStatus::Missed))
    );
    assert_eq!(stored.state.last_error, Some(window.explanation()));
    assert_eq!(runs(fixture, &job).await[0].missed, Some(window));
    assert_eq!(update(fixture, &off).await, JobUpdated::Stale);
    let on = change(&stored, |job| {
        job.enabled = true;
        job.state.next_run = Some(now);
        "Other".clone_into(&mut job.spec.message);
        job.spec.timing = Timing { kind: TimingKind::Every(Interval::parse("1h").unwrap()), tz: "UTC".to_owned() };
        job.spec.answer_to = AnswerTo::Chat;
    });
    let JobUpdated::Done(done) = update(fixture, &on).await else { panic!("not done") };
    assert_eq!((&done.spec, done.enabled, done.revision), (&on.job.spec, true, 3));
    let emptied = change(&done, |job| {
        job.spec.timing = Timing { kind: TimingKind::At(now.into()), tz: "UTC".to_owned() };
        job.spec.timeout_seconds = None;
    });
    let JobUpdated::Done(done) = update(fixture, &emptied).await else { panic!("not done") };
    assert_eq!(done.spec, emptied.job.spec);
}

pub async fn a_job_is_changed_by_its_owner_only(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let bob = FriendshipKey { friend: fixture.friend("bob").await, ..owner.clone() };
    fixture.befriend(&bob.agent, &bob.friend, FriendshipStatus::Active).await;
    let other_agent = FriendshipKey { agent: fixture.agent("other").await, ..owner };
    for stranger in [bob, other_agent] {
        let audit = || fixture.audit(Action::JobToggle);
        let off = change(&Job { owner: stranger.clone(), ..job.clone() }, disable);
        assert_eq!(update(fixture, &off).await, JobUpdated::Absent);
        assert_eq!(fixture.jobs.find(&stranger, &job.id).await.unwrap(), None);
        assert!(!fixture.jobs.remove(&stranger, &job.id, audit()).await.unwrap());
        assert_eq!(fixture.jobs.request(&stranger, &job.id, "run", audit()).await.unwrap(), RunRequested::Absent);
        assert_eq!(fixture.jobs.runs(&stranger, &job.id, None, 10).await.unwrap(), RunsListed::Absent);
    }
    assert_eq!(stored(fixture, &job).await, job);
}

pub async fn every_change_of_a_job_leaves_one_line(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    assert_eq!(create(fixture, &Job { id: fixture.ids.id(), ..job.clone() }).await, JobCreated::NameTaken);
    let audit = |action| fixture.audit(action);
    fixture.jobs.request(&owner, &job.id, "run", audit(Action::JobRun)).await.unwrap();
    fixture.jobs.request(&owner, &job.id, "again", audit(Action::JobRun)).await.unwrap();
    for _ in 0..2 {
        update(fixture, &change(&job, disable)).await;
    }
    for _ in 0..2 {
        fixture.jobs.remove(&owner, &job.id, audit(Action::JobDelete)).await.unwrap();
    }
    for action in [Action::JobCreate, Action::JobRun, Action::JobUpdate, Action::JobDelete] {
        assert_eq!(fixture.audited(action).await, 1, "{action:?}");
    }
}

pub async fn a_job_is_found_by_its_name_and_else_by_its_id(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let decoy = due_job(fixture, &owner, &job.id).await;
    let find = async |name: &str| fixture.jobs.find(&owner, name).await.unwrap().map(|job| job.id);
    assert_eq!(find("daily").await.as_deref(), Some(job.id.as_str()));
    assert_eq!(find(&job.id).await.as_deref(), Some(decoy.id.as_str()), "the name wins");
    for name in ["Daily", "dail", "daily ", "", "%"] {
        assert_eq!(find(name).await, None, "{name}");
    }
    fixture.jobs.request(&owner, &decoy.id, "run", fixture.audit(Action::JobRun)).await.unwrap();
    assert_eq!(runs(fixture, &job).await.len(), 1);
    assert!(fixture.jobs.remove(&owner, &job.id, fixture.audit(Action::JobDelete)).await.unwrap());
    assert_eq!(find(&job.id).await.as_deref(), Some(job.id.as_str()));
}
