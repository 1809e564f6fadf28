//! Use cases of the documents.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use portal_core::{Action, AgentId, Backend, BackendError, Clock, FriendId, FriendshipKey, FriendshipStore, Ids};

use crate::{
    Author, Content, Document, DocumentFiles, DocumentName, DocumentPath, DocumentStore, Entry, FileInfo,
    LatestVersion, Precondition, ReadReceipt, Tag, Unreadable, Version, VersionStore, WorkspaceError,
};

mod displaced;
mod recover;
mod write;

pub use displaced::{DISPLACED_MAX, LOOKS};
pub use recover::RecoveryReport;
pub use write::MERGE_WINDOW;

/// Largest number of other friends that is counted; it stands for all that are more.
const SHARED_WITH_MAX: u32 = 100;

/// Ports of the documents.
#[derive(Clone)]
pub struct DocumentPorts {
    /// Agents' folders.
    pub files: Arc<dyn DocumentFiles>,
    /// Rows beside the documents.
    pub store: Arc<dyn DocumentStore>,
    /// Stored versions.
    pub versions: Arc<dyn VersionStore>,
    /// Friendships, which say who may write a shared document.
    pub friendships: Arc<dyn FriendshipStore>,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Source of ids for writes and versions.
    pub ids: Arc<dyn Ids>,
}

/// Friend who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The friend and the agent.
    pub reader: FriendshipKey,
    /// Id of the friend's session: its writes within ten minutes are one version.
    pub session: String,
}

/// Document in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentSummary {
    /// Name of the document.
    pub name: DocumentName,
    /// `false` if nothing has its name, in whatever case.
    pub exists: bool,
    /// Size in bytes; 0 without a regular file.
    pub bytes: u64,
    /// Modification time, whoever wrote.
    pub updated_at: Option<DateTime<Utc>>,
    /// Author of the current text.
    pub updated_by: Option<UpdatedBy>,
    /// Tag of the current text; `None` without a text that can be read.
    pub tag: Option<Tag>,
    /// `true` if this friend may write it.
    pub writable: bool,
    /// Number of other friends who read the same document, at most 100.
    pub shared_with: u32,
    /// Way in which the text reaches the agent's prompts.
    pub agent_reads: AgentReads,
    /// Newest record that it was in a prompt.
    pub read: Option<ReadReceipt>,
}

/// Way in which a document reaches the agent's prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentReads {
    /// The gateway puts it into every conversation.
    Always,
    /// The gateway's hook puts it into the friend's direct conversations.
    Hook,
    /// Nothing puts it into a prompt; the agent may read it with its tools.
    No,
}

/// Author of a current text, as one friend may see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdatedBy {
    /// The friend who asks.
    Reader,
    /// Another friend of the agent, who stays unnamed.
    OtherFriend,
    /// The agent, or whoever else wrote past the portal.
    Agent,
}

/// Documents that friends share with their agents. Clones share the ports.
#[derive(Clone)]
pub struct Documents {
    ports: Arc<DocumentPorts>,
    requires_precondition: bool,
    heartbeat_readers: Arc<BTreeSet<AgentId>>,
}

impl Documents {
    /// Creates the use cases on these ports.
    #[must_use]
    pub fn new(ports: DocumentPorts) -> Self {
        Self { ports: Arc::new(ports), requires_precondition: false, heartbeat_readers: Arc::default() }
    }

    /// Names the agents whose gateway puts `HEARTBEAT.md` into every conversation; newer ones ignore the file.
    #[must_use]
    pub fn with_heartbeat_readers(self, agents: BTreeSet<AgentId>) -> Self {
        Self { heartbeat_readers: Arc::new(agents), ..self }
    }

    /// Refuses, if `required`, every write that has neither `If-Match` nor `If-None-Match`.
    #[must_use]
    pub fn with_required_precondition(self, required: bool) -> Self {
        Self { requires_precondition: required, ..self }
    }

    /// Lists all documents, existing or not, in a fixed order.
    ///
    /// # Errors
    /// The workspace or the database is unavailable; a document that cannot be read as text is listed like any other.
    pub async fn list(&self, reader: &FriendshipKey) -> Result<Vec<DocumentSummary>, BackendError> {
        // All rows in one call to the database, then one look at each file.
        let paths = DocumentName::ALL.map(|name| path(reader, name));
        let latest = self.ports.versions.latest(&paths).await?;
        let access = self.heartbeat_access(reader).await?;
        let mut summaries = Vec::with_capacity(paths.len());
        for (path, latest) in paths.iter().zip(latest) {
            let info = self.ports.files.inspect(path).await?;
            summaries.push(summary(path.name(), info, latest.as_ref(), access, reader));
        }
        let receipt = self.ports.files.read_receipt(reader).await?;
        for summary in &mut summaries {
            summary.agent_reads = match summary.name {
                // Only the hook writes receipts, so one proves that it is installed and knows this friend.
                DocumentName::Memory if receipt.is_some() => AgentReads::Hook,
                DocumentName::Heartbeat if self.heartbeat_readers.contains(&reader.agent) => AgentReads::Always,
                _ => AgentReads::No,
            };
            if summary.name == DocumentName::Memory {
                summary.read.clone_from(&receipt);
            }
        }
        Ok(summaries)
    }

    /// Returns the tag of a document; `None` without a text that can be read. Costs a look at the file's attributes while
    /// it stays the same.
    ///
    /// # Errors
    /// The workspace is unavailable.
    pub async fn tag(&self, reader: &FriendshipKey, name: DocumentName) -> Result<Option<Tag>, BackendError> {
        Ok(match self.ports.files.inspect(&path(reader, name)).await? {
            FileInfo::File { tag, .. } => tag,
            _ => None,
        })
    }

    /// Reads a document; `None` only if there is none.
    ///
    /// # Errors
    /// [`WorkspaceError::Unreadable`], or the workspace is unavailable.
    pub async fn read(&self, reader: &FriendshipKey, name: DocumentName) -> Result<Option<Document>, WorkspaceError> {
        self.read_path(&path(reader, name)).await
    }

    /// Replaces the document by `content`, unless `precondition` does not hold; returns the tag of the current text.
    /// The write goes on to its end even if the caller's future is dropped.
    ///
    /// # Errors
    /// Any [`WorkspaceError`]. After [`WorkspaceError::Port`] the text may have been installed; if so, it is stored as a
    /// version.
    pub async fn replace(
        &self,
        writer: Writer,
        name: DocumentName,
        content: Content,
        precondition: Precondition,
    ) -> Result<Tag, WorkspaceError> {
        let detail = String::new();
        self.spawn(write::Write { writer, name, content, precondition, action: Action::DocumentReplace, detail }).await
    }

    /// Writes the text of a version as [`Self::replace`] does.
    ///
    /// # Errors
    /// As [`Self::replace`] and [`Self::version`].
    pub async fn restore(
        &self,
        writer: Writer,
        name: DocumentName,
        id: &str,
        precondition: Precondition,
    ) -> Result<Tag, WorkspaceError> {
        let text = self.version(&writer.reader, name, id).await?.text;
        // What an agent wrote may hold U+0000, which no friend may write.
        let content = Content::parse(text).map_err(|_| WorkspaceError::Unreadable(name, Unreadable::NotText))?;
        let detail = format!(", version {id}");
        self.spawn(write::Write { writer, name, content, precondition, action: Action::DocumentRestore, detail }).await
    }

    /// Lists the versions that this friend may see, the newest first: of a shared document those they wrote.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn versions(&self, reader: &FriendshipKey, name: DocumentName) -> Result<Vec<Version>, BackendError> {
        self.ports.versions.list(&path(reader, name), visible_author(reader, name)).await
    }

    /// Reads one of these versions; its `updated_at` is the time at which it was saved.
    ///
    /// # Errors
    /// [`WorkspaceError::UnknownVersion`], also for a version that this friend may not see;
    /// [`WorkspaceError::Unreadable`] for an agent's bytes that are no text; the database is unavailable.
    pub async fn version(
        &self,
        reader: &FriendshipKey,
        name: DocumentName,
        id: &str,
    ) -> Result<Document, WorkspaceError> {
        let found = self.ports.versions.find(&path(reader, name), visible_author(reader, name), id).await?;
        let (version, bytes) = found.ok_or(WorkspaceError::UnknownVersion(name))?;
        Document::decode(bytes, version.saved_at).map_err(|reason| WorkspaceError::Unreadable(name, reason))
    }

    /// Counts the daily log files that the agent has of the friend.
    ///
    /// # Errors
    /// The workspace is unavailable.
    pub async fn count_logs(&self, reader: &FriendshipKey) -> Result<u64, BackendError> {
        self.ports.files.count_logs(reader).await
    }

    async fn spawn(&self, write: write::Write) -> Result<Tag, WorkspaceError> {
        let documents = self.clone();
        // A client that hangs up must not leave the document claimed, so the write is a task of its own.
        let task = tokio::spawn(async move { documents.write(&write).await });
        task.await.unwrap_or_else(|error| Err(BackendError::failed(Backend::Workspace, error).into()))
    }

    async fn read_path(&self, path: &DocumentPath) -> Result<Option<Document>, WorkspaceError> {
        let unreadable = |reason| WorkspaceError::Unreadable(path.name(), reason);
        match self.ports.files.read(path).await? {
            Entry::Absent => Ok(None),
            Entry::File { bytes, updated_at } => Document::decode(bytes, updated_at).map(Some).map_err(unreadable),
            Entry::TooLarge { .. } => Err(unreadable(Unreadable::TooLarge)),
            Entry::OtherCase { name } => Err(unreadable(Unreadable::OtherCase(name, path.file_name()))),
            Entry::NotAFile => Err(unreadable(Unreadable::NotAFile)),
        }
    }

    async fn may_write(&self, reader: &FriendshipKey, name: DocumentName) -> Result<bool, BackendError> {
        match name {
            DocumentName::Memory => Ok(true),
            DocumentName::FriendNotes => Ok(false),
            DocumentName::Heartbeat => Ok(self.heartbeat_access(reader).await?.writable),
        }
    }

    async fn heartbeat_access(&self, reader: &FriendshipKey) -> Result<HeartbeatAccess, BackendError> {
        let friendships = &self.ports.friendships;
        let Some(friendship) = friendships.find(reader).await? else {
            return Ok(HeartbeatAccess { writable: false, others: 0 });
        };
        let others = friendships.count_others(reader, SHARED_WITH_MAX).await?;
        let writable = friendship.heartbeat_writable.unwrap_or(others == 0);
        Ok(HeartbeatAccess { writable, others })
    }
}

/// Right of a friend to the document that all friends of the agent share.
#[derive(Debug, Clone, Copy)]
struct HeartbeatAccess {
    writable: bool,
    /// Number of the agent's other active friends.
    others: u32,
}

fn path(reader: &FriendshipKey, name: DocumentName) -> DocumentPath {
    DocumentPath::of(reader, name)
}

/// Returns the friend whose versions alone this friend may see; `None` for everybody's.
fn visible_author(reader: &FriendshipKey, name: DocumentName) -> Option<&FriendId> {
    name.is_shared().then_some(&reader.friend)
}

fn summary(
    name: DocumentName,
    info: FileInfo,
    latest: Option<&LatestVersion>,
    access: HeartbeatAccess,
    reader: &FriendshipKey,
) -> DocumentSummary {
    let (exists, bytes, updated_at, tag) = match info {
        FileInfo::Absent => (false, 0, None, None),
        FileInfo::File { size, updated_at, tag } => (true, size, Some(updated_at), tag),
        FileInfo::Unreadable => (true, 0, None, None),
    };
    // The newest version names the author only of the very text that the file has now.
    let author = latest.filter(|latest| tag.as_ref() == Some(&latest.tag)).map(|latest| &latest.author);
    let updated_by = updated_at.map(|_| match author {
        Some(Author::Friend(friend)) if *friend == reader.friend => UpdatedBy::Reader,
        Some(Author::Friend(_)) => UpdatedBy::OtherFriend,
        Some(Author::Agent(_)) | None => UpdatedBy::Agent,
    });
    let (writable, shared_with) = match name {
        DocumentName::Memory => (true, 0),
        DocumentName::FriendNotes => (false, 0),
        DocumentName::Heartbeat => (access.writable, access.others),
    };
    let (agent_reads, read) = (AgentReads::No, None);
    DocumentSummary { name, exists, bytes, updated_at, updated_by, tag, writable, shared_with, agent_reads, read }
}
