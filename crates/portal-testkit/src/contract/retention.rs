//! Deletion of expired rows.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{Action, Actor, AuditFilter, CHANGE_RETENTION, Clock, Expired, LoginCode, Recipient, Session};
use portal_cron::{AttemptOutcome, FriendShares, Job, RunStatus, Timing, TimingKind};
use portal_dns::Outcome;

use super::jobs::{alice, create, job, runs};
use super::{exposures, runs as queue};
use crate::fixture::Fixture;

/// Rows of each kind that expire at the same moment.
const ROWS: u32 = 3;

/// Fails unless [`ROWS`] rows of a kind are older than a millisecond after `at` and none is older than `at`, and they
/// are deleted in batches.
async fn check(fixture: &Fixture, kind: impl Fn(DateTime<Utc>) -> Expired, at: DateTime<Utc>) {
    let (valid, expired) = (kind(at), kind(at + TimeDelta::milliseconds(1)));
    assert_eq!(fixture.retention.count(valid).await.unwrap(), 0);
    assert_eq!(fixture.retention.delete(valid, 100).await.unwrap(), 0);
    delete_in_batches(fixture, expired).await;
}

async fn delete_in_batches(fixture: &Fixture, expired: Expired) {
    assert_eq!(fixture.retention.count(expired).await.unwrap(), u64::from(ROWS));
    for deleted in [ROWS - 1, 1, 0] {
        assert_eq!(fixture.retention.delete(expired, ROWS - 1).await.unwrap(), u64::from(deleted));
    }
    assert_eq!(fixture.retention.count(expired).await.unwrap(), 0);
}

pub async fn audit_entries_expire_by_their_time(fixture: &Fixture) {
    let at = fixture.clock.now();
    for age in [0, 0, 0, 1] {
        fixture.clock.advance(Duration::from_secs(age));
        fixture.audit.append(fixture.audit(Action::FriendProvision)).await.unwrap();
    }
    check(fixture, |before| Expired::AuditEntries { before }, at).await;
    let left = fixture.audit.list(AuditFilter { limit: 10, ..AuditFilter::default() }).await.unwrap();
    assert_eq!(left.into_iter().map(|entry| entry.at).collect::<Vec<_>>(), [at + TimeDelta::seconds(1)]);
}

pub async fn sessions_expire_by_their_end(fixture: &Fixture) {
    let (friend, agent) = fixture.pair("alice", "main").await;
    let at = fixture.clock.now() + TimeDelta::minutes(1);
    let valid = fixture.token();
    let ends = [(fixture.token(), 0), (fixture.token(), 0), (fixture.token(), 0), (valid.clone(), 1)];
    for (token, more) in ends {
        let session = Session { expires_at: at + TimeDelta::seconds(more), ..fixture.session(&friend, &agent) };
        assert!(fixture.sessions.issue(session, token.hash(), fixture.audit(Action::SessionIssue)).await.unwrap());
    }
    check(fixture, |before| Expired::Sessions { before }, at).await;
    assert!(fixture.sessions.find(&valid).await.unwrap().is_some());
}

pub async fn login_codes_expire_by_their_end(fixture: &Fixture) {
    let (friend, agent) = fixture.pair("alice", "main").await;
    let created_at = fixture.clock.now();
    let at = created_at + TimeDelta::minutes(1);
    for more in [0, 0, 0, 1] {
        let code = LoginCode {
            hash: fixture.token().hash(),
            agent: agent.clone(),
            created_at,
            expires_at: at + TimeDelta::seconds(more),
            open: None,
            created_by: Actor::Agent(agent.clone()),
        };
        let recipient = Recipient::Friend(friend.clone());
        let created = fixture.logins.create(recipient, code, fixture.audit(Action::SessionLink)).await.unwrap();
        assert_eq!(created.as_ref(), Some(&friend));
    }
    check(fixture, |before| Expired::LoginCodes { before }, at).await;
    let later = Expired::LoginCodes { before: at + TimeDelta::minutes(1) };
    assert_eq!(fixture.retention.count(later).await.unwrap(), 1, "the one that ends later is still there");
}

/// A run of the job that was asked for and delivered; returns its id.
async fn delivered(fixture: &Fixture, job: &Job) -> String {
    let asked = requested(fixture, job).await;
    let claimed = fixture.runs.claim(queue::lease(fixture), 10, FriendShares::of(100)).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert!(queue::complete(fixture, &claimed[0], AttemptOutcome::Delivered).await);
    asked
}

/// A run of the job that was asked for, a second after the one before.
async fn requested(fixture: &Fixture, job: &Job) -> String {
    fixture.clock.advance(Duration::from_secs(1));
    let id = portal_core::Ids::id(&fixture.ids);
    fixture.jobs.request(&job.owner, &job.id, &id, fixture.audit(Action::JobRun)).await.unwrap();
    id
}

pub async fn finished_runs_expire_by_their_end(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let jobs = ["a", "b", "c", "open"].map(|name| Job { enabled: false, ..job(fixture, &owner, name, None) });
    for job in &jobs {
        create(fixture, job).await;
    }
    for job in &jobs[..3] {
        requested(fixture, job).await;
    }
    let at = fixture.clock.now();
    for claimed in fixture.runs.claim(queue::lease(fixture), 10, FriendShares::of(100)).await.unwrap() {
        assert!(queue::complete(fixture, &claimed, AttemptOutcome::Delivered).await);
    }
    let open = requested(fixture, &jobs[3]).await;
    check(fixture, |before| Expired::Runs { before }, at).await;
    let far = Expired::Runs { before: at + TimeDelta::days(1000) };
    assert_eq!(fixture.retention.delete(far, 100).await.unwrap(), 0, "an open run stays, however old");
    assert_eq!(runs(fixture, &jobs[3]).await.first().map(|run| run.id.as_str()), Some(open.as_str()));
}

pub async fn the_newest_runs_of_a_job_stay(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let [busy, quiet] = ["busy", "quiet"].map(|name| Job { enabled: false, ..job(fixture, &owner, name, None) });
    for job in [&busy, &quiet] {
        create(fixture, job).await;
    }
    delivered(fixture, &quiet).await;
    let mut newest = String::new();
    for _ in 0..=ROWS {
        newest = delivered(fixture, &busy).await;
    }
    let open = requested(fixture, &busy).await;
    delete_in_batches(fixture, Expired::RunsBeyond { newest: 1 }).await;
    let left: Vec<_> = runs(fixture, &busy).await.into_iter().map(|run| (run.id, run.status)).collect();
    assert_eq!(left, [(open, RunStatus::Queued), (newest, RunStatus::Delivered)]);
    assert_eq!(runs(fixture, &quiet).await.len(), 1);
}

pub async fn jobs_for_one_moment_expire_when_they_are_disabled(fixture: &Fixture) {
    let owner = alice(fixture).await;
    let at = fixture.clock.now();
    let once = |at: DateTime<Utc>| Timing { kind: TimingKind::At(at.into()), tz: "UTC".to_owned() };
    for (name, timing, enabled) in [
        ("a", Some(once(at)), false),
        ("b", Some(once(at)), false),
        ("c", Some(once(at)), false),
        ("later", Some(once(at + TimeDelta::seconds(1))), false),
        ("still to run", Some(once(at)), true),
        ("repeated", None, false),
    ] {
        let mut job = Job { enabled, ..job(fixture, &owner, name, enabled.then_some(at)) };
        job.spec.timing = timing.unwrap_or(job.spec.timing);
        create(fixture, &job).await;
    }
    check(fixture, |before| Expired::SpentJobs { before }, at).await;
    let left = fixture.jobs.list(&owner).await.unwrap();
    let names: Vec<_> = left.iter().map(|job| job.spec.name.as_str()).collect();
    assert_eq!(names, ["later", "repeated", "still to run"]);
}

pub async fn tombstones_expire_by_their_time(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    for name in ["a", "b", "c"] {
        let intent = exposures::new(fixture, &alice, name).await;
        exposures::work(fixture, &intent.exposure.id, Outcome::Gone).await;
    }
    let tombstones = fixture.exposures.tombstones().await.unwrap();
    let times = || tombstones.iter().map(|tombstone| tombstone.at);
    // The store's own clock gave these times, so they need not be the same.
    let (first, last) = (times().min().unwrap(), times().max().unwrap());
    assert_eq!(fixture.retention.count(Expired::Tombstones { before: first }).await.unwrap(), 0);
    delete_in_batches(fixture, Expired::Tombstones { before: last + TimeDelta::milliseconds(1) }).await;
    assert_eq!(fixture.exposures.tombstones().await.unwrap(), []);
}

pub async fn changes_expire_by_their_time(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    for name in ["a", "b", "c"] {
        exposures::new(fixture, &alice, name).await;
    }
    let logged = fixture.changes.recent(CHANGE_RETENTION, 100).await.unwrap();
    let changes = |minutes| Expired::Changes { before: logged.read_at + TimeDelta::minutes(minutes) };
    assert_eq!(fixture.retention.count(changes(-1)).await.unwrap(), 0);
    let expired = fixture.retention.count(changes(1)).await.unwrap();
    assert_eq!(usize::try_from(expired).unwrap(), logged.changes.len());
    assert_eq!(fixture.retention.delete(changes(1), 1).await.unwrap(), 1);
    assert_eq!(fixture.retention.delete(changes(1), 100).await.unwrap(), expired - 1);
    assert_eq!(fixture.changes.recent(CHANGE_RETENTION, 100).await.unwrap().changes, []);
}
