//! The queue of runs, which several runners share.

use std::collections::HashSet;
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use portal_core::{Action, AgentId, Clock, FriendId, FriendshipKey, FriendshipStatus, Ids};
use portal_cron::{
    AttemptOutcome, Backlog, CompletedAttempt, DueJob, Firing, FriendShares, Job, JobUpdated, LeasedRun,
    MANUAL_RUNS_PER_MINUTE, MissedWindow, RECENT_MAX, Release, ReleaseAnnounced, RunLease, RunRequested, RunStatus,
    RunsListed, Schedule, TimeZones, Timing, TimingKind, Trigger,
};

use super::jobs::{alice, change, create, cron, disable, due_job, job, page, runs, stored, update};
use crate::fixture::Fixture;

const LEASE: TimeDelta = TimeDelta::seconds(60);

pub(super) fn lease(fixture: &Fixture) -> RunLease {
    RunLease { now: fixture.clock.now(), until: fixture.clock.now() + LEASE }
}

/// Runs the fire time since which the job is due, and nothing else.
fn firing(fixture: &Fixture, due: &DueJob) -> Firing {
    let schedule = Schedule::new(&due.timing, due.created_at, &TimeZones::bundled()).unwrap();
    let next_due = schedule.next_after(fixture.clock.now());
    let run = Some((fixture.ids.id(), due.due_since));
    Firing { job: due.id.clone(), due_since: due.due_since, missed: None, run, next_due, moved_to: None }
}

/// Fires what is due now.
pub(super) async fn fire(fixture: &Fixture) -> Vec<LeasedRun> {
    let due = fixture.runs.due(fixture.clock.now(), 1000, FriendShares::of(100)).await.unwrap();
    let firings = due.iter().map(|due| firing(fixture, due)).collect();
    fixture.runs.fire(firings, lease(fixture)).await.unwrap()
}

pub(super) async fn complete(fixture: &Fixture, leased: &LeasedRun, outcome: AttemptOutcome) -> bool {
    let (run, attempt, at) = (leased.id.clone(), leased.attempt, fixture.clock.now());
    fixture.runs.complete_attempts(vec![CompletedAttempt { run, attempt, at, outcome }]).await.unwrap() == [true]
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
        let remains = run.job.owner == carol;
        let stored = complete(fixture, run, AttemptOutcome::Delivered).await;
        assert_eq!(stored, remains, "{}", run.job.owner.friend);
        assert_eq!(fixture.jobs.list(&run.job.owner).await.unwrap().len(), usize::from(remains));
    }
    let carols = &fixture.jobs.list(&carol).await.unwrap()[0];
    assert!(fixture.jobs.remove(&carol, &carols.id, fixture.audit(Action::JobDelete)).await.unwrap());
    assert!(!fixture.jobs.remove(&carol, &carols.id, fixture.audit(Action::JobDelete)).await.unwrap());
    assert_eq!(fixture.jobs.runs(&carol, &carols.id, None, 10).await.unwrap(), RunsListed::Absent);
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
    assert_eq!(asked.iter().filter(|asked| matches!(asked, RunRequested::Queued(_))).count(), 1);
    assert_eq!(asked.iter().filter(|asked| **asked == RunRequested::Open).count(), 7);

    let [run] = &runs(fixture, &job).await[..] else { panic!("not one run") };
    assert_eq!((run.status, run.trigger, run.due_at), (RunStatus::Queued, Trigger::Manual, fixture.clock.now()));
    let leased = fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap();
    assert_eq!((leased.len(), leased[0].id.as_str(), leased[0].attempt), (1, run.id.as_str(), 1));
    assert_eq!(stored(fixture, &job).await.state.last_run, Some(fixture.clock.now()));
    complete(fixture, &leased[0], AttemptOutcome::Delivered).await;
    let second = fixture.ids.id();
    assert_eq!(request(&second).await, RunRequested::Queued(second), "at the very same time as the first");
}

pub async fn what_is_due_comes_in_order_with_its_friendship(fixture: &Fixture) {
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
    let due = fixture.runs.due(now, 10, FriendShares::of(100)).await.unwrap();
    let listed: Vec<_> = due.iter().map(|due| (Some(due.due_since), due.is_active)).collect();
    assert_eq!(listed, [(ago(90), true), (ago(30), false), (ago(0), true)]);
    assert_eq!((&due[0].timing, due[0].created_at), (&cron("@hourly", "Europe/Berlin"), now));
    assert_eq!(fixture.runs.due(now, 1, FriendShares::of(100)).await.unwrap(), due[..1]);
}

pub async fn a_job_with_an_open_run_is_not_due_and_does_not_fire(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let due = fixture.runs.due(fixture.clock.now(), 10, FriendShares::of(100)).await.unwrap();
    fixture.jobs.request(&owner, &job.id, "by hand", fixture.audit(Action::JobRun)).await.unwrap();
    assert_eq!(fixture.runs.due(fixture.clock.now(), 10, FriendShares::of(100)).await.unwrap(), []);
    assert_eq!(fixture.runs.fire(vec![firing(fixture, &due[0])], lease(fixture)).await.unwrap(), []);
    assert_eq!(stored(fixture, &job).await.state.next_run, job.state.next_run, "it is still due");
}

pub async fn a_firing_that_is_stale_does_nothing(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let due = fixture.runs.due(fixture.clock.now(), 10, FriendShares::of(100)).await.unwrap().remove(0);
    let stale = DueJob { due_since: due.due_since - TimeDelta::hours(1), ..due.clone() };
    assert_eq!(fixture.runs.fire(vec![firing(fixture, &stale)], lease(fixture)).await.unwrap(), []);
    assert!(matches!(update(fixture, &change(&job, disable)).await, JobUpdated::Done(_)));
    assert_eq!(fixture.runs.fire(vec![firing(fixture, &due)], lease(fixture)).await.unwrap(), []);
    fixture.jobs.remove(&owner, &job.id, fixture.audit(Action::JobDelete)).await.unwrap();
    assert_eq!(fixture.runs.fire(vec![firing(fixture, &due)], lease(fixture)).await.unwrap(), []);
}

pub async fn a_fire_time_has_one_run_even_if_the_clock_goes_back(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let fire_time = fixture.clock.now();
    complete(fixture, &fire(fixture).await[0], AttemptOutcome::Delivered).await;
    let seen = stored(fixture, &job).await;
    update(fixture, &change(&seen, |job| job.state.next_run = Some(fire_time))).await;
    assert_eq!(fire(fixture).await, []);
    assert_eq!(runs(fixture, &job).await.len(), 1);
    assert_eq!(stored(fixture, &job).await.state.next_run, seen.state.next_run, "and the job goes on");
}

pub async fn eight_claimers_fire_each_of_two_hundred_jobs_once(fixture: &Fixture) {
    let owner = alice(fixture).await;
    for number in 0..200 {
        due_job(fixture, &owner, &format!("job {number}")).await;
    }
    let claimer = || async {
        let mut fired = Vec::new();
        loop {
            let due = fixture.runs.due(fixture.clock.now(), 10, FriendShares::of(100)).await.unwrap();
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

pub async fn a_missed_window_is_one_row(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let due = fixture.runs.due(fixture.clock.now(), 10, FriendShares::of(100)).await.unwrap().remove(0);
    let window = MissedWindow { from: due.due_since, to: due.due_since + TimeDelta::hours(2), count: 3 };
    let run = (fixture.ids.id(), due.due_since + TimeDelta::hours(3));
    let fire = Firing { missed: Some((fixture.ids.id(), window)), run: Some(run.clone()), ..firing(fixture, &due) };
    let leased = fixture.runs.fire(vec![fire], lease(fixture)).await.unwrap();
    assert_eq!((leased.len(), leased[0].id.as_str(), leased[0].due_at), (1, run.0.as_str(), run.1));
    let listed = runs(fixture, &job).await;
    assert_eq!((listed.len(), listed[0].status, listed[1].status), (2, RunStatus::Running, RunStatus::Missed));
    assert_eq!((listed[1].missed, listed[1].due_at), (Some(window), window.to));
    assert_eq!((listed[1].started_at, listed[1].finished_at, listed[1].attempts), (None, Some(fixture.clock.now()), 0));
    assert_eq!((listed[0].accepted(), listed[1].accepted()), (None, Some(false)));
    assert_eq!(stored(fixture, &job).await.state.last_status, Some(RunStatus::Missed));
}

pub async fn a_lease_keeps_others_away_until_it_ends(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let first = fire(fixture).await.remove(0);
    assert_eq!((first.attempt, first.trigger, first.due_at), (1, Trigger::Schedule, fixture.clock.now()));
    assert_eq!(first.job.id, job.id);
    fixture.clock.advance(Duration::from_millis(59_999));
    assert_eq!(fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap(), []);
    fixture.clock.advance(Duration::from_millis(1));
    let second = fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap();
    assert_eq!((second.len(), second[0].id.as_str(), second[0].attempt), (1, first.id.as_str(), 2));
    assert_eq!(fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap(), []);
    let run = &runs(fixture, &job).await[0];
    assert_eq!((run.status, run.attempts, run.started_at), (RunStatus::Running, 2, Some(first.due_at)));
}

pub async fn eight_claimers_share_what_was_left_open(fixture: &Fixture) {
    let owner = alice(fixture).await;
    for number in 0..40 {
        due_job(fixture, &owner, &format!("job {number}")).await;
    }
    fire(fixture).await;
    fixture.clock.advance(Duration::from_mins(2));
    let claim_all = || async {
        let mut claimed = Vec::new();
        // Others may have locked all that a claimer looks at, so an empty answer is not the end.
        while claimed.len() < 40 {
            let more = fixture.runs.claim(lease(fixture), 7, FriendShares::of(100)).await.unwrap();
            if more.is_empty() && left_open(fixture).await == 0 {
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
async fn left_open(fixture: &Fixture) -> usize {
    let owner = FriendshipKey { friend: FriendId::parse("alice").unwrap(), agent: AgentId::parse("main").unwrap() };
    let mut left = 0;
    for job in fixture.jobs.list(&owner).await.unwrap() {
        left += runs(fixture, &job).await.iter().filter(|run| run.attempts < 2).count();
    }
    left
}

pub async fn only_the_newest_attempt_completes_a_run(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let stalled = fire(fixture).await.remove(0);
    fixture.clock.advance(Duration::from_mins(2));
    let newer = fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap().remove(0);
    for outcome in [AttemptOutcome::Delivered, AttemptOutcome::Failed("asleep".to_owned())] {
        assert!(!complete(fixture, &stalled, outcome).await);
    }
    assert_eq!(runs(fixture, &job).await[0].status, RunStatus::Running);
    assert!(complete(fixture, &newer, AttemptOutcome::Delivered).await);
    assert!(!complete(fixture, &stalled, AttemptOutcome::Failed("asleep".to_owned())).await);
    assert!(!complete(fixture, &newer, AttemptOutcome::Failed("twice".to_owned())).await);
    let run = &runs(fixture, &job).await[0];
    assert_eq!((run.status, run.finished_at, &run.error), (RunStatus::Delivered, Some(fixture.clock.now()), &None));
    // The receiver tells nothing of the agent's work and answer.
    assert_eq!((run.accepted(), run.finished, run.sent, &run.answer), (Some(true), None, None, &None));
    let stranger = LeasedRun { id: "unknown".to_owned(), ..newer };
    assert!(!complete(fixture, &stranger, AttemptOutcome::Delivered).await);
}

pub async fn a_retry_waits_for_its_time(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let first = fire(fixture).await.remove(0);
    let at = fixture.clock.now() + TimeDelta::seconds(5);
    let retry = AttemptOutcome::Retry { at, error: "busy".to_owned() };
    assert!(complete(fixture, &first, retry).await);
    let run = &runs(fixture, &job).await[0];
    assert_eq!((run.status, run.error.as_deref(), run.finished_at), (RunStatus::Retrying, Some("busy"), None));
    fixture.clock.advance(Duration::from_millis(4_999));
    assert_eq!(fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap(), []);
    fixture.clock.advance(Duration::from_millis(1));
    assert_eq!(fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap()[0].attempt, 2);
}

pub async fn the_end_of_a_run_is_seen_on_its_job(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    for (outcome, status, errors) in [
        (AttemptOutcome::Failed("no".to_owned()), RunStatus::Failed, 1),
        (AttemptOutcome::Failed("no".to_owned()), RunStatus::Failed, 2),
        (AttemptOutcome::Delivered, RunStatus::Delivered, 0),
    ] {
        let begun = fixture.clock.now();
        let leased = fire(fixture).await.remove(0);
        assert!(complete(fixture, &leased, outcome).await);
        let state = stored(fixture, &job).await.state;
        assert_eq!((state.recent[0].status, state.recent[0].due_at), (status, leased.due_at));
        assert_eq!(state.last_error.as_deref(), (errors > 0).then_some("no"));
        assert_eq!((state.last_status, state.consecutive_errors), (Some(status), errors));
        assert_eq!(state.last_run, Some(begun));
        fixture.clock.set(state.next_run.unwrap());
    }
}

pub async fn runs_of_an_inactive_friendship_are_left(fixture: &Fixture) {
    let owner = alice(fixture).await;
    due_job(fixture, &owner, "daily").await;
    fire(fixture).await;
    fixture.clock.advance(Duration::from_mins(2));
    fixture.befriend(&owner.agent, &owner.friend, FriendshipStatus::Inactive).await;
    assert_eq!(fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap(), []);
    fixture.befriend(&owner.agent, &owner.friend, FriendshipStatus::Active).await;
    assert_eq!(fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap().len(), 1);
}

pub async fn runs_are_listed_newest_first(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    for _ in 0..3 {
        complete(fixture, &fire(fixture).await[0], AttemptOutcome::Delivered).await;
        fixture.clock.set(stored(fixture, &job).await.state.next_run.unwrap());
    }
    let listed = runs(fixture, &job).await;
    assert!(listed.windows(2).all(|pair| pair[0].due_at > pair[1].due_at));
    assert_eq!(page(fixture, &job, None, 2).await, RunsListed::Page(listed[..2].to_vec()));
}

pub async fn runs_are_listed_page_by_page(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let (job, other) = (due_job(fixture, &owner, "daily").await, due_job(fixture, &owner, "other").await);
    let at = fixture.clock.now();
    // A run by hand at the very moment of a fire time, and a job whose runs must not come in between.
    for (number, job) in [(0, &job), (1, &other), (2, &job), (3, &job)] {
        let audit = fixture.audit(Action::JobRun);
        let requested = fixture.jobs.request(&owner, &job.id, &format!("run-{number}"), audit).await.unwrap();
        assert_eq!(requested, RunRequested::Queued(format!("run-{number}")));
        let leased = fixture.runs.claim(lease(fixture), 1, FriendShares::of(100)).await.unwrap();
        complete(fixture, &leased[0], AttemptOutcome::Delivered).await;
    }
    for leased in fire(fixture).await {
        complete(fixture, &leased, AttemptOutcome::Delivered).await;
    }
    assert!(runs(fixture, &job).await.iter().all(|run| run.due_at == at));
    fixture.clock.set(stored(fixture, &job).await.state.next_run.unwrap());
    fire(fixture).await;
    let all = runs(fixture, &job).await;
    for size in 1..=all.len() {
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let RunsListed::Page(next) = page(fixture, &job, before.as_deref(), u32::try_from(size).unwrap()).await
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
        assert_eq!(page(fixture, &job, Some(unknown), 2).await, RunsListed::RunUnknown, "{unknown}");
    }
    let bob = FriendshipKey { friend: fixture.friend("bob").await, ..owner };
    assert_eq!(fixture.jobs.runs(&bob, &job.id, Some("run-0"), 2).await.unwrap(), RunsListed::Absent);
}

pub async fn a_job_remembers_its_newest_runs(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let job = due_job(fixture, &owner, "daily").await;
    let mut due = Vec::new();
    for number in 0..RECENT_MAX + 2 {
        let leased = fire(fixture).await.remove(0);
        due.insert(0, leased.due_at);
        let failed = AttemptOutcome::Failed("no".to_owned());
        let outcome = if number % 2 == 0 { AttemptOutcome::Delivered } else { failed };
        complete(fixture, &leased, outcome).await;
        fixture.clock.set(stored(fixture, &job).await.state.next_run.unwrap());
    }
    let recent = stored(fixture, &job).await.state.recent;
    assert_eq!(recent.iter().map(|run| run.due_at).collect::<Vec<_>>(), due[..RECENT_MAX]);
    assert_eq!((recent[0].status, recent[1].status), (RunStatus::Failed, RunStatus::Delivered));
}

pub async fn a_job_for_one_moment_is_disabled_when_it_is_over(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let now = fixture.clock.now();
    let mut job = job(fixture, &owner, "once", Some(now));
    job.spec.timing = Timing { kind: TimingKind::At(now.into()), tz: "UTC".to_owned() };
    create(fixture, &job).await;
    let leased = fire(fixture).await.remove(0);
    assert!(stored(fixture, &job).await.enabled, "until its run has ended");
    complete(fixture, &leased, AttemptOutcome::Retry { at: now, error: "busy".to_owned() }).await;
    assert!(stored(fixture, &job).await.enabled, "until its run has ended");
    let leased = fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap().remove(0);
    complete(fixture, &leased, AttemptOutcome::Delivered).await;
    assert!(!stored(fixture, &job).await.enabled);
}

pub async fn a_friend_asks_for_ten_runs_a_minute(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let bob = FriendshipKey { friend: fixture.friend("bob").await, ..owner.clone() };
    fixture.befriend(&bob.agent, &bob.friend, FriendshipStatus::Active).await;
    create(fixture, &job(fixture, &bob, "daily", None)).await;
    let ask = async |owner: &FriendshipKey, name: &str| {
        fixture.jobs.request(owner, name, &fixture.ids.id(), fixture.audit(Action::JobRun)).await.unwrap()
    };
    for number in 0..=MANUAL_RUNS_PER_MINUTE {
        create(fixture, &job(fixture, &owner, &format!("job {number}"), None)).await;
    }
    for number in 0..MANUAL_RUNS_PER_MINUTE {
        assert!(matches!(ask(&owner, &format!("job {number}")).await, RunRequested::Queued(_)));
        fixture.clock.advance(Duration::from_secs(1));
    }
    let last = format!("job {MANUAL_RUNS_PER_MINUTE}");
    assert_eq!(ask(&owner, &last).await, RunRequested::TooMany { retry_after: Duration::from_secs(50) });
    assert!(matches!(ask(&bob, "daily").await, RunRequested::Queued(_)));
    fixture.clock.advance(Duration::from_secs(50));
    assert!(matches!(ask(&owner, &last).await, RunRequested::Queued(_)));
}

pub async fn the_newest_release_of_time_zone_rules_plans_all_jobs_anew(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let (now, later) = (fixture.clock.now(), fixture.clock.now() + TimeDelta::hours(1));
    let waiting = job(fixture, &owner, "waiting", Some(later));
    let disabled = job(fixture, &owner, "disabled", None);
    create(fixture, &waiting).await;
    create(fixture, &disabled).await;
    let announce =
        async |release: &str| fixture.runs.announce_release(&Release::parse(release).unwrap(), now).await.unwrap();
    assert_eq!(announce("2026b").await, ReleaseAnnounced::Adopted(1), "none was stored");
    assert_eq!(stored(fixture, &waiting).await.state.next_run, Some(now));
    assert_eq!(stored(fixture, &disabled).await.state.next_run, None);
    let planned = change(&stored(fixture, &waiting).await, |job| job.state.next_run = Some(later));
    assert!(matches!(update(fixture, &planned).await, JobUpdated::Done(_)));
    assert_eq!(announce("2026b").await, ReleaseAnnounced::Current);
    assert_eq!(announce("2026a").await, ReleaseAnnounced::Outdated(Release::parse("2026b").unwrap()));
    assert_eq!(stored(fixture, &waiting).await.state.next_run, Some(later), "neither plans anew");
    assert_eq!(announce("2027a").await, ReleaseAnnounced::Adopted(1));
    assert_eq!(stored(fixture, &waiting).await.state.next_run, Some(now));
}

pub async fn a_clock_that_went_back_makes_what_waits_for_a_later_time_due(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let now = fixture.clock.now();
    let retried = due_job(fixture, &owner, "retried").await;
    let leased = fire(fixture).await.remove(0);
    let retry = AttemptOutcome::Retry { at: now + TimeDelta::days(2), error: "busy".to_owned() };
    assert!(complete(fixture, &leased, retry).await);
    let planned = job(fixture, &owner, "planned", Some(now + TimeDelta::hours(3)));
    let disabled = job(fixture, &owner, "disabled", None);
    let overdue = job(fixture, &owner, "overdue", Some(now - TimeDelta::hours(1)));
    for job in [&planned, &disabled, &overdue] {
        create(fixture, job).await;
    }
    assert_eq!(fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap(), []);
    assert_eq!(fixture.runs.latest_start().await.unwrap(), Some(now));
    assert_eq!(fixture.runs.replan(now).await.unwrap(), 2);
    assert_eq!(stored(fixture, &planned).await.state.next_run, Some(now));
    assert_eq!(stored(fixture, &retried).await.state.next_run, Some(now));
    assert_eq!(stored(fixture, &disabled).await.state.next_run, None);
    assert_eq!(stored(fixture, &overdue).await.state.next_run, overdue.state.next_run);
    let claimed = fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap();
    assert_eq!(claimed.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [leased.id.as_str()]);
}

pub async fn jobs_of_an_inactive_friendship_are_parked_until_it_is_active_again(fixture: &Fixture) {
    let owner = alice(fixture).await;
    due_job(fixture, &owner, "open").await;
    let leased = fire(fixture).await.remove(0);
    let retry = AttemptOutcome::Retry { at: fixture.clock.now(), error: "busy".to_owned() };
    assert!(complete(fixture, &leased, retry).await);
    let due = due_job(fixture, &owner, "due").await;
    let bob = FriendshipKey { friend: fixture.friend("bob").await, ..owner.clone() };
    fixture.befriend(&bob.agent, &bob.friend, FriendshipStatus::Active).await;
    let other = due_job(fixture, &bob, "other").await;
    fixture.befriend(&owner.agent, &owner.friend, FriendshipStatus::Blocked).await;
    assert!(fixture.runs.park_inactive(fixture.clock.now()).await.unwrap() > 0);
    assert_eq!(fixture.runs.park_inactive(fixture.clock.now()).await.unwrap(), 0, "once");
    assert_eq!(fixture.runs.backlog(fixture.clock.now()).await.unwrap(), Backlog { due: 1, open: 1 });
    assert_eq!(stored(fixture, &other).await.state.next_run, other.state.next_run);
    fixture.clock.advance(Duration::from_secs(90));
    fixture.befriend(&owner.agent, &owner.friend, FriendshipStatus::Active).await;
    assert_eq!(stored(fixture, &due).await.state.next_run, Some(fixture.clock.now()), "time of rest is not missed");
    let claimed = fixture.runs.claim(lease(fixture), 10, FriendShares::of(100)).await.unwrap();
    assert_eq!(claimed.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [leased.id.as_str()]);
}
