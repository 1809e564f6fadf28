//! Documents that can only be overwritten.

use portal_testkit::Faults;
use portal_workspace::DocumentName::Memory;
use portal_workspace::{Documents, Precondition, Tag, WorkspaceError};

use crate::crash::LATER;
use crate::faults::faulty;
use crate::fixture::{AgentFolder, Fixture, content, path, reader, writer};

const OLD: &str = "the text before";
const NEW: &str = "a new text that is longer";

/// A mounted memory with the text [`OLD`], and a write of [`NEW`] that was killed after so many bytes.
async fn torn(after: usize) -> Fixture {
    let fixture = Fixture::in_memory().await;
    let memory = path("alice", Memory);
    fixture.write("alice", "s1", Memory, OLD).await.unwrap();
    if let AgentFolder::Memory(files) = &fixture.folder {
        files.mount(&memory);
        files.tear_next(after);
    }
    fixture
}

#[tokio::test]
async fn a_mount_point_is_overwritten_and_both_texts_are_versions() {
    let fixture = Fixture::in_memory().await;
    let memory = path("alice", Memory);
    let AgentFolder::Memory(files) = &fixture.folder else { return };
    files.mount(&memory);
    files.write(&memory, "the agent's");
    fixture.write("alice", "s1", Memory, NEW).await.unwrap();
    assert_eq!(fixture.documents.read(&reader("alice"), Memory).await.unwrap().unwrap().text, NEW);
    assert_eq!(fixture.stored(&memory).await, [NEW, "the agent's"]);
    assert_eq!(fixture.ports.files.staged(&memory).await.unwrap(), []);
}

#[tokio::test]
async fn a_torn_write_is_completed() {
    for after in [0, 1, 10, OLD.len(), NEW.len() - 1] {
        let fixture = torn(after).await;
        let refused = fixture.write("alice", "s1", Memory, NEW).await;
        assert!(matches!(refused, Err(WorkspaceError::Port(_))), "{refused:?}");
        fixture.clock.advance(LATER);
        fixture.documents.recover().await.unwrap();
        let text = fixture.documents.read(&reader("alice"), Memory).await.unwrap().unwrap().text;
        assert_eq!(text, if after == 0 { OLD } else { NEW }, "torn after {after}");
        let stored = fixture.stored(&path("alice", Memory)).await;
        assert!(stored.contains(&text), "torn after {after}: {stored:?}");
        assert!(stored.iter().all(|stored| stored == OLD || stored == NEW), "torn after {after}: {stored:?}");
    }
}

#[tokio::test]
async fn anything_else_is_taken_for_the_agents() {
    let fixture = torn(5).await;
    let AgentFolder::Memory(files) = &fixture.folder else { return };
    // The recovery that follows a failed write at once must not get to it first.
    let memory = path("alice", Memory);
    let faults = Faults::none().dying_of_errors().answering_the_dead().shared();
    let documents = Documents::new(faulty(&fixture.ports, &faults));
    assert!(documents.replace(writer("alice", "s1"), Memory, content(NEW), Precondition::None).await.is_err());
    files.write(&memory, "an agent's own text");
    fixture.clock.advance(LATER);
    fixture.documents.recover().await.unwrap();
    let text = fixture.documents.read(&reader("alice"), Memory).await.unwrap().unwrap().text;
    assert_eq!(text, "an agent's own text");
}

#[tokio::test]
async fn a_write_over_another_text_than_the_one_that_was_read_is_refused() {
    let fixture = torn(0).await;
    let stale = Precondition::OneOf(vec![Tag::of(b"never there")]);
    let refused = fixture.documents.replace(writer("alice", "s1"), Memory, content(NEW), stale).await;
    assert!(matches!(refused, Err(WorkspaceError::Changed { .. })), "{refused:?}");
}
