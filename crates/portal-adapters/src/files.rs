//! Agents' folders on a file system (Linux).
//!
//! Every operation opens the agent's folder anew, so a volume that vanishes and comes back is found again, and walks
//! from there one name at a time without following a symbolic link. An agent's folder that is missing or empty counts
//! as not mounted: an error, not an absent document.
//!
//! A text that an agent installs by renaming while a friend saves is never lost, nor is one that it writes into a file
//! that it had open, within ten minutes. Two cases cannot be made safe: where the file system cannot exchange two files
//! (see [`WorkspaceReport::exchanges`]), and where the document is a mount point and is overwritten, a text that an agent
//! writes in the instant of the replacement is lost.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use portal_core::{AgentId, Backend, BackendError, Clock, FriendId, FriendshipKey};
use portal_workspace::{
    DOCUMENT_MAX_BYTES, DisplacedFile, DocumentFiles, DocumentPath, Entry, FileInfo, InstallMode, Installed,
    ReadReceipt, StagedFile, Tag,
};

mod folder;
mod staging;

use folder::{FileState, Folder, Walk};

use crate::SystemClock;
use crate::blocking::{BlockingPool, Timeouts};

/// Time limits of one operation, waiting and working; after them the workspace counts as unavailable.
const OPERATION_TIMEOUTS: Timeouts = Timeouts { queue: Duration::from_secs(5), work: Duration::from_secs(5) };
/// Number of operations that run at once. One that hangs keeps its thread, so a dead network file system cannot take all
/// threads of the process.
const CONCURRENT_OPERATIONS: usize = 16;
/// Number of tags that are cached. A full cache is emptied: it costs one reading of each document.
const TAG_CACHE_CAPACITY: usize = 4096;
/// File in a friend's folder in which the gateway's hook records what it put into a prompt, and its largest size.
const RECEIPT: (&str, usize) = (".portal-read.json", 4096);
/// Age in seconds of the last change from which on equal times prove that a file is unchanged: clocks of file systems
/// are coarse.
const SETTLED_AGE: i64 = 2;

/// Locations of the agents' folders.
#[derive(Debug, Clone, Default)]
pub struct AgentRoots {
    by_agent: HashMap<AgentId, PathBuf>,
    others: Option<PathBuf>,
}

impl AgentRoots {
    /// Creates roots where the folder of an agent is `folder/<agent id>`.
    pub fn under(folder: impl Into<PathBuf>) -> Self {
        Self { by_agent: HashMap::new(), others: Some(folder.into()) }
    }

    /// Sets the folder of `agent`.
    #[must_use]
    pub fn with(mut self, agent: AgentId, folder: impl Into<PathBuf>) -> Self {
        self.by_agent.insert(agent, folder.into());
        self
    }

    /// Returns the folder of `agent`; `None` if none is configured.
    #[must_use]
    pub fn of(&self, agent: &AgentId) -> Option<PathBuf> {
        let named = self.by_agent.get(agent).cloned();
        named.or_else(|| self.others.as_ref().map(|folder| folder.join(agent.as_str())))
    }
}

/// Agents' folders on a file system. Clones share threads and cache.
#[derive(Clone)]
pub struct DiskFiles {
    roots: AgentRoots,
    threads: BlockingPool,
    timeouts: Timeouts,
    tags: Arc<Mutex<HashMap<DocumentPath, (FileState, Tag)>>>,
}

/// Properties of an agent's folder that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceReport {
    /// `false` if the file system cannot exchange two files in one step.
    pub exchanges: bool,
    /// User id of files that the portal creates.
    pub portal_uid: u32,
    /// User id of the folder's owner, the agent.
    pub agent_uid: u32,
    /// Documents that are mount points and so are overwritten, by path below the folder.
    pub mount_points: Vec<String>,
}

impl DiskFiles {
    /// Creates files in these folders.
    #[must_use]
    pub fn new(roots: AgentRoots) -> Self {
        let threads = BlockingPool::new(CONCURRENT_OPERATIONS);
        Self { roots, threads, timeouts: OPERATION_TIMEOUTS, tags: Arc::default() }
    }

    /// Sets the time that an operation may wait for a thread, and that it may then take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts = Timeouts { queue: timeout, work: timeout };
        self
    }

    /// Makes sure that the agent's folder is reachable and mounted.
    ///
    /// # Errors
    /// The folder cannot be reached, or is empty.
    pub async fn reach(&self, agent: &AgentId) -> Result<(), BackendError> {
        self.run(agent, "reach the folder of", |root| root.expect_mounted()).await
    }

    /// Examines the agent's folder; creates and removes two files in it.
    ///
    /// # Errors
    /// The folder cannot be reached or not be written.
    pub async fn examine(&self, agent: &AgentId) -> Result<WorkspaceReport, BackendError> {
        self.run(agent, "examine the folder of", |root| {
            root.expect_mounted()?;
            let (exchanges, portal_uid) = staging::try_exchange(&root)?;
            let (agent_uid, mount_points) = (root.owner()?.uid, mount_points(&root)?);
            Ok(WorkspaceReport { exchanges, portal_uid, agent_uid, mount_points })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        agent: &AgentId,
        what: &'static str,
        work: impl FnOnce(Folder) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, BackendError> {
        let root = self.roots.of(agent).ok_or_else(|| unavailable(format!("no folder is configured for {agent}")))?;
        // The root too is opened on a thread of the pool: on a dead network file system that hangs as well.
        match self.threads.run(self.timeouts, move || work(Folder::open_root(&root)?)).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(source)) => Err(FileError { what, agent: agent.clone(), source }.into()),
            Err(error) => Err(error.of(Backend::Workspace)),
        }
    }

    /// Does `work` in the document's folder, or returns `absent` if that folder is missing or none.
    async fn in_folder<T: Send + 'static>(
        &self,
        path: &DocumentPath,
        what: &'static str,
        absent: T,
        work: impl FnOnce(&Folder, &'static str) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, BackendError> {
        let at = path.clone();
        self.run(path.agent(), what, move |root| match root.walk(&at.folders())? {
            Walk::Found(folder) => work(&folder, at.file_name()),
            Walk::Missing => root.expect_mounted().map(|()| absent),
            // Reading said so already; what was staged there is out of reach and so as good as gone.
            Walk::NotAFolder => Ok(absent),
        })
        .await
    }
}

#[async_trait]
impl DocumentFiles for DiskFiles {
    async fn read(&self, path: &DocumentPath) -> Result<Entry, BackendError> {
        let at = path.clone();
        self.run(path.agent(), "read a document of", move |root| match root.walk(&at.folders())? {
            Walk::Found(folder) => match folder.read(at.file_name(), DOCUMENT_MAX_BYTES)? {
                Entry::Absent => match folder.other_case(at.file_name())? {
                    Some(name) => Ok(Entry::OtherCase { name }),
                    // A volume that is not mounted looks like an empty folder, and its documents are not absent.
                    None => root.expect_mounted().map(|()| Entry::Absent),
                },
                entry => Ok(entry),
            },
            Walk::Missing => root.expect_mounted().map(|()| Entry::Absent),
            Walk::NotAFolder => Ok(Entry::NotAFile),
        })
        .await
    }

    async fn inspect(&self, path: &DocumentPath) -> Result<FileInfo, BackendError> {
        let (at, tags) = (path.clone(), Arc::clone(&self.tags));
        let now = SystemClock.now();
        self.run(path.agent(), "inspect a document of", move |root| match root.walk(&at.folders())? {
            Walk::Found(folder) => inspect(&root, &folder, &at, &tags, now),
            Walk::Missing => root.expect_mounted().map(|()| FileInfo::Absent),
            Walk::NotAFolder => Ok(FileInfo::Unreadable),
        })
        .await
    }

    async fn stage(&self, path: &DocumentPath, write: &str, bytes: Vec<u8>) -> Result<(), BackendError> {
        let (at, write) = (path.clone(), write.to_owned());
        self.run(path.agent(), "write a document of", move |root| {
            root.expect_mounted()?;
            let owner = root.owner()?;
            staging::stage(&root.make(&at.folders(), &owner)?, at.file_name(), &write, &bytes, &owner)
        })
        .await
    }

    async fn install(&self, path: &DocumentPath, write: &str, mode: InstallMode) -> Result<Installed, BackendError> {
        let write = write.to_owned();
        let install = move |folder: &Folder, name: &str| staging::install(folder, name, &write, &mode);
        self.in_folder(path, "replace a document of", Installed::Discarded, install).await
    }

    async fn staged(&self, path: &DocumentPath) -> Result<Vec<StagedFile>, BackendError> {
        self.in_folder(path, "list the files beside a document of", Vec::new(), staging::staged).await
    }

    async fn discard(&self, path: &DocumentPath, write: &str, bytes: Option<&[u8]>) -> Result<bool, BackendError> {
        let (write, bytes) = (write.to_owned(), bytes.map(<[u8]>::to_vec));
        let discard = move |folder: &Folder, name: &str| staging::discard(folder, name, &write, bytes.as_deref());
        self.in_folder(path, "remove a file beside a document of", true, discard).await
    }

    async fn retain(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<(), BackendError> {
        let file = file.clone();
        let retain = move |folder: &Folder, name: &str| staging::retain(folder, name, &file);
        self.in_folder(path, "rename a file beside a document of", (), retain).await
    }

    async fn displaced(&self, path: &DocumentPath) -> Result<Vec<DisplacedFile>, BackendError> {
        self.in_folder(path, "list the files beside a document of", Vec::new(), staging::displaced).await
    }

    async fn read_displaced(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<Option<Vec<u8>>, BackendError> {
        let file = file.clone();
        let read = move |folder: &Folder, name: &str| staging::read_displaced(folder, name, &file);
        self.in_folder(path, "read a file beside a document of", None, read).await
    }

    async fn relabel(&self, path: &DocumentPath, file: &DisplacedFile, known: &Tag) -> Result<(), BackendError> {
        let (file, known) = (file.clone(), known.clone());
        let relabel = move |folder: &Folder, name: &str| staging::relabel(folder, name, &file, &known);
        self.in_folder(path, "rename a file beside a document of", (), relabel).await
    }

    async fn release(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<bool, BackendError> {
        let file = file.clone();
        let release = move |folder: &Folder, name: &str| staging::release(folder, name, &file);
        self.in_folder(path, "remove a file beside a document of", true, release).await
    }

    async fn read_receipt(&self, key: &FriendshipKey) -> Result<Option<ReadReceipt>, BackendError> {
        let friend = key.friend.clone();
        self.run(&key.agent, "read a receipt in the folder of", move |root| {
            match root.walk(&["friends", friend.as_str()])? {
                Walk::Found(folder) => match folder.read(RECEIPT.0, RECEIPT.1)? {
                    Entry::File { bytes, .. } => Ok(parse_receipt(&bytes)),
                    Entry::Absent | Entry::TooLarge { .. } | Entry::OtherCase { .. } | Entry::NotAFile => Ok(None),
                },
                Walk::Missing => root.expect_mounted().map(|()| None),
                Walk::NotAFolder => Ok(None),
            }
        })
        .await
    }

    async fn count_logs(&self, key: &FriendshipKey) -> Result<u64, BackendError> {
        let friend = key.friend.clone();
        self.run(&key.agent, "count the daily logs of", move |root| {
            match root.walk(&["friends", friend.as_str(), "memory"])? {
                Walk::Found(folder) => folder.count_files(is_daily_log),
                Walk::Missing => root.expect_mounted().map(|()| 0),
                // Not 0: something else has the folder's name, so nobody knows how many logs there are.
                Walk::NotAFolder => Err(std::io::Error::from(std::io::ErrorKind::NotADirectory)),
            }
        })
        .await
    }
}

/// Returns the properties of a document's file; its content is hashed unless `tags` has its tag in this very state.
fn inspect(
    root: &Folder,
    folder: &Folder,
    path: &DocumentPath,
    tags: &Mutex<HashMap<DocumentPath, (FileState, Tag)>>,
    now: DateTime<Utc>,
) -> std::io::Result<FileInfo> {
    let name = path.file_name();
    let (state, updated_at) = match folder.state(name) {
        Ok(Some(found)) => found,
        Ok(None) if folder.other_case(name)?.is_some() => return Ok(FileInfo::Unreadable),
        Ok(None) => return root.expect_mounted().map(|()| FileInfo::Absent),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => return Ok(FileInfo::Unreadable),
        Err(error) => return Err(error),
    };
    let cached = |tags: &HashMap<_, _>| tags.get(path).filter(|(of, _): &&(FileState, Tag)| *of == state).cloned();
    if let Some((_, tag)) = cached(&tags.lock()) {
        return Ok(FileInfo::File { size: state.size, updated_at, tag: Some(tag) });
    }
    let (size, updated_at, tag) = match folder.read(name, DOCUMENT_MAX_BYTES)? {
        Entry::File { bytes, updated_at } => {
            (u64::try_from(bytes.len()).unwrap_or(u64::MAX), updated_at, Tag::of(&bytes))
        }
        Entry::TooLarge { size, updated_at } => return Ok(FileInfo::File { size, updated_at, tag: None }),
        Entry::Absent => return Ok(FileInfo::Absent),
        Entry::OtherCase { .. } | Entry::NotAFile => return Ok(FileInfo::Unreadable),
    };
    // The state was taken before the content, so a write in between makes the next call read again. A write within the
    // same tick of the file system's clock would not, hence the age.
    if now.timestamp() - state.last_change() > SETTLED_AGE {
        let mut tags = tags.lock();
        if tags.len() >= TAG_CACHE_CAPACITY {
            tags.clear();
        }
        tags.insert(path.clone(), (state, tag.clone()));
    }
    Ok(FileInfo::File { size, updated_at, tag: Some(tag) })
}

/// Lists the documents below an agent's folder that are mount points.
fn mount_points(root: &Folder) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    if root.is_mount_point("HEARTBEAT.md")? {
        found.push("HEARTBEAT.md".to_owned());
    }
    let Walk::Found(friends) = root.walk(&["friends"])? else { return Ok(found) };
    for friend in friends.names()? {
        // Everything else in the folder is the agent's own.
        let Ok(friend) = FriendId::parse(&friend) else { continue };
        let Walk::Found(folder) = friends.walk(&[friend.as_str()])? else { continue };
        for name in ["MEMORY.md", "notes.md"] {
            if folder.is_mount_point(name)? {
                found.push(format!("friends/{friend}/{name}"));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Parses a receipt; anybody may have written the file, so what is no receipt is none.
fn parse_receipt(bytes: &[u8]) -> Option<ReadReceipt> {
    let receipt: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let at = DateTime::parse_from_rfc3339(receipt.get("at")?.as_str()?).ok()?;
    Some(ReadReceipt { tag: Tag::parse(receipt.get("sha256")?.as_str()?)?, at: at.to_utc() })
}

/// Returns `true` for the name of a day's log: `YYYY-MM-DD*.md`.
fn is_daily_log(name: &str) -> bool {
    let day = name.strip_suffix(".md").and_then(|stem| stem.get(..10));
    day.is_some_and(|day| day.parse::<chrono::NaiveDate>().is_ok_and(|parsed| parsed.to_string() == day))
}

fn unavailable(reason: String) -> BackendError {
    BackendError::unavailable(Backend::Workspace, reason)
}

/// Error of the file system, with the agent whose folder it is.
#[derive(Debug, thiserror::Error)]
#[error("could not {what} agent {agent}")]
struct FileError {
    what: &'static str,
    agent: AgentId,
    source: std::io::Error,
}

impl From<FileError> for BackendError {
    fn from(error: FileError) -> Self {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match error.source.kind() {
            PermissionDenied | ReadOnlyFilesystem => Self::denied(Backend::Workspace, error),
            _ => Self::unavailable(Backend::Workspace, error),
        }
    }
}
