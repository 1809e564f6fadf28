//! Reading and replacing.

use std::time::Duration;

use portal_core::{AuditFilter, AuditLog};
use portal_workspace::DocumentName::{FriendNotes, Heartbeat, Memory};
use portal_workspace::{Precondition, Tag, Unreadable, WorkspaceError};

use crate::world::{Ground, World, content, path, reader, writer};

#[tokio::test]
async fn what_was_written_is_read() {
    for world in [World::in_memory().await, World::on_disk().await] {
        assert_eq!(world.documents.read(&reader("alice"), Memory).await.unwrap(), None);
        let tag = world.write("alice", "s1", Memory, "# Notes\n").await.unwrap();
        let document = world.documents.read(&reader("alice"), Memory).await.unwrap().unwrap();
        assert_eq!((document.text.as_str(), document.tag), ("# Notes\n", tag));
        assert_eq!(world.documents.read(&reader("bob"), Memory).await.unwrap(), None, "it is alice's");
    }
}

#[tokio::test]
async fn a_write_is_refused_if_another_text_stands_there() {
    let world = World::in_memory().await;
    let memory = path("alice", Memory);
    world.ground.agent_writes(&memory, "the agent's");
    let there = Tag::of(b"the agent's");
    for precondition in [Precondition::OneOf(vec![Tag::of(b"an older one")]), Precondition::Absent] {
        let refused = world.documents.replace(writer("alice", "s1"), Memory, content("mine"), precondition).await;
        assert!(
            matches!(&refused, Err(WorkspaceError::Changed { current: Some(current), .. }) if *current == there),
            "{refused:?}"
        );
    }
    let precondition = Precondition::OneOf(vec![there]);
    world.documents.replace(writer("alice", "s1"), Memory, content("mine"), precondition).await.unwrap();
    assert_eq!(world.kept(&memory).await, ["mine", "the agent's"]);
    assert_eq!(world.audited().await, 1, "a refusal changes nothing");
}

#[tokio::test]
async fn a_document_that_is_gone_is_not_replaced_by_somebody_who_saw_it() {
    let world = World::in_memory().await;
    for precondition in [Precondition::Exists, Precondition::OneOf(vec![Tag::of(b"seen")])] {
        let refused = world.documents.replace(writer("alice", "s1"), Memory, content("mine"), precondition).await;
        assert!(matches!(refused, Err(WorkspaceError::Changed { current: None, .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn the_same_text_again_changes_nothing() {
    let world = World::in_memory().await;
    world.write("alice", "s1", Memory, "mine").await.unwrap();
    world.write("alice", "s2", Memory, "mine").await.unwrap();
    assert_eq!(world.kept(&path("alice", Memory)).await, ["mine"]);
    assert_eq!(world.audited().await, 1);
}

#[tokio::test]
async fn every_write_leaves_an_audit_line_without_the_text() {
    let world = World::in_memory().await;
    world.write("alice", "s1", Memory, "a secret").await.unwrap();
    let log = portal_adapters::memory::MemoryAuditLog::new(&world.people);
    let lines = log.list(AuditFilter { action: Some("document".to_owned()), limit: 9, ..AuditFilter::default() }).await;
    let line = lines.unwrap().pop().unwrap();
    assert_eq!((line.actor.to_string().as_str(), line.action.as_str()), ("friend:alice", "document.replace"));
    assert_eq!((line.subject.as_str(), line.friend.unwrap().as_str()), ("memory", "alice"));
    assert!(
        line.detail.starts_with("agent main, 8 bytes, sha256 ") && !line.detail.contains("secret"),
        "{}",
        line.detail
    );
}

#[tokio::test]
async fn what_is_no_text_is_neither_shown_nor_replaced() {
    let world = World::in_memory().await;
    let Ground::Memory(files) = &world.ground else { return };
    let memory = path("alice", Memory);
    let puts: [(&dyn Fn(), Unreadable); 3] = [
        (&|| files.write(&memory, b"caf\xe9".as_slice()), Unreadable::NotText),
        (&|| files.write(&memory, vec![b'a'; 256 * 1024 + 1]), Unreadable::TooLarge),
        (&|| files.obstruct(&memory), Unreadable::NotAFile),
    ];
    for (put, expected) in puts {
        put();
        let read = world.documents.read(&reader("alice"), Memory).await;
        assert!(matches!(&read, Err(WorkspaceError::Unreadable(Memory, why)) if *why == expected), "{read:?}");
        let written = world.write("alice", "s1", Memory, "mine").await;
        assert!(matches!(written, Err(WorkspaceError::Unreadable(..))), "{written:?}");
        let listed = world.documents.list(&reader("alice")).await.unwrap();
        assert!(listed.iter().any(|overview| overview.name == Memory && overview.exists), "{listed:?}");
    }
    assert_eq!(world.audited().await, 0);
}

#[tokio::test]
async fn the_agents_notes_are_read_and_never_written() {
    let world = World::in_memory().await;
    world.ground.agent_writes(&path("alice", FriendNotes), "likes tea");
    assert_eq!(world.documents.read(&reader("alice"), FriendNotes).await.unwrap().unwrap().text, "likes tea");
    let refused = world.write("alice", "s1", FriendNotes, "likes coffee").await;
    assert!(matches!(refused, Err(WorkspaceError::ReadOnly(FriendNotes))), "{refused:?}");
}

#[tokio::test]
async fn a_workspace_out_of_reach_is_trouble_and_never_an_absent_document() {
    let world = World::in_memory().await;
    let Ground::Memory(files) = &world.ground else { return };
    world.write("alice", "s1", Memory, "mine").await.unwrap();
    files.go_down("not mounted");
    let alice = reader("alice");
    assert!(matches!(world.documents.read(&alice, Memory).await, Err(WorkspaceError::Port(_))));
    assert!(world.documents.list(&alice).await.is_err());
    assert!(world.documents.count_logs(&alice).await.is_err());
    assert!(matches!(world.write("alice", "s1", Memory, "wiped").await, Err(WorkspaceError::Port(_))));
    files.come_back();
    assert_eq!(world.documents.read(&alice, Memory).await.unwrap().unwrap().text, "mine");
    assert_eq!(world.audited().await, 1);
}

#[tokio::test]
async fn the_list_tells_of_every_document_whether_it_is_there_and_writable() {
    let world = World::in_memory().await;
    world.befriend("alice", false).await;
    world.write("alice", "s1", Memory, "mine").await.unwrap();
    let listed = world.documents.list(&reader("alice")).await.unwrap();
    let facts: Vec<_> = listed.iter().map(|of| (of.name, of.exists, of.bytes, of.writable)).collect();
    assert_eq!(facts, [(Memory, true, 4, true), (FriendNotes, false, 0, false), (Heartbeat, false, 0, false)]);
}

#[tokio::test]
async fn a_write_goes_on_when_its_caller_hangs_up() {
    let world = World::in_memory().await;
    tokio::select! {
        biased;
        written = world.write("alice", "s1", Memory, "mine") => panic!("over before its caller hung up: {written:?}"),
        () = std::future::ready(()) => {}
    }
    // A second writer waits for the first; were that one left in the middle, this would wait for its lease.
    let since = tokio::time::Instant::now();
    world.write("alice", "s2", Memory, "mine too").await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(2));
    assert_eq!(world.kept(&path("alice", Memory)).await, ["mine too", "mine"]);
}
