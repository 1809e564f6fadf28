//! The documents that the friend shares with an agent.

use portal_core::Invalid;
use portal_workspace::{Content, DOCUMENT_MAX_BYTES, Document, DocumentName, Overview, Version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Word, time};

// Aliases, since utoipa takes an argument of a generic type for a schema of its own.
type DocumentNameWord = Word<DocumentName>;

/// A document, or an earlier text of one.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Document)]
pub(crate) struct DocumentBody {
    /// The text; empty if there is no document.
    #[schema(example = "# My Notes\n\nRemember to ask the agent about...")]
    content: String,
    /// Whether there is one.
    #[schema(example = true)]
    exists: bool,
}

impl From<Document> for DocumentBody {
    fn from(document: Document) -> Self {
        Self { content: document.text, exists: true }
    }
}

/// What is to stand in a document.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplaceDocument {
    /// The whole text: at most 256 KiB as UTF-8, without U+0000.
    #[schema(example = "# Updated Notes\n\n...", max_length = 262_144)]
    content: String,
}

impl ReplaceDocument {
    /// The text, if a document may hold it.
    pub(crate) fn parse(self) -> Result<Content, Invalid> {
        Content::parse(self.content)
    }
}

/// The documents that there can be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentList {
    /// Each of them, there or not, always in the same order.
    documents: Vec<DocumentItem>,
}

impl From<Vec<Overview>> for DocumentList {
    fn from(overviews: Vec<Overview>) -> Self {
        Self { documents: overviews.iter().map(DocumentItem::from).collect() }
    }
}

/// A document, without its text.
#[derive(Debug, Serialize, ToSchema)]
struct DocumentItem {
    /// `memory`, `friend-notes` or `heartbeat`: the last segment of its address.
    #[schema(inline, example = "memory")]
    name: DocumentNameWord,
    /// Whether there is one.
    #[schema(example = true)]
    exists: bool,
    /// Its size in bytes; 0 if there is none.
    #[schema(example = 48, minimum = 0)]
    bytes: u64,
    /// The largest that it may be, in bytes.
    #[schema(example = 262_144, minimum = 0)]
    max_bytes: usize,
    /// How many characters of it the agent reads at most; `null` if no limit is known.
    #[schema(example = 20_000, minimum = 0, required)]
    agent_reads_chars: Option<u32>,
    /// When it was last changed, by whomever; `null` if there is none.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime, required)]
    updated_at: Option<String>,
    /// Whether this friend may write it.
    #[schema(example = true)]
    writable: bool,
    /// Whether all friends of the agent share it.
    #[schema(example = false)]
    shared: bool,
}

impl From<&Overview> for DocumentItem {
    fn from(overview: &Overview) -> Self {
        Self {
            name: Word(overview.name),
            exists: overview.exists,
            bytes: overview.bytes,
            max_bytes: DOCUMENT_MAX_BYTES,
            agent_reads_chars: overview.name.agent_reads_chars(),
            updated_at: overview.updated_at.map(time),
            writable: overview.writable,
            shared: overview.name.is_shared(),
        }
    }
}

/// Earlier texts of a document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionList {
    /// The newest first. The first may be the text that stands there now.
    versions: Vec<VersionItem>,
}

impl From<Vec<Version>> for VersionList {
    fn from(versions: Vec<Version>) -> Self {
        Self { versions: versions.into_iter().map(VersionItem::from).collect() }
    }
}

/// A kept text, without the text.
#[derive(Debug, Serialize, ToSchema)]
struct VersionItem {
    /// Its id.
    #[schema(example = "0f8c1d7a94f35f7a2b6ad1fd1d6f2f3c")]
    id: String,
    /// When it was saved.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime)]
    saved_at: String,
    /// Who saved it: `friend:<id>`, or `agent:<id>` for what was written past the portal.
    #[schema(example = "friend:alice")]
    saved_by: String,
    /// Its size in bytes.
    #[schema(example = 48, minimum = 0)]
    bytes: u64,
}

impl From<Version> for VersionItem {
    fn from(version: Version) -> Self {
        Self {
            id: version.id,
            saved_at: time(version.saved_at),
            saved_by: version.author.actor().to_string(),
            bytes: version.bytes,
        }
    }
}
