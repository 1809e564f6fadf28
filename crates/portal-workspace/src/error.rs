//! Errors of reading and writing documents.

use portal_core::{BackendError, code};

use crate::{DocumentName, Tag, Unreadable};

/// Rule by which a write must name the text that it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreconditionReason {
    /// Another friend wrote the shared document last.
    OtherFriend,
    /// The operator requires a precondition for every write.
    Configured,
}

/// Error of reading or writing a document. Nothing was changed, except where a variant says so.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// This friend may read the document but not write it.
    #[error("the document {0} may only be read")]
    ReadOnly(DocumentName),
    /// The file, or the version, is no text that can be shown, so it is not replaced either.
    #[error("the document {0} cannot be read as text: {1}")]
    Unreadable(DocumentName, Unreadable),
    /// The precondition does not hold.
    #[error("the document {name} has changed")]
    Changed {
        /// The document.
        name: DocumentName,
        /// Tag of the current text; `None` if the document does not exist.
        current: Option<Tag>,
    },
    /// The write must name the text that it replaces, and does not.
    #[error("a write of the document {name} needs a precondition")]
    PreconditionRequired {
        /// The document.
        name: DocumentName,
        /// Tag of the current text; `None` if the document does not exist.
        current: Option<Tag>,
        /// The rule that asks for it.
        reason: PreconditionReason,
    },
    /// The friend has no version with that id.
    #[error("the document {0} has no such version")]
    UnknownVersion(DocumentName),
    /// The workspace or the database failed; after a write, recovery finds out whether it took place.
    #[error("the workspace is unavailable")]
    Port(#[from] BackendError),
}

impl WorkspaceError {
    /// Returns the error's stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ReadOnly(_) => code::DOCUMENT_READ_ONLY,
            Self::Unreadable(..) => code::DOCUMENT_UNREADABLE,
            Self::Changed { .. } => code::DOCUMENT_CHANGED,
            Self::PreconditionRequired { .. } => code::PRECONDITION_REQUIRED,
            Self::UnknownVersion(_) => code::VERSION_UNKNOWN,
            Self::Port(error) => error.code(),
        }
    }
}
