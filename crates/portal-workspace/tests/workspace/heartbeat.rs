//! The document that all friends of an agent share.

use portal_workspace::DocumentName::Heartbeat;
use portal_workspace::{Precondition, Tag, WorkspaceError};

use crate::world::{World, content, path, reader, writer};

#[tokio::test]
async fn a_friend_without_the_right_reads_it_only() {
    let world = World::in_memory().await;
    world.write("alice", "s1", Heartbeat, "water the plants").await.unwrap();
    world.befriend("bob", false).await;
    assert_eq!(world.documents.read(&reader("bob"), Heartbeat).await.unwrap().unwrap().text, "water the plants");
    let precondition = Precondition::OneOf(vec![Tag::of(b"water the plants")]);
    let refused = world.documents.replace(writer("bob", "s2"), Heartbeat, content("mine"), precondition).await;
    assert!(matches!(refused, Err(WorkspaceError::ReadOnly(Heartbeat))), "{refused:?}");
}

#[tokio::test]
async fn whoever_replaces_the_text_of_another_friend_says_which_text_they_mean() {
    let world = World::in_memory().await;
    let tag = world.write("alice", "s1", Heartbeat, "alice's").await.unwrap();
    world.ground.agent_writes(&path("alice", Heartbeat), "the agent's");
    let blind = world.write("bob", "s2", Heartbeat, "bob's").await;
    let there = Some(Tag::of(b"the agent's"));
    assert!(
        matches!(&blind, Err(WorkspaceError::PreconditionRequired { current, .. }) if *current == there),
        "{blind:?}"
    );
    let stale = Precondition::OneOf(vec![tag]);
    let stale = world.documents.replace(writer("bob", "s2"), Heartbeat, content("bob's"), stale).await;
    assert!(matches!(stale, Err(WorkspaceError::Changed { .. })), "{stale:?}");
    let seen = Precondition::OneOf(there.into_iter().collect());
    world.documents.replace(writer("bob", "s2"), Heartbeat, content("bob's"), seen).await.unwrap();
    world.write("bob", "s3", Heartbeat, "bob's again").await.unwrap();
}

#[tokio::test]
async fn a_friend_sees_and_restores_the_versions_that_they_wrote() {
    let world = World::in_memory().await;
    let alices = world.write("alice", "s1", Heartbeat, "alice's").await.unwrap();
    let seen = Precondition::OneOf(vec![alices]);
    world.documents.replace(writer("bob", "s2"), Heartbeat, content("bob's"), seen).await.unwrap();
    let of = async |name| world.documents.versions(&reader(name), Heartbeat).await.unwrap();
    let (alice, bob) = (of("alice").await, of("bob").await);
    assert_eq!((alice.len(), bob.len()), (1, 1));
    let foreign = &alice.first().unwrap().id;
    let read = world.documents.version(&reader("bob"), Heartbeat, foreign).await;
    assert!(matches!(read, Err(WorkspaceError::UnknownVersion(_))), "{read:?}");
    let restored = world.documents.restore(writer("bob", "s2"), Heartbeat, foreign, Precondition::None).await;
    assert!(matches!(restored, Err(WorkspaceError::UnknownVersion(_))), "{restored:?}");
    let blind = world.documents.restore(writer("alice", "s1"), Heartbeat, foreign, Precondition::None).await;
    assert!(matches!(blind, Err(WorkspaceError::PreconditionRequired { .. })), "{blind:?}");
    let seen = Precondition::OneOf(vec![Tag::of(b"bob's")]);
    world.documents.restore(writer("alice", "s1"), Heartbeat, foreign, seen).await.unwrap();
    assert_eq!(world.documents.read(&reader("bob"), Heartbeat).await.unwrap().unwrap().text, "alice's");
}
