//! Which texts are stored.

use std::time::Duration;

use portal_core::Actor;
use portal_workspace::DocumentName::Memory;
use portal_workspace::{Precondition, VERSIONS_RETAINED, WorkspaceError};

use crate::fixture::{Fixture, friend, path, reader, writer};

#[tokio::test]
async fn writes_of_one_session_within_ten_minutes_are_one_version() {
    let fixture = Fixture::in_memory().await;
    for (minute, text) in [(0, "a"), (5, "ab"), (4, "abc")] {
        fixture.clock.advance(Duration::from_mins(minute));
        fixture.write("alice", "s1", Memory, text).await.unwrap();
    }
    assert_eq!(fixture.stored(&path("alice", Memory)).await, ["abc"]);
    fixture.clock.advance(Duration::from_mins(1));
    fixture.write("alice", "s1", Memory, "abcd").await.unwrap();
    fixture.write("alice", "s2", Memory, "abcde").await.unwrap();
    assert_eq!(fixture.stored(&path("alice", Memory)).await, ["abcde", "abcd", "abc"]);
}

#[tokio::test]
async fn a_text_of_the_agent_between_two_writes_is_stored_and_so_are_both_writes() {
    let fixture = Fixture::on_disk().await;
    let memory = path("alice", Memory);
    fixture.write("alice", "s1", Memory, "one").await.unwrap();
    fixture.folder.agent_installs(&memory, "the agent's");
    fixture.write("alice", "s1", Memory, "two").await.unwrap();
    assert_eq!(fixture.stored(&memory).await, ["two", "the agent's", "one"]);
}

#[tokio::test]
async fn an_acknowledged_text_that_the_agent_overwrites_is_stored() {
    let fixture = Fixture::in_memory().await;
    let memory = path("alice", Memory);
    fixture.write("alice", "s1", Memory, "mine").await.unwrap();
    fixture.folder.agent_installs(&memory, "the agent's");
    assert_eq!(fixture.stored(&memory).await, ["mine"]);
}

#[tokio::test]
async fn a_version_says_who_saved_it_when_and_is_restored() {
    let fixture = Fixture::in_memory().await;
    let memory = path("alice", Memory);
    fixture.folder.agent_installs(&memory, "the agent's");
    fixture.clock.advance(Duration::from_secs(1));
    fixture.write("alice", "s1", Memory, "mine").await.unwrap();
    let versions = fixture.documents.versions(&reader("alice"), Memory).await.unwrap();
    let authors: Vec<_> = versions.iter().map(|version| version.author.actor()).collect();
    assert_eq!(authors, [Actor::Friend(friend("alice")), Actor::Agent(crate::fixture::main())]);
    let agents = versions.last().unwrap();
    assert_eq!(agents.saved_at + chrono::TimeDelta::seconds(1), versions.first().unwrap().saved_at);
    assert_eq!(fixture.documents.version(&reader("alice"), Memory, &agents.id).await.unwrap().text, "the agent's");

    fixture.documents.restore(writer("alice", "s2"), Memory, &agents.id, Precondition::Exists).await.unwrap();
    assert_eq!(fixture.documents.read(&reader("alice"), Memory).await.unwrap().unwrap().text, "the agent's");
    assert_eq!(fixture.stored(&memory).await, ["the agent's", "mine", "the agent's"]);
}

#[tokio::test]
async fn a_version_of_another_friend_or_of_none_is_unknown() {
    let fixture = Fixture::in_memory().await;
    fixture.write("alice", "s1", Memory, "mine").await.unwrap();
    let id = fixture.documents.versions(&reader("alice"), Memory).await.unwrap().pop().unwrap().id;
    for (name, id) in [("bob", id.as_str()), ("alice", "0"), ("alice", "")] {
        let read = fixture.documents.version(&reader(name), Memory, id).await;
        assert!(matches!(read, Err(WorkspaceError::UnknownVersion(Memory))), "{read:?}");
    }
}

#[tokio::test]
async fn twenty_versions_are_stored_of_one_day() {
    let fixture = Fixture::in_memory().await;
    for number in 0..VERSIONS_RETAINED + 5 {
        fixture.write("alice", &format!("s{number}"), Memory, &number.to_string()).await.unwrap();
    }
    let stored = fixture.stored(&path("alice", Memory)).await;
    assert_eq!((stored.len(), stored.first().map(String::as_str)), (VERSIONS_RETAINED, Some("24")));
}
