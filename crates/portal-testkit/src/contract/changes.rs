//! The log of changes, which the other stores write.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{Action, AgentId, ChangeLog, Clock, FriendId, FriendshipKey, FriendshipStatus, LoggedChange};
use portal_cron::AttemptOutcome;
use portal_workspace::{DocumentName, DocumentPath, WriteOutcome};

use super::{documents, exposures, jobs, runs};
use crate::fixture::Fixture;

/// Age of the oldest change of a test.
const TEST: Duration = Duration::from_mins(10);

/// Reads what is new in the log.
struct Reader<'a> {
    log: &'a dyn ChangeLog,
    last: i64,
}

impl<'a> Reader<'a> {
    /// Begins after what the preparation of a test has written.
    async fn new(fixture: &'a Fixture) -> Self {
        let mut reader = Self { log: &*fixture.changes, last: 0 };
        reader.read().await;
        reader
    }

    /// Returns new changes as `friend topic agent subject`, sorted, each once.
    async fn read(&mut self) -> Vec<String> {
        let recent = self.log.recent(TEST, 1_000).await.unwrap().changes;
        let new: Vec<LoggedChange> = recent.into_iter().filter(|change| change.id > self.last).collect();
        self.last = new.last().map_or(self.last, |change| change.id);
        let mut told: Vec<String> = new.iter().map(line).collect();
        told.sort();
        told.dedup();
        told
    }
}

fn line(change: &LoggedChange) -> String {
    let agent = change.agent.as_ref().map_or("-", AgentId::as_str);
    format!("{} {} {agent} {}", change.friend, change.topic.as_str(), change.subject)
}

pub async fn an_exposure_is_told_of_whenever_what_is_shown_changes(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let mut reader = Reader::new(fixture).await;
    let intent = exposures::new(fixture, &alice, "web").await;
    let told = ["alice exposure - web"];
    assert_eq!(reader.read().await, told);
    let (claimed, _) = exposures::claim(fixture, &intent.exposure.id, "worker").await;
    assert_eq!(reader.read().await, [""; 0], "a lease is not shown");
    exposures::record(fixture, &claimed, "worker", exposures::active(fixture.clock.now())).await;
    assert_eq!(reader.read().await, told);
    fixture.exposures.close(&alice, &intent.exposure.name, fixture.audit(Action::ExposureClose)).await.unwrap();
    assert_eq!(reader.read().await, told);
    let (claimed, _) = exposures::claim(fixture, &intent.exposure.id, "worker").await;
    exposures::record(fixture, &claimed, "worker", portal_dns::Outcome::Gone).await;
    assert_eq!(fixture.exposures.list(&alice).await.unwrap(), []);
    assert_eq!(reader.read().await, told);
}

pub async fn a_document_is_told_of_to_those_who_see_it(fixture: &Fixture) {
    let memory = documents::memory(fixture).await;
    let (alice, agent) = (memory.friend().unwrap().clone(), memory.agent().clone());
    for (friend, status) in [("bob", FriendshipStatus::Active), ("carol", FriendshipStatus::Blocked)] {
        let friend = fixture.friend(friend).await;
        fixture.befriend(&agent, &friend, status).await;
    }
    let other = fixture.agent("other").await;
    let dave = fixture.friend("dave").await;
    fixture.befriend(&other, &dave, FriendshipStatus::Active).await;
    let mut reader = Reader::new(fixture).await;
    let write = |id, text| documents::write(fixture, id, "alice", text);
    documents::write_through(fixture, &memory, write("a", b"a"), WriteOutcome::Committed).await;
    assert_eq!(reader.read().await, ["alice document main memory"]);
    documents::write_through(fixture, &memory, write("b", b"b"), WriteOutcome::Aborted).await;
    assert_eq!(reader.read().await, [""; 0]);
    fixture.documents.add_version(&memory, documents::found(fixture, "c", b"c")).await.unwrap();
    assert_eq!(reader.read().await, ["alice document main memory"]);
    let heartbeat = DocumentPath::of(&FriendshipKey::new(alice, agent), DocumentName::Heartbeat);
    documents::write_through(fixture, &heartbeat, write("d", b"d"), WriteOutcome::Committed).await;
    assert_eq!(reader.read().await, ["alice document main heartbeat", "bob document main heartbeat"]);
}

pub async fn a_job_and_its_runs_are_told_of(fixture: &Fixture) {
    let owner = jobs::alice(fixture).await;
    let mut reader = Reader::new(fixture).await;
    let job = jobs::due_job(fixture, &owner, "daily").await;
    let of_job = format!("{} job {} {}", owner.friend, owner.agent, job.id);
    let of_run = format!("{} run {} {}", owner.friend, owner.agent, job.id);
    assert_eq!(reader.read().await, [of_job.as_str()]);
    let leased = runs::fire(fixture).await;
    assert_eq!(reader.read().await, [of_run.as_str()]);
    let at = fixture.clock.now();
    runs::complete(fixture, &leased[0], AttemptOutcome::Retry { at, error: "busy".to_owned() }).await;
    assert_eq!(reader.read().await, [of_run.as_str()]);
    let leased = fixture.runs.claim(runs::lease(fixture), 10, portal_cron::FriendShares::of(100)).await.unwrap();
    runs::complete(fixture, &leased[0], AttemptOutcome::Delivered).await;
    assert_eq!(reader.read().await, [of_run.as_str()]);
    let stored = jobs::stored(fixture, &job).await;
    jobs::update(fixture, &jobs::change(&stored, |job| job.spec.message.push('!'))).await;
    assert_eq!(reader.read().await, [of_job.as_str()]);
    fixture.jobs.remove(&owner, &job.id, fixture.audit(Action::JobDelete)).await.unwrap();
    assert_eq!(reader.read().await, [of_job.as_str()]);
}

/// Stores a session that lasts, with this id.
async fn log_in(fixture: &Fixture, friend: &FriendId, agent: &AgentId, id: &str) {
    let expires_at = DateTime::<Utc>::from_timestamp(32_503_680_000, 0).unwrap();
    let session = portal_core::Session { id: id.to_owned(), expires_at, ..fixture.session(friend, agent) };
    assert!(
        fixture.sessions.issue(session, fixture.token().hash(), fixture.audit(Action::SessionIssue)).await.unwrap()
    );
}

pub async fn the_end_of_a_session_is_told_of_however_it_ends(fixture: &Fixture) {
    let (alice, main) = fixture.pair("alice", "main").await;
    let other = fixture.agent("other").await;
    fixture.befriend(&other, &alice, FriendshipStatus::Active).await;
    for id in ["revoked", "blocked", "blocked too"] {
        log_in(fixture, &alice, &main, id).await;
    }
    log_in(fixture, &alice, &other, "removed").await;
    let mut reader = Reader::new(fixture).await;
    fixture.sessions.revoke(&alice, "revoked", fixture.audit(Action::SessionRevoke)).await.unwrap();
    assert_eq!(reader.read().await, ["alice session-ended main revoked"]);
    fixture.befriend(&main, &alice, FriendshipStatus::Blocked).await;
    let blocked = ["alice session-ended main blocked", "alice session-ended main blocked too"];
    assert_eq!(reader.read().await, blocked);
    fixture.befriend(&main, &alice, FriendshipStatus::Inactive).await;
    assert_eq!(reader.read().await, [""; 0], "they ended before");
    fixture.friends.remove(&alice, fixture.audit(Action::FriendRemove)).await.unwrap();
    let told = reader.read().await;
    assert!(told.contains(&"alice session-ended other removed".to_owned()), "{told:?}");
}

pub async fn the_log_is_read_by_time_and_by_friend(fixture: &Fixture) {
    let (alice, bob) = (fixture.friend("alice").await, fixture.friend("bob").await);
    for (friend, name) in [(&alice, "one"), (&bob, "two"), (&alice, "three")] {
        exposures::new(fixture, friend, name).await;
    }
    let recent = fixture.changes.recent(TEST, 1_000).await.unwrap();
    let told: Vec<String> = recent.changes.iter().map(line).collect();
    assert_eq!(told, ["alice exposure - one", "bob exposure - two", "alice exposure - three"]);
    assert_eq!(fixture.changes.recent(TEST, 2).await.unwrap().changes, recent.changes[..2]);
    let before = recent.read_at - TimeDelta::from_std(TEST).unwrap();
    let alices = fixture.changes.since(&alice, before, 1_000).await.unwrap();
    assert_eq!(alices.iter().map(line).collect::<Vec<_>>(), ["alice exposure - one", "alice exposure - three"]);
    assert_eq!(fixture.changes.since(&alice, before, 1).await.unwrap(), alices[..1]);
    let later = recent.read_at + TimeDelta::minutes(1);
    assert_eq!(fixture.changes.since(&alice, later, 1_000).await.unwrap(), []);
}
