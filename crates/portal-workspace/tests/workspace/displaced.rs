//! Files that a save has displaced while somebody had them open.

use std::io::Write;
use std::time::Duration;

use portal_workspace::DocumentName::Memory;
use portal_workspace::{Author, DISPLACED_MAX, LOOKS};

use crate::fixture::{AgentFolder, Fixture, file, main, path, reader};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test]
async fn what_an_open_file_gets_after_a_save_is_a_version_of_the_agent() {
    let fixture = Fixture::on_disk().await;
    let AgentFolder::Disk(folder) = &fixture.folder else { return };
    let memory = path("alice", Memory);
    fixture.write("alice", "s1", Memory, "mine\n").await.unwrap();
    let mut open = std::fs::OpenOptions::new().append(true).open(file(folder.path(), &memory)).unwrap();
    fixture.write("alice", "s2", Memory, "mine too\n").await.unwrap();

    open.write_all(b"one\n").unwrap();
    fixture.clock.advance(seconds(1));
    fixture.documents.recover().await.unwrap();
    open.write_all(b"two\n").unwrap();
    fixture.clock.advance(seconds(8));
    fixture.documents.recover().await.unwrap();
    assert_eq!(fixture.stored(&memory).await, ["mine\none\n", "mine too\n", "mine\n"], "the next look is after 10 s");
    fixture.clock.advance(seconds(1));
    fixture.documents.recover().await.unwrap();
    open.write_all(b"three\n").unwrap();
    fixture.clock.advance(seconds(590));
    fixture.documents.recover().await.unwrap();
    let stored = fixture.stored(&memory).await;
    let grown = ["mine\none\ntwo\nthree\n", "mine\none\ntwo\n", "mine\none\n", "mine too\n", "mine\n"];
    assert_eq!(stored, grown);
    let newest = fixture.documents.versions(&reader("alice"), Memory).await.unwrap().remove(0);
    assert_eq!(newest.author, Author::Agent(main()));
    assert_eq!(fixture.ports.files.displaced(&memory).await.unwrap(), [], "after the last look it is removed");
    assert_eq!(fixture.ports.store.unfinished(true).await.unwrap(), []);
}

#[tokio::test]
async fn a_file_that_nobody_writes_is_removed_without_a_version() {
    let fixture = Fixture::in_memory().await;
    let memory = path("alice", Memory);
    for text in ["a", "ab"] {
        fixture.write("alice", "s1", Memory, text).await.unwrap();
    }
    for look in LOOKS {
        assert_eq!(fixture.ports.files.displaced(&memory).await.unwrap().len(), 1);
        fixture.clock.advance(look.to_std().unwrap());
        fixture.documents.recover().await.unwrap();
    }
    assert_eq!(fixture.ports.files.displaced(&memory).await.unwrap(), []);
    assert_eq!(fixture.stored(&memory).await, ["ab"], "the text before was of the same burst, and is no version");
}

#[tokio::test]
async fn a_portal_that_starts_looks_at_once() {
    let fixture = Fixture::in_memory().await;
    let AgentFolder::Memory(files) = &fixture.folder else { return };
    let memory = path("alice", Memory);
    fixture.write("alice", "s1", Memory, "mine").await.unwrap();
    fixture.write("alice", "s2", Memory, "mine too").await.unwrap();
    files.append_to_displaced(&memory, b", and the agent's");
    fixture.documents.recover().await.unwrap();
    assert_eq!(fixture.stored(&memory).await.len(), 2, "it is not due yet");
    fixture.documents.recover_at_start().await.unwrap();
    assert_eq!(fixture.stored(&memory).await, ["mine, and the agent's", "mine too", "mine"]);
}

#[tokio::test]
async fn a_document_has_few_displaced_files_and_none_goes_unseen() {
    let fixture = Fixture::in_memory().await;
    let AgentFolder::Memory(files) = &fixture.folder else { return };
    let memory = path("alice", Memory);
    for save in 0..DISPLACED_MAX + 2 {
        fixture.write("alice", &format!("s{save}"), Memory, &save.to_string()).await.unwrap();
        fixture.clock.advance(Duration::from_millis(10));
    }
    assert_eq!(fixture.ports.files.displaced(&memory).await.unwrap().len(), DISPLACED_MAX);
    files.append_to_displaced(&memory, b" grown");
    fixture.write("alice", "last", Memory, "last").await.unwrap();
    assert_eq!(fixture.ports.files.displaced(&memory).await.unwrap().len(), DISPLACED_MAX);
    let stored = fixture.stored(&memory).await;
    assert!(stored.contains(&"1 grown".to_owned()), "the oldest was looked at before it went: {stored:?}");
}
