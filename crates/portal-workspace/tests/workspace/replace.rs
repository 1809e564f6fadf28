//! Reading and replacing.

use std::time::Duration;

use portal_core::AuditFilter;
use portal_workspace::DocumentName::{FriendNotes, Heartbeat, Memory};
use portal_workspace::{Precondition, Tag, Unreadable, UpdatedBy, WorkspaceError};

use crate::fixture::{AgentFolder, Fixture, content, path, reader, writer};

#[tokio::test]
async fn what_was_written_is_read() {
    for fixture in [Fixture::in_memory().await, Fixture::on_disk().await] {
        assert_eq!(fixture.documents.read(&reader("alice"), Memory).await.unwrap(), None);
        let tag = fixture.write("alice", "s1", Memory, "# Notes\n").await.unwrap();
        let document = fixture.documents.read(&reader("alice"), Memory).await.unwrap().unwrap();
        assert_eq!((document.text.as_str(), document.tag), ("# Notes\n", tag));
        assert_eq!(fixture.documents.read(&reader("bob"), Memory).await.unwrap(), None, "it is alice's");
    }
}

#[tokio::test]
async fn a_write_is_refused_if_another_text_stands_there() {
    let fixture = Fixture::in_memory().await;
    let memory = path("alice", Memory);
    fixture.folder.agent_installs(&memory, "the agent's");
    let there = Tag::of(b"the agent's");
    for precondition in [Precondition::OneOf(vec![Tag::of(b"an older one")]), Precondition::Absent] {
        let refused = fixture.documents.replace(writer("alice", "s1"), Memory, content("mine"), precondition).await;
        assert!(
            matches!(&refused, Err(WorkspaceError::Changed { current: Some(current), .. }) if *current == there),
            "{refused:?}"
        );
    }
    let precondition = Precondition::OneOf(vec![there]);
    fixture.documents.replace(writer("alice", "s1"), Memory, content("mine"), precondition).await.unwrap();
    assert_eq!(fixture.stored(&memory).await, ["mine", "the agent's"]);
    assert_eq!(fixture.audited().await, 1, "a refusal changes nothing");
}

#[tokio::test]
async fn a_document_that_is_gone_is_not_replaced_by_somebody_who_saw_it() {
    let fixture = Fixture::in_memory().await;
    for precondition in [Precondition::Exists, Precondition::OneOf(vec![Tag::of(b"seen")])] {
        let refused = fixture.documents.replace(writer("alice", "s1"), Memory, content("mine"), precondition).await;
        assert!(matches!(refused, Err(WorkspaceError::Changed { current: None, .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn the_same_text_again_changes_nothing() {
    let fixture = Fixture::in_memory().await;
    fixture.write("alice", "s1", Memory, "mine").await.unwrap();
    fixture.write("alice", "s2", Memory, "mine").await.unwrap();
    assert_eq!(fixture.stored(&path("alice", Memory)).await, ["mine"]);
    assert_eq!(fixture.audited().await, 1);
}

#[tokio::test]
async fn every_write_leaves_an_audit_line_without_the_text() {
    let fixture = Fixture::in_memory().await;
    fixture.write("alice", "s1", Memory, "a secret").await.unwrap();
    let filter = AuditFilter { action: Some("document".to_owned()), limit: 9, ..AuditFilter::default() };
    let line = fixture.stores.audit.list(filter).await.unwrap().pop().unwrap();
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
    let fixture = Fixture::in_memory().await;
    let AgentFolder::Memory(files) = &fixture.folder else { return };
    let memory = path("alice", Memory);
    let puts: [(&dyn Fn(), Unreadable); 3] = [
        (&|| files.write(&memory, b"caf\xe9".as_slice()), Unreadable::NotText),
        (&|| files.write(&memory, vec![b'a'; 256 * 1024 + 1]), Unreadable::TooLarge),
        (&|| files.obstruct(&memory), Unreadable::NotAFile),
    ];
    for (put, expected) in puts {
        put();
        let read = fixture.documents.read(&reader("alice"), Memory).await;
        assert!(matches!(&read, Err(WorkspaceError::Unreadable(Memory, why)) if *why == expected), "{read:?}");
        let written = fixture.write("alice", "s1", Memory, "mine").await;
        assert!(matches!(written, Err(WorkspaceError::Unreadable(..))), "{written:?}");
        let listed = fixture.documents.list(&reader("alice")).await.unwrap();
        assert!(listed.iter().any(|overview| overview.name == Memory && overview.exists), "{listed:?}");
    }
    assert_eq!(fixture.audited().await, 0);
}

#[tokio::test]
async fn the_agents_notes_are_read_and_never_written() {
    let fixture = Fixture::in_memory().await;
    fixture.folder.agent_installs(&path("alice", FriendNotes), "likes tea");
    assert_eq!(fixture.documents.read(&reader("alice"), FriendNotes).await.unwrap().unwrap().text, "likes tea");
    let refused = fixture.write("alice", "s1", FriendNotes, "likes coffee").await;
    assert!(matches!(refused, Err(WorkspaceError::ReadOnly(FriendNotes))), "{refused:?}");
}

#[tokio::test]
async fn an_unavailable_workspace_is_an_error_and_never_an_absent_document() {
    let fixture = Fixture::in_memory().await;
    let AgentFolder::Memory(files) = &fixture.folder else { return };
    fixture.write("alice", "s1", Memory, "mine").await.unwrap();
    files.go_down("not mounted");
    let alice = reader("alice");
    assert!(matches!(fixture.documents.read(&alice, Memory).await, Err(WorkspaceError::Port(_))));
    assert!(fixture.documents.list(&alice).await.is_err());
    assert!(fixture.documents.count_logs(&alice).await.is_err());
    assert!(matches!(fixture.write("alice", "s1", Memory, "wiped").await, Err(WorkspaceError::Port(_))));
    files.come_back();
    assert_eq!(fixture.documents.read(&alice, Memory).await.unwrap().unwrap().text, "mine");
    assert_eq!(fixture.audited().await, 1);
}

#[tokio::test]
async fn the_list_tells_of_every_document_whether_it_is_there_and_writable() {
    let fixture = Fixture::in_memory().await;
    fixture.befriend("alice", Some(false)).await;
    fixture.write("alice", "s1", Memory, "mine").await.unwrap();
    let listed = fixture.documents.list(&reader("alice")).await.unwrap();
    let facts: Vec<_> = listed.iter().map(|of| (of.name, of.exists, of.bytes, of.writable)).collect();
    let memory = listed.iter().find(|of| of.name == Memory).unwrap();
    assert_eq!((memory.tag.clone(), memory.updated_by.clone()), (Some(Tag::of(b"mine")), Some(UpdatedBy::Reader)));
    assert_eq!(facts, [(Memory, true, 4, true), (FriendNotes, false, 0, false), (Heartbeat, false, 0, false)]);
}

#[tokio::test]
async fn a_write_goes_on_when_its_caller_hangs_up() {
    let fixture = Fixture::in_memory().await;
    tokio::select! {
        biased;
        written = fixture.write("alice", "s1", Memory, "mine") => panic!("over before its caller hung up: {written:?}"),
        () = std::future::ready(()) => {}
    }
    // A second writer waits for the first; were that one left in the middle, this would wait for its lease.
    let since = tokio::time::Instant::now();
    fixture.write("alice", "s2", Memory, "mine too").await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(2));
    assert_eq!(fixture.stored(&path("alice", Memory)).await, ["mine too", "mine"]);
}

#[tokio::test]
async fn the_list_names_the_author_of_the_text_that_is_there_now() {
    let fixture = Fixture::in_memory().await;
    let author = async |name, document| {
        let listed = fixture.documents.list(&reader(name)).await.unwrap();
        listed.into_iter().find(|of| of.name == document).unwrap().updated_by
    };
    assert_eq!(author("alice", Heartbeat).await, None);
    fixture.write("alice", "s1", Heartbeat, "alice's").await.unwrap();
    assert_eq!(author("alice", Heartbeat).await, Some(UpdatedBy::Reader));
    assert_eq!(author("bob", Heartbeat).await, Some(UpdatedBy::OtherFriend));
    fixture.folder.agent_installs(&path("alice", Heartbeat), "the agent's");
    assert_eq!(author("alice", Heartbeat).await, Some(UpdatedBy::Agent));
}
