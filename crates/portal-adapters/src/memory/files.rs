//! The agents' folders, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use portal_core::{Backend, BackendError, Clock, FriendshipKey};
use portal_workspace::{DOCUMENT_MAX_BYTES, DocumentFiles, DocumentPath, Entry, Place, Placed, Staged};

/// The agents' folders, in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryFiles {
    folders: Arc<Mutex<Folders>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Folders {
    entries: BTreeMap<DocumentPath, Kept>,
    staged: BTreeMap<(DocumentPath, String), Kept>,
    aside: Vec<Kept>,
    logs: BTreeMap<FriendshipKey, u64>,
    trouble: Option<String>,
}

#[derive(Clone)]
enum Kept {
    File(Vec<u8>, DateTime<Utc>),
    Other,
}

impl MemoryFiles {
    /// Folders without documents, on the time of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { folders: Arc::default(), clock }
    }

    /// Writes a document as the agent does, past the portal.
    pub fn write(&self, path: &DocumentPath, bytes: impl Into<Vec<u8>>) {
        let kept = Kept::File(bytes.into(), self.clock.now());
        self.folders(|folders| folders.entries.insert(path.clone(), kept));
    }

    /// Removes a document as the agent does.
    pub fn remove(&self, path: &DocumentPath) {
        self.folders(|folders| folders.entries.remove(path));
    }

    /// Puts something in a document's place that is not a file.
    pub fn obstruct(&self, path: &DocumentPath) {
        self.folders(|folders| folders.entries.insert(path.clone(), Kept::Other));
    }

    /// Sets how many daily logs the agent keeps of the friend.
    pub fn set_logs(&self, key: &FriendshipKey, count: u64) {
        self.folders(|folders| folders.logs.insert(key.clone(), count));
    }

    /// From now on everything fails like a folder that is not mounted, with `cause` as the source.
    pub fn go_down(&self, cause: &str) {
        self.folders(|folders| folders.trouble = Some(cause.to_owned()));
    }

    /// Ends the trouble; everything is as it was.
    pub fn come_back(&self) {
        self.folders(|folders| folders.trouble = None);
    }

    /// What was put aside beside the documents because it cannot be kept in a database.
    #[must_use]
    pub fn put_aside(&self) -> usize {
        self.folders(|folders| folders.aside.len())
    }

    fn reach<T>(&self, work: impl FnOnce(&mut Folders) -> T) -> Result<T, BackendError> {
        self.folders(|folders| match &folders.trouble {
            Some(cause) => Err(BackendError::unavailable(Backend::Workspace, cause.clone())),
            None => Ok(work(folders)),
        })
    }

    fn folders<T>(&self, work: impl FnOnce(&mut Folders) -> T) -> T {
        work(&mut self.folders.lock())
    }
}

#[async_trait]
impl DocumentFiles for MemoryFiles {
    async fn read(&self, path: &DocumentPath) -> Result<Entry, BackendError> {
        self.reach(|folders| match folders.entries.get(path) {
            None => Entry::Absent,
            Some(Kept::Other) => Entry::NotAFile,
            Some(Kept::File(bytes, updated_at)) if bytes.len() > DOCUMENT_MAX_BYTES => {
                Entry::Large { size: u64::try_from(bytes.len()).unwrap_or(u64::MAX), updated_at: *updated_at }
            }
            Some(Kept::File(bytes, updated_at)) => Entry::File { bytes: bytes.clone(), updated_at: *updated_at },
        })
    }

    async fn stage(&self, path: &DocumentPath, write: &str, bytes: Vec<u8>) -> Result<(), BackendError> {
        let kept = Kept::File(bytes, self.clock.now());
        self.reach(|folders| folders.staged.insert((path.clone(), write.to_owned()), kept)).map(drop)
    }

    async fn place(&self, path: &DocumentPath, write: &str, how: Place) -> Result<Placed, BackendError> {
        let staged_at = (path.clone(), write.to_owned());
        self.reach(|folders| {
            let wanted = (how == Place::Exchange) == folders.entries.contains_key(path);
            if !folders.staged.contains_key(&staged_at) {
                return Placed::Discarded;
            }
            if !wanted {
                return Placed::Otherwise;
            }
            let out = folders.entries.remove(path);
            if let Some(text) = folders.staged.remove(&staged_at) {
                folders.entries.insert(path.clone(), text);
            }
            if let Some(out) = out {
                folders.staged.insert(staged_at, out);
            }
            Placed::Done
        })
    }

    async fn staged(&self, path: &DocumentPath) -> Result<Vec<Staged>, BackendError> {
        self.reach(|folders| {
            let beside = folders.staged.iter().filter(|((of, _), _)| of == path);
            beside.map(|((_, write), kept)| Staged { write: write.clone(), bytes: keepable(kept) }).collect()
        })
    }

    async fn discard(&self, path: &DocumentPath, write: &str, bytes: Option<&[u8]>) -> Result<bool, BackendError> {
        let staged_at = (path.clone(), write.to_owned());
        self.reach(|folders| {
            let Some(kept) = folders.staged.get(&staged_at) else { return true };
            if bytes.is_some() && keepable(kept).as_deref() != bytes {
                return false;
            }
            if let Some(kept) = folders.staged.remove(&staged_at).filter(|_| bytes.is_none()) {
                folders.aside.push(kept);
            }
            true
        })
    }

    async fn count_logs(&self, key: &FriendshipKey) -> Result<u64, BackendError> {
        self.reach(|folders| folders.logs.get(key).copied().unwrap_or(0))
    }
}

fn keepable(kept: &Kept) -> Option<Vec<u8>> {
    match kept {
        Kept::File(bytes, _) if bytes.len() <= portal_workspace::KEPT_MAX_BYTES => Some(bytes.clone()),
        Kept::File(..) | Kept::Other => None,
    }
}
