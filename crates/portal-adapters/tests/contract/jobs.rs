//! Jobs, and the queue of their runs that several runners share.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use portal_core::{Action, AgentId, Clock, FriendId, FriendshipKey, FriendshipStatus, Ids};
use portal_cron::{
    AnswerTo, AttemptOutcome, Backlog, CompletedAttempt, DueJob, Firing, FriendShares, Interval, Job, JobCreated,
    JobName, JobSpec, JobState, JobUpdate, JobUpdated, LeasedRun, MANUAL_RUNS_PER_MINUTE, MissedWindow, RECENT_MAX,
    Run, RunLease, RunRequested, RunStatus, RunsListed, Schedule, Thinking, TimeZones, Timing, TimingKind, Trigger,
};

use crate::world::World;

promises! {
    a_job_comes_back_as_it_was_stored,
    jobs_are_listed_by_name_for_their_owner,
    a_name_is_stored_once_for_each_owner,
    a_limit_holds_for_all_agents_together_and_under_contention,
    a_job_needs_a_friendship,
    a_change_is_stored_once_and_only_where_nothing_moved_on,
    a_job_is_changed_by_its_owner_only,
    a_job_goes_with_its_friend_its_agent_and_its_runs,
    one_of_many_requests_is_queued,
    what_is_due_comes_in_order_with_its_friendship,
    a_job_with_an_open_run_is_not_due_and_does_not_fire,
    a_firing_that_is_stale_does_nothing,
    a_fire_time_has_one_run_even_if_the_clock_goes_back,
    eight_claimers_fire_each_of_two_hundred_jobs_once,
    a_missed_window_is_one_row,
    a_lease_keeps_others_away_until_it_ends,
    eight_claimers_share_what_was_left_open,
    only_the_newest_attempt_completes_a_run,
    a_retry_waits_for_its_time,
    the_end_of_a_run_is_seen_on_its_job,
    runs_of_an_inactive_friendship_are_left,
    runs_are_listed_newest_first,
    runs_are_listed_page_by_page,
    every_change_of_a_job_leaves_one_line,
    a_job_is_found_by_its_name_and_else_by_its_id,
    a_job_remembers_its_newest_runs,
    a_job_for_one_moment_is_disabled_when_it_is_over,
    a_friend_asks_for_ten_runs_a_minute,
    a_clock_that_went_back_makes_what_waits_for_a_later_time_due,
    jobs_of_an_inactive_friendship_are_parked_until_it_is_active_again,
}

const LEASE: TimeDelta = TimeDelta::seconds(60);

fn cron(expression: &str, tz: &str) -> Timing {
    Timing { kind: TimingKind::Cron(expression.to_owned()), tz: tz.to_owned() }
}

async fn alice(world: &World) -> FriendshipKey {
    let (friend, agent) = world.pair("alice", "main").await;
    FriendshipKey { friend, agent }
}

/// A job that is due next at `next_run`, not stored yet.
fn job(world: &World, owner: &FriendshipKey, name: &str, next_run: Option<DateTime<Utc>>) -> Job {
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
    let (id, created_at) = (world.ids.id(), world.clock.now());
    Job { id, owner: owner.clone(), spec, enabled: true, created_at, revision: 1, state }
}

fn new(job: &Job) -> JobCreated {
    JobCreated::New(Box::new(job.clone()))
}

/// A change of `job` as it is known to the caller.
fn change(job: &Job, edit: impl FnOnce(&mut Job)) -> JobUpdate {
    let mut changed = Job { revision: job.revision + 1, ..job.clone() };
    edit(&mut changed);
    JobUpdate { job: changed, seen_revision: job.revision, seen_next_run: job.state.next_run, missed: None }
}

fn disable(job: &mut Job) {
    job.enabled = false;
    job.state.next_run = None;
}

async fn update(world: &World, update: &JobUpdate) -> JobUpdated {
    world.jobs.update(update.clone(), world.audit(Action::JobUpdate)).await.unwrap()
}

async fn create(world: &World, job: &Job) -> JobCreated {
    world.jobs.create(job.clone(), 1000, world.audit(Action::JobCreate)).await.unwrap()
}

/// A stored job that is due now.
async fn due_job(world: &World, owner: &FriendshipKey, name: &str) -> Job {
    let job = job(world, owner, name, Some(world.clock.now()));
    assert_eq!(create(world, &job).await, new(&job));
    job
}

fn lease(world: &World) -> RunLease {
    RunLease { now: world.clock.now(), until: world.clock.now() + LEASE }
}

/// Runs the fire time since which the job is due, and nothing else.
fn firing(world: &World, due: &DueJob) -> Firing {
    let schedule = Schedule::new(&due.timing, due.created_at, &TimeZones::bundled()).unwrap();
    let next_due = schedule.next_after(world.clock.now());
    let run = Some((world.ids.id(), due.due_since));
    Firing { job: due.id.clone(), due_since: due.due_since, missed: None, run, next_due }
}

/// Fires what is due now.
async fn fire(world: &World) -> Vec<LeasedRun> {
    let due = world.runs.due(world.clock.now(), 1000, FriendShares::of(100)).await.unwrap();
    let firings = due.iter().map(|due| firing(world, due)).collect();
    world.runs.fire(firings, lease(world)).await.unwrap()
}

async fn complete(world: &World, leased: &LeasedRun, outcome: AttemptOutcome) -> bool {
    let (run, attempt, at) = (leased.id.clone(), leased.attempt, world.clock.now());
    world.runs.complete_attempts(vec![CompletedAttempt { run, attempt, at, outcome }]).await.unwrap() == [true]
}

async fn runs(world: &World, job: &Job) -> Vec<Run> {
    let RunsListed::Page(runs) = page(world, job, None, 1000).await else { panic!("the job is gone") };
    runs
}

async fn page(world: &World, job: &Job, before: Option<&str>, limit: u32) -> RunsListed {
    world.jobs.runs(&job.owner, &job.id, before, limit).await.unwrap()
}

async fn stored(world: &World, job: &Job) -> Job {
    let jobs = world.jobs.list(&job.owner).await.unwrap();
    jobs.into_iter().find(|stored| stored.id == job.id).unwrap()
}

async fn a_job_comes_back_as_it_was_stored(world: &World) {
    let owner = alice(world).await;
    let plain = job(world, &owner, "plain", Some(world.clock.now()));
    let mut full = job(world, &owner, "full", None);
    let mut once = job(world, &owner, "once", Some(world.clock.now()));
    once.spec.timing = Timing { kind: TimingKind::At(world.clock.now()), tz: "Asia/Tokyo".to_owned() };
    let mut often = job(world, &owner, "often", Some(world.clock.now()));
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
        assert_eq!(create(world, job).await, new(job));
        assert_eq!(world.jobs.find(&owner, &job.id).await.unwrap().as_ref(), Some(job));
    }
    assert_eq!(world.jobs.list(&owner).await.unwrap(), [full, often, once, plain]);
}

async fn jobs_are_listed_by_name_for_their_owner(world: &World) {
    let owner = alice(world).await;
    let other_agent = FriendshipKey { agent: world.agent("other").await, ..owner.clone() };
    world.befriend(&other_agent.agent, &other_agent.friend, FriendshipStatus::Active).await;
    for name in ["b", "a b", "B", "a-b", "a"] {
        create(world, &job(world, &owner, name, None)).await;
    }
    create(world, &job(world, &other_agent, "elsewhere", None)).await;
    let listed = world.jobs.list(&owner).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.spec.name.as_str()).collect::<Vec<_>>(), ["B", "a", "a b", "a-b", "b"]);
    let stranger = FriendshipKey { friend: world.friend("al").await, ..owner };
    assert_eq!(world.jobs.list(&stranger).await.unwrap(), []);
}

async fn a_name_is_stored_once_for_each_owner(world: &World) {
    let owner = alice(world).await;
    let bob = FriendshipKey { friend: world.friend("bob").await, ..owner.clone() };
    world.befriend(&bob.agent, &bob.friend, FriendshipStatus::Active).await;
    let same: Vec<Job> = (0..8).map(|_| job(world, &owner, "daily", None)).collect();
    let created = join_all(same.iter().map(|job| create(world, job))).await;
    assert_eq!(created.iter().filter(|created| matches!(created, JobCreated::New(_))).count(), 1);
    assert_eq!(created.iter().filter(|created| **created == JobCreated::NameTaken).count(), 7);
    for other in [job(world, &bob, "daily", None), job(world, &owner, "Daily", None)] {
        assert_eq!(create(world, &other).await, new(&other));
    }
}

async fn a_limit_holds_for_all_agents_together_and_under_contention(world: &World) {
    let owner = alice(world).await;
    let other_agent = FriendshipKey { agent: world.agent("other").await, ..owner.clone() };
    world.befriend(&other_agent.agent, &other_agent.friend, FriendshipStatus::Active).await;
    let wanted: Vec<Job> = (0..8)
        .map(|number| job(world, if number % 2 == 0 { &owner } else { &other_agent }, &format!("job {number}"), None))
        .collect();
    let audit = || world.audit(Action::JobCreate);
    let created = join_all(wanted.iter().map(|job| world.jobs.create(job.clone(), 3, audit()))).await;
    let new = created.iter().filter(|created| matches!(created, Ok(JobCreated::New(_)))).count();
    let refused = created.iter().filter(|created| matches!(created, Ok(JobCreated::LimitReached))).count();
    assert_eq!((new, refused), (3, 5));
}

async fn a_job_needs_a_friendship(world: &World) {
    let strangers = FriendshipKey { friend: world.friend("alice").await, agent: world.agent("main").await };
    assert_eq!(create(world, &job(world, &strangers, "daily", None)).await, JobCreated::NoFriendship);
    let nobody = FriendshipKey { friend: FriendId::parse("nobody").unwrap(), agent: AgentId::parse("none").unwrap() };
    assert_eq!(create(world, &job(world, &nobody, "daily", None)).await, JobCreated::NoFriendship);
}

async fn a_change_is_stored_once_and_only_where_nothing_moved_on(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    let now = world.clock.now();
    let window = MissedWindow { from: now - TimeDelta::hours(1), to: now, count: 2 };
    let off = JobUpdate { missed: Some((world.ids.id(), window)), ..change(&job, disable) };
    for stale in [
        JobUpdate { seen_next_run: Some(now - TimeDelta::hours(1)), ..off.clone() },
        JobUpdate { seen_next_run: None, ..off.clone() },
        JobUpdate { seen_revision: 2, ..off.clone() },
    ] {
        assert_eq!(update(world, &stale).await, JobUpdated::Stale);
    }
    assert_eq!(runs(world, &job).await, []);
    let JobUpdated::Done(done) = update(world, &off).await else { panic!("not done") };
    let stored = stored(world, &job).await;
    assert_eq!((&*done, stored.revision), (&stored, 2));
    assert_eq!(
        (stored.enabled, stored.state.next_run, stored.state.last_status),
        (false, None, Some(RunStatus::Missed))
    );
    assert_eq!(stored.state.last_error, Some(window.explanation()));
    assert_eq!(runs(world, &job).await[0].missed, Some(window));
    assert_eq!(update(world, &off).await, JobUpdated::Stale);
    let on = change(&stored, |job| {
        job.enabled = true;
        job.state.next_run = Some(now);
        "Other".clone_into(&mut job.spec.message);
        job.spec.timing = Timing { kind: TimingKind::Every(Interval::parse("1h").unwrap()), tz: "UTC".to_owned() };
        job.spec.answer_to = AnswerTo::Chat;
    });
    let JobUpdated::Done(done) = update(world, &on).await else { panic!("not done") };
    assert_eq!((&done.spec, done.enabled, done.revision), (&on.job.spec, true, 3));
    let emptied = change(&done, |job| {
        job.spec.timing = Timing { kind: TimingKind::At(now), tz: "UTC".to_owned() };
        job.spec.timeout_seconds = None;
    });
    let JobUpdated::Done(done) = update(world, &emptied).await else { panic!("not done") };
    assert_eq!(done.spec, emptied.job.spec);
}

async fn a_job_is_changed_by_its_owner_only(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    let bob = FriendshipKey { friend: world.friend("bob").await, ..owner.clone() };
    world.befriend(&bob.agent, &bob.friend, FriendshipStatus::Active).await;
    let other_agent = FriendshipKey { agent: world.agent("other").await, ..owner };
    for stranger in [bob, other_agent] {
        let audit = || world.audit(Action::JobToggle);
        let off = change(&Job { owner: stranger.clone(), ..job.clone() }, disable);
        assert_eq!(update(world, &off).await, JobUpdated::Absent);
        assert_eq!(world.jobs.find(&stranger, &job.id).await.unwrap(), None);
        assert!(!world.jobs.remove(&stranger, &job.id, audit()).await.unwrap());
        assert_eq!(world.jobs.request(&stranger, &job.id, "run", audit()).await.unwrap(), RunRequested::Absent);
        assert_eq!(world.jobs.runs(&stranger, &job.id, None, 10).await.unwrap(), RunsListed::Absent);
    }
    assert_eq!(stored(world, &job).await, job);
}

async fn a_job_goes_with_its_friend_its_agent_and_its_runs(world: &World) {
    let owner = alice(world).await;
    let bob = FriendshipKey { friend: world.friend("bob").await, agent: world.agent("other").await };
    world.befriend(&bob.agent, &bob.friend, FriendshipStatus::Active).await;
    let carol = FriendshipKey { friend: world.friend("carol").await, ..owner.clone() };
    world.befriend(&carol.agent, &carol.friend, FriendshipStatus::Active).await;
    for owner in [&owner, &bob, &carol] {
        due_job(world, owner, "daily").await;
    }
    let leased = fire(world).await;
    assert_eq!(leased.len(), 3);
    world.friends.remove(&owner.friend, world.audit(Action::FriendRemove)).await.unwrap();
    world.agents.remove(&bob.agent, world.audit(Action::AgentRemove)).await.unwrap();
    for run in &leased {
        let remains = run.job.owner == carol;
        let stored = complete(world, run, AttemptOutcome::Delivered).await;
        assert_eq!(stored, remains, "{}", run.job.owner.friend);
        assert_eq!(world.jobs.list(&run.job.owner).await.unwrap().len(), usize::from(remains));
    }
    let carols = &world.jobs.list(&carol).await.unwrap()[0];
    assert!(world.jobs.remove(&carol, &carols.id, world.audit(Action::JobDelete)).await.unwrap());
    assert!(!world.jobs.remove(&carol, &carols.id, world.audit(Action::JobDelete)).await.unwrap());
    assert_eq!(world.jobs.runs(&carol, &carols.id, None, 10).await.unwrap(), RunsListed::Absent);
}

async fn one_of_many_requests_is_queued(world: &World) {
    let owner = alice(world).await;
    let mut job = job(world, &owner, "off", None);
    job.enabled = false;
    create(world, &job).await;
    let ids: Vec<String> = (0..8).map(|_| world.ids.id()).collect();
    let request = |id: &String| {
        let (owner, job, id) = (&owner, &job.id, id.clone());
        async move { world.jobs.request(owner, job, &id, world.audit(Action::JobRun)).await.unwrap() }
    };
    let asked = join_all(ids.iter().map(request)).await;
    assert_eq!(asked.iter().filter(|asked| matches!(asked, RunRequested::Queued(_))).count(), 1);
    assert_eq!(asked.iter().filter(|asked| **asked == RunRequested::Open).count(), 7);

    let [run] = &runs(world, &job).await[..] else { panic!("not one run") };
    assert_eq!((run.status, run.trigger, run.due_at), (RunStatus::Queued, Trigger::Manual, world.clock.now()));
    let leased = world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap();
    assert_eq!((leased.len(), leased[0].id.as_str(), leased[0].attempt), (1, run.id.as_str(), 1));
    assert_eq!(stored(world, &job).await.state.last_run, Some(world.clock.now()));
    complete(world, &leased[0], AttemptOutcome::Delivered).await;
    let second = world.ids.id();
    assert_eq!(request(&second).await, RunRequested::Queued(second), "at the very same time as the first");
}

async fn what_is_due_comes_in_order_with_its_friendship(world: &World) {
    let owner = alice(world).await;
    let bob = FriendshipKey { friend: world.friend("bob").await, ..owner.clone() };
    world.befriend(&bob.agent, &bob.friend, FriendshipStatus::Blocked).await;
    let now = world.clock.now();
    let ago = |minutes: i64| Some(now - TimeDelta::minutes(minutes));
    for (owner, name, next_run) in [
        (&owner, "now", ago(0)),
        (&owner, "later", Some(now + TimeDelta::milliseconds(1))),
        (&owner, "long due", ago(90)),
        (&bob, "blocked", ago(30)),
        (&owner, "off", None),
    ] {
        create(world, &Job { enabled: next_run.is_some(), ..job(world, owner, name, next_run) }).await;
    }
    let due = world.runs.due(now, 10, FriendShares::of(100)).await.unwrap();
    let listed: Vec<_> = due.iter().map(|due| (Some(due.due_since), due.is_active)).collect();
    assert_eq!(listed, [(ago(90), true), (ago(30), false), (ago(0), true)]);
    assert_eq!((&due[0].timing, due[0].created_at), (&cron("@hourly", "Europe/Berlin"), now));
    assert_eq!(world.runs.due(now, 1, FriendShares::of(100)).await.unwrap(), due[..1]);
}

async fn a_job_with_an_open_run_is_not_due_and_does_not_fire(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    let due = world.runs.due(world.clock.now(), 10, FriendShares::of(100)).await.unwrap();
    world.jobs.request(&owner, &job.id, "by hand", world.audit(Action::JobRun)).await.unwrap();
    assert_eq!(world.runs.due(world.clock.now(), 10, FriendShares::of(100)).await.unwrap(), []);
    assert_eq!(world.runs.fire(vec![firing(world, &due[0])], lease(world)).await.unwrap(), []);
    assert_eq!(stored(world, &job).await.state.next_run, job.state.next_run, "it is still due");
}

async fn a_firing_that_is_stale_does_nothing(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    let due = world.runs.due(world.clock.now(), 10, FriendShares::of(100)).await.unwrap().remove(0);
    let stale = DueJob { due_since: due.due_since - TimeDelta::hours(1), ..due.clone() };
    assert_eq!(world.runs.fire(vec![firing(world, &stale)], lease(world)).await.unwrap(), []);
    assert!(matches!(update(world, &change(&job, disable)).await, JobUpdated::Done(_)));
    assert_eq!(world.runs.fire(vec![firing(world, &due)], lease(world)).await.unwrap(), []);
    world.jobs.remove(&owner, &job.id, world.audit(Action::JobDelete)).await.unwrap();
    assert_eq!(world.runs.fire(vec![firing(world, &due)], lease(world)).await.unwrap(), []);
}

async fn a_fire_time_has_one_run_even_if_the_clock_goes_back(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    let fire_time = world.clock.now();
    complete(world, &fire(world).await[0], AttemptOutcome::Delivered).await;
    let seen = stored(world, &job).await;
    update(world, &change(&seen, |job| job.state.next_run = Some(fire_time))).await;
    assert_eq!(fire(world).await, []);
    assert_eq!(runs(world, &job).await.len(), 1);
    assert_eq!(stored(world, &job).await.state.next_run, seen.state.next_run, "and the job goes on");
}

async fn eight_claimers_fire_each_of_two_hundred_jobs_once(world: &World) {
    let owner = alice(world).await;
    for number in 0..200 {
        due_job(world, &owner, &format!("job {number}")).await;
    }
    let claimer = || async {
        let mut fired = Vec::new();
        loop {
            let due = world.runs.due(world.clock.now(), 10, FriendShares::of(100)).await.unwrap();
            if due.is_empty() {
                return fired;
            }
            let firings = due.iter().map(|due| firing(world, due)).collect();
            fired.extend(world.runs.fire(firings, lease(world)).await.unwrap());
        }
    };
    let fired: Vec<LeasedRun> = join_all((0..8).map(|_| claimer())).await.into_iter().flatten().collect();
    let jobs: HashSet<&str> = fired.iter().map(|run| run.job.id.as_str()).collect();
    assert_eq!((fired.len(), jobs.len()), (200, 200));
    for job in world.jobs.list(&owner).await.unwrap() {
        assert_eq!(runs(world, &job).await.len(), 1);
    }
}

async fn a_missed_window_is_one_row(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    let due = world.runs.due(world.clock.now(), 10, FriendShares::of(100)).await.unwrap().remove(0);
    let window = MissedWindow { from: due.due_since, to: due.due_since + TimeDelta::hours(2), count: 3 };
    let run = (world.ids.id(), due.due_since + TimeDelta::hours(3));
    let fire = Firing { missed: Some((world.ids.id(), window)), run: Some(run.clone()), ..firing(world, &due) };
    let leased = world.runs.fire(vec![fire], lease(world)).await.unwrap();
    assert_eq!((leased.len(), leased[0].id.as_str(), leased[0].due_at), (1, run.0.as_str(), run.1));
    let listed = runs(world, &job).await;
    assert_eq!((listed.len(), listed[0].status, listed[1].status), (2, RunStatus::Running, RunStatus::Missed));
    assert_eq!((listed[1].missed, listed[1].due_at), (Some(window), window.to));
    assert_eq!((listed[1].started_at, listed[1].finished_at, listed[1].attempts), (None, Some(world.clock.now()), 0));
    assert_eq!(stored(world, &job).await.state.last_status, Some(RunStatus::Missed));
}

async fn a_lease_keeps_others_away_until_it_ends(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    let first = fire(world).await.remove(0);
    assert_eq!((first.attempt, first.trigger, first.due_at), (1, Trigger::Schedule, world.clock.now()));
    assert_eq!(first.job.id, job.id);
    world.clock.advance(Duration::from_millis(59_999));
    assert_eq!(world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap(), []);
    world.clock.advance(Duration::from_millis(1));
    let second = world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap();
    assert_eq!((second.len(), second[0].id.as_str(), second[0].attempt), (1, first.id.as_str(), 2));
    assert_eq!(world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap(), []);
    let run = &runs(world, &job).await[0];
    assert_eq!((run.status, run.attempts, run.started_at), (RunStatus::Running, 2, Some(first.due_at)));
}

async fn eight_claimers_share_what_was_left_open(world: &World) {
    let owner = alice(world).await;
    for number in 0..40 {
        due_job(world, &owner, &format!("job {number}")).await;
    }
    fire(world).await;
    world.clock.advance(Duration::from_mins(2));
    let claim_all = || async {
        let mut claimed = Vec::new();
        // Others may have locked all that a claimer looks at, so an empty answer is not the end.
        while claimed.len() < 40 {
            let more = world.runs.claim(lease(world), 7, FriendShares::of(100)).await.unwrap();
            if more.is_empty() && left_open(world).await == 0 {
                break;
            }
            claimed.extend(more);
        }
        claimed
    };
    let claimed: Vec<LeasedRun> = join_all((0..8).map(|_| claim_all())).await.into_iter().flatten().collect();
    let ids: HashSet<&str> = claimed.iter().map(|run| run.id.as_str()).collect();
    assert_eq!((claimed.len(), ids.len()), (40, 40));
    assert!(claimed.iter().all(|run| run.attempt == 2));
}

/// Number of runs that nobody has claimed a second time.
async fn left_open(world: &World) -> usize {
    let owner = FriendshipKey { friend: FriendId::parse("alice").unwrap(), agent: AgentId::parse("main").unwrap() };
    let mut left = 0;
    for job in world.jobs.list(&owner).await.unwrap() {
        left += runs(world, &job).await.iter().filter(|run| run.attempts < 2).count();
    }
    left
}

async fn only_the_newest_attempt_completes_a_run(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    let stalled = fire(world).await.remove(0);
    world.clock.advance(Duration::from_mins(2));
    let newer = world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap().remove(0);
    for outcome in [AttemptOutcome::Delivered, AttemptOutcome::Failed("asleep".to_owned())] {
        assert!(!complete(world, &stalled, outcome).await);
    }
    assert_eq!(runs(world, &job).await[0].status, RunStatus::Running);
    assert!(complete(world, &newer, AttemptOutcome::Delivered).await);
    assert!(!complete(world, &stalled, AttemptOutcome::Failed("asleep".to_owned())).await);
    assert!(!complete(world, &newer, AttemptOutcome::Failed("twice".to_owned())).await);
    let run = &runs(world, &job).await[0];
    assert_eq!((run.status, run.finished_at, &run.error), (RunStatus::Delivered, Some(world.clock.now()), &None));
    let stranger = LeasedRun { id: "unknown".to_owned(), ..newer };
    assert!(!complete(world, &stranger, AttemptOutcome::Delivered).await);
}

async fn a_retry_waits_for_its_time(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    let first = fire(world).await.remove(0);
    let at = world.clock.now() + TimeDelta::seconds(5);
    let retry = AttemptOutcome::Retry { at, error: "busy".to_owned() };
    assert!(complete(world, &first, retry).await);
    let run = &runs(world, &job).await[0];
    assert_eq!((run.status, run.error.as_deref(), run.finished_at), (RunStatus::Retrying, Some("busy"), None));
    world.clock.advance(Duration::from_millis(4_999));
    assert_eq!(world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap(), []);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap()[0].attempt, 2);
}

async fn the_end_of_a_run_is_seen_on_its_job(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    for (outcome, status, errors) in [
        (AttemptOutcome::Failed("no".to_owned()), RunStatus::Failed, 1),
        (AttemptOutcome::Failed("no".to_owned()), RunStatus::Failed, 2),
        (AttemptOutcome::Delivered, RunStatus::Delivered, 0),
    ] {
        let begun = world.clock.now();
        let leased = fire(world).await.remove(0);
        assert!(complete(world, &leased, outcome).await);
        let state = stored(world, &job).await.state;
        assert_eq!((state.recent[0].status, state.recent[0].due_at), (status, leased.due_at));
        assert_eq!(state.last_error.as_deref(), (errors > 0).then_some("no"));
        assert_eq!((state.last_status, state.consecutive_errors), (Some(status), errors));
        assert_eq!(state.last_run, Some(begun));
        world.clock.set(state.next_run.unwrap());
    }
}

async fn runs_of_an_inactive_friendship_are_left(world: &World) {
    let owner = alice(world).await;
    due_job(world, &owner, "daily").await;
    fire(world).await;
    world.clock.advance(Duration::from_mins(2));
    world.befriend(&owner.agent, &owner.friend, FriendshipStatus::Inactive).await;
    assert_eq!(world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap(), []);
    world.befriend(&owner.agent, &owner.friend, FriendshipStatus::Active).await;
    assert_eq!(world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap().len(), 1);
}

async fn runs_are_listed_newest_first(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    for _ in 0..3 {
        complete(world, &fire(world).await[0], AttemptOutcome::Delivered).await;
        world.clock.set(stored(world, &job).await.state.next_run.unwrap());
    }
    let listed = runs(world, &job).await;
    assert!(listed.windows(2).all(|pair| pair[0].due_at > pair[1].due_at));
    assert_eq!(page(world, &job, None, 2).await, RunsListed::Page(listed[..2].to_vec()));
}

async fn runs_are_listed_page_by_page(world: &World) {
    let owner = alice(world).await;
    let (job, other) = (due_job(world, &owner, "daily").await, due_job(world, &owner, "other").await);
    let at = world.clock.now();
    // A run by hand at the very moment of a fire time, and a job whose runs must not come in between.
    for (number, job) in [(0, &job), (1, &other), (2, &job), (3, &job)] {
        let audit = world.audit(Action::JobRun);
        let requested = world.jobs.request(&owner, &job.id, &format!("run-{number}"), audit).await.unwrap();
        assert_eq!(requested, RunRequested::Queued(format!("run-{number}")));
        let leased = world.runs.claim(lease(world), 1, FriendShares::of(100)).await.unwrap();
        complete(world, &leased[0], AttemptOutcome::Delivered).await;
    }
    for leased in fire(world).await {
        complete(world, &leased, AttemptOutcome::Delivered).await;
    }
    assert!(runs(world, &job).await.iter().all(|run| run.due_at == at));
    world.clock.set(stored(world, &job).await.state.next_run.unwrap());
    fire(world).await;
    let all = runs(world, &job).await;
    for size in 1..=all.len() {
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let RunsListed::Page(next) = page(world, &job, before.as_deref(), u32::try_from(size).unwrap()).await
            else {
                panic!("no page after {before:?}");
            };
            before = next.last().map(|run| run.id.clone());
            if next.is_empty() {
                break;
            }
            pages.extend(next);
        }
        assert_eq!(pages, all, "pages of {size}");
    }
    for unknown in ["run-1", "run-9", ""] {
        assert_eq!(page(world, &job, Some(unknown), 2).await, RunsListed::RunUnknown, "{unknown}");
    }
    let bob = FriendshipKey { friend: world.friend("bob").await, ..owner };
    assert_eq!(world.jobs.runs(&bob, &job.id, Some("run-0"), 2).await.unwrap(), RunsListed::Absent);
}

async fn every_change_of_a_job_leaves_one_line(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    assert_eq!(create(world, &Job { id: world.ids.id(), ..job.clone() }).await, JobCreated::NameTaken);
    let audit = |action| world.audit(action);
    world.jobs.request(&owner, &job.id, "run", audit(Action::JobRun)).await.unwrap();
    world.jobs.request(&owner, &job.id, "again", audit(Action::JobRun)).await.unwrap();
    for _ in 0..2 {
        update(world, &change(&job, disable)).await;
    }
    for _ in 0..2 {
        world.jobs.remove(&owner, &job.id, audit(Action::JobDelete)).await.unwrap();
    }
    for action in [Action::JobCreate, Action::JobRun, Action::JobUpdate, Action::JobDelete] {
        assert_eq!(world.audited(action).await, 1, "{action:?}");
    }
}

async fn a_job_is_found_by_its_name_and_else_by_its_id(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    let decoy = due_job(world, &owner, &job.id).await;
    let find = async |name: &str| world.jobs.find(&owner, name).await.unwrap().map(|job| job.id);
    assert_eq!(find("daily").await.as_deref(), Some(job.id.as_str()));
    assert_eq!(find(&job.id).await.as_deref(), Some(decoy.id.as_str()), "the name wins");
    for name in ["Daily", "dail", "daily ", "", "%"] {
        assert_eq!(find(name).await, None, "{name}");
    }
    world.jobs.request(&owner, &decoy.id, "run", world.audit(Action::JobRun)).await.unwrap();
    assert_eq!(runs(world, &job).await.len(), 1);
    assert!(world.jobs.remove(&owner, &job.id, world.audit(Action::JobDelete)).await.unwrap());
    assert_eq!(find(&job.id).await.as_deref(), Some(job.id.as_str()));
}

async fn a_job_remembers_its_newest_runs(world: &World) {
    let owner = alice(world).await;
    let job = due_job(world, &owner, "daily").await;
    let mut due = Vec::new();
    for number in 0..RECENT_MAX + 2 {
        let leased = fire(world).await.remove(0);
        due.insert(0, leased.due_at);
        let failed = AttemptOutcome::Failed("no".to_owned());
        let outcome = if number % 2 == 0 { AttemptOutcome::Delivered } else { failed };
        complete(world, &leased, outcome).await;
        world.clock.set(stored(world, &job).await.state.next_run.unwrap());
    }
    let recent = stored(world, &job).await.state.recent;
    assert_eq!(recent.iter().map(|run| run.due_at).collect::<Vec<_>>(), due[..RECENT_MAX]);
    assert_eq!((recent[0].status, recent[1].status), (RunStatus::Failed, RunStatus::Delivered));
}

async fn a_job_for_one_moment_is_disabled_when_it_is_over(world: &World) {
    let owner = alice(world).await;
    let now = world.clock.now();
    let mut job = job(world, &owner, "once", Some(now));
    job.spec.timing = Timing { kind: TimingKind::At(now), tz: "UTC".to_owned() };
    create(world, &job).await;
    let leased = fire(world).await.remove(0);
    assert!(stored(world, &job).await.enabled, "until its run has ended");
    complete(world, &leased, AttemptOutcome::Retry { at: now, error: "busy".to_owned() }).await;
    assert!(stored(world, &job).await.enabled, "until its run has ended");
    let leased = world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap().remove(0);
    complete(world, &leased, AttemptOutcome::Delivered).await;
    assert!(!stored(world, &job).await.enabled);
}

async fn a_friend_asks_for_ten_runs_a_minute(world: &World) {
    let owner = alice(world).await;
    let bob = FriendshipKey { friend: world.friend("bob").await, ..owner.clone() };
    world.befriend(&bob.agent, &bob.friend, FriendshipStatus::Active).await;
    create(world, &job(world, &bob, "daily", None)).await;
    let ask = async |owner: &FriendshipKey, name: &str| {
        world.jobs.request(owner, name, &world.ids.id(), world.audit(Action::JobRun)).await.unwrap()
    };
    for number in 0..=MANUAL_RUNS_PER_MINUTE {
        create(world, &job(world, &owner, &format!("job {number}"), None)).await;
    }
    for number in 0..MANUAL_RUNS_PER_MINUTE {
        assert!(matches!(ask(&owner, &format!("job {number}")).await, RunRequested::Queued(_)));
        world.clock.advance(Duration::from_secs(1));
    }
    let last = format!("job {MANUAL_RUNS_PER_MINUTE}");
    assert_eq!(ask(&owner, &last).await, RunRequested::TooMany { retry_after: Duration::from_secs(50) });
    assert!(matches!(ask(&bob, "daily").await, RunRequested::Queued(_)));
    world.clock.advance(Duration::from_secs(50));
    assert!(matches!(ask(&owner, &last).await, RunRequested::Queued(_)));
}

async fn a_clock_that_went_back_makes_what_waits_for_a_later_time_due(world: &World) {
    let owner = alice(world).await;
    let now = world.clock.now();
    let retried = due_job(world, &owner, "retried").await;
    let leased = fire(world).await.remove(0);
    let retry = AttemptOutcome::Retry { at: now + TimeDelta::days(2), error: "busy".to_owned() };
    assert!(complete(world, &leased, retry).await);
    let planned = job(world, &owner, "planned", Some(now + TimeDelta::hours(3)));
    let disabled = job(world, &owner, "disabled", None);
    let overdue = job(world, &owner, "overdue", Some(now - TimeDelta::hours(1)));
    for job in [&planned, &disabled, &overdue] {
        create(world, job).await;
    }
    assert_eq!(world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap(), []);
    assert_eq!(world.runs.latest_start().await.unwrap(), Some(now));
    assert_eq!(world.runs.replan(now).await.unwrap(), 2);
    assert_eq!(stored(world, &planned).await.state.next_run, Some(now));
    assert_eq!(stored(world, &retried).await.state.next_run, Some(now));
    assert_eq!(stored(world, &disabled).await.state.next_run, None);
    assert_eq!(stored(world, &overdue).await.state.next_run, overdue.state.next_run);
    let claimed = world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap();
    assert_eq!(claimed.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [leased.id.as_str()]);
}

async fn jobs_of_an_inactive_friendship_are_parked_until_it_is_active_again(world: &World) {
    let owner = alice(world).await;
    due_job(world, &owner, "open").await;
    let leased = fire(world).await.remove(0);
    let retry = AttemptOutcome::Retry { at: world.clock.now(), error: "busy".to_owned() };
    assert!(complete(world, &leased, retry).await);
    let due = due_job(world, &owner, "due").await;
    let bob = FriendshipKey { friend: world.friend("bob").await, ..owner.clone() };
    world.befriend(&bob.agent, &bob.friend, FriendshipStatus::Active).await;
    let other = due_job(world, &bob, "other").await;
    world.befriend(&owner.agent, &owner.friend, FriendshipStatus::Blocked).await;
    assert!(world.runs.park_inactive(world.clock.now()).await.unwrap() > 0);
    assert_eq!(world.runs.park_inactive(world.clock.now()).await.unwrap(), 0, "once");
    assert_eq!(world.runs.backlog(world.clock.now()).await.unwrap(), Backlog { due: 1, open: 1 });
    assert_eq!(stored(world, &other).await.state.next_run, other.state.next_run);
    world.clock.advance(Duration::from_secs(90));
    world.befriend(&owner.agent, &owner.friend, FriendshipStatus::Active).await;
    assert_eq!(stored(world, &due).await.state.next_run, Some(world.clock.now()), "time of rest is not missed");
    let claimed = world.runs.claim(lease(world), 10, FriendShares::of(100)).await.unwrap();
    assert_eq!(claimed.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [leased.id.as_str()]);
}
