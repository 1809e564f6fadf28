//! Port to the agents' folders.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_core::{BackendError, FriendshipKey};

use crate::{DocumentPath, Tag};

/// Largest text that is stored as a version when it is found in a document's file. It exceeds
/// [`crate::DOCUMENT_MAX_BYTES`], so that an agent's oversized text is stored too, and fits a database row.
pub const VERSION_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Content of a document's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// No such file, although the agent's folder was read.
    Absent,
    /// A regular file of at most [`crate::DOCUMENT_MAX_BYTES`].
    File {
        /// Bytes of the file.
        bytes: Vec<u8>,
        /// Modification time.
        updated_at: DateTime<Utc>,
    },
    /// A regular file larger than that.
    TooLarge {
        /// Size in bytes.
        size: u64,
        /// Modification time.
        updated_at: DateTime<Utc>,
    },
    /// No such file, but one whose name differs in case only.
    OtherCase {
        /// The name that exists.
        name: String,
    },
    /// Something that is not a regular file, or a folder on the way is not a folder.
    NotAFile,
}

/// Properties of a document's file, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileInfo {
    /// No such file, although the agent's folder was read.
    Absent,
    /// A regular file.
    File {
        /// Size in bytes.
        size: u64,
        /// Modification time.
        updated_at: DateTime<Utc>,
        /// Tag of the content; `None` if it is larger than [`crate::DOCUMENT_MAX_BYTES`].
        tag: Option<Tag>,
    },
    /// Anything that [`Entry::OtherCase`] or [`Entry::NotAFile`] describes.
    Unreadable,
}

/// Record of the agent's gateway that a document was in a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadReceipt {
    /// Tag of the text that was read.
    pub tag: Tag,
    /// Time of the prompt.
    pub at: DateTime<Utc>,
}

/// Manner in which a staged text becomes the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallMode {
    /// Creates the file; whatever has the name by then stays.
    Create,
    /// Exchanges it with the file, which becomes the staged text of the same write. Atomic for every reader.
    Exchange,
    /// Writes its bytes over those of the file, truncates and syncs it: for a file that is a mount point and cannot be
    /// exchanged. Not atomic, so a reader may see a torn text, and a crash may leave one.
    Overwrite {
        /// Tag that the content must have.
        expected: Tag,
    },
}

/// Result of installing a staged text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installed {
    /// The file has the text, and will after a power failure.
    Done,
    /// Nothing was changed: the file exists ([`InstallMode::Create`]), does not ([`InstallMode::Exchange`]) or has
    /// another content ([`InstallMode::Overwrite`]).
    Conflict,
    /// Nothing was changed: the file is a mount point and can only be overwritten.
    MountPoint,
    /// Nothing was changed: the staged text is gone, so another writer discarded this write.
    Discarded,
}

/// Text beside a document, staged by a write that has not installed it yet, or brought out by its exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedFile {
    /// Id of the write.
    pub write: String,
    /// The bytes; `None` if it is no regular file, or larger than [`VERSION_MAX_BYTES`].
    pub bytes: Option<Vec<u8>>,
}

/// Label of a file that an exchange brought out, and that somebody may still have open for writing. It is the file's
/// name, so it survives the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplacedFile {
    /// Id of the write that displaced it.
    pub write: String,
    /// Time of the exchange, in whole seconds.
    pub displaced_at: DateTime<Utc>,
    /// Tag of the content that is known, so stored as a version or written by a friend.
    pub known: Tag,
}

/// Agents' folders. Nothing outside an agent's folder is ever touched, no symbolic link is followed, and an error is
/// never taken for absence.
#[async_trait]
pub trait DocumentFiles: Send + Sync {
    /// Reads the document.
    async fn read(&self, path: &DocumentPath) -> Result<Entry, BackendError>;
    /// Returns the document's size, time and tag. A file that has not changed for a few seconds need not be read again.
    async fn inspect(&self, path: &DocumentPath) -> Result<FileInfo, BackendError>;
    /// Puts `bytes` beside the document under the id of `write`, safe from power failures, and creates missing folders.
    /// Staged texts are seen by [`Self::staged`] only.
    async fn stage(&self, path: &DocumentPath, write: &str, bytes: Vec<u8>) -> Result<(), BackendError>;
    /// Makes the staged text of `write` the document.
    async fn install(&self, path: &DocumentPath, write: &str, mode: InstallMode) -> Result<Installed, BackendError>;
    /// Lists the complete texts beside the document, sorted by write.
    async fn staged(&self, path: &DocumentPath) -> Result<Vec<StagedFile>, BackendError>;
    /// Removes what is staged under `write` if it still is `bytes`; `false` if it is not and so stays. Without `bytes`
    /// it is renamed to a name that people see. Nothing staged is success.
    async fn discard(&self, path: &DocumentPath, write: &str, bytes: Option<&[u8]>) -> Result<bool, BackendError>;
    /// Gives what is staged under `file.write` that label. Nothing staged is success.
    async fn retain(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<(), BackendError>;
    /// Lists the retained files of the document, the oldest first.
    async fn displaced(&self, path: &DocumentPath) -> Result<Vec<DisplacedFile>, BackendError>;
    /// Reads a retained file: its bytes, or `None` if it is gone, or larger than [`VERSION_MAX_BYTES`].
    async fn read_displaced(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<Option<Vec<u8>>, BackendError>;
    /// Changes the tag in the label of a retained file. A file that is gone is success.
    async fn relabel(&self, path: &DocumentPath, file: &DisplacedFile, known: &Tag) -> Result<(), BackendError>;
    /// Removes a retained file if its content still has the known tag; `false` if it has not and so stays. One too
    /// large to read is renamed to a name that people see. A file that is gone is success.
    async fn release(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<bool, BackendError>;
    /// Finds the newest record that the friend's memory was in a prompt of the agent (`friends/<id>/.portal-read.json`,
    /// which the hook `friend-memory` writes); `None` without one that can be read.
    async fn read_receipt(&self, key: &FriendshipKey) -> Result<Option<ReadReceipt>, BackendError>;
    /// Counts the daily log files (`memory/YYYY-MM-DD*.md`) that the agent has of the friend.
    async fn count_logs(&self, key: &FriendshipKey) -> Result<u64, BackendError>;
}
