//! Folders that are not as one would wish.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_core::{Backend, BackendError, FriendId, FriendshipKey};
use portal_workspace::{DocumentFiles, DocumentName, DocumentPath, Entry, Place, Placed};

use crate::ground::agent;

fn key() -> FriendshipKey {
    FriendshipKey::new(alice(), agent())
}

fn alice() -> FriendId {
    FriendId::parse("alice").unwrap()
}

fn memory() -> DocumentPath {
    DocumentPath::of(&key(), DocumentName::Memory)
}

/// The folder of an agent with a friend's folder in it.
fn furnish(folder: &Path) -> DiskFiles {
    std::fs::create_dir_all(folder.join("main/friends/alice")).unwrap();
    DiskFiles::new(AgentRoots::under(folder))
}

/// Whatever `obstruct` puts in the place of alice's memory is neither read nor written through.
async fn check_obstacle(obstruct: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let files = furnish(folder.path());
    std::fs::write(folder.path().join("secret"), "bob's").unwrap();
    obstruct(folder.path());
    let read = tokio::time::timeout(Duration::from_secs(5), files.read(&memory())).await.unwrap();
    assert_eq!(read.unwrap(), Entry::NotAFile);
    // A portal never writes where it read that; if something else did, it still would not write elsewhere.
    if files.stage(&memory(), "w", b"mine".to_vec()).await.is_ok() {
        let placed = files.place(&memory(), "w", Place::Exchange).await.unwrap();
        assert_eq!(placed, Placed::Done);
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("secret")).unwrap(), "bob's");
}

#[tokio::test]
async fn a_symbolic_link_is_not_followed_wherever_it_stands_and_leads() {
    let in_place = |folder: &Path| folder.join("main/friends/alice/MEMORY.md");
    check_obstacle(|folder| symlink(folder.join("secret"), in_place(folder)).unwrap()).await;
    check_obstacle(|folder| symlink("../../../secret", in_place(folder)).unwrap()).await;
    check_obstacle(|folder| {
        std::fs::create_dir(folder.join("main/friends/bob")).unwrap();
        std::fs::write(folder.join("main/friends/bob/MEMORY.md"), "bob's").unwrap();
        symlink("../bob/MEMORY.md", in_place(folder)).unwrap();
    })
    .await;
    for link in ["main/friends/alice", "main/friends"] {
        check_obstacle(|folder| {
            let to = folder.join("elsewhere");
            std::fs::create_dir_all(to.join("alice")).unwrap();
            for place in [to.join("MEMORY.md"), to.join("alice/MEMORY.md")] {
                std::fs::write(place, "bob's").unwrap();
            }
            std::fs::remove_dir_all(folder.join(link)).unwrap();
            symlink(&to, folder.join(link)).unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn a_pipe_a_folder_or_a_socket_in_its_place_holds_nobody_up() {
    let in_place = |folder: &Path| folder.join("main/friends/alice/MEMORY.md");
    check_obstacle(|folder| {
        assert!(Command::new("mkfifo").arg(in_place(folder)).status().unwrap().success());
    })
    .await;
    check_obstacle(|folder| std::fs::create_dir(in_place(folder)).unwrap()).await;
    check_obstacle(|folder| drop(std::os::unix::net::UnixListener::bind(in_place(folder)).unwrap())).await;
    check_obstacle(|folder| {
        std::fs::remove_dir(folder.join("main/friends/alice")).unwrap();
        std::fs::write(folder.join("main/friends/alice"), "a file").unwrap();
    })
    .await;
}

#[track_caller]
fn assert_out_of_reach<T: std::fmt::Debug>(answer: Result<T, BackendError>) {
    let trouble = answer.unwrap_err();
    assert_eq!(trouble.backend, Backend::Workspace, "{trouble:?}");
}

#[tokio::test]
async fn a_folder_that_vanishes_is_trouble_and_when_it_comes_back_all_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (files, root) = (furnish(folder.path()), folder.path().join("main"));
    std::fs::write(root.join("friends/alice/MEMORY.md"), "mine").unwrap();
    let away = folder.path().join("away");
    std::fs::rename(&root, &away).unwrap();
    let check_absence = async || {
        for name in DocumentName::ALL {
            let path = DocumentPath::of(&key(), name);
            assert_out_of_reach(files.read(&path).await);
            assert_out_of_reach(files.stage(&path, "w", Vec::new()).await);
        }
        assert_out_of_reach(files.count_logs(&key()).await);
        assert_out_of_reach(files.exchanges(&agent()).await);
    };
    check_absence().await;
    // What an unmounted volume leaves behind.
    std::fs::create_dir(&root).unwrap();
    check_absence().await;
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0, "nothing was written below the volume");
    std::fs::remove_dir(&root).unwrap();
    std::fs::rename(&away, &root).unwrap();
    assert!(matches!(files.read(&memory()).await.unwrap(), Entry::File { bytes, .. } if bytes == b"mine"));
}

#[tokio::test]
async fn an_agent_without_a_folder_has_no_documents_to_read() {
    let files = DiskFiles::new(AgentRoots::default());
    assert_out_of_reach(files.read(&memory()).await);
}

#[test]
fn a_file_system_that_does_not_answer_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        // The only thread that asks file systems waits, as it would for one that does not answer.
        let (answer, waiting) = std::sync::mpsc::channel::<()>();
        let asking = tokio::task::spawn_blocking(move || waiting.recv());
        let patience = Duration::from_millis(10);
        assert_out_of_reach(furnish(folder.path()).with_patience(patience).read(&memory()).await);
        drop(answer);
        assert!(asking.await.unwrap().is_err());
    });
}

#[tokio::test]
async fn a_replaced_file_keeps_its_mode_and_owner_and_a_new_one_takes_its_folders() {
    let folder = tempfile::tempdir().unwrap();
    let files = furnish(folder.path());
    let place = folder.path().join("main/friends/alice/MEMORY.md");
    std::fs::write(&place, "old").unwrap();
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o640)).unwrap();
    let may_give_away = chown(&place, Some(4711), Some(4712)).is_ok();
    if may_give_away {
        chown(folder.path().join("main"), Some(4713), Some(4714)).unwrap();
    }
    let before = std::fs::metadata(&place).unwrap();
    files.stage(&memory(), "w", b"new".to_vec()).await.unwrap();
    assert_eq!(files.place(&memory(), "w", Place::Exchange).await.unwrap(), Placed::Done);
    let after = std::fs::metadata(&place).unwrap();
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_ne!(after.ino(), before.ino());

    let heartbeat = DocumentPath::of(&key(), DocumentName::Heartbeat);
    files.stage(&heartbeat, "w", b"new".to_vec()).await.unwrap();
    assert_eq!(files.place(&heartbeat, "w", Place::New).await.unwrap(), Placed::Done);
    let root = std::fs::metadata(folder.path().join("main")).unwrap();
    let made = std::fs::metadata(folder.path().join("main/HEARTBEAT.md")).unwrap();
    assert_eq!((made.mode() & 0o777, made.uid(), made.gid()), (root.mode() & 0o666, root.uid(), root.gid()));
}

#[tokio::test]
async fn what_cannot_be_kept_is_put_aside_where_people_see_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = furnish(folder.path());
    let place = folder.path().join("main/friends/alice/MEMORY.md");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("inside"), "kept").unwrap();
    files.stage(&memory(), "w", b"new".to_vec()).await.unwrap();
    assert_eq!(files.place(&memory(), "w", Place::Exchange).await.unwrap(), Placed::Done);
    assert!(files.discard(&memory(), "w", None).await.unwrap());
    let aside = folder.path().join("main/friends/alice/MEMORY.md.kept-w/inside");
    assert_eq!(std::fs::read_to_string(aside).unwrap(), "kept");
    assert_eq!(files.staged(&memory()).await.unwrap(), []);
}

#[tokio::test]
async fn only_dated_files_are_daily_logs() {
    let folder = tempfile::tempdir().unwrap();
    let files = furnish(folder.path());
    assert_eq!(files.count_logs(&key()).await.unwrap(), 0);
    let logs = folder.path().join("main/friends/alice/memory");
    std::fs::create_dir(&logs).unwrap();
    for name in ["2026-03-01.md", "2026-03-01-trip.md", "2026-12-31.md"] {
        std::fs::write(logs.join(name), "").unwrap();
    }
    for name in ["2026-02-30.md", "2026-3-1.md", "notes.md", "2026-03-01.txt", "x2026-03-01.md", ".2026-03-01.md"] {
        std::fs::write(logs.join(name), "").unwrap();
    }
    std::fs::create_dir(logs.join("2026-03-02.md")).unwrap();
    symlink("2026-03-01.md", logs.join("2026-03-03.md")).unwrap();
    assert_eq!(files.count_logs(&key()).await.unwrap(), 3);
}

#[tokio::test]
async fn a_local_file_system_exchanges_and_trying_it_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let files = furnish(folder.path());
    assert!(files.exchanges(&agent()).await.unwrap());
    assert_eq!(std::fs::read_dir(folder.path().join("main")).unwrap().count(), 1);
}
