//! The agents' folders, in memory and on a file system.

use std::sync::Arc;

use chrono::DateTime;
use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_adapters::memory::MemoryFiles;
use portal_core::{AgentId, FixedClock, FriendId, FriendshipKey};
use portal_workspace::{
    DOCUMENT_MAX_BYTES, DocumentFiles, DocumentName, DocumentPath, Entry, KEPT_MAX_BYTES, Place, Placed, Staged,
};

fn path(name: DocumentName) -> DocumentPath {
    DocumentPath::of(&FriendshipKey::new(FriendId::parse("alice").unwrap(), AgentId::parse("main").unwrap()), name)
}

async fn held(files: &dyn DocumentFiles, path: &DocumentPath) -> Option<Vec<u8>> {
    match files.read(path).await.unwrap() {
        Entry::File { bytes, .. } => Some(bytes),
        other => {
            assert_eq!(other, Entry::Absent);
            None
        }
    }
}

fn staged(write: &str, bytes: &[u8]) -> Staged {
    Staged { write: write.to_owned(), bytes: Some(bytes.to_vec()) }
}

/// Stages and places.
async fn put(files: &dyn DocumentFiles, path: &DocumentPath, write: &str, bytes: &[u8], how: Place) -> Placed {
    files.stage(path, write, bytes.to_vec()).await.unwrap();
    files.place(path, write, how).await.unwrap()
}

async fn a_new_text_is_placed_where_nothing_stands(files: &dyn DocumentFiles) {
    for name in DocumentName::ALL {
        let path = path(name);
        assert_eq!(held(files, &path).await, None);
        files.stage(&path, "a", b"text".to_vec()).await.unwrap();
        assert_eq!(held(files, &path).await, None, "what is staged is not seen");
        assert_eq!(files.staged(&path).await.unwrap(), [staged("a", b"text")]);
        assert_eq!(files.place(&path, "a", Place::New).await.unwrap(), Placed::Done);
        assert_eq!(held(files, &path).await.unwrap(), b"text");
        assert_eq!(files.staged(&path).await.unwrap(), []);
    }
}

async fn an_exchange_brings_out_what_stood_there(files: &dyn DocumentFiles) {
    let path = path(DocumentName::Memory);
    put(files, &path, "a", b"old", Place::New).await;
    assert_eq!(put(files, &path, "b", b"new", Place::Exchange).await, Placed::Done);
    assert_eq!(held(files, &path).await.unwrap(), b"new");
    assert_eq!(files.staged(&path).await.unwrap(), [staged("b", b"old")]);
}

async fn nothing_is_placed_where_it_is_otherwise_than_expected(files: &dyn DocumentFiles) {
    let path = path(DocumentName::Memory);
    assert_eq!(put(files, &path, "a", b"a", Place::Exchange).await, Placed::Otherwise);
    assert_eq!(held(files, &path).await, None);
    assert_eq!(files.place(&path, "a", Place::New).await.unwrap(), Placed::Done);
    assert_eq!(put(files, &path, "b", b"b", Place::New).await, Placed::Otherwise);
    assert_eq!(held(files, &path).await.unwrap(), b"a");
    assert_eq!(files.staged(&path).await.unwrap(), [staged("b", b"b")]);
}

async fn what_was_discarded_is_not_placed(files: &dyn DocumentFiles) {
    let path = path(DocumentName::Heartbeat);
    put(files, &path, "a", b"a", Place::New).await;
    for how in [Place::New, Place::Exchange] {
        files.stage(&path, "b", b"b".to_vec()).await.unwrap();
        assert!(files.discard(&path, "b", Some(b"b")).await.unwrap());
        assert_eq!(files.place(&path, "b", how).await.unwrap(), Placed::Discarded);
        assert!(files.discard(&path, "b", Some(b"b")).await.unwrap(), "gone is success");
    }
    assert_eq!(held(files, &path).await.unwrap(), b"a");
}

async fn only_what_was_seen_is_discarded(files: &dyn DocumentFiles) {
    let path = path(DocumentName::Memory);
    put(files, &path, "a", b"old", Place::New).await;
    put(files, &path, "b", b"new", Place::Exchange).await;
    assert!(!files.discard(&path, "b", Some(b"new")).await.unwrap());
    assert_eq!(files.staged(&path).await.unwrap(), [staged("b", b"old")]);
    assert!(files.discard(&path, "b", Some(b"old")).await.unwrap());
    assert_eq!(files.staged(&path).await.unwrap(), []);
}

async fn what_is_staged_beside_one_document_is_not_beside_another(files: &dyn DocumentFiles) {
    files.stage(&path(DocumentName::Memory), "a", b"a".to_vec()).await.unwrap();
    files.stage(&path(DocumentName::Memory), "b", b"b".to_vec()).await.unwrap();
    files.stage(&path(DocumentName::FriendNotes), "c", b"c".to_vec()).await.unwrap();
    let beside = files.staged(&path(DocumentName::Memory)).await.unwrap();
    assert_eq!(beside, [staged("a", b"a"), staged("b", b"b")]);
}

async fn a_text_too_large_for_a_document_is_seen_as_such_and_one_too_large_to_keep_is_put_aside(
    files: &dyn DocumentFiles,
) {
    let path = path(DocumentName::Memory);
    put(files, &path, "a", &vec![b'a'; DOCUMENT_MAX_BYTES], Place::New).await;
    assert!(matches!(files.read(&path).await.unwrap(), Entry::File { .. }));
    let size = KEPT_MAX_BYTES + 1;
    put(files, &path, "b", &vec![b'b'; size], Place::Exchange).await;
    let entry = files.read(&path).await.unwrap();
    assert!(matches!(entry, Entry::Large { size: found, .. } if found == u64::try_from(size).unwrap()), "{entry:?}");
    put(files, &path, "c", b"c", Place::Exchange).await;
    let beside = files.staged(&path).await.unwrap();
    assert!(beside.contains(&Staged { write: "c".to_owned(), bytes: None }), "{}", beside.len());
    assert!(files.discard(&path, "c", None).await.unwrap());
    assert_eq!(files.staged(&path).await.unwrap().len(), 1);
}

/// Runs each promise on folders of its own.
macro_rules! promises_of_files {
    ($($promise:ident,)+) => {
        mod memory {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(&super::in_memory()).await;
            })+
        }

        mod disk {
            $(#[tokio::test]
            async fn $promise() {
                let folder = tempfile::tempdir().unwrap();
                super::$promise(&super::on_disk(folder.path())).await;
            })+
        }
    };
}

fn in_memory() -> MemoryFiles {
    MemoryFiles::new(Arc::new(FixedClock::at(DateTime::UNIX_EPOCH)))
}

fn on_disk(folder: &std::path::Path) -> DiskFiles {
    std::fs::write(folder.join("AGENTS.md"), "an agent lives here").unwrap();
    DiskFiles::new(AgentRoots::default().with(AgentId::parse("main").unwrap(), folder))
}

promises_of_files! {
    a_new_text_is_placed_where_nothing_stands,
    an_exchange_brings_out_what_stood_there,
    nothing_is_placed_where_it_is_otherwise_than_expected,
    what_was_discarded_is_not_placed,
    only_what_was_seen_is_discarded,
    what_is_staged_beside_one_document_is_not_beside_another,
    a_text_too_large_for_a_document_is_seen_as_such_and_one_too_large_to_keep_is_put_aside,
}
