use std::fs;
use std::os::unix::fs::symlink;

use rustix::io::Errno;

use super::Folder;

/// Both ways of walking must agree.
#[track_caller]
fn check(root: &Folder, names: &[&str], expected: Result<(), Errno>) {
    assert_eq!(root.enter_at_once(names).map(drop), expected, "at once: {names:?}");
    assert_eq!(root.enter_one_by_one(names).map(drop), expected, "one by one: {names:?}");
}

#[test]
fn a_kernel_that_cannot_walk_at_once_leads_to_the_same_places() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("friends/alice")).unwrap();
    fs::write(folder.path().join("friends/file"), "text").unwrap();
    symlink(outside.path(), folder.path().join("friends/out")).unwrap();
    symlink("alice", folder.path().join("friends/alias")).unwrap();
    let root = Folder::open_root(folder.path()).unwrap();
    check(&root, &[], Ok(()));
    check(&root, &["friends", "alice"], Ok(()));
    check(&root, &["friends", "bob"], Err(Errno::NOENT));
    check(&root, &["friends", "file"], Err(Errno::NOTDIR));
    check(&root, &["friends", "file", "deeper"], Err(Errno::NOTDIR));
    for link in ["out", "alias"] {
        let refused = [Errno::NOTDIR, Errno::LOOP];
        let walks = [root.enter_at_once(&["friends", link]), root.enter_one_by_one(&["friends", link])];
        for walk in walks {
            assert!(walk.is_err_and(|error| refused.contains(&error)), "{link}");
        }
    }
}
