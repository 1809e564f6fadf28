//! Documents that a friend and an agent share: their names, their texts, their versions, and writes that neither lose
//! another's text nor are lost themselves.
//!
//! This crate decides what a text may be ([`Content`]), which file it is ([`DocumentPath`]), when a write is refused
//! ([`WorkspaceError`]), which writes are one version and which versions are retained ([`expired`]). It knows neither
//! file systems nor databases: it has ports to the agents' folders ([`DocumentFiles`]) and to the rows beside them
//! ([`DocumentStore`], [`VersionStore`]).
//!
//! Start reading at [`Documents`]. The order of effects that makes a write safe is in `documents/write.rs`, recovery
//! after a crash in `documents/recover.rs`, and the files that somebody still has open in `documents/displaced.rs`.

mod document;
mod documents;
mod error;
mod files;
mod store;
mod version;

pub use document::{
    AGENT_READS_CHARS, Content, DOCUMENT_MAX_BYTES, Document, DocumentName, DocumentPath, Tag, Unreadable,
};
pub use documents::{
    AgentReads, DISPLACED_MAX, DocumentPorts, DocumentSummary, Documents, LOOKS, MERGE_WINDOW, RecoveryReport,
    UpdatedBy, Writer,
};
pub use error::{PreconditionReason, WorkspaceError};
pub use files::{
    DisplacedFile, DocumentFiles, Entry, FileInfo, InstallMode, Installed, ReadReceipt, StagedFile, VERSION_MAX_BYTES,
};
pub use store::{
    DocumentState, DocumentStore, LastWrite, LatestVersion, NewVersion, NextLook, PendingWrite, VersionStore,
    WriteIntent, WriteOutcome,
};
pub use version::{Author, DAYS_RETAINED, Precondition, VERSIONS_RETAINED, Version, expired};
