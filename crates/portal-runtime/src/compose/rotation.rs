//! Adapters that follow the secret in a file.
//!
//! 1. An adapter is built from the secret that the configuration read.
//! 2. Each use looks at the file's metadata: device, inode, length and time of change. A Kubernetes Secret is another
//!    file after a change, an edited one has another time.
//! 3. If they differ, the file is read and the adapter is built anew. Calls that are under way keep the old one.
//! 4. A file that cannot be read, or holds no valid secret, is logged once; the old adapter stays until the file
//!    changes again.

use std::error::Error;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use portal_core::{BackendError, BoxError, Invalid};
use portal_dns::{Ensured, Hostname, Observed, OwnershipMarker, Priority, RecordState, Records, Removed};
use secrecy::SecretString;

use crate::config::Secret;

/// Builds an adapter from a secret.
type Build<T> = Box<dyn Fn(&SecretString) -> Result<Arc<T>, Invalid> + Send + Sync>;

/// Metadata that differs between two contents of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    file: (u64, u64),
    length: u64,
    changed: (i64, i64),
}

impl Version {
    fn of(path: &Path) -> Option<Self> {
        let metadata: Metadata = fs::metadata(path).ok()?;
        Some(Self {
            file: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// An adapter that is built anew when its secret's file changes.
pub(crate) struct Rotating<T: ?Sized> {
    file: Option<PathBuf>,
    build: Build<T>,
    current: Mutex<(Option<Version>, Arc<T>)>,
}

impl<T: ?Sized> Rotating<T> {
    /// Builds the adapter for the first time.
    ///
    /// # Errors
    /// Settings that the adapter refuses.
    pub(crate) fn new(
        secret: &Secret,
        build: impl Fn(&SecretString) -> Result<Arc<T>, Invalid> + Send + Sync + 'static,
    ) -> Result<Self, Invalid> {
        let file = secret.file.clone();
        // Older than the value, if the file changes right now: then it is read once more for nothing.
        let version = file.as_deref().and_then(Version::of);
        let adapter = build(&secret.value)?;
        Ok(Self { file, build: Box::new(build), current: Mutex::new((version, adapter)) })
    }

    /// Returns the adapter with the secret that the file holds now.
    pub(crate) fn current(&self) -> Arc<T> {
        let mut current = self.current.lock();
        if let Some(file) = &self.file
            // While the file is missing the old secret is all there is.
            && let Some(version) = Version::of(file)
            && current.0 != Some(version)
        {
            current.0 = Some(version);
            match self.read(file) {
                Ok(adapter) => {
                    tracing::info!(file = %file.display(), "a secret was read again from its file");
                    current.1 = adapter;
                }
                Err(error) => {
                    let error = &*error as &(dyn Error + 'static);
                    tracing::warn!(file = %file.display(), error, "a changed secret is refused; the old one stays");
                }
            }
        }
        current.1.clone()
    }

    fn read(&self, file: &Path) -> Result<Arc<T>, BoxError> {
        Ok((self.build)(&fs::read_to_string(file)?.trim().to_owned().into())?)
    }
}

/// Records of a zone whose credentials are in a file.
pub(crate) struct RotatingRecords(Box<dyn Fn() -> Arc<dyn Records> + Send + Sync>);

impl RotatingRecords {
    /// Records through what `current` returns.
    pub(crate) fn new(current: impl Fn() -> Arc<dyn Records> + Send + Sync + 'static) -> Self {
        Self(Box::new(current))
    }
}

#[async_trait]
impl Records for RotatingRecords {
    async fn look(&self, host: &Hostname, priority: &Priority) -> Result<Observed, BackendError> {
        (self.0)().look(host, priority).await
    }

    async fn ensure(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        observed: &Observed,
        priority: &Priority,
    ) -> Result<Ensured, BackendError> {
        (self.0)().ensure(host, wanted, observed, priority).await
    }

    async fn remove(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        priority: &Priority,
    ) -> Result<Removed, BackendError> {
        (self.0)().remove(host, marker, priority).await
    }

    async fn list(&self) -> Result<Vec<(Hostname, Observed)>, BackendError> {
        (self.0)().list().await
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use portal_core::Invalid;
    use secrecy::ExposeSecret;

    use super::Rotating;
    use crate::config::Secret;

    #[test]
    fn a_changed_file_is_read_again_and_a_refused_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "first\n").unwrap();
        let secret = Secret { value: "first".to_owned().into(), file: Some(file.clone()) };
        let rotating = Rotating::new(&secret, |secret| match secret.expose_secret() {
            "" => Err(Invalid::new("token", "must not be empty")),
            secret => Ok(Arc::new(secret.to_owned())),
        })
        .unwrap();
        assert_eq!(*rotating.current(), "first");
        let before = rotating.current();
        assert!(Arc::ptr_eq(&before, &rotating.current()), "nothing is built while the file stays");
        fs::write(&file, "second\n").unwrap();
        assert_eq!(*rotating.current(), "second");
        fs::write(&file, "").unwrap();
        assert_eq!(*rotating.current(), "second", "an empty file is refused");
        fs::remove_file(&file).unwrap();
        assert_eq!(*rotating.current(), "second", "a missing file changes nothing");
        // As the kubelet and most tools write: another file in its place.
        fs::write(folder.path().join("new"), "third\n").unwrap();
        fs::rename(folder.path().join("new"), &file).unwrap();
        assert_eq!(*rotating.current(), "third");
    }

    #[test]
    fn a_secret_in_the_configuration_itself_never_changes() {
        let secret = Secret { value: "first".to_owned().into(), file: None };
        let rotating = Rotating::new(&secret, |secret| Ok(Arc::new(secret.expose_secret().to_owned()))).unwrap();
        assert_eq!(*rotating.current(), "first");
    }
}
