//! Ports to the rows beside the documents.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{AuditEntry, BackendError, FriendId};

use crate::{Author, DocumentPath, Tag, Version};

/// Row of a document, as the writer that claimed it finds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentState {
    /// Set if the claim before was never given back: that writer crashed, or outlived its lease.
    pub taken_over: bool,
    /// Write that was begun and not finished.
    pub pending: Option<PendingWrite>,
    /// Last text that a friend wrote through the portal.
    pub last: Option<LastWrite>,
    /// Tag of the newest version, whoever wrote it.
    pub newest: Option<Tag>,
}

/// Write that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingWrite {
    /// Id of the write, and of its version.
    pub write: String,
    /// Tag of the new text.
    pub tag: Tag,
    /// Tag of the text before; `None` if the document did not exist.
    pub previous: Option<Tag>,
}

/// Last text that a friend wrote through the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWrite {
    /// Id of its version.
    pub version: String,
    /// Tag of the text.
    pub tag: Tag,
    /// The friend.
    pub friend: FriendId,
    /// Id of the friend's session.
    pub session: String,
    /// Time of the first write that is one version with it.
    pub burst_since: DateTime<Utc>,
}

/// Newest version of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestVersion {
    /// Tag of the text.
    pub tag: Tag,
    /// Author of the text.
    pub author: Author,
}

/// Text to be stored as a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// Id, 32 hexadecimal digits.
    pub id: String,
    /// Time of the write, or the time at which a text of the agent was found.
    pub saved_at: DateTime<Utc>,
    /// Author of the text.
    pub author: Author,
    /// Tag of the bytes.
    pub tag: Tag,
    /// The text; an agent's may be no UTF-8.
    pub bytes: Vec<u8>,
}

impl NewVersion {
    /// Creates a version of these bytes and computes their tag.
    #[must_use]
    pub fn new(id: String, saved_at: DateTime<Utc>, author: Author, bytes: Vec<u8>) -> Self {
        Self { id, saved_at, author, tag: Tag::of(&bytes), bytes }
    }
}

/// Everything that is stored before a text is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteIntent {
    /// The new text, pending; its id is that of the write.
    pub text: NewVersion,
    /// Id of the session that writes.
    pub session: String,
    /// Time of the first write that is one version with this one.
    pub burst_since: DateTime<Utc>,
    /// Version of the same burst, which this text replaces once it is installed.
    pub replaces: Option<String>,
    /// Tag of the text before.
    pub previous: Option<Tag>,
    /// Text before, if no version has it yet.
    pub earlier: Option<NewVersion>,
    /// Entry for the audit log.
    pub audit: AuditEntry,
}

/// Fate of the pending text when a claim is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Installed: it is a version now, instead of the one it replaces.
    Committed,
    /// Never installed, or there was none: it is deleted.
    Aborted,
    /// Installed as far as can be told, and never acknowledged: it is a version now, beside the one it was to replace.
    Recovered,
}

/// Time until the displaced files of a document are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLook {
    /// As it was set before.
    Unchanged,
    /// At the latest after this time; an earlier time that was set before stands.
    Within(TimeDelta),
    /// After this time.
    After(TimeDelta),
    /// Never: the document has no displaced files.
    Never,
}

/// Rows of documents, one per document that was ever written, which one writer at a time claims.
///
/// A claim is a lease, so that a crash blocks nobody for long. Correctness does not depend on time: nothing here is done
/// for a writer that lost its claim to another.
#[async_trait]
pub trait DocumentStore: Send + Sync {
    /// Claims the document for `write` and `lease`; `None` while another claim's lease lasts.
    async fn claim(
        &self,
        path: &DocumentPath,
        write: &str,
        lease: TimeDelta,
    ) -> Result<Option<DocumentState>, BackendError>;
    /// Extends the claim to `lease` from now; `false` if `write` lost it.
    async fn renew(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<bool, BackendError>;
    /// Stores the new text as pending, the text before and the audit entry in one transaction; `false` if `write` lost
    /// its claim.
    async fn begin(&self, path: &DocumentPath, intent: WriteIntent) -> Result<bool, BackendError>;
    /// Stores a text that was found outside the portal, unless the newest version is the same text.
    async fn add_version(&self, path: &DocumentPath, found: NewVersion) -> Result<(), BackendError>;
    /// Finishes what is pending and gives the claim back; `false` if `write` lost it.
    async fn finish(
        &self,
        path: &DocumentPath,
        write: &str,
        outcome: WriteOutcome,
        next_look: NextLook,
    ) -> Result<bool, BackendError>;
    /// Lists the documents whose lease ran out or whose displaced files are due for a look; with `at_start` every
    /// document that has displaced files.
    async fn unfinished(&self, at_start: bool) -> Result<Vec<DocumentPath>, BackendError>;
}

/// Stored texts of documents. A pending one is not among them.
#[async_trait]
pub trait VersionStore: Send + Sync {
    /// Lists the versions of a document, the newest first; only those of one friend where `friend` says so.
    async fn list(&self, path: &DocumentPath, friend: Option<&FriendId>) -> Result<Vec<Version>, BackendError>;
    /// Finds a version among those that [`Self::list`] returns, with its bytes.
    async fn find(
        &self,
        path: &DocumentPath,
        friend: Option<&FriendId>,
        id: &str,
    ) -> Result<Option<(Version, Vec<u8>)>, BackendError>;
    /// Finds the bytes of the version with this tag, whoever wrote it.
    async fn find_by_tag(&self, path: &DocumentPath, tag: &Tag) -> Result<Option<Vec<u8>>, BackendError>;
    /// Finds the newest version of each of these documents of one agent, in their order.
    async fn latest(&self, paths: &[DocumentPath]) -> Result<Vec<Option<LatestVersion>>, BackendError>;
    /// Deletes versions; those that are gone already are skipped.
    async fn forget(&self, path: &DocumentPath, ids: &[String]) -> Result<(), BackendError>;
}
