//! The documents that a friend and an agent share: which there are, who may write them, how a write neither loses
//! another's text nor is lost itself, and which earlier texts are kept.
//!
//! This crate decides what a text may be ([`Content`]), where it stands ([`DocumentPath`]), when a write is refused
//! ([`WorkspaceError`]), which writes are one version and which versions stay ([`surplus`]). It knows neither file
//! systems nor databases: it asks two ports, the agents' folders ([`DocumentFiles`]) and the rows beside them
//! ([`DocumentStore`], [`VersionStore`]).
//!
//! Start reading at [`Documents`]; the order of effects that makes a write safe stands in `documents/write.rs`, what
//! a crash leaves behind is finished in `documents/settle.rs`.

mod document;
mod documents;
mod error;
mod files;
mod path;
mod store;
mod version;

pub use document::{AGENT_READS_CHARS, Content, DOCUMENT_MAX_BYTES, Document, Tag};
pub use documents::{DocumentPorts, Documents, Overview, Settled, Writer};
pub use error::{Unreadable, WorkspaceError};
pub use files::{DocumentFiles, Entry, KEPT_MAX_BYTES, Place, Placed, Staged};
pub use path::{DocumentName, DocumentPath};
pub use store::{Begin, DocumentStore, Ended, Held, LastWrite, NewVersion, Pending, VersionStore};
pub use version::{Author, BURST, DAYS_KEPT, NEWEST_KEPT, Precondition, Version, surplus};
