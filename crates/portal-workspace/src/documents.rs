//! What a friend can do with the documents.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use portal_core::{Action, Backend, BackendError, Clock, FriendId, FriendshipKey, FriendshipStore, Ids};

use crate::{
    Content, Document, DocumentFiles, DocumentName, DocumentPath, DocumentStore, Entry, Precondition, Tag, Unreadable,
    Version, VersionStore, WorkspaceError,
};

mod settle;
mod write;

pub use settle::Settled;

/// What the documents are made of.
#[derive(Clone)]
pub struct DocumentPorts {
    /// The agents' folders.
    pub files: Arc<dyn DocumentFiles>,
    /// The rows beside them.
    pub store: Arc<dyn DocumentStore>,
    /// The kept texts.
    pub versions: Arc<dyn VersionStore>,
    /// Who may write what is shared.
    pub friendships: Arc<dyn FriendshipStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names for writes and versions.
    pub ids: Arc<dyn Ids>,
}

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The friend and the agent.
    pub reader: FriendshipKey,
    /// The id of the friend's session: its writes within ten minutes are one version.
    pub session: String,
}

/// A document in the list of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Which document.
    pub name: DocumentName,
    /// Whether there is one.
    pub exists: bool,
    /// Its size in bytes; 0 if there is none.
    pub bytes: u64,
    /// When it was last changed, by anybody.
    pub updated_at: Option<DateTime<Utc>>,
    /// Whether this friend may write it.
    pub writable: bool,
}

/// The documents that friends share with their agents.
#[derive(Clone)]
pub struct Documents {
    desk: Arc<Desk>,
}

/// Where writing is done; shared by the tasks that do it.
struct Desk {
    ports: DocumentPorts,
}

impl Documents {
    /// The documents behind these ports.
    #[must_use]
    pub fn new(ports: DocumentPorts) -> Self {
        Self { desk: Arc::new(Desk { ports }) }
    }

    /// Every document, there or not, in a fixed order.
    ///
    /// # Errors
    /// Trouble with the workspace or the database; a document that cannot be read as text is listed like any other.
    pub async fn list(&self, reader: &FriendshipKey) -> Result<Vec<Overview>, BackendError> {
        let mut overviews = Vec::with_capacity(DocumentName::ALL.len());
        for name in DocumentName::ALL {
            let entry = self.desk.ports.files.read(&path(reader, name)).await?;
            let writable = self.desk.may_write(reader, name).await?;
            overviews.push(overview(name, &entry, writable));
        }
        Ok(overviews)
    }

    /// The document as it stands; `None` only if there is none.
    ///
    /// # Errors
    /// [`WorkspaceError::Unreadable`], or trouble with the workspace.
    pub async fn read(&self, reader: &FriendshipKey, name: DocumentName) -> Result<Option<Document>, WorkspaceError> {
        self.desk.read(&path(reader, name)).await
    }

    /// Puts `content` in the document's place, unless `precondition` does not hold for what stands there; gives the
    /// tag of what stands there now. The write goes on to its end even if nobody waits for it any longer.
    ///
    /// # Errors
    /// Any [`WorkspaceError`]; after [`WorkspaceError::Port`] the text may or may not be in its place, and is kept as
    /// a version if it was.
    pub async fn replace(
        &self,
        writer: Writer,
        name: DocumentName,
        content: Content,
        precondition: Precondition,
    ) -> Result<Tag, WorkspaceError> {
        let detail = String::new();
        self.write(write::Write { writer, name, content, precondition, action: Action::DocumentReplace, detail }).await
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
        let content = Content::parse(text).map_err(|_| WorkspaceError::Unreadable(name, Unreadable::NotText))?;
        let detail = format!(", version {id}");
        self.write(write::Write { writer, name, content, precondition, action: Action::DocumentRestore, detail }).await
    }

    /// The kept texts that this friend may see, the newest first: of a shared document those they wrote themselves.
    ///
    /// # Errors
    /// Trouble with the database.
    pub async fn versions(&self, reader: &FriendshipKey, name: DocumentName) -> Result<Vec<Version>, BackendError> {
        self.desk.ports.versions.list(&path(reader, name), only(reader, name)).await
    }

    /// One of these texts; its `updated_at` is when it was saved.
    ///
    /// # Errors
    /// [`WorkspaceError::UnknownVersion`], also for a version that this friend may not see;
    /// [`WorkspaceError::Unreadable`] for bytes that somebody else had put into the file; trouble with the database.
    pub async fn version(
        &self,
        reader: &FriendshipKey,
        name: DocumentName,
        id: &str,
    ) -> Result<Document, WorkspaceError> {
        let found = self.desk.ports.versions.find(&path(reader, name), only(reader, name), id).await?;
        let (version, bytes) = found.ok_or(WorkspaceError::UnknownVersion(name))?;
        Document::decode(bytes, version.saved_at).map_err(|why| WorkspaceError::Unreadable(name, why))
    }

    /// How many daily log files the agent keeps of the friend.
    ///
    /// # Errors
    /// Trouble with the workspace.
    pub async fn count_logs(&self, reader: &FriendshipKey) -> Result<u64, BackendError> {
        self.desk.ports.files.count_logs(reader).await
    }

    async fn write(&self, write: write::Write) -> Result<Tag, WorkspaceError> {
        let desk = Arc::clone(&self.desk);
        // A caller that hangs up must not leave the document held, so the work is a task of its own.
        let task = tokio::spawn(async move { desk.write(&write).await });
        task.await.unwrap_or_else(|trouble| Err(BackendError::failed(Backend::Workspace, trouble).into()))
    }
}

impl Desk {
    async fn read(&self, path: &DocumentPath) -> Result<Option<Document>, WorkspaceError> {
        let unreadable = |why| WorkspaceError::Unreadable(path.name(), why);
        match self.ports.files.read(path).await? {
            Entry::Absent => Ok(None),
            Entry::File { bytes, updated_at } => Document::decode(bytes, updated_at).map(Some).map_err(unreadable),
            Entry::Large { .. } => Err(unreadable(Unreadable::TooLarge)),
            Entry::NotAFile => Err(unreadable(Unreadable::NotAFile)),
        }
    }

    async fn may_write(&self, reader: &FriendshipKey, name: DocumentName) -> Result<bool, BackendError> {
        match name {
            DocumentName::Memory => Ok(true),
            DocumentName::FriendNotes => Ok(false),
            DocumentName::Heartbeat => {
                let friendship = self.ports.friendships.find(reader).await?;
                Ok(friendship.is_some_and(|friendship| friendship.heartbeat_writable))
            }
        }
    }
}

fn path(reader: &FriendshipKey, name: DocumentName) -> DocumentPath {
    DocumentPath::of(reader, name)
}

/// Whose versions this friend may see; `None` if everybody's.
fn only(reader: &FriendshipKey, name: DocumentName) -> Option<&FriendId> {
    name.is_shared().then_some(&reader.friend)
}

fn overview(name: DocumentName, entry: &Entry, writable: bool) -> Overview {
    let (exists, bytes, updated_at) = match entry {
        Entry::Absent => (false, 0, None),
        Entry::File { bytes, updated_at } => (true, u64::try_from(bytes.len()).unwrap_or(u64::MAX), Some(*updated_at)),
        Entry::Large { size, updated_at } => (true, *size, Some(*updated_at)),
        Entry::NotAFile => (true, 0, None),
    };
    Overview { name, exists, bytes, updated_at, writable }
}
