//! The file of an SQLite database, watched while a portal has it open.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Scheme of a URL that names an SQLite file.
const SQLITE: &str = "sqlite:";
/// Period at which the file is looked at.
const PERIOD: Duration = Duration::from_secs(2);

/// The file as it was when the portal opened it: path, device and inode.
#[derive(Debug)]
pub(crate) struct DatabaseFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl DatabaseFile {
    /// Returns the file of a database URL; `None` for a server.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        let path = PathBuf::from(url.strip_prefix(SQLITE)?);
        let identity = identity(&path);
        Some(Self { path, identity })
    }

    /// Returns the folder of the file.
    pub(crate) fn folder(&self) -> &Path {
        // A file without a folder lies in the working directory.
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Waits until another file, or none, is at the path. Connections then go on with a file that nobody sees, so
    /// that the portal has to end: a supervisor starts it on the new one.
    pub(crate) async fn replaced(&self) {
        while identity(&self.path) == self.identity {
            tokio::time::sleep(PERIOD).await;
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::DatabaseFile;

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_written_is_the_same_and_one_in_its_place_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portal.db");
        fs::write(&path, "one").unwrap();
        let file = DatabaseFile::of_url(&format!("sqlite:{}", path.display())).unwrap();
        assert_eq!(file.folder(), folder.path());
        fs::write(&path, "one and more").unwrap();
        assert!(timeout(Duration::from_mins(1), file.replaced()).await.is_err());
        fs::write(folder.path().join("copy.db"), "another").unwrap();
        fs::rename(folder.path().join("copy.db"), &path).unwrap();
        assert!(timeout(Duration::from_mins(1), file.replaced()).await.is_ok());
    }

    #[test]
    fn a_database_on_a_server_has_no_file() {
        assert!(DatabaseFile::of_url("postgres://portal@db/portal").is_none());
    }
}
