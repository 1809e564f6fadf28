//! Documents in the folders of agents.

use chrono::DateTime;
use portal_core::{AgentId, FriendId, FriendshipKey};
use portal_workspace::{
    DOCUMENT_MAX_BYTES, DisplacedFile, DocumentFiles, DocumentName, DocumentPath, Entry, FileInfo, InstallMode,
    Installed, StagedFile, Tag, VERSION_MAX_BYTES,
};

use crate::fixture::FilesFixture;

fn path(name: DocumentName) -> DocumentPath {
    DocumentPath::of(&FriendshipKey::new(FriendId::parse("alice").unwrap(), AgentId::parse("main").unwrap()), name)
}

async fn content(files: &dyn DocumentFiles, path: &DocumentPath) -> Option<Vec<u8>> {
    match files.read(path).await.unwrap() {
        Entry::File { bytes, .. } => Some(bytes),
        other => {
            assert_eq!(other, Entry::Absent);
            None
        }
    }
}

fn staged(write: &str, bytes: &[u8]) -> StagedFile {
    StagedFile { write: write.to_owned(), bytes: Some(bytes.to_vec()) }
}

/// Stages and installs.
async fn put(
    files: &dyn DocumentFiles,
    path: &DocumentPath,
    write: &str,
    bytes: &[u8],
    mode: InstallMode,
) -> Installed {
    files.stage(path, write, bytes.to_vec()).await.unwrap();
    files.install(path, write, mode).await.unwrap()
}

pub async fn a_new_text_is_installed_where_nothing_is(fixture: &FilesFixture) {
    let files = &*fixture.files;
    for name in DocumentName::ALL {
        let path = path(name);
        assert_eq!(content(files, &path).await, None);
        files.stage(&path, "a", b"text".to_vec()).await.unwrap();
        assert_eq!(content(files, &path).await, None, "what is staged is not seen");
        assert_eq!(files.staged(&path).await.unwrap(), [staged("a", b"text")]);
        assert_eq!(files.install(&path, "a", InstallMode::Create).await.unwrap(), Installed::Done);
        assert_eq!(content(files, &path).await.unwrap(), b"text");
        assert_eq!(files.staged(&path).await.unwrap(), []);
    }
}

pub async fn an_exchange_brings_out_the_file(fixture: &FilesFixture) {
    let files = &*fixture.files;
    let path = path(DocumentName::Memory);
    put(files, &path, "a", b"old", InstallMode::Create).await;
    assert_eq!(put(files, &path, "b", b"new", InstallMode::Exchange).await, Installed::Done);
    assert_eq!(content(files, &path).await.unwrap(), b"new");
    assert_eq!(files.staged(&path).await.unwrap(), [staged("b", b"old")]);
}

pub async fn nothing_is_installed_where_the_file_is_not_as_expected(fixture: &FilesFixture) {
    let files = &*fixture.files;
    let path = path(DocumentName::Memory);
    assert_eq!(put(files, &path, "a", b"a", InstallMode::Exchange).await, Installed::Conflict);
    assert_eq!(content(files, &path).await, None);
    assert_eq!(files.install(&path, "a", InstallMode::Create).await.unwrap(), Installed::Done);
    assert_eq!(put(files, &path, "b", b"b", InstallMode::Create).await, Installed::Conflict);
    assert_eq!(content(files, &path).await.unwrap(), b"a");
    assert_eq!(files.staged(&path).await.unwrap(), [staged("b", b"b")]);
}

pub async fn a_discarded_text_is_not_installed(fixture: &FilesFixture) {
    let files = &*fixture.files;
    let path = path(DocumentName::Heartbeat);
    put(files, &path, "a", b"a", InstallMode::Create).await;
    for mode in [InstallMode::Create, InstallMode::Exchange] {
        files.stage(&path, "b", b"b".to_vec()).await.unwrap();
        assert!(files.discard(&path, "b", Some(b"b")).await.unwrap());
        assert_eq!(files.install(&path, "b", mode).await.unwrap(), Installed::Discarded);
        assert!(files.discard(&path, "b", Some(b"b")).await.unwrap(), "gone is success");
    }
    assert_eq!(content(files, &path).await.unwrap(), b"a");
}

pub async fn only_what_was_seen_is_discarded(fixture: &FilesFixture) {
    let files = &*fixture.files;
    let path = path(DocumentName::Memory);
    put(files, &path, "a", b"old", InstallMode::Create).await;
    put(files, &path, "b", b"new", InstallMode::Exchange).await;
    assert!(!files.discard(&path, "b", Some(b"new")).await.unwrap());
    assert_eq!(files.staged(&path).await.unwrap(), [staged("b", b"old")]);
    assert!(files.discard(&path, "b", Some(b"old")).await.unwrap());
    assert_eq!(files.staged(&path).await.unwrap(), []);
}

pub async fn what_is_staged_beside_one_document_is_not_beside_another(fixture: &FilesFixture) {
    let files = &*fixture.files;
    files.stage(&path(DocumentName::Memory), "a", b"a".to_vec()).await.unwrap();
    files.stage(&path(DocumentName::Memory), "b", b"b".to_vec()).await.unwrap();
    files.stage(&path(DocumentName::FriendNotes), "c", b"c".to_vec()).await.unwrap();
    let beside = files.staged(&path(DocumentName::Memory)).await.unwrap();
    assert_eq!(beside, [staged("a", b"a"), staged("b", b"b")]);
}

pub async fn a_text_too_large_for_a_document_is_reported_and_one_too_large_to_store_is_renamed(fixture: &FilesFixture) {
    let files = &*fixture.files;
    let path = path(DocumentName::Memory);
    put(files, &path, "a", &vec![b'a'; DOCUMENT_MAX_BYTES], InstallMode::Create).await;
    assert!(matches!(files.read(&path).await.unwrap(), Entry::File { .. }));
    let size = VERSION_MAX_BYTES + 1;
    put(files, &path, "b", &vec![b'b'; size], InstallMode::Exchange).await;
    let entry = files.read(&path).await.unwrap();
    assert!(matches!(entry, Entry::TooLarge { size: found, .. } if found == u64::try_from(size).unwrap()), "{entry:?}");
    put(files, &path, "c", b"c", InstallMode::Exchange).await;
    let beside = files.staged(&path).await.unwrap();
    assert!(beside.contains(&StagedFile { write: "c".to_owned(), bytes: None }), "{}", beside.len());
    assert!(files.discard(&path, "c", None).await.unwrap());
    assert_eq!(files.staged(&path).await.unwrap().len(), 1);
}

/// Replaces `old` by `new`, and retains the displaced file.
async fn displace(files: &dyn DocumentFiles, path: &DocumentPath) -> DisplacedFile {
    put(files, path, "a", b"old", InstallMode::Create).await;
    put(files, path, "b", b"new", InstallMode::Exchange).await;
    let displaced_at = DateTime::from_timestamp_millis(1_800_000_000_123).unwrap();
    let file = DisplacedFile { write: "b".to_owned(), displaced_at, known: Tag::of(b"old") };
    files.retain(path, &file).await.unwrap();
    file
}

pub async fn a_displaced_file_is_found_again_by_its_label_until_it_is_released(fixture: &FilesFixture) {
    let files = &*fixture.files;
    let path = path(DocumentName::Memory);
    let file = displace(files, &path).await;
    assert_eq!(files.staged(&path).await.unwrap(), [], "it can be installed no more");
    assert_eq!(files.displaced(&path).await.unwrap(), std::slice::from_ref(&file));
    assert_eq!(files.read_displaced(&path, &file).await.unwrap().unwrap(), b"old");
    let other = Tag::of(b"other");
    files.relabel(&path, &file, &other).await.unwrap();
    let relabelled = DisplacedFile { known: other, ..file.clone() };
    assert_eq!(files.displaced(&path).await.unwrap(), std::slice::from_ref(&relabelled));
    assert_eq!(files.read_displaced(&path, &file).await.unwrap(), None, "the old label names nothing");
    assert!(!files.release(&path, &relabelled).await.unwrap(), "its content is not the known one");
    files.relabel(&path, &relabelled, &file.known).await.unwrap();
    assert!(files.release(&path, &file).await.unwrap());
    assert!(files.release(&path, &file).await.unwrap(), "gone is success");
    files.retain(&path, &file).await.unwrap();
    assert_eq!(files.displaced(&path).await.unwrap(), []);
}

pub async fn an_overwrite_needs_the_expected_content_and_leaves_the_staged_text(fixture: &FilesFixture) {
    let files = &*fixture.files;
    let path = path(DocumentName::Memory);
    let overwrite = |text: &[u8]| InstallMode::Overwrite { expected: Tag::of(text) };
    assert_eq!(put(files, &path, "a", b"a", overwrite(b"")).await, Installed::Conflict);
    put(files, &path, "b", b"a longer text", InstallMode::Create).await;
    assert_eq!(files.install(&path, "a", overwrite(b"another text")).await.unwrap(), Installed::Conflict);
    assert_eq!(files.install(&path, "a", overwrite(b"a longer text")).await.unwrap(), Installed::Done);
    assert_eq!(content(files, &path).await.unwrap(), b"a");
    assert_eq!(files.staged(&path).await.unwrap(), [staged("a", b"a")]);
    assert!(files.discard(&path, "a", Some(b"a")).await.unwrap());
    assert_eq!(files.install(&path, "a", overwrite(b"a")).await.unwrap(), Installed::Discarded);
}

pub async fn a_file_is_inspected_as_it_is_now(fixture: &FilesFixture) {
    let files = &*fixture.files;
    let path = path(DocumentName::Memory);
    let inspect = async || files.inspect(&path).await.unwrap();
    assert_eq!(inspect().await, FileInfo::Absent);
    put(files, &path, "a", b"one", InstallMode::Create).await;
    assert!(matches!(inspect().await, FileInfo::File { size: 3, tag: Some(tag), .. } if tag == Tag::of(b"one")));
    put(files, &path, "b", b"two", InstallMode::Exchange).await;
    assert!(matches!(inspect().await, FileInfo::File { size: 3, tag: Some(tag), .. } if tag == Tag::of(b"two")));
    put(files, &path, "c", &vec![b'c'; DOCUMENT_MAX_BYTES + 1], InstallMode::Exchange).await;
    assert!(matches!(inspect().await, FileInfo::File { tag: None, .. }));
}
