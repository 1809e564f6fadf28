//! Tests that run in a mount namespace of their own.

use std::path::PathBuf;
use std::process::Command;

/// Variable with the mounted folder, for the process inside the namespace.
const MOUNTED: &str = "PORTAL_TEST_MOUNTED";

/// Returns the folder that was prepared, inside the namespace. Outside it the test `name`, with its modules, is run once
/// more there, after `mount` prepared the folder `$0`; it has passed if this returns `None`.
pub(crate) fn mounted(name: &str, mount: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(MOUNTED) {
        return Some(PathBuf::from(folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{mount} && exec \"$1\" --ignored --exact {name} --nocapture");
    let status = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-ec", &script])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .env(MOUNTED, folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    None
}
