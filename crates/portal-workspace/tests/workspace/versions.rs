//! Which texts are kept.

use std::time::Duration;

use portal_core::Actor;
use portal_workspace::DocumentName::Memory;
use portal_workspace::{NEWEST_KEPT, Precondition, WorkspaceError};

use crate::world::{World, friend, path, reader, writer};

#[tokio::test]
async fn writes_of_one_session_within_ten_minutes_are_one_version() {
    let world = World::in_memory().await;
    for (minute, text) in [(0, "a"), (5, "ab"), (4, "abc")] {
        world.clock.advance(Duration::from_mins(minute));
        world.write("alice", "s1", Memory, text).await.unwrap();
    }
    assert_eq!(world.kept(&path("alice", Memory)).await, ["abc"]);
    world.clock.advance(Duration::from_mins(1));
    world.write("alice", "s1", Memory, "abcd").await.unwrap();
    world.write("alice", "s2", Memory, "abcde").await.unwrap();
    assert_eq!(world.kept(&path("alice", Memory)).await, ["abcde", "abcd", "abc"]);
}

#[tokio::test]
async fn a_text_of_the_agent_between_two_writes_is_kept_and_so_are_both_writes() {
    let world = World::on_disk().await;
    let memory = path("alice", Memory);
    world.write("alice", "s1", Memory, "one").await.unwrap();
    world.ground.agent_writes(&memory, "the agent's");
    world.write("alice", "s1", Memory, "two").await.unwrap();
    assert_eq!(world.kept(&memory).await, ["two", "the agent's", "one"]);
}

#[tokio::test]
async fn an_acknowledged_text_that_the_agent_overwrites_is_kept() {
    let world = World::in_memory().await;
    let memory = path("alice", Memory);
    world.write("alice", "s1", Memory, "mine").await.unwrap();
    world.ground.agent_writes(&memory, "the agent's");
    assert_eq!(world.kept(&memory).await, ["mine"]);
}

#[tokio::test]
async fn a_version_says_who_saved_it_when_and_is_restored() {
    let world = World::in_memory().await;
    let memory = path("alice", Memory);
    world.ground.agent_writes(&memory, "the agent's");
    world.clock.advance(Duration::from_secs(1));
    world.write("alice", "s1", Memory, "mine").await.unwrap();
    let versions = world.documents.versions(&reader("alice"), Memory).await.unwrap();
    let authors: Vec<_> = versions.iter().map(|version| version.author.actor()).collect();
    assert_eq!(authors, [Actor::Friend(friend("alice")), Actor::Agent(crate::world::main())]);
    let agents = versions.last().unwrap();
    assert_eq!(agents.saved_at + chrono::TimeDelta::seconds(1), versions.first().unwrap().saved_at);
    assert_eq!(world.documents.version(&reader("alice"), Memory, &agents.id).await.unwrap().text, "the agent's");

    world.documents.restore(writer("alice", "s2"), Memory, &agents.id, Precondition::Exists).await.unwrap();
    assert_eq!(world.documents.read(&reader("alice"), Memory).await.unwrap().unwrap().text, "the agent's");
    assert_eq!(world.kept(&memory).await, ["the agent's", "mine", "the agent's"]);
}

#[tokio::test]
async fn a_version_of_another_friend_or_of_none_is_unknown() {
    let world = World::in_memory().await;
    world.write("alice", "s1", Memory, "mine").await.unwrap();
    let id = world.documents.versions(&reader("alice"), Memory).await.unwrap().pop().unwrap().id;
    for (name, id) in [("bob", id.as_str()), ("alice", "0"), ("alice", "")] {
        let read = world.documents.version(&reader(name), Memory, id).await;
        assert!(matches!(read, Err(WorkspaceError::UnknownVersion(Memory))), "{read:?}");
    }
}

#[tokio::test]
async fn twenty_versions_are_kept_of_one_day() {
    let world = World::in_memory().await;
    for number in 0..NEWEST_KEPT + 5 {
        world.write("alice", &format!("s{number}"), Memory, &number.to_string()).await.unwrap();
    }
    let kept = world.kept(&path("alice", Memory)).await;
    assert_eq!((kept.len(), kept.first().map(String::as_str)), (NEWEST_KEPT, Some("24")));
}
