//! The agents' folders, as the documents need them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_core::{BackendError, FriendshipKey};

use crate::DocumentPath;

/// The largest text that is kept as a version when it is found in a document's place: larger than any document may
/// be, so that an agent's oversized text is kept too, and small enough for a database.
pub const KEPT_MAX_BYTES: usize = 4 * 1024 * 1024;

/// What stands in a document's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Nothing, although the agent's folder could be read.
    Absent,
    /// A regular file of at most [`crate::DOCUMENT_MAX_BYTES`].
    File {
        /// What it holds.
        bytes: Vec<u8>,
        /// When it was last changed.
        updated_at: DateTime<Utc>,
    },
    /// A regular file that is larger than that.
    Large {
        /// How large, in bytes.
        size: u64,
        /// When it was last changed.
        updated_at: DateTime<Utc>,
    },
    /// Something that is not a regular file, or one of the folders above it is not a folder.
    NotAFile,
}

/// How a staged text gets into its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where nothing stands; whatever came to stand there meanwhile stays.
    New,
    /// In exchange for what stands there, which becomes the staged text of the same write.
    Exchange,
}

/// What became of placing a staged text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It stands in its place, and will after a power failure.
    Done,
    /// Nothing was changed: something stands there ([`Place::New`]) or nothing does ([`Place::Exchange`]).
    Otherwise,
    /// Nothing was changed: the staged text is gone, so somebody discarded this write.
    Discarded,
}

/// A text beside a document: put there by a write that has not placed it yet, or what its exchange brought out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The write, as it named itself.
    pub write: String,
    /// The bytes; `None` if it is no regular file, or larger than [`KEPT_MAX_BYTES`].
    pub bytes: Option<Vec<u8>>,
}

/// The folders in which agents keep documents. Nothing outside an agent's folder is ever touched, no symbolic link
/// is followed, and trouble is never taken for absence.
#[async_trait]
pub trait DocumentFiles: Send + Sync {
    /// What stands there now.
    async fn read(&self, path: &DocumentPath) -> Result<Entry, BackendError>;
    /// Puts `bytes` beside the document under the name of `write`, safe from power failures; the folders on the way
    /// are made. Staged texts are seen by nobody but [`Self::staged`].
    async fn stage(&self, path: &DocumentPath, write: &str, bytes: Vec<u8>) -> Result<(), BackendError>;
    /// Puts the staged text of `write` into its place, in one step for everybody who reads the document.
    async fn place(&self, path: &DocumentPath, write: &str, how: Place) -> Result<Placed, BackendError>;
    /// The complete texts that stand beside the document, sorted by write.
    async fn staged(&self, path: &DocumentPath) -> Result<Vec<Staged>, BackendError>;
    /// Removes what is staged under `write`, if it still is `bytes`; `false` if it is not and so stays. Without
    /// `bytes`, whatever is staged is put aside beside the document under a name that people see. Nothing staged is
    /// success.
    async fn discard(&self, path: &DocumentPath, write: &str, bytes: Option<&[u8]>) -> Result<bool, BackendError>;
    /// How many daily log files (`memory/YYYY-MM-DD*.md`) the agent keeps of the friend.
    async fn count_logs(&self, key: &FriendshipKey) -> Result<u64, BackendError>;
}
