//! Agents' folders, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use portal_core::{Backend, BackendError, Clock, FriendshipKey};
use portal_workspace::{
    DOCUMENT_MAX_BYTES, DisplacedFile, DocumentFiles, DocumentPath, Entry, FileInfo, InstallMode, Installed,
    ReadReceipt, StagedFile, Tag, VERSION_MAX_BYTES,
};

/// Agents' folders, in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryFiles {
    folders: Arc<Mutex<Folders>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Folders {
    entries: BTreeMap<DocumentPath, File>,
    mounts: Vec<DocumentPath>,
    staged: BTreeMap<(DocumentPath, String), File>,
    displaced: BTreeMap<DocumentPath, Vec<(DisplacedFile, File)>>,
    renamed: Vec<File>,
    logs: BTreeMap<FriendshipKey, u64>,
    receipts: BTreeMap<FriendshipKey, ReadReceipt>,
    failure: Option<String>,
    tear: Option<usize>,
}

#[derive(Clone)]
enum File {
    Regular(Vec<u8>, DateTime<Utc>),
    Other,
}

impl MemoryFiles {
    /// Creates folders without documents, with times of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { folders: Arc::default(), clock }
    }

    /// Writes a document as the agent does, past the portal.
    pub fn write(&self, path: &DocumentPath, bytes: impl Into<Vec<u8>>) {
        let file = File::Regular(bytes.into(), self.clock.now());
        self.folders(|folders| folders.entries.insert(path.clone(), file));
    }

    /// Appends to the files that saves have displaced, as an agent does that has opened the document before.
    pub fn append_to_displaced(&self, path: &DocumentPath, bytes: &[u8]) {
        self.folders(|folders| {
            for (_, file) in folders.displaced.entry(path.clone()).or_default() {
                if let File::Regular(text, _) = file {
                    text.extend_from_slice(bytes);
                }
            }
        });
    }

    /// Removes a document as the agent does.
    pub fn remove(&self, path: &DocumentPath) {
        self.folders(|folders| folders.entries.remove(path));
    }

    /// Gives a document's name to something that is not a file.
    pub fn obstruct(&self, path: &DocumentPath) {
        self.folders(|folders| folders.entries.insert(path.clone(), File::Other));
    }

    /// Makes a document a mount point, which can only be overwritten.
    pub fn mount(&self, path: &DocumentPath) {
        self.folders(|folders| folders.mounts.push(path.clone()));
    }

    /// Makes the next overwrite fail after so many bytes, as if the process were killed.
    pub fn tear_next(&self, after: usize) {
        self.folders(|folders| folders.tear = Some(after));
    }

    /// Sets the number of daily logs that the agent has of the friend.
    pub fn set_logs(&self, key: &FriendshipKey, count: u64) {
        self.folders(|folders| folders.logs.insert(key.clone(), count));
    }

    /// Records that the friend's memory was in a prompt, as the gateway's hook does.
    pub fn set_receipt(&self, key: &FriendshipKey, receipt: ReadReceipt) {
        self.folders(|folders| folders.receipts.insert(key.clone(), receipt));
    }

    /// Makes every operation fail like a folder that is not mounted, with `cause` as the source.
    pub fn go_down(&self, cause: &str) {
        self.folders(|folders| folders.failure = Some(cause.to_owned()));
    }

    /// Ends the failure; the content is as it was.
    pub fn come_back(&self) {
        self.folders(|folders| folders.failure = None);
    }

    fn reach<T>(&self, work: impl FnOnce(&mut Folders) -> T) -> Result<T, BackendError> {
        self.folders(|folders| match &folders.failure {
            Some(cause) => Err(BackendError::unavailable(Backend::Workspace, cause.clone())),
            None => Ok(work(folders)),
        })
    }

    fn folders<T>(&self, work: impl FnOnce(&mut Folders) -> T) -> T {
        work(&mut self.folders.lock())
    }
}

impl Folders {
    fn exchange(&mut self, path: &DocumentPath, write: &str, exists: bool) -> Installed {
        let staged_at = (path.clone(), write.to_owned());
        if !self.staged.contains_key(&staged_at) {
            return Installed::Discarded;
        }
        if exists != self.entries.contains_key(path) {
            return Installed::Conflict;
        }
        if self.mounts.contains(path) {
            return Installed::MountPoint;
        }
        let out = self.entries.remove(path);
        if let Some(text) = self.staged.remove(&staged_at) {
            self.entries.insert(path.clone(), text);
        }
        if let Some(out) = out {
            self.staged.insert(staged_at, out);
        }
        Installed::Done
    }

    fn overwrite(&mut self, path: &DocumentPath, write: &str, expected: &Tag) -> Result<Installed, BackendError> {
        let Some(File::Regular(new, at)) = self.staged.get(&(path.clone(), write.to_owned())).cloned() else {
            return Ok(Installed::Discarded);
        };
        let Some(File::Regular(current, _)) =
            self.entries.get(path).filter(|file| tag(file).as_ref() == Some(expected))
        else {
            return Ok(Installed::Conflict);
        };
        let Some(after) = self.tear.take() else {
            self.entries.insert(path.clone(), File::Regular(new, at));
            return Ok(Installed::Done);
        };
        let written = new.into_iter().take(after);
        // A write in place that ended early: some new bytes, then what stood there.
        let torn = written.chain(current.iter().copied().skip(after)).collect();
        self.entries.insert(path.clone(), File::Regular(torn, at));
        Err(BackendError::unavailable(Backend::Workspace, "the write was torn"))
    }

    fn displaced(&mut self, path: &DocumentPath, file: &DisplacedFile) -> Option<&mut (DisplacedFile, File)> {
        self.displaced.get_mut(path)?.iter_mut().find(|(label, _)| label == file)
    }
}

#[async_trait]
impl DocumentFiles for MemoryFiles {
    async fn read(&self, path: &DocumentPath) -> Result<Entry, BackendError> {
        self.reach(|folders| match folders.entries.get(path) {
            None => Entry::Absent,
            Some(File::Other) => Entry::NotAFile,
            Some(File::Regular(bytes, updated_at)) if bytes.len() > DOCUMENT_MAX_BYTES => {
                Entry::TooLarge { size: length(bytes), updated_at: *updated_at }
            }
            Some(File::Regular(bytes, updated_at)) => Entry::File { bytes: bytes.clone(), updated_at: *updated_at },
        })
    }

    async fn inspect(&self, path: &DocumentPath) -> Result<FileInfo, BackendError> {
        Ok(match self.read(path).await? {
            Entry::Absent => FileInfo::Absent,
            Entry::File { bytes, updated_at } => {
                FileInfo::File { size: length(&bytes), updated_at, tag: Some(Tag::of(&bytes)) }
            }
            Entry::TooLarge { size, updated_at } => FileInfo::File { size, updated_at, tag: None },
            Entry::OtherCase { .. } | Entry::NotAFile => FileInfo::Unreadable,
        })
    }

    async fn stage(&self, path: &DocumentPath, write: &str, bytes: Vec<u8>) -> Result<(), BackendError> {
        let file = File::Regular(bytes, self.clock.now());
        self.reach(|folders| folders.staged.insert((path.clone(), write.to_owned()), file)).map(drop)
    }

    async fn install(&self, path: &DocumentPath, write: &str, mode: InstallMode) -> Result<Installed, BackendError> {
        self.reach(|folders| match mode {
            InstallMode::Create => Ok(folders.exchange(path, write, false)),
            InstallMode::Exchange => Ok(folders.exchange(path, write, true)),
            InstallMode::Overwrite { expected } => folders.overwrite(path, write, &expected),
        })?
    }

    async fn staged(&self, path: &DocumentPath) -> Result<Vec<StagedFile>, BackendError> {
        self.reach(|folders| {
            let beside = folders.staged.iter().filter(|((of, _), _)| of == path);
            beside.map(|((_, write), file)| StagedFile { write: write.clone(), bytes: storable(file) }).collect()
        })
    }

    async fn discard(&self, path: &DocumentPath, write: &str, bytes: Option<&[u8]>) -> Result<bool, BackendError> {
        let staged_at = (path.clone(), write.to_owned());
        self.reach(|folders| {
            let Some(file) = folders.staged.get(&staged_at) else { return true };
            if bytes.is_some() && storable(file).as_deref() != bytes {
                return false;
            }
            // What is too large to be compared is renamed, never removed.
            if let Some(file) = folders.staged.remove(&staged_at).filter(|_| bytes.is_none()) {
                folders.renamed.push(file);
            }
            true
        })
    }

    async fn retain(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<(), BackendError> {
        self.reach(|folders| {
            if let Some(out) = folders.staged.remove(&(path.clone(), file.write.clone())) {
                folders.displaced.entry(path.clone()).or_default().push((file.clone(), out));
            }
        })
    }

    async fn displaced(&self, path: &DocumentPath) -> Result<Vec<DisplacedFile>, BackendError> {
        self.reach(|folders| {
            let files = folders.displaced.get(path).into_iter().flatten();
            files.map(|(label, _)| label.clone()).collect()
        })
    }

    async fn read_displaced(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<Option<Vec<u8>>, BackendError> {
        self.reach(|folders| folders.displaced(path, file).and_then(|(_, file)| storable(file)))
    }

    async fn relabel(&self, path: &DocumentPath, file: &DisplacedFile, known: &Tag) -> Result<(), BackendError> {
        self.reach(|folders| {
            if let Some((label, _)) = folders.displaced(path, file) {
                label.known = known.clone();
            }
        })
    }

    async fn release(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<bool, BackendError> {
        self.reach(|folders| {
            let Some((_, content)) = folders.displaced(path, file) else { return true };
            let is_known = tag(content).is_none_or(|tag| tag == file.known);
            if is_known {
                folders.displaced.entry(path.clone()).or_default().retain(|(label, _)| label != file);
            }
            is_known
        })
    }

    async fn read_receipt(&self, key: &FriendshipKey) -> Result<Option<ReadReceipt>, BackendError> {
        self.reach(|folders| folders.receipts.get(key).cloned())
    }

    async fn count_logs(&self, key: &FriendshipKey) -> Result<u64, BackendError> {
        self.reach(|folders| folders.logs.get(key).copied().unwrap_or(0))
    }
}

fn storable(file: &File) -> Option<Vec<u8>> {
    match file {
        File::Regular(bytes, _) if bytes.len() <= VERSION_MAX_BYTES => Some(bytes.clone()),
        File::Regular(..) | File::Other => None,
    }
}

fn tag(file: &File) -> Option<Tag> {
    storable(file).as_deref().map(Tag::of)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
