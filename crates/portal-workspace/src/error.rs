//! Why a document was not read or not written.

use portal_core::BackendError;

use crate::{DocumentName, Tag};

/// What keeps a file from being a document. It is left alone: whoever put it there has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not UTF-8.
    #[error("it is not UTF-8 text")]
    NotText,
    /// It is longer than [`crate::DOCUMENT_MAX_BYTES`].
    #[error("it is larger than 256 KiB")]
    TooLarge,
    /// A folder, a symbolic link, a pipe or a device stands in its place, or in the place of its folder.
    #[error("its place is taken by something that is not a regular file")]
    NotAFile,
}

/// Why a document was not read or not written. Nothing was changed, except where it says so.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// This friend may read the document and not write it.
    #[error("the document {0} may only be read")]
    ReadOnly(DocumentName),
    /// What stands in the document's place, or in a version, cannot be shown and so not be replaced either.
    #[error("the document {0} cannot be read as text: {1}")]
    Unreadable(DocumentName, Unreadable),
    /// The document is not the one that the writer wanted to replace.
    #[error("the document {name} has changed")]
    Changed {
        /// Which document.
        name: DocumentName,
        /// The tag of what stands there now; `None` if nothing does.
        current: Option<Tag>,
    },
    /// Another friend wrote the shared document last, and the writer did not say which text they mean to replace.
    #[error("the document {name} was last written by another friend")]
    PreconditionRequired {
        /// Which document.
        name: DocumentName,
        /// The tag of what stands there now; `None` if nothing does.
        current: Option<Tag>,
    },
    /// The friend has no version of that id.
    #[error("the document {0} has no such version")]
    UnknownVersion(DocumentName),
    /// The workspace or the database is in trouble; whether a write took place is known once it was settled.
    #[error("the workspace could not do it")]
    Port(#[from] BackendError),
}

impl WorkspaceError {
    /// The error's stable word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ReadOnly(_) => "document-read-only",
            Self::Unreadable(..) => "document-unreadable",
            Self::Changed { .. } => "document-changed",
            Self::PreconditionRequired { .. } => "precondition-required",
            Self::UnknownVersion(_) => "version-unknown",
            Self::Port(trouble) => trouble.code(),
        }
    }
}
