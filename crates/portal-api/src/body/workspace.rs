//! Bodies of the documents that the friend shares with an agent.

use portal_core::{AgentId, FriendId, Invalid};
use portal_workspace::{
    AGENT_READS_CHARS, AgentReads, Content, DOCUMENT_MAX_BYTES, Document, DocumentSummary, Tag, UpdatedBy, Version,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time;
use crate::conditional::EntityTag;

/// A document, or an earlier text of one.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct DocumentBody {
    /// The text; empty if there is no document.
    #[schema(example = "# My Notes\n\nRemember to ask the agent about...")]
    content: String,
    /// `false` if there is no document.
    #[schema(example = true)]
    exists: bool,
}

impl From<Document> for DocumentBody {
    fn from(document: Document) -> Self {
        Self { content: document.text, exists: true }
    }
}

/// New text of a document.
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

impl DocumentList {
    /// Shows the documents of this friend and agent.
    pub(crate) fn of(summaries: &[DocumentSummary], friend: &FriendId, agent: &AgentId) -> Self {
        Self { documents: summaries.iter().map(|summary| DocumentItem::of(summary, friend, agent)).collect() }
    }
}

/// A document, without its text.
#[derive(Debug, Serialize, ToSchema)]
struct DocumentItem {
    /// `memory`, `friend-notes` or `heartbeat`: the last segment of its address.
    #[schema(example = "memory")]
    name: &'static str,
    /// `false` if there is no document.
    #[schema(example = true)]
    exists: bool,
    /// Its size in bytes; 0 if there is none.
    #[schema(example = 48, minimum = 0)]
    bytes: u64,
    /// The largest that it may be, in bytes.
    #[schema(example = 262_144, minimum = 0)]
    max_bytes: usize,
    /// Way in which the text reaches the agent's prompts: `always`, `hook` (in the friend's direct conversations, by the
    /// gateway's hook `friend-memory`) or `no`.
    agent_reads: Reads,
    /// Number of characters of it that reach a prompt at most; `null` if it reaches none.
    #[schema(example = 20_000, minimum = 0, required)]
    agent_reads_chars: Option<u32>,
    /// Modification time, whoever wrote; `null` if there is none.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime, required)]
    updated_at: Option<String>,
    /// Author of the text: `friend:<id>`, `agent:<id>` for a text written past the portal, `friend` for another friend of
    /// the agent; `null` if there is none.
    #[schema(example = "friend:alice", required)]
    updated_by: Option<String>,
    /// Entity tag of the text, as `ETag` and `If-Match` have it; `null` if there is no text that can be read.
    #[schema(example = "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"", required)]
    etag: Option<String>,
    /// `true` if this friend may write it.
    #[schema(example = true)]
    writable: bool,
    /// Number of the agent's other friends who read the same document; 100 stands for 100 or more.
    #[schema(example = 0, minimum = 0)]
    shared_with: u32,
    /// The version that was last in a prompt, as the hook recorded it; `null` if none was.
    #[schema(required)]
    read: Option<Read>,
}

/// Way in which a document reaches the agent's prompts.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(example = "hook")]
enum Reads {
    Always,
    Hook,
    No,
}

/// A version that was in a prompt.
#[derive(Debug, Serialize, ToSchema)]
struct Read {
    /// Entity tag of the text, as `ETag` and `If-Match` have it.
    #[schema(example = "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"")]
    etag: String,
    /// Time of the prompt.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime)]
    at: String,
}

impl DocumentItem {
    fn of(summary: &DocumentSummary, friend: &FriendId, agent: &AgentId) -> Self {
        let author = |author: &UpdatedBy| match author {
            UpdatedBy::Reader => format!("friend:{friend}"),
            // Unnamed: who else an agent works for is not this friend's business.
            UpdatedBy::OtherFriend => "friend".to_owned(),
            UpdatedBy::Agent => format!("agent:{agent}"),
        };
        Self {
            name: summary.name.as_str(),
            exists: summary.exists,
            bytes: summary.bytes,
            max_bytes: DOCUMENT_MAX_BYTES,
            agent_reads: match summary.agent_reads {
                AgentReads::Always => Reads::Always,
                AgentReads::Hook => Reads::Hook,
                AgentReads::No => Reads::No,
            },
            agent_reads_chars: (summary.agent_reads != AgentReads::No).then_some(AGENT_READS_CHARS),
            updated_at: summary.updated_at.map(time),
            updated_by: summary.updated_by.as_ref().map(author),
            etag: summary.tag.as_ref().map(etag),
            writable: summary.writable,
            shared_with: summary.shared_with,
            read: summary.read.as_ref().map(|read| Read { etag: etag(&read.tag), at: time(read.at) }),
        }
    }
}

/// Versions of a document.
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

fn etag(tag: &Tag) -> String {
    EntityTag::strong(tag.as_str()).to_string()
}

/// A version, without the text.
#[derive(Debug, Serialize, ToSchema)]
struct VersionItem {
    /// Its id.
    #[schema(example = "0f8c1d7a94f35f7a2b6ad1fd1d6f2f3c")]
    id: String,
    /// Time of the write, or the time at which a text of the agent was found.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime)]
    saved_at: String,
    /// Author: `friend:<id>`, or `agent:<id>` for a text written past the portal.
    #[schema(example = "friend:alice")]
    saved_by: String,
    /// Its size in bytes.
    #[schema(example = 48, minimum = 0)]
    bytes: u64,
    /// Entity tag of the text, as `ETag` and `If-Match` have it.
    #[schema(example = "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"")]
    etag: String,
}

impl From<Version> for VersionItem {
    fn from(version: Version) -> Self {
        Self {
            id: version.id,
            saved_at: time(version.saved_at),
            saved_by: version.author.actor().to_string(),
            bytes: version.bytes,
            etag: etag(&version.tag),
        }
    }
}
