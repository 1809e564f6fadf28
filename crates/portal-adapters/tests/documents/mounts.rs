//! File systems that are full or cannot be written, and documents that are mount points, each in a mount namespace of its
//! own (tier `mounts`).

use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_core::{BackendError, BackendErrorKind, FriendId, FriendshipKey};
use portal_workspace::{
    Author, Content, DocumentFiles, DocumentName, DocumentPath, Entry, InstallMode, Installed, NewVersion,
    Precondition, Tag, WriteIntent, Writer,
};

use crate::fixture::{Fixture, agent, friend};
use crate::unshare::mounted;

/// A file system too small for two documents of the largest size, and how it is made read-only.
const FULL: &str = "mount -t tmpfs -o size=300k tmpfs \"$0\" && mkdir \"$0\"/main && touch \"$0\"/main/AGENTS.md";
const READ_ONLY: &str = "mount -t tmpfs tmpfs \"$0\" && mkdir -p \"$0\"/main/friends/alice \
    && printf old > \"$0\"/main/friends/alice/MEMORY.md && mount -o remount,ro \"$0\"";

/// A document that is a mount point.
const MOUNT_POINT: &str = "mkdir -p \"$0\"/main/friends/alice && printf old > \"$0\"/other \
    && touch \"$0\"/main/friends/alice/MEMORY.md && mount --bind \"$0\"/other \"$0\"/main/friends/alice/MEMORY.md";
/// The same for the fixture's first friend.
const SAVED_MOUNT_POINT: &str = "mkdir -p \"$0\"/main/friends/f0 && printf old > \"$0\"/other \
    && touch \"$0\"/main/friends/f0/MEMORY.md && mount --bind \"$0\"/other \"$0\"/main/friends/f0/MEMORY.md";

fn memory() -> DocumentPath {
    DocumentPath::of(&FriendshipKey::new(FriendId::parse("alice").unwrap(), agent()), DocumentName::Memory)
}

async fn content(files: &DiskFiles) -> Vec<u8> {
    match files.read(&memory()).await.unwrap() {
        Entry::File { bytes, .. } => bytes,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[ignore = "tier mounts"]
async fn a_full_file_system_is_an_error_and_the_old_text_stays() {
    let Some(folder) = mounted("mounts::a_full_file_system_is_an_error_and_the_old_text_stays", FULL) else { return };
    let files = DiskFiles::new(AgentRoots::under(&folder));
    let old = vec![b'a'; 200 * 1024];
    files.stage(&memory(), "a", old.clone()).await.unwrap();
    files.install(&memory(), "a", InstallMode::Create).await.unwrap();
    let error = files.stage(&memory(), "b", old.clone()).await.unwrap_err();
    assert!(matches!(error, BackendError { kind: BackendErrorKind::Unavailable, .. }), "{error:?}");
    assert_eq!(files.staged(&memory()).await.unwrap(), [], "what was staged in part is gone");
    assert_eq!(content(&files).await, old);
    files.stage(&memory(), "c", b"short".to_vec()).await.unwrap();
}

#[tokio::test]
#[ignore = "tier mounts"]
async fn a_read_only_file_system_is_read_and_refuses_to_be_written() {
    let Some(folder) = mounted("mounts::a_read_only_file_system_is_read_and_refuses_to_be_written", READ_ONLY) else {
        return;
    };
    let files = DiskFiles::new(AgentRoots::under(&folder));
    assert_eq!(content(&files).await, b"old");
    let error = files.stage(&memory(), "b", b"new".to_vec()).await.unwrap_err();
    assert!(matches!(error, BackendError { kind: BackendErrorKind::Denied, .. }), "{error:?}");
    assert!(files.examine(&agent()).await.is_err());
    assert_eq!(content(&files).await, b"old");
}

#[tokio::test]
#[ignore = "tier mounts"]
async fn a_mount_point_is_overwritten_in_place_and_reported() {
    let Some(folder) = mounted("mounts::a_mount_point_is_overwritten_in_place_and_reported", MOUNT_POINT) else {
        return;
    };
    let files = DiskFiles::new(AgentRoots::under(&folder));
    files.stage(&memory(), "w", b"a new text".to_vec()).await.unwrap();
    let installed = files.install(&memory(), "w", InstallMode::Exchange).await.unwrap();
    assert_eq!(installed, Installed::MountPoint);
    let overwrite = |text: &[u8]| InstallMode::Overwrite { expected: Tag::of(text) };
    assert_eq!(files.install(&memory(), "w", overwrite(b"other")).await.unwrap(), Installed::Conflict);
    assert_eq!(content(&files).await, b"old");
    assert_eq!(files.install(&memory(), "w", overwrite(b"old")).await.unwrap(), Installed::Done);
    assert_eq!(content(&files).await, b"a new text");
    assert_eq!(std::fs::read(folder.join("other")).unwrap(), b"a new text", "the mounted file has it");
    assert_eq!(files.examine(&agent()).await.unwrap().mount_points, ["friends/alice/MEMORY.md"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier mounts"]
async fn a_friend_saves_a_document_that_is_a_mount_point() {
    let Some(folder) = mounted("mounts::a_friend_saves_a_document_that_is_a_mount_point", SAVED_MOUNT_POINT) else {
        return;
    };
    let url = format!("sqlite:{}", folder.join("portal.db").display());
    let fixture = Fixture::found(&folder.join("main"), &url, 1).await;
    for text in ["mine", "mine, and longer", "short"] {
        let writer = Writer { reader: FriendshipKey { friend: friend(0), agent: agent() }, session: text.to_owned() };
        let content = Content::parse(text.to_owned()).unwrap();
        fixture.documents.replace(writer, DocumentName::Memory, content, Precondition::Exists).await.unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("other")).unwrap(), text);
    }
    let safe = fixture.safe(0).await;
    for text in ["old", "mine", "mine, and longer", "short"] {
        assert!(safe.iter().any(|safe| safe == text), "{text} is lost: {safe:?}");
    }
    fixture.recover(1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier mounts"]
async fn a_torn_write_of_a_mount_point_is_completed_and_an_agents_text_is_left_alone() {
    let name = "mounts::a_torn_write_of_a_mount_point_is_completed_and_an_agents_text_is_left_alone";
    let Some(folder) = mounted(name, SAVED_MOUNT_POINT) else { return };
    let url = format!("sqlite:{}", folder.join("portal.db").display());
    let fixture = Fixture::found(&folder.join("main"), &url, 1).await;
    let (path, file) = (crate::fixture::memory(0), folder.join("other"));
    let new = "a new and longer text";
    for (left, expected) in [("a new and lon", new), ("a new entry of the agent", "a new entry of the agent")] {
        std::fs::write(&file, "old").unwrap();
        let write = portal_core::Ids::id(&portal_adapters::RandomIds);
        let old = portal_core::Ids::id(&portal_adapters::RandomIds);
        assert!(fixture.rows.claim(&path, &write, chrono::TimeDelta::zero()).await.unwrap().is_some());
        fixture.files.stage(&path, &write, new.as_bytes().to_vec()).await.unwrap();
        let now = portal_core::Clock::now(&portal_adapters::SystemClock);
        let author = Author::Friend(friend(0));
        let intent = WriteIntent {
            text: NewVersion::new(write, now, author, new.as_bytes().to_vec()),
            session: "session".to_owned(),
            burst_since: now,
            replaces: None,
            previous: Some(Tag::of(b"old")),
            earlier: Some(NewVersion::new(old, now, Author::Agent(agent()), b"old".to_vec())),
            audit: crate::fixture::audit(portal_core::Action::DocumentReplace),
        };
        assert!(fixture.rows.begin(&path, intent).await.unwrap());
        // A process that was killed while it overwrote the file left this.
        std::fs::write(&file, left).unwrap();
        fixture.recover(1).await;
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    }
}
