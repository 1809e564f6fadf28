//! File systems that are full or cannot be written, mounted in a namespace of their own (tier `mounts`).

use std::path::Path;
use std::process::Command;

use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_core::{BackendError, BackendErrorKind, FriendId, FriendshipKey};
use portal_workspace::{DocumentFiles, DocumentName, DocumentPath, Entry};

use crate::ground::agent;

/// Tells the process inside the namespace which folder is mounted there.
const MOUNTED: &str = "PORTAL_TEST_MOUNTED";
/// A file system too small for two documents of the largest size, and how it is made read-only.
const FULL: &str = "mount -t tmpfs -o size=300k tmpfs \"$0\" && mkdir \"$0\"/main && touch \"$0\"/main/AGENTS.md";
const READ_ONLY: &str = "mount -t tmpfs tmpfs \"$0\" && mkdir -p \"$0\"/main/friends/alice \
    && printf old > \"$0\"/main/friends/alice/MEMORY.md && mount -o remount,ro \"$0\"";

fn memory() -> DocumentPath {
    DocumentPath::of(&FriendshipKey::new(FriendId::parse("alice").unwrap(), agent()), DocumentName::Memory)
}

/// Runs the test `name` of this very program once more, where `mount` has prepared a folder.
fn run_inside(name: &str, mount: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{mount} && exec \"$1\" --ignored --exact mounts::{name} --nocapture");
    let status = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-ec", &script])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .env(MOUNTED, folder.path())
        .status()
        .unwrap();
    assert!(status.success());
}

async fn held(files: &DiskFiles) -> Vec<u8> {
    match files.read(&memory()).await.unwrap() {
        Entry::File { bytes, .. } => bytes,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[ignore = "tier mounts"]
async fn a_full_file_system_is_trouble_and_the_old_text_stays() {
    let Some(folder) = std::env::var_os(MOUNTED) else {
        return run_inside("a_full_file_system_is_trouble_and_the_old_text_stays", FULL);
    };
    let files = DiskFiles::new(AgentRoots::under(Path::new(&folder)));
    let old = vec![b'a'; 200 * 1024];
    files.stage(&memory(), "a", old.clone()).await.unwrap();
    files.place(&memory(), "a", portal_workspace::Place::New).await.unwrap();
    let trouble = files.stage(&memory(), "b", old.clone()).await.unwrap_err();
    assert!(matches!(trouble, BackendError { kind: BackendErrorKind::Unavailable, .. }), "{trouble:?}");
    assert_eq!(files.staged(&memory()).await.unwrap(), [], "what was staged in part is gone");
    assert_eq!(held(&files).await, old);
    files.stage(&memory(), "c", b"short".to_vec()).await.unwrap();
}

#[tokio::test]
#[ignore = "tier mounts"]
async fn a_read_only_file_system_is_read_and_refuses_to_be_written() {
    let Some(folder) = std::env::var_os(MOUNTED) else {
        return run_inside("a_read_only_file_system_is_read_and_refuses_to_be_written", READ_ONLY);
    };
    let files = DiskFiles::new(AgentRoots::under(Path::new(&folder)));
    assert_eq!(held(&files).await, b"old");
    let trouble = files.stage(&memory(), "b", b"new".to_vec()).await.unwrap_err();
    assert!(matches!(trouble, BackendError { kind: BackendErrorKind::Denied, .. }), "{trouble:?}");
    assert!(files.exchanges(&agent()).await.is_err());
    assert_eq!(held(&files).await, b"old");
}
