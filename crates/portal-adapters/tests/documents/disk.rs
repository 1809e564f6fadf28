//! Folders that are not as one would wish.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_core::{Backend, BackendError, FriendId, FriendshipKey};
use portal_workspace::{DocumentFiles, DocumentName, DocumentPath, Entry, FileInfo, InstallMode, Installed, Tag};

use crate::fixture::agent;

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
fn agent_folder(folder: &Path) -> DiskFiles {
    std::fs::create_dir_all(folder.join("main/friends/alice")).unwrap();
    DiskFiles::new(AgentRoots::under(folder))
}

/// Something else with the name of alice's memory is neither read nor written through.
async fn check_obstacle(obstruct: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let files = agent_folder(folder.path());
    std::fs::write(folder.path().join("secret"), "bob's").unwrap();
    obstruct(folder.path());
    let read = tokio::time::timeout(Duration::from_secs(5), files.read(&memory())).await.unwrap();
    assert_eq!(read.unwrap(), Entry::NotAFile);
    // A portal never writes where it read that; if something else did, it still would not write elsewhere.
    if files.stage(&memory(), "w", b"mine".to_vec()).await.is_ok() {
        let installed = files.install(&memory(), "w", InstallMode::Exchange).await.unwrap();
        assert_eq!(installed, Installed::Done);
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
            for file in [to.join("MEMORY.md"), to.join("alice/MEMORY.md")] {
                std::fs::write(file, "bob's").unwrap();
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
    let error = answer.unwrap_err();
    assert_eq!(error.backend, Backend::Workspace, "{error:?}");
}

#[tokio::test]
async fn a_folder_that_vanishes_is_an_error_and_when_it_comes_back_all_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (files, root) = (agent_folder(folder.path()), folder.path().join("main"));
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
        assert_out_of_reach(files.examine(&agent()).await);
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
        let timeout = Duration::from_millis(10);
        assert_out_of_reach(agent_folder(folder.path()).with_timeout(timeout).read(&memory()).await);
        drop(answer);
        assert!(asking.await.unwrap().is_err());
    });
}

/// Replaces alice's memory.
async fn replace(files: &DiskFiles, text: &[u8]) {
    files.stage(&memory(), "w", text.to_vec()).await.unwrap();
    assert_eq!(files.install(&memory(), "w", InstallMode::Exchange).await.unwrap(), Installed::Done);
}

#[tokio::test]
async fn a_replaced_file_keeps_its_mode_and_owner() {
    let folder = tempfile::tempdir().unwrap();
    let files = agent_folder(folder.path());
    let file = folder.path().join("main/friends/alice/MEMORY.md");
    std::fs::write(&file, "old").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    if chown(&file, Some(4711), Some(4712)).is_ok() {
        chown(folder.path().join("main"), Some(4713), Some(4714)).unwrap();
    }
    let before = std::fs::metadata(&file).unwrap();
    replace(&files, b"new").await;
    let after = std::fs::metadata(&file).unwrap();
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_ne!(after.ino(), before.ino());
}

/// New files and folders belong to the agent, however deep they are and whatever the folders on the way are.
#[tokio::test]
async fn a_new_file_and_a_new_folder_have_owner_and_mode_of_the_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let files = agent_folder(folder.path());
    let root = folder.path().join("main");
    std::fs::remove_dir(root.join("friends/alice")).unwrap();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o2775)).unwrap();
    // Only root may give files away; others see that their own stay theirs.
    let _ = chown(&root, Some(4713), Some(4714));
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o2775)).unwrap();
    for name in [DocumentName::Memory, DocumentName::Heartbeat] {
        let path = DocumentPath::of(&key(), name);
        files.stage(&path, "w", b"new".to_vec()).await.unwrap();
        assert_eq!(files.install(&path, "w", InstallMode::Create).await.unwrap(), Installed::Done);
    }
    let expected = std::fs::metadata(&root).unwrap();
    let properties = |at: &str| {
        let metadata = std::fs::metadata(root.join(at)).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    let owner = |mode| (expected.uid(), expected.gid(), mode);
    assert_eq!(properties("friends/alice"), owner(0o2775));
    assert_eq!(properties("friends/alice/MEMORY.md"), owner(0o664));
    assert_eq!(properties("HEARTBEAT.md"), owner(0o664));
}

/// Access control list as Linux stores it, which gives user 12345 reading and writing: tag, permissions and id of each
/// entry.
fn access_control_list() -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 5] =
        [(0x01, 6, NOBODY), (0x02, 6, 12345), (0x04, 4, NOBODY), (0x10, 6, NOBODY), (0x20, 4, NOBODY)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    list
}

/// Value of a file's extended attribute.
fn attribute(file: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = rustix::fs::getxattr(file, name, value.as_mut_slice()).ok()?;
    value.truncate(length);
    Some(value)
}

#[tokio::test]
async fn a_replaced_file_keeps_its_attributes_and_its_access_control_list() {
    let folder = tempfile::tempdir().unwrap();
    let files = agent_folder(folder.path());
    let file = folder.path().join("main/friends/alice/MEMORY.md");
    std::fs::write(&file, "old").unwrap();
    let (list, set) = (access_control_list(), rustix::fs::XattrFlags::empty());
    rustix::fs::setxattr(&file, "system.posix_acl_access", &list, set).unwrap();
    rustix::fs::setxattr(&file, "user.a", b"b", set).unwrap();
    let before = std::fs::metadata(&file).unwrap().mode();
    replace(&files, b"new").await;
    assert_eq!(attribute(&file, "system.posix_acl_access"), Some(list.clone()));
    assert_eq!(attribute(&file, "user.a").as_deref(), Some(b"b".as_slice()));
    assert_eq!(std::fs::metadata(&file).unwrap().mode(), before);

    // A folder's default list is for new files: a document without a list of its own does not get it.
    assert!(files.discard(&memory(), "w", Some(b"old")).await.unwrap());
    rustix::fs::removexattr(&file, "system.posix_acl_access").unwrap();
    rustix::fs::setxattr(file.parent().unwrap(), "system.posix_acl_default", &list, set).unwrap();
    replace(&files, b"newer").await;
    assert_eq!(attribute(&file, "system.posix_acl_access"), None);
}

#[tokio::test]
async fn a_name_that_differs_in_case_only_is_not_taken_for_absence() {
    let folder = tempfile::tempdir().unwrap();
    let files = agent_folder(folder.path());
    let other = folder.path().join("main/friends/alice/memory.md");
    std::fs::write(&other, "the agent's").unwrap();
    let entry = files.read(&memory()).await.unwrap();
    assert_eq!(entry, Entry::OtherCase { name: "memory.md".to_owned() });
    assert_eq!(files.inspect(&memory()).await.unwrap(), FileInfo::Unreadable);
    std::fs::write(other.with_file_name("MEMORY.md"), "both").unwrap();
    assert!(matches!(files.read(&memory()).await.unwrap(), Entry::File { bytes, .. } if bytes == b"both"));
}

#[tokio::test]
async fn a_text_of_the_same_size_and_time_is_inspected_anew() {
    let folder = tempfile::tempdir().unwrap();
    let files = agent_folder(folder.path());
    let file = folder.path().join("main/friends/alice/MEMORY.md");
    let long_ago = std::time::UNIX_EPOCH + Duration::from_hours(24);
    for text in ["one", "two"] {
        std::fs::write(&file, text).unwrap();
        std::fs::File::options().append(true).open(&file).unwrap().set_modified(long_ago).unwrap();
        for _ in 0..2 {
            let info = files.inspect(&memory()).await.unwrap();
            assert!(matches!(info, FileInfo::File { tag: Some(tag), .. } if tag == Tag::of(text.as_bytes())), "{text}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_stored_gets_a_name_that_people_see() {
    let folder = tempfile::tempdir().unwrap();
    let files = agent_folder(folder.path());
    let file = folder.path().join("main/friends/alice/MEMORY.md");
    std::fs::create_dir(&file).unwrap();
    std::fs::write(file.join("inside"), "stored").unwrap();
    files.stage(&memory(), "w", b"new".to_vec()).await.unwrap();
    assert_eq!(files.install(&memory(), "w", InstallMode::Exchange).await.unwrap(), Installed::Done);
    assert!(files.discard(&memory(), "w", None).await.unwrap());
    let renamed = folder.path().join("main/friends/alice/MEMORY.md.kept-w/inside");
    assert_eq!(std::fs::read_to_string(renamed).unwrap(), "stored");
    assert_eq!(files.staged(&memory()).await.unwrap(), []);
}

#[tokio::test]
async fn only_dated_files_are_daily_logs() {
    let folder = tempfile::tempdir().unwrap();
    let files = agent_folder(folder.path());
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
async fn a_local_file_system_exchanges_and_examining_it_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let files = agent_folder(folder.path());
    let report = files.examine(&agent()).await.unwrap();
    let own = std::fs::metadata(folder.path().join("main")).unwrap().uid();
    assert_eq!((report.exchanges, report.portal_uid, report.agent_uid), (true, own, own));
    assert_eq!(report.mount_points, [""; 0]);
    assert_eq!(std::fs::read_dir(folder.path().join("main")).unwrap().count(), 1);
}
