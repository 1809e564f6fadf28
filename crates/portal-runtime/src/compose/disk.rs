//! Free space where the portal writes.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use portal_core::{Backend, BackendError, Probe};
use rustix::fs::statvfs;
use tokio::task::spawn_blocking;

use crate::config::Settings;
use crate::database_file::DatabaseFile;

/// Bytes below which a file system counts as full: room for a few documents and the database's log.
const FREE_MIN: u64 = 64 * 1024 * 1024;

/// Probe of the free space in the folders of the database and of the documents. Reading goes on without any, so that
/// it is not required.
pub(crate) struct DiskProbe {
    folders: Vec<PathBuf>,
    free_min: u64,
}

impl DiskProbe {
    pub(crate) fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders, free_min: FREE_MIN }
    }

    /// The probe of the folders that the configuration names.
    pub(crate) fn configured(settings: &Settings, database_url: &str) -> Self {
        let database = DatabaseFile::of_url(database_url).map(|file| file.folder().to_path_buf());
        let workspaces = settings.agents.iter().map(|agent| agent.workspace.clone());
        Self::new(database.into_iter().chain(workspaces).collect())
    }
}

#[async_trait]
impl Probe for DiskProbe {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn required(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<(), BackendError> {
        let (folders, free_min) = (self.folders.clone(), self.free_min);
        // A file system over the network may take long to say how full it is.
        let checked = spawn_blocking(move || folders.iter().try_for_each(|folder| check(folder, free_min))).await;
        checked.map_err(|error| BackendError::failed(Backend::Workspace, error))?
    }
}

fn check(folder: &Path, free_min: u64) -> Result<(), BackendError> {
    // A folder that cannot be asked is another probe's failure.
    let Ok(space) = statvfs(folder) else { return Ok(()) };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    // Some file systems count no inodes at all.
    let has_inodes = space.f_favail > 0 || space.f_files == 0;
    if free >= free_min && has_inodes {
        return Ok(());
    }
    let why = format!("{} is full: {free} bytes and {} inodes are free", folder.display(), space.f_favail);
    Err(BackendError::failed(Backend::Workspace, why))
}

#[cfg(test)]
mod tests {
    use portal_core::{Probe, error_text};

    use super::DiskProbe;

    #[tokio::test]
    async fn a_file_system_without_enough_room_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut probe = DiskProbe::new(vec![folder.path().join("not there"), folder.path().to_path_buf()]);
        probe.free_min = 1;
        assert!(probe.probe().await.is_ok(), "there is room for a byte");
        probe.free_min = u64::MAX;
        let error = probe.probe().await.unwrap_err();
        assert!(error_text(&error).contains(&format!("{} is full", folder.path().display())), "{error:?}");
    }
}
