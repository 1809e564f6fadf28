//! Jobs, and the queue of their runs that several runners share.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use portal_core::{Action, AgentId, Clock, FriendId, FriendshipKey, FriendshipStatus, Ids};
use portal_cron::{
    DueJob, Firing, Job, JobCreated, JobName, JobSpec, JobState, Lease, LeasedRun, Run, RunRequested, RunStatus,
    Schedule, Settled, Settlement, Stretch, Switch, Switched, Thinking, Trigger, Verdict,
};

use crate::fixture::Fixture;

const LEASE: TimeDelta = TimeDelta::seconds(60);

fn hourly() -> Schedule {
    Schedule::parse("@hourly", "Europe/Berlin").unwrap()
}

async fn alice(fixture: &Fixture) -> FriendshipKey {
    let (friend, agent) = fixture.pair("alice", "main").await;
    FriendshipKey { friend, agent }
}

/// A job that is due next at `next_run`, not stored yet.
fn job(fixture: &Fixture, owner: &FriendshipKey, name: &str, next_run: Option<DateTime<Utc>>) -> Job {
    let spec = JobSpec {
        name: JobName::parse(name).unwrap(),
        description: None,
        message: "Hello".to_owned(),
        schedule: hourly(),
        session: "isolated".to_owned(),
        thinking: None,
        timeout_seconds: None,
    };
    let state = JobState { next_run, ..JobState::default() };
    let (id, created_at) = (fixture.ids.id(), fixture.clock.now());
    Job { id, owner: owner.clone(), spec, enabled: true, created_at, state }
}

async fn create(fixture: &Fixture, job: &Job) -> JobCreated {
    fixture.jobs.create(job.clone(), 1000, fixture.audit(Action::JobCreate)).await.unwrap()
}

/// A stored job that is due now.
async fn due_job(fixture: &Fixture, owner: &FriendshipKey, name: &str) -> Job {
    let job = job(fixture, owner, name, Some(fixture.clock.now()));
    assert_eq!(create(fixture, &job).await, JobCreated::New);
    job
}

fn lease(fixture: &Fixture) -> Lease {
    Lease { now: fixture.clock.now(), until: fixture.clock.now() + LEASE }
}

/// Runs the instant since which the job is due, and nothing else.
fn firing(fixture: &Fixture, due: &DueJob) -> Firing {
    let next_due = due.schedule.next_after(fixture.clock.now());
    let run = Some((fixture.ids.id(), due.due_since));
    Firing { job: due.id.clone(), due_since: due.due_since, missed: None, run, next_due }
}

/// Fires what is due now.
async fn fire(fixture: &Fixture) -> Vec<LeasedRun> {
    let due = fixture.runs.due(fixture.clock.now(), 1000).await.unwrap();
    let firings = due.iter().map(|due| firing(fixture, due)).collect();
    fixture.runs.fire(firings, lease(fixture)).await.unwrap()
}

async fn complete_attempt(fixture: &Fixture, leased: &LeasedRun, verdict: Verdict) -> Settled {
    let settlement = Settlement { run: leased.id.clone(), attempt: leased.attempt, at: fixture.clock.now(), verdict };
    fixture.runs.settle(settlement).await.unwrap()
}

async fn runs(fixture: &Fixture, job: &Job) -> Vec<Run> {
    fixture.jobs.runs(&job.owner, &job.id, 1000).await.unwrap().unwrap()
}

async fn stored(fixture: &Fixture, job: &Job) -> Job {
    let jobs = fixture.jobs.list(&job.owner).await.unwrap();
    jobs.into_iter().find(|stored| stored.id == job.id).unwrap()
}

pub async fn a_job_comes_back_as_it_was_stored(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let plain = job(fixture, &owner, "plain", Some(fixture.clock.now()));
    let mut full = job(fixture, &owner, "rich", None);
    full.spec = JobSpec {
        description: Some("what \u{1f980} it's \"for\"".to_owned()),
        message: "Line\nÄ'; drop table jobs".to_owned(),
        schedule: Schedule::parse(" */15 8-18 * * MON-FRI ", "Australia/Lord_Howe").unwrap(),
        session: "agent:MAIN:direct:channel:Alice".to_owned(),
        thinking: Some(Thinking::High),
        timeout_seconds: Some(3600),
        ..full.spec
    };
    full.enabled = false;
    for job in [&plain, &full] {
        assert_eq!(create(fixture, job).await, JobCreated::New);
    }
    assert_eq!(fixture.jobs.list(&owner).await.unwrap(), [plain, full]);
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
    assert_eq!(created.iter().filter(|created| **created == JobCreated::New).count(), 1);
    assert_eq!(created.iter().filter(|created| **created == JobCreated::NameTaken).count(), 7);
    assert_eq!(create(fixture, &job(fixture, &bob, "daily", None)).await, JobCreated::New);
    assert_eq!(create(fixture, &job(fixture, &owner, "Daily", None)).await, JobCreated::New);
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
    let new = created.iter().filter(|created| matches!(created, Ok(JobCreated::New))).count();
    let refused = created.iter().filter(|created| matches!(created, Ok(JobCreated::LimitReached))).count();
    assert_eq!((new, refused), (3, 5));
}

pub async fn a_job_needs_a_friendship(fixture: &Fixture) {
    let strangers = FriendshipKey { friend: fixture.friend("alice").await, agent: fixture.agent("main").await };
    assert_eq!(create(fixture, &job(fixture, &strangers, "daily", None)).await, JobCreated::NoFriendship);
    let nobody = FriendshipKey { friend: FriendId::parse("nobody").unwrap(), agent: AgentId::parse("none").unwrap() };
    assert_eq!(create(fixture, &job(fixture, &nobody, "daily", None)).await, JobCreated::NoFriendship);
}

pub async fn a_switch_is_done_once_and_only_where_nothing_moved_on(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let now = fixture.clock.now();
    let stretch = Stretch { from: now - TimeDelta::hours(1), to: now, count: 2 };
    let off = Switch { enabled: false, seen: Some(now), next_run: None, missed: Some((fixture.ids.id(), stretch)) };
    let switch = async |switch: &Switch| {
        fixture.jobs.switch(&owner, &job.id, switch.clone(), fixture.audit(Action::JobToggle)).await.unwrap()
    };
    assert_eq!(switch(&Switch { seen: Some(now - TimeDelta::hours(1)), ..off.clone() }).await, Switched::Stale);
    assert_eq!(switch(&Switch { seen: None, ..off.clone() }).await, Switched::Stale);
    assert_eq!(runs(fixture, &job).await, []);
    assert_eq!(switch(&off).await, Switched::Done);
    let stored = stored(fixture, &job).await;
    assert_eq!(
        (stored.enabled, stored.state.next_run, stored.state.last_status),
        (false, None, Some(RunStatus::Missed))
    );
    assert_eq!(runs(fixture, &job).await[0].missed, Some(stretch));
    assert_eq!(switch(&off).await, Switched::Stale);
    let on = Switch { enabled: true, seen: None, next_run: Some(now), missed: None };
    assert_eq!(switch(&on).await, Switched::Done);
}

pub async fn a_job_is_changed_by_its_owner_only(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let bob = FriendshipKey { friend: fixture.friend("bob").await, ..owner.clone() };
    fixture.befriend(&bob.agent, &bob.friend, FriendshipStatus::Active).await;
    let other_agent = FriendshipKey { agent: fixture.agent("other").await, ..owner };
    for stranger in [bob, other_agent] {
        let audit = || fixture.audit(Action::JobToggle);
        let off = Switch { enabled: false, seen: job.state.next_run, next_run: None, missed: None };
        assert_eq!(fixture.jobs.switch(&stranger, &job.id, off, audit()).await.unwrap(), Switched::Absent);
        assert!(!fixture.jobs.remove(&stranger, &job.id, audit()).await.unwrap());
        assert_eq!(fixture.jobs.request(&stranger, &job.id, "run", audit()).await.unwrap(), RunRequested::Absent);
        assert_eq!(fixture.jobs.runs(&stranger, &job.id, 10).await.unwrap(), None);
    }
    assert_eq!(stored(fixture, &job).await, job);
}

pub async fn a_job_goes_with_its_friend_its_agent_and_its_runs(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let bob = FriendshipKey { friend: fixture.friend("bob").await, agent: fixture.agent("other").await };
    fixture.befriend(&bob.agent, &bob.friend, FriendshipStatus::Active).await;
    let carol = FriendshipKey { friend: fixture.friend("carol").await, ..owner.clone() };
    fixture.befriend(&carol.agent, &carol.friend, FriendshipStatus::Active).await;
    for owner in [&owner, &bob, &carol] {
        due_job(fixture, owner, "daily").await;
    }
    let leased = fire(fixture).await;
    assert_eq!(leased.len(), 3);
    fixture.friends.remove(&owner.friend, fixture.audit(Action::FriendRemove)).await.unwrap();
    fixture.agents.remove(&bob.agent, fixture.audit(Action::AgentRemove)).await.unwrap();
    for run in &leased {
        let kept = run.job.owner == carol;
        let expected = if kept { Settled::Done } else { Settled::Superseded };
        assert_eq!(complete_attempt(fixture, run, Verdict::Delivered).await, expected, "{}", run.job.owner.friend);
        assert_eq!(fixture.jobs.list(&run.job.owner).await.unwrap().len(), usize::from(kept));
    }
    let carols = &fixture.jobs.list(&carol).await.unwrap()[0];
    assert!(fixture.jobs.remove(&carol, &carols.id, fixture.audit(Action::JobDelete)).await.unwrap());
    assert!(!fixture.jobs.remove(&carol, &carols.id, fixture.audit(Action::JobDelete)).await.unwrap());
    assert_eq!(fixture.jobs.runs(&carol, &carols.id, 10).await.unwrap(), None);
}

pub async fn one_of_many_requests_is_queued(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let mut job = job(fixture, &owner, "off", None);
    job.enabled = false;
    create(fixture, &job).await;
    let ids: Vec<String> = (0..8).map(|_| fixture.ids.id()).collect();
    let request = |id: &String| {
        let (owner, job, id) = (&owner, &job.id, id.clone());
        async move { fixture.jobs.request(owner, job, &id, fixture.audit(Action::JobRun)).await.unwrap() }
    };
    let asked = join_all(ids.iter().map(request)).await;
    assert_eq!(asked.iter().filter(|asked| **asked == RunRequested::Queued).count(), 1);
    assert_eq!(asked.iter().filter(|asked| **asked == RunRequested::Open).count(), 7);

    let [run] = &runs(fixture, &job).await[..] else { panic!("not one run") };
    assert_eq!((run.status, run.trigger, run.due_at), (RunStatus::Queued, Trigger::Manual, fixture.clock.now()));
    let leased = fixture.runs.take(lease(fixture), 10).await.unwrap();
    assert_eq!((leased.len(), leased[0].id.as_str(), leased[0].attempt), (1, run.id.as_str(), 1));
    assert_eq!(stored(fixture, &job).await.state.last_run, Some(fixture.clock.now()));
    complete_attempt(fixture, &leased[0], Verdict::Delivered).await;
    assert_eq!(request(&fixture.ids.id()).await, RunRequested::Queued, "at the very same time as the first");
}

pub async fn what_is_due_is_told_in_order_with_its_standing(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let bob = FriendshipKey { friend: fixture.friend("bob").await, ..owner.clone() };
    fixture.befriend(&bob.agent, &bob.friend, FriendshipStatus::Blocked).await;
    let now = fixture.clock.now();
    let ago = |minutes: i64| Some(now - TimeDelta::minutes(minutes));
    for (owner, name, next_run) in [
        (&owner, "now", ago(0)),
        (&owner, "later", Some(now + TimeDelta::milliseconds(1))),
        (&owner, "long due", ago(90)),
        (&bob, "blocked", ago(30)),
        (&owner, "off", None),
    ] {
        create(fixture, &Job { enabled: next_run.is_some(), ..job(fixture, owner, name, next_run) }).await;
    }
    let due = fixture.runs.due(now, 10).await.unwrap();
    let told: Vec<_> = due.iter().map(|due| (Some(due.due_since), due.is_active)).collect();
    assert_eq!(told, [(ago(90), true), (ago(30), false), (ago(0), true)]);
    assert_eq!(due[0].schedule, hourly());
    assert_eq!(fixture.runs.due(now, 1).await.unwrap(), due[..1]);
}

pub async fn a_job_with_an_open_run_is_not_due_and_does_not_fire(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let due = fixture.runs.due(fixture.clock.now(), 10).await.unwrap();
    fixture.jobs.request(&owner, &job.id, "by hand", fixture.audit(Action::JobRun)).await.unwrap();
    assert_eq!(fixture.runs.due(fixture.clock.now(), 10).await.unwrap(), []);
    assert_eq!(fixture.runs.fire(vec![firing(fixture, &due[0])], lease(fixture)).await.unwrap(), []);
    assert_eq!(stored(fixture, &job).await.state.next_run, job.state.next_run, "it is still due");
}

pub async fn a_firing_that_is_stale_does_nothing(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let due = fixture.runs.due(fixture.clock.now(), 10).await.unwrap().remove(0);
    let stale = DueJob { due_since: due.due_since - TimeDelta::hours(1), ..due.clone() };
    assert_eq!(fixture.runs.fire(vec![firing(fixture, &stale)], lease(fixture)).await.unwrap(), []);
    let off = Switch { enabled: false, seen: job.state.next_run, next_run: None, missed: None };
    fixture.jobs.switch(&owner, &job.id, off, fixture.audit(Action::JobToggle)).await.unwrap();
    assert_eq!(fixture.runs.fire(vec![firing(fixture, &due)], lease(fixture)).await.unwrap(), []);
    fixture.jobs.remove(&owner, &job.id, fixture.audit(Action::JobDelete)).await.unwrap();
    assert_eq!(fixture.runs.fire(vec![firing(fixture, &due)], lease(fixture)).await.unwrap(), []);
}

pub async fn an_instant_has_one_run_even_if_the_clock_goes_back(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let instant = fixture.clock.now();
    complete_attempt(fixture, &fire(fixture).await[0], Verdict::Delivered).await;
    let seen = stored(fixture, &job).await.state.next_run;
    let again = Switch { enabled: true, seen, next_run: Some(instant), missed: None };
    fixture.jobs.switch(&owner, &job.id, again, fixture.audit(Action::JobToggle)).await.unwrap();
    assert_eq!(fire(fixture).await, []);
    assert_eq!(runs(fixture, &job).await.len(), 1);
    assert_eq!(stored(fixture, &job).await.state.next_run, seen, "and the job goes on");
}

pub async fn eight_claimers_fire_each_of_two_hundred_jobs_once(fixture: &Fixture) {
    let owner = alice(fixture).await;
    for number in 0..200 {
        due_job(fixture, &owner, &format!("job {number}")).await;
    }
    let claimer = || async {
        let mut fired = Vec::new();
        loop {
            let due = fixture.runs.due(fixture.clock.now(), 10).await.unwrap();
            if due.is_empty() {
                return fired;
            }
            let firings = due.iter().map(|due| firing(fixture, due)).collect();
            fired.extend(fixture.runs.fire(firings, lease(fixture)).await.unwrap());
        }
    };
    let fired: Vec<LeasedRun> = join_all((0..8).map(|_| claimer())).await.into_iter().flatten().collect();
    let jobs: HashSet<&str> = fired.iter().map(|run| run.job.id.as_str()).collect();
    assert_eq!((fired.len(), jobs.len()), (200, 200));
    for job in fixture.jobs.list(&owner).await.unwrap() {
        assert_eq!(runs(fixture, &job).await.len(), 1);
    }
}

pub async fn a_missed_stretch_is_one_row(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let due = fixture.runs.due(fixture.clock.now(), 10).await.unwrap().remove(0);
    let stretch = Stretch { from: due.due_since, to: due.due_since + TimeDelta::hours(2), count: 3 };
    let run = (fixture.ids.id(), due.due_since + TimeDelta::hours(3));
    let fire = Firing { missed: Some((fixture.ids.id(), stretch)), run: Some(run.clone()), ..firing(fixture, &due) };
    let leased = fixture.runs.fire(vec![fire], lease(fixture)).await.unwrap();
    assert_eq!((leased.len(), leased[0].id.as_str(), leased[0].due_at), (1, run.0.as_str(), run.1));
    let told = runs(fixture, &job).await;
    assert_eq!((told.len(), told[0].status, told[1].status), (2, RunStatus::Running, RunStatus::Missed));
    assert_eq!((told[1].missed, told[1].due_at), (Some(stretch), stretch.to));
    assert_eq!((told[1].started_at, told[1].finished_at, told[1].attempts), (None, Some(fixture.clock.now()), 0));
    assert_eq!(stored(fixture, &job).await.state.last_status, Some(RunStatus::Missed));
}

pub async fn a_lease_keeps_others_away_until_it_ends(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let first = fire(fixture).await.remove(0);
    assert_eq!((first.attempt, first.trigger, first.due_at), (1, Trigger::Schedule, fixture.clock.now()));
    assert_eq!(first.job.id, job.id);
    fixture.clock.advance(Duration::from_millis(59_999));
    assert_eq!(fixture.runs.take(lease(fixture), 10).await.unwrap(), []);
    fixture.clock.advance(Duration::from_millis(1));
    let second = fixture.runs.take(lease(fixture), 10).await.unwrap();
    assert_eq!((second.len(), second[0].id.as_str(), second[0].attempt), (1, first.id.as_str(), 2));
    assert_eq!(fixture.runs.take(lease(fixture), 10).await.unwrap(), []);
    let run = &runs(fixture, &job).await[0];
    assert_eq!((run.status, run.attempts, run.started_at), (RunStatus::Running, 2, Some(first.due_at)));
}

pub async fn eight_takers_share_what_was_left_open(fixture: &Fixture) {
    let owner = alice(fixture).await;
    for number in 0..40 {
        due_job(fixture, &owner, &format!("job {number}")).await;
    }
    fire(fixture).await;
    fixture.clock.advance(Duration::from_mins(2));
    let take_all = || async {
        let mut taken = Vec::new();
        // Others may hold all that a taker looks at, so an empty hand is not the end.
        while taken.len() < 40 {
            let more = fixture.runs.take(lease(fixture), 7).await.unwrap();
            if more.is_empty() && left_open(fixture).await == 0 {
                break;
            }
            taken.extend(more);
        }
        taken
    };
    let taken: Vec<LeasedRun> = join_all((0..8).map(|_| take_all())).await.into_iter().flatten().collect();
    let ids: HashSet<&str> = taken.iter().map(|run| run.id.as_str()).collect();
    assert_eq!((taken.len(), ids.len()), (40, 40));
    assert!(taken.iter().all(|run| run.attempt == 2));
}

/// Number of runs that no runner has claimed a second time.
async fn left_open(fixture: &Fixture) -> usize {
    let owner = FriendshipKey { friend: FriendId::parse("alice").unwrap(), agent: AgentId::parse("main").unwrap() };
    let mut left = 0;
    for job in fixture.jobs.list(&owner).await.unwrap() {
        left += runs(fixture, &job).await.iter().filter(|run| run.attempts < 2).count();
    }
    left
}

pub async fn only_the_newest_attempt_settles(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let stalled = fire(fixture).await.remove(0);
    fixture.clock.advance(Duration::from_mins(2));
    let newer = fixture.runs.take(lease(fixture), 10).await.unwrap().remove(0);
    for verdict in [Verdict::Delivered, Verdict::Failed("asleep".to_owned())] {
        assert_eq!(complete_attempt(fixture, &stalled, verdict).await, Settled::Superseded);
    }
    assert_eq!(runs(fixture, &job).await[0].status, RunStatus::Running);
    assert_eq!(complete_attempt(fixture, &newer, Verdict::Delivered).await, Settled::Done);
    assert_eq!(complete_attempt(fixture, &stalled, Verdict::Failed("asleep".to_owned())).await, Settled::Superseded);
    assert_eq!(complete_attempt(fixture, &newer, Verdict::Failed("twice".to_owned())).await, Settled::Superseded);
    let run = &runs(fixture, &job).await[0];
    assert_eq!((run.status, run.finished_at, &run.error), (RunStatus::Delivered, Some(fixture.clock.now()), &None));
    let stranger = LeasedRun { id: "unknown".to_owned(), ..newer };
    assert_eq!(complete_attempt(fixture, &stranger, Verdict::Delivered).await, Settled::Superseded);
}

pub async fn a_retry_waits_for_its_time(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let first = fire(fixture).await.remove(0);
    let at = fixture.clock.now() + TimeDelta::seconds(5);
    let verdict = Verdict::Retry { at, error: "busy".to_owned() };
    assert_eq!(complete_attempt(fixture, &first, verdict).await, Settled::Done);
    let run = &runs(fixture, &job).await[0];
    assert_eq!((run.status, run.error.as_deref(), run.finished_at), (RunStatus::Retrying, Some("busy"), None));
    fixture.clock.advance(Duration::from_millis(4_999));
    assert_eq!(fixture.runs.take(lease(fixture), 10).await.unwrap(), []);
    fixture.clock.advance(Duration::from_millis(1));
    assert_eq!(fixture.runs.take(lease(fixture), 10).await.unwrap()[0].attempt, 2);
}

pub async fn the_end_of_a_run_is_seen_on_its_job(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    for (verdict, status, errors) in [
        (Verdict::Failed("no".to_owned()), RunStatus::Failed, 1),
        (Verdict::Failed("no".to_owned()), RunStatus::Failed, 2),
        (Verdict::Delivered, RunStatus::Delivered, 0),
    ] {
        let begun = fixture.clock.now();
        let leased = fire(fixture).await.remove(0);
        assert_eq!(complete_attempt(fixture, &leased, verdict).await, Settled::Done);
        let state = stored(fixture, &job).await.state;
        assert_eq!((state.last_status, state.consecutive_errors), (Some(status), errors));
        assert_eq!(state.last_run, Some(begun));
        fixture.clock.set(state.next_run.unwrap());
    }
}

pub async fn runs_of_a_friendship_that_rests_are_left(fixture: &Fixture) {
    let owner = alice(fixture).await;
    due_job(fixture, &owner, "daily").await;
    fire(fixture).await;
    fixture.clock.advance(Duration::from_mins(2));
    fixture.befriend(&owner.agent, &owner.friend, FriendshipStatus::Inactive).await;
    assert_eq!(fixture.runs.take(lease(fixture), 10).await.unwrap(), []);
    fixture.befriend(&owner.agent, &owner.friend, FriendshipStatus::Active).await;
    assert_eq!(fixture.runs.take(lease(fixture), 10).await.unwrap().len(), 1);
}

pub async fn runs_are_told_newest_first(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    for _ in 0..3 {
        complete_attempt(fixture, &fire(fixture).await[0], Verdict::Delivered).await;
        fixture.clock.set(stored(fixture, &job).await.state.next_run.unwrap());
    }
    let told = runs(fixture, &job).await;
    assert!(told.windows(2).all(|pair| pair[0].due_at > pair[1].due_at));
    let newest = fixture.jobs.runs(&owner, &job.id, 2).await.unwrap().unwrap();
    assert_eq!(newest, told[..2]);
}

pub async fn a_sweep_forgets_ended_runs_only(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    complete_attempt(fixture, &fire(fixture).await[0], Verdict::Delivered).await;
    let ended = fixture.clock.now();
    fixture.clock.set(stored(fixture, &job).await.state.next_run.unwrap());
    fire(fixture).await;
    let day = TimeDelta::days(1);
    assert_eq!(fixture.runs.sweep(ended).await.unwrap(), 0);
    assert_eq!(fixture.runs.sweep(ended + day).await.unwrap(), 1);
    assert_eq!(runs(fixture, &job).await.iter().map(|run| run.status).collect::<Vec<_>>(), [RunStatus::Running]);
}

pub async fn every_change_of_a_job_leaves_one_line(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    assert_eq!(create(fixture, &Job { id: fixture.ids.id(), ..job.clone() }).await, JobCreated::NameTaken);
    let audit = |action| fixture.audit(action);
    fixture.jobs.request(&owner, &job.id, "run", audit(Action::JobRun)).await.unwrap();
    fixture.jobs.request(&owner, &job.id, "again", audit(Action::JobRun)).await.unwrap();
    let off = Switch { enabled: false, seen: job.state.next_run, next_run: None, missed: None };
    for _ in 0..2 {
        fixture.jobs.switch(&owner, &job.id, off.clone(), audit(Action::JobToggle)).await.unwrap();
    }
    for _ in 0..2 {
        fixture.jobs.remove(&owner, &job.id, audit(Action::JobDelete)).await.unwrap();
    }
    for action in [Action::JobCreate, Action::JobRun, Action::JobToggle, Action::JobDelete] {
        assert_eq!(fixture.audited(action).await, 1, "{action:?}");
    }
}
