//! The rows beside the documents, and their versions.

use chrono::TimeDelta;
use futures::future::join_all;
use portal_core::{Action, AgentId, FriendId, FriendshipKey};
use portal_workspace::{
    Author, DocumentName, DocumentPath, LatestVersion, NewVersion, NextLook, PendingWrite, Tag, WriteIntent,
    WriteOutcome,
};

use crate::fixture::Fixture;

const LEASE: TimeDelta = TimeDelta::minutes(1);
/// A lease that is over at once, on whatever clock.
const OVER: TimeDelta = TimeDelta::zero();

/// A friend, an agent, and the friend's memory there.
pub(super) async fn memory(fixture: &Fixture) -> DocumentPath {
    let (friend, agent) = fixture.pair("alice", "main").await;
    DocumentPath::of(&FriendshipKey::new(friend, agent), DocumentName::Memory)
}

fn text(fixture: &Fixture, id: &str, friend: &str, bytes: &[u8]) -> NewVersion {
    let author = Author::Friend(FriendId::parse(friend).unwrap());
    NewVersion::new(id.to_owned(), portal_core::Clock::now(&*fixture.clock), author, bytes.to_vec())
}

pub(super) fn found(fixture: &Fixture, id: &str, bytes: &[u8]) -> NewVersion {
    NewVersion { author: Author::Agent(AgentId::parse("main").unwrap()), ..text(fixture, id, "alice", bytes) }
}

/// The beginning of a write by that friend.
pub(super) fn write(fixture: &Fixture, id: &str, friend: &str, bytes: &[u8]) -> WriteIntent {
    WriteIntent {
        text: text(fixture, id, friend, bytes),
        session: "session".to_owned(),
        burst_since: portal_core::Clock::now(&*fixture.clock),
        replaces: None,
        previous: None,
        earlier: None,
        audit: fixture.audit(Action::DocumentReplace),
    }
}

fn key(path: &DocumentPath) -> FriendshipKey {
    FriendshipKey::new(path.friend().unwrap().clone(), path.agent().clone())
}

/// Writes from the claim to the end.
pub(super) async fn write_through(fixture: &Fixture, path: &DocumentPath, begin: WriteIntent, outcome: WriteOutcome) {
    let id = begin.text.id.clone();
    assert!(fixture.documents.claim(path, &id, LEASE).await.unwrap().is_some());
    assert!(fixture.documents.begin(path, begin).await.unwrap());
    assert!(fixture.documents.finish(path, &id, outcome, NextLook::Unchanged).await.unwrap());
}

async fn ids(fixture: &Fixture, path: &DocumentPath, friend: Option<&str>) -> Vec<String> {
    let friend = friend.map(|friend| FriendId::parse(friend).unwrap());
    let versions = fixture.versions.list(path, friend.as_ref()).await.unwrap();
    versions.into_iter().map(|version| version.id).collect()
}

pub async fn one_writer_holds_a_document_until_it_gives_it_back(fixture: &Fixture) {
    let path = memory(fixture).await;
    assert!(!fixture.documents.claim(&path, "a", LEASE).await.unwrap().unwrap().taken_over);
    assert_eq!(fixture.documents.claim(&path, "b", LEASE).await.unwrap(), None);
    assert_eq!(fixture.documents.claim(&path, "a", LEASE).await.unwrap(), None);
    let shared = DocumentPath::of(&key(&path), DocumentName::Heartbeat);
    assert!(fixture.documents.claim(&shared, "b", LEASE).await.unwrap().is_some(), "another document is free");
    assert!(fixture.documents.finish(&path, "a", WriteOutcome::Aborted, NextLook::Unchanged).await.unwrap());
    assert!(!fixture.documents.claim(&path, "b", LEASE).await.unwrap().unwrap().taken_over);
}

pub async fn of_many_that_ask_at_once_one_holds_it(fixture: &Fixture) {
    let path = memory(fixture).await;
    let names: Vec<_> = (0..8).map(|number| number.to_string()).collect();
    let claims = join_all(names.iter().map(|name| fixture.documents.claim(&path, name, LEASE))).await;
    assert_eq!(claims.into_iter().filter(|claim| claim.as_ref().unwrap().is_some()).count(), 1);
}

pub async fn whoever_lost_a_document_changes_nothing(fixture: &Fixture) {
    let path = memory(fixture).await;
    assert!(fixture.documents.claim(&path, "late", OVER).await.unwrap().is_some());
    assert!(fixture.documents.claim(&path, "next", LEASE).await.unwrap().unwrap().taken_over);
    assert!(!fixture.documents.renew(&path, "late", LEASE).await.unwrap());
    assert!(!fixture.documents.begin(&path, write(fixture, "late", "alice", b"late")).await.unwrap());
    assert!(!fixture.documents.finish(&path, "late", WriteOutcome::Committed, NextLook::Unchanged).await.unwrap());
    assert_eq!(fixture.audited(Action::DocumentReplace).await, 0);
    assert!(fixture.documents.begin(&path, write(fixture, "next", "alice", b"next")).await.unwrap());
    assert!(!fixture.documents.finish(&path, "late", WriteOutcome::Aborted, NextLook::Unchanged).await.unwrap());
    assert!(fixture.documents.finish(&path, "next", WriteOutcome::Committed, NextLook::Unchanged).await.unwrap());
    assert_eq!(ids(fixture, &path, None).await, ["next"]);
}

pub async fn a_lease_that_is_over_still_counts_until_somebody_else_asks(fixture: &Fixture) {
    let path = memory(fixture).await;
    assert!(fixture.documents.claim(&path, "slow", OVER).await.unwrap().is_some());
    assert_eq!(fixture.documents.unfinished(false).await.unwrap(), std::slice::from_ref(&path));
    assert!(fixture.documents.renew(&path, "slow", LEASE).await.unwrap());
    assert_eq!(fixture.documents.unfinished(false).await.unwrap(), []);
    assert_eq!(fixture.documents.claim(&path, "next", LEASE).await.unwrap(), None);
}

pub async fn what_was_begun_is_pending_until_it_ends_and_nobody_sees_it(fixture: &Fixture) {
    let path = memory(fixture).await;
    let begin = WriteIntent {
        previous: Some(Tag::of(b"before")),
        earlier: Some(found(fixture, "before", b"before")),
        ..write(fixture, "a", "alice", b"new")
    };
    assert!(fixture.documents.claim(&path, "a", OVER).await.unwrap().is_some());
    assert!(fixture.documents.begin(&path, begin).await.unwrap());
    assert_eq!(fixture.audited(Action::DocumentReplace).await, 1);
    assert_eq!(ids(fixture, &path, None).await, ["before"]);
    assert_eq!(fixture.versions.find(&path, None, "a").await.unwrap(), None);
    fixture.versions.forget(&path, &["a".to_owned()]).await.unwrap();

    let pending = PendingWrite { write: "a".to_owned(), tag: Tag::of(b"new"), previous: Some(Tag::of(b"before")) };
    for settler in ["b", "c"] {
        let held = fixture.documents.claim(&path, settler, OVER).await.unwrap().unwrap();
        assert!(held.taken_over);
        assert_eq!((held.pending, held.last), (Some(pending.clone()), None));
    }
    assert!(fixture.documents.finish(&path, "c", WriteOutcome::Recovered, NextLook::Unchanged).await.unwrap());
    assert_eq!(ids(fixture, &path, None).await, ["a", "before"]);
    let held = fixture.documents.claim(&path, "d", LEASE).await.unwrap().unwrap();
    assert_eq!((held.taken_over, held.pending, held.newest), (false, None, Some(Tag::of(b"new"))));
    let last = held.last.unwrap();
    assert_eq!((last.version.as_str(), last.tag, last.friend.as_str()), ("a", Tag::of(b"new"), "alice"));
    assert_eq!((last.session.as_str(), last.burst_since), ("session", portal_core::Clock::now(&*fixture.clock)));
}

pub async fn a_write_replaces_the_version_of_its_burst_only_if_it_took_place(fixture: &Fixture) {
    let path = memory(fixture).await;
    write_through(fixture, &path, write(fixture, "a", "alice", b"a"), WriteOutcome::Committed).await;
    for (id, outcome, expected) in [
        ("b", WriteOutcome::Aborted, vec!["a"]),
        ("c", WriteOutcome::Recovered, vec!["c", "a"]),
        ("d", WriteOutcome::Committed, vec!["d", "c"]),
    ] {
        let begin = WriteIntent { replaces: Some("a".to_owned()), ..write(fixture, id, "alice", id.as_bytes()) };
        write_through(fixture, &path, begin, outcome).await;
        assert_eq!(ids(fixture, &path, None).await, expected);
    }
}

pub async fn a_look_is_due_at_the_earliest_time_that_was_asked_for(fixture: &Fixture) {
    let path = memory(fixture).await;
    let due = async |at_start| fixture.documents.unfinished(at_start).await.unwrap().len();
    let finish = async |next_look| {
        assert!(fixture.documents.claim(&path, "a", LEASE).await.unwrap().is_some());
        assert!(fixture.documents.finish(&path, "a", WriteOutcome::Aborted, next_look).await.unwrap());
        (due(false).await, due(true).await)
    };
    assert_eq!(finish(NextLook::Unchanged).await, (0, 0));
    assert_eq!(finish(NextLook::Within(LEASE)).await, (0, 1));
    assert_eq!(finish(NextLook::Within(OVER)).await, (1, 1));
    assert_eq!(finish(NextLook::Within(LEASE)).await, (1, 1));
    assert_eq!(finish(NextLook::Unchanged).await, (1, 1));
    assert_eq!(finish(NextLook::After(LEASE)).await, (0, 1));
    assert_eq!(finish(NextLook::Never).await, (0, 0));
}

pub async fn the_newest_version_and_one_of_a_tag_are_found(fixture: &Fixture) {
    let path = memory(fixture).await;
    let notes = DocumentPath::of(&key(&path), DocumentName::FriendNotes);
    write_through(fixture, &path, write(fixture, "a", "alice", b"one"), WriteOutcome::Committed).await;
    fixture.documents.add_version(&path, found(fixture, "b", b"two")).await.unwrap();
    let latest = fixture.versions.latest(&[notes.clone(), path.clone()]).await.unwrap();
    let author = Author::Agent(AgentId::parse("main").unwrap());
    assert_eq!(latest, [None, Some(LatestVersion { tag: Tag::of(b"two"), author })]);
    assert_eq!(
        fixture.versions.find_by_tag(&path, &Tag::of(b"one")).await.unwrap().as_deref(),
        Some(b"one".as_slice())
    );
    assert_eq!(fixture.versions.find_by_tag(&notes, &Tag::of(b"one")).await.unwrap(), None);
    assert_eq!(
        fixture.versions.list(&path, None).await.unwrap().first().map(|version| version.tag.clone()),
        Some(Tag::of(b"two"))
    );
}

pub async fn any_bytes_are_kept_as_they_are_and_the_same_once(fixture: &Fixture) {
    let path = memory(fixture).await;
    let odd = b"\0caf\xe9\r\n".as_slice();
    for id in ["a", "b"] {
        fixture.documents.add_version(&path, found(fixture, id, odd)).await.unwrap();
    }
    fixture.documents.add_version(&path, found(fixture, "c", b"other")).await.unwrap();
    fixture.documents.add_version(&path, found(fixture, "d", odd)).await.unwrap();
    assert_eq!(ids(fixture, &path, None).await, ["d", "c", "a"]);
    let (version, bytes) = fixture.versions.find(&path, None, "a").await.unwrap().unwrap();
    assert_eq!((bytes.as_slice(), version.bytes), (odd, 7));
    assert_eq!(version.author, Author::Agent(AgentId::parse("main").unwrap()));
    assert_eq!(version.saved_at, portal_core::Clock::now(&*fixture.clock));
}

pub async fn versions_are_found_by_those_who_may_see_them(fixture: &Fixture) {
    let path = memory(fixture).await;
    fixture.friend("bob").await;
    let shared = DocumentPath::of(&key(&path), DocumentName::Heartbeat);
    write_through(fixture, &shared, write(fixture, "a", "alice", b"a"), WriteOutcome::Committed).await;
    write_through(fixture, &shared, write(fixture, "b", "bob", b"b"), WriteOutcome::Committed).await;
    fixture.documents.add_version(&shared, found(fixture, "c", b"c")).await.unwrap();
    assert_eq!(ids(fixture, &shared, Some("alice")).await, ["a"]);
    assert_eq!(ids(fixture, &shared, None).await, ["c", "b", "a"]);
    assert_eq!(ids(fixture, &path, None).await, [""; 0]);
    let alice = FriendId::parse("alice").unwrap();
    assert!(fixture.versions.find(&shared, Some(&alice), "a").await.unwrap().is_some());
    for (path, friend, id) in [(&shared, Some(&alice), "b"), (&shared, Some(&alice), "c"), (&path, None, "a")] {
        assert_eq!(fixture.versions.find(path, friend, id).await.unwrap(), None, "{path} {id}");
    }
    fixture.versions.forget(&path, &["a".to_owned()]).await.unwrap();
    fixture.versions.forget(&shared, &["b".to_owned(), "gone".to_owned()]).await.unwrap();
    assert_eq!(ids(fixture, &shared, None).await, ["c", "a"]);
}

pub async fn a_removed_friends_texts_go_with_them(fixture: &Fixture) {
    let path = memory(fixture).await;
    fixture.friend("bob").await;
    let shared = DocumentPath::of(&key(&path), DocumentName::Heartbeat);
    write_through(fixture, &path, write(fixture, "m", "alice", b"m"), WriteOutcome::Committed).await;
    write_through(fixture, &shared, write(fixture, "b", "bob", b"b"), WriteOutcome::Committed).await;
    write_through(fixture, &shared, write(fixture, "a", "alice", b"a"), WriteOutcome::Committed).await;
    fixture.friends.remove(path.friend().unwrap(), fixture.audit(Action::FriendRemove)).await.unwrap();
    assert_eq!(ids(fixture, &path, None).await, [""; 0]);
    assert_eq!(ids(fixture, &shared, None).await, ["b"]);
}
