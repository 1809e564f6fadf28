//! The agents' folders, on a file system (Linux).
//!
//! Every operation opens the agent's folder anew, so a volume that vanishes and comes back is found again, and walks
//! from there one name at a time without following a symbolic link. An agent's folder that is missing or empty counts
//! as not mounted: trouble, not an absent document.
//!
//! What is promised against an agent that writes at the same time: a text that it puts in place by renaming is never
//! lost. One that it writes into the open file is not lost either if it closes the file soon after the exchange; the
//! settling waits for a file that is still growing. Where the file system cannot exchange two files in one step (see
//! [`DiskFiles::exchanges`]) a text that an agent writes in the instant of the replacement is lost.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use portal_core::{AgentId, Backend, BackendError, FriendshipKey};
use portal_workspace::{DOCUMENT_MAX_BYTES, DocumentFiles, DocumentPath, Entry, Place, Placed, Staged};

mod folder;
mod staging;

use folder::{Folder, Way};

use crate::blocking::{BlockingPool, Timeouts};

/// How long one operation may take before the workspace counts as out of reach.
const PATIENCE: Timeouts = Timeouts { queue: Duration::from_secs(5), work: Duration::from_secs(5) };
/// How many operations run at once. One that hangs keeps its place, so a dead network file system cannot take all
/// threads of the process.
const AT_ONCE: usize = 16;

/// Where agents have their folders.
#[derive(Debug, Clone, Default)]
pub struct AgentRoots {
    by_agent: HashMap<AgentId, PathBuf>,
    others: Option<PathBuf>,
}

impl AgentRoots {
    /// The folder of an agent is `folder/<agent id>`.
    pub fn under(folder: impl Into<PathBuf>) -> Self {
        Self { by_agent: HashMap::new(), others: Some(folder.into()) }
    }

    /// As this, but the folder of `agent` is `folder`.
    #[must_use]
    pub fn with(mut self, agent: AgentId, folder: impl Into<PathBuf>) -> Self {
        self.by_agent.insert(agent, folder.into());
        self
    }

    /// The folder of `agent`; `None` if none was named.
    #[must_use]
    pub fn of(&self, agent: &AgentId) -> Option<PathBuf> {
        let named = self.by_agent.get(agent).cloned();
        named.or_else(|| self.others.as_ref().map(|folder| folder.join(agent.as_str())))
    }
}

/// The agents' folders, on a file system.
#[derive(Clone)]
pub struct DiskFiles {
    roots: AgentRoots,
    threads: BlockingPool,
    timeouts: Timeouts,
}

impl DiskFiles {
    /// Documents in these folders.
    #[must_use]
    pub fn new(roots: AgentRoots) -> Self {
        Self { roots, threads: BlockingPool::new(AT_ONCE), timeouts: PATIENCE }
    }

    /// As this, but an operation may wait for its turn, and then take, only `patience` each.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.timeouts = Timeouts { queue: patience, work: patience };
        self
    }

    /// Whether the agent's folder is there.
    ///
    /// # Errors
    /// The folder cannot be reached, or is not mounted.
    pub async fn reach(&self, agent: &AgentId) -> Result<(), BackendError> {
        self.run(agent, "reach the folder of", |root| root.expect_mounted()).await
    }

    /// Whether the agent's folder can be written, and exchange two files in one step; `false` where only the latter
    /// is missing. Two files of a moment's life are made and removed.
    ///
    /// # Errors
    /// The folder cannot be reached or not be written.
    pub async fn exchanges(&self, agent: &AgentId) -> Result<bool, BackendError> {
        self.run(agent, "try to exchange two files in the folder of", |root| staging::try_exchange(&root)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        agent: &AgentId,
        what: &'static str,
        work: impl FnOnce(Folder) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, BackendError> {
        let root = self.roots.of(agent).ok_or_else(|| unavailable(format!("no folder is configured for {agent}")))?;
        match self.threads.run(self.timeouts, move || work(Folder::open_root(&root)?)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(FileTrouble { what, agent: agent.clone(), source }.into()),
            Err(error) => Err(error.of(Backend::Workspace)),
        }
    }
}

#[async_trait]
impl DocumentFiles for DiskFiles {
    async fn read(&self, path: &DocumentPath) -> Result<Entry, BackendError> {
        let at = path.clone();
        self.run(path.agent(), "read a document of", move |root| match root.walk(&at.folders())? {
            Way::There(folder) => match folder.read(at.file_name(), DOCUMENT_MAX_BYTES)? {
                Entry::Absent => root.expect_mounted().map(|()| Entry::Absent),
                entry => Ok(entry),
            },
            Way::Missing => root.expect_mounted().map(|()| Entry::Absent),
            Way::Blocked => Ok(Entry::NotAFile),
        })
        .await
    }

    async fn stage(&self, path: &DocumentPath, write: &str, bytes: Vec<u8>) -> Result<(), BackendError> {
        let (at, write) = (path.clone(), write.to_owned());
        self.run(path.agent(), "write a document of", move |root| {
            root.expect_mounted()?;
            staging::stage(&root.make(&at.folders())?, at.file_name(), &write, &bytes)
        })
        .await
    }

    async fn place(&self, path: &DocumentPath, write: &str, how: Place) -> Result<Placed, BackendError> {
        let (at, write) = (path.clone(), write.to_owned());
        self.run(path.agent(), "replace a document of", move |root| match root.walk(&at.folders())? {
            Way::There(folder) => staging::place(&folder, at.file_name(), &write, how),
            Way::Missing | Way::Blocked => Ok(Placed::Discarded),
        })
        .await
    }

    async fn staged(&self, path: &DocumentPath) -> Result<Vec<Staged>, BackendError> {
        let at = path.clone();
        self.run(path.agent(), "look beside a document of", move |root| match root.walk(&at.folders())? {
            Way::There(folder) => staging::staged(&folder, at.file_name()),
            Way::Missing => root.expect_mounted().map(|()| Vec::new()),
            Way::Blocked => Ok(Vec::new()),
        })
        .await
    }

    async fn discard(&self, path: &DocumentPath, write: &str, bytes: Option<&[u8]>) -> Result<bool, BackendError> {
        let (at, write, bytes) = (path.clone(), write.to_owned(), bytes.map(<[u8]>::to_vec));
        self.run(path.agent(), "put away a text beside a document of", move |root| match root.walk(&at.folders())? {
            Way::There(folder) => staging::discard(&folder, at.file_name(), &write, bytes.as_deref()),
            Way::Missing | Way::Blocked => Ok(true),
        })
        .await
    }

    async fn count_logs(&self, key: &FriendshipKey) -> Result<u64, BackendError> {
        let friend = key.friend.clone();
        self.run(&key.agent, "count the daily logs of", move |root| {
            match root.walk(&["friends", friend.as_str(), "memory"])? {
                Way::There(folder) => folder.count_files(is_daily_log),
                Way::Missing => root.expect_mounted().map(|()| 0),
                Way::Blocked => Err(std::io::Error::from(std::io::ErrorKind::NotADirectory)),
            }
        })
        .await
    }
}

/// Whether an agent would give a day's log this name: `YYYY-MM-DD*.md`.
fn is_daily_log(name: &str) -> bool {
    let day = name.strip_suffix(".md").and_then(|stem| stem.get(..10));
    day.is_some_and(|day| day.parse::<chrono::NaiveDate>().is_ok_and(|parsed| parsed.to_string() == day))
}

fn unavailable(why: String) -> BackendError {
    BackendError::unavailable(Backend::Workspace, why)
}

/// What the file system said, and about whose folder.
#[derive(Debug, thiserror::Error)]
#[error("could not {what} agent {agent}")]
struct FileTrouble {
    what: &'static str,
    agent: AgentId,
    source: std::io::Error,
}

impl From<FileTrouble> for BackendError {
    fn from(trouble: FileTrouble) -> Self {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match trouble.source.kind() {
            PermissionDenied | ReadOnlyFilesystem => Self::denied(Backend::Workspace, trouble),
            _ => Self::unavailable(Backend::Workspace, trouble),
        }
    }
}
