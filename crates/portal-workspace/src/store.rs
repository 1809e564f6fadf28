//! The rows beside the documents: who writes, what was written.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{AuditEntry, BackendError, FriendId};

use crate::{Author, DocumentPath, Tag, Version};

/// What is known of a document by whoever has the right to write it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Whether the one before never gave the right back: it crashed, or it sleeps.
    pub taken_over: bool,
    /// A write that was begun and not ended.
    pub pending: Option<Pending>,
    /// The last text that a friend wrote through the portal.
    pub last: Option<LastWrite>,
    /// The tag of the version kept last, whoever wrote it.
    pub newest: Option<Tag>,
}

/// A write that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its name, which is also the id of its version.
    pub write: String,
    /// What it writes.
    pub tag: Tag,
    /// What stood there before; `None` if nothing did.
    pub previous: Option<Tag>,
}

/// The last text that a friend wrote through the portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWrite {
    /// The id of its version.
    pub version: String,
    /// The text's tag.
    pub tag: Tag,
    /// Who wrote it.
    pub friend: FriendId,
    /// In which session.
    pub session: String,
    /// When the first of the writes that are one version with it was made.
    pub burst_since: DateTime<Utc>,
}

/// A text to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// Its id.
    pub id: String,
    /// When it was saved.
    pub saved_at: DateTime<Utc>,
    /// Who saved it.
    pub author: Author,
    /// The text, or what else somebody put into the file.
    pub bytes: Vec<u8>,
}

/// What is stored before a text is put into its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// The new text, pending; its id names the write.
    pub text: NewVersion,
    /// The session that writes.
    pub session: String,
    /// When the first of the writes that are one version with this one was made.
    pub burst_since: DateTime<Utc>,
    /// The earlier text of the same burst, whose version this one replaces once it is in its place.
    pub replaces: Option<String>,
    /// The tag of what stands there before.
    pub previous: Option<Tag>,
    /// The text that stands there before, if no version holds it yet.
    pub keep: Option<NewVersion>,
    /// The line for the audit log.
    pub audit: AuditEntry,
}

/// How a held document is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The pending text stands in its place: it is a version now, instead of the one it replaces.
    Written,
    /// The pending text, if any, never got into its place and is forgotten.
    NotWritten,
    /// The pending text was put into its place as far as can be told, and never acknowledged: it is a version now,
    /// beside the one it was to replace.
    Recovered,
}

/// The rows of documents: one per document that was ever written, which one writer at a time may hold.
///
/// A hold runs out, so that a crash blocks nobody for long; what it protects does not depend on time, because nothing
/// here is done for somebody who lost it to another.
#[async_trait]
pub trait DocumentStore: Send + Sync {
    /// Gives the document to `write` for `lease`; `None` while somebody else holds it.
    async fn claim(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<Option<Held>, BackendError>;
    /// Holds it for `lease` from now; `false` if `write` does not hold it any more.
    async fn renew(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<bool, BackendError>;
    /// Stores the new text as pending, the text before it and the audit line, all or nothing; `false` if `write` does
    /// not hold the document any more.
    async fn begin(&self, path: &DocumentPath, begin: Begin) -> Result<bool, BackendError>;
    /// Keeps a text that was found outside the portal, unless the newest version is the same text.
    async fn keep(&self, path: &DocumentPath, found: NewVersion) -> Result<(), BackendError>;
    /// Ends what is pending and gives the document back; `false` if `write` does not hold it any more.
    async fn end(&self, path: &DocumentPath, write: &str, ended: Ended) -> Result<bool, BackendError>;
    /// The documents that somebody held too long.
    async fn abandoned(&self) -> Result<Vec<DocumentPath>, BackendError>;
}

/// The kept texts of documents. A pending one is not among them.
#[async_trait]
pub trait VersionStore: Send + Sync {
    /// The versions of a document, the newest first; only those of one friend where `friend` says so.
    async fn list(&self, path: &DocumentPath, friend: Option<&FriendId>) -> Result<Vec<Version>, BackendError>;
    /// The version of that id among those that [`Self::list`] gives, with its bytes.
    async fn find(
        &self,
        path: &DocumentPath,
        friend: Option<&FriendId>,
        id: &str,
    ) -> Result<Option<(Version, Vec<u8>)>, BackendError>;
    /// Forgets versions; those that are gone already are no trouble.
    async fn forget(&self, path: &DocumentPath, ids: &[String]) -> Result<(), BackendError>;
}
