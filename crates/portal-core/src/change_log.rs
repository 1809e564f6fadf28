//! The log of changes: hints for event streams about what changed, kept for minutes and shared by all replicas.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{AgentId, BackendError, FriendId};

/// Time for which a change is certain to be in the log.
pub const CHANGE_RETENTION: Duration = Duration::from_mins(10);

crate::word_enum! {
    /// Kind of thing that changed.
    pub enum Topic: "topic" {
        /// An exposure; the subject is its name.
        Exposure = "exposure",
        /// A document; the subject is its name.
        Document = "document",
        /// A job; the subject is its id.
        Job = "job",
        /// A run; the subject is the id of its job.
        Run = "run",
        /// A session that was revoked, or whose friendship is no longer active; the subject is its id.
        SessionEnded = "session-ended",
    }
}

/// A change, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedChange {
    /// Number of the change. A later one may have a smaller number: it is drawn before the change can be seen.
    pub id: i64,
    /// Owner of what changed.
    pub friend: FriendId,
    /// Kind of what changed.
    pub topic: Topic,
    /// Agent of the document, job or session.
    pub agent: Option<AgentId>,
    /// Name or id of what changed, as its topic says.
    pub subject: String,
}

/// Changes, and the time at which they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentChanges {
    /// Time of the read by the log's own clock.
    pub read_at: DateTime<Utc>,
    /// The changes by their numbers.
    pub changes: Vec<LoggedChange>,
}

/// The log of changes. A change is written in its own transaction by the store that makes it.
#[async_trait]
pub trait ChangeLog: Send + Sync {
    /// Returns the changes of the last `age`, at most `limit` of them.
    async fn recent(&self, age: Duration, limit: u32) -> Result<RecentChanges, BackendError>;
    /// Returns a friend's changes since then, at most `limit` of them.
    async fn since(&self, friend: &FriendId, at: DateTime<Utc>, limit: u32) -> Result<Vec<LoggedChange>, BackendError>;
}
