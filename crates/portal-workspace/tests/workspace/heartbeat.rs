//! Document that all friends of an agent share.

use portal_core::FriendshipStatus;
use portal_workspace::DocumentName::{Heartbeat, Memory};
use portal_workspace::{Precondition, PreconditionReason, Tag, WorkspaceError};

use crate::fixture::{Fixture, content, path, reader, writer};

#[tokio::test]
async fn a_friend_without_the_right_reads_it_only() {
    let fixture = Fixture::in_memory().await;
    fixture.write("alice", "s1", Heartbeat, "water the plants").await.unwrap();
    fixture.befriend("bob", Some(false)).await;
    assert_eq!(fixture.documents.read(&reader("bob"), Heartbeat).await.unwrap().unwrap().text, "water the plants");
    let precondition = Precondition::OneOf(vec![Tag::of(b"water the plants")]);
    let refused = fixture.documents.replace(writer("bob", "s2"), Heartbeat, content("mine"), precondition).await;
    assert!(matches!(refused, Err(WorkspaceError::ReadOnly(Heartbeat))), "{refused:?}");
}

#[tokio::test]
async fn a_friend_names_the_text_of_another_friend_to_replace_it() {
    let fixture = Fixture::in_memory().await;
    let tag = fixture.write("alice", "s1", Heartbeat, "alice's").await.unwrap();
    fixture.folder.agent_installs(&path("alice", Heartbeat), "the agent's");
    let blind = fixture.write("bob", "s2", Heartbeat, "bob's").await;
    let there = Some(Tag::of(b"the agent's"));
    assert!(
        matches!(&blind, Err(WorkspaceError::PreconditionRequired { current, reason: PreconditionReason::OtherFriend, .. }) if *current == there),
        "{blind:?}"
    );
    let any = fixture.documents.replace(writer("bob", "s2"), Heartbeat, content("bob's"), Precondition::Exists).await;
    assert!(matches!(any, Err(WorkspaceError::PreconditionRequired { .. })), "`If-Match: *` names no text: {any:?}");
    let stale = Precondition::OneOf(vec![tag]);
    let stale = fixture.documents.replace(writer("bob", "s2"), Heartbeat, content("bob's"), stale).await;
    assert!(matches!(stale, Err(WorkspaceError::Changed { .. })), "{stale:?}");
    let seen = Precondition::OneOf(there.into_iter().collect());
    fixture.documents.replace(writer("bob", "s2"), Heartbeat, content("bob's"), seen).await.unwrap();
    fixture.write("bob", "s3", Heartbeat, "bob's again").await.unwrap();
}

#[tokio::test]
async fn a_friend_sees_and_restores_the_versions_that_they_wrote() {
    let fixture = Fixture::in_memory().await;
    let alices = fixture.write("alice", "s1", Heartbeat, "alice's").await.unwrap();
    let seen = Precondition::OneOf(vec![alices]);
    fixture.documents.replace(writer("bob", "s2"), Heartbeat, content("bob's"), seen).await.unwrap();
    let of = async |name| fixture.documents.versions(&reader(name), Heartbeat).await.unwrap();
    let (alice, bob) = (of("alice").await, of("bob").await);
    assert_eq!((alice.len(), bob.len()), (1, 1));
    let foreign = &alice.first().unwrap().id;
    let read = fixture.documents.version(&reader("bob"), Heartbeat, foreign).await;
    assert!(matches!(read, Err(WorkspaceError::UnknownVersion(_))), "{read:?}");
    let restored = fixture.documents.restore(writer("bob", "s2"), Heartbeat, foreign, Precondition::None).await;
    assert!(matches!(restored, Err(WorkspaceError::UnknownVersion(_))), "{restored:?}");
    let blind = fixture.documents.restore(writer("alice", "s1"), Heartbeat, foreign, Precondition::None).await;
    assert!(matches!(blind, Err(WorkspaceError::PreconditionRequired { .. })), "{blind:?}");
    let seen = Precondition::OneOf(vec![Tag::of(b"bob's")]);
    fixture.documents.restore(writer("alice", "s1"), Heartbeat, foreign, seen).await.unwrap();
    assert_eq!(fixture.documents.read(&reader("bob"), Heartbeat).await.unwrap().unwrap().text, "alice's");
}

#[tokio::test]
async fn a_portal_that_requires_a_precondition_refuses_a_write_without_one() {
    let fixture = Fixture::in_memory().await;
    let documents = fixture.documents.clone().with_required_precondition(true);
    let write = |precondition| documents.replace(writer("alice", "s1"), Memory, content("mine"), precondition);
    let refused = write(Precondition::None).await;
    let reason = PreconditionReason::Configured;
    assert!(
        matches!(&refused, Err(WorkspaceError::PreconditionRequired { current: None, reason: why, .. }) if *why == reason),
        "{refused:?}"
    );
    let tag = write(Precondition::Absent).await.unwrap();
    write(Precondition::OneOf(vec![tag])).await.unwrap();
    write(Precondition::Exists).await.unwrap();
}

#[tokio::test]
async fn an_only_friend_may_write_until_the_agent_has_another() {
    let fixture = Fixture::in_memory().await;
    let write = async |text| fixture.write("alice", "s1", Heartbeat, text).await;
    for name in ["alice", "bob"] {
        fixture.befriend(name, None).await;
    }
    let refused = write("for all").await;
    assert!(matches!(refused, Err(WorkspaceError::ReadOnly(Heartbeat))), "{refused:?}");
    fixture.befriend_as("bob", FriendshipStatus::Inactive, None).await;
    write("for alice").await.unwrap();
    let listed = fixture.documents.list(&reader("alice")).await.unwrap().pop().unwrap();
    assert_eq!((listed.writable, listed.shared_with), (true, 0));
    fixture.befriend("alice", Some(true)).await;
    fixture.befriend("bob", None).await;
    write("decided").await.unwrap();
    let listed = fixture.documents.list(&reader("alice")).await.unwrap().pop().unwrap();
    assert_eq!((listed.writable, listed.shared_with), (true, 1));
}
