//! Which agent works for which friend.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{AgentId, AuditEntry, BackendError, FriendId, Invalid};

/// How a friend and an agent stand with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FriendshipStatus {
    /// The agent works for the friend.
    Active,
    /// The agent rests: no sessions, jobs paused.
    Inactive,
    /// The friend is kept out: no sessions, jobs paused.
    Blocked,
}

impl FriendshipStatus {
    /// Reads a status.
    ///
    /// # Errors
    /// Refuses all but `active`, `inactive` and `blocked`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "active" => Ok(Self::Active),
            "inactive" => Ok(Self::Inactive),
            "blocked" => Ok(Self::Blocked),
            _ => Err(Invalid::new("status", "status must be active, inactive or blocked")),
        }
    }

    /// The status as a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for FriendshipStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The relationship of one agent and one friend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Friendship {
    /// The agent.
    pub agent: AgentId,
    /// The friend.
    pub friend: FriendId,
    /// How they stand.
    pub status: FriendshipStatus,
    /// Right to write the agent's HEARTBEAT.md, which all its friends share. `None`, the default: only while the agent has
    /// no other active friend, since the text steers the agent for all of them.
    pub heartbeat_writable: Option<bool>,
    /// Since when there is a relationship.
    pub created_at: DateTime<Utc>,
}

/// The friendships.
#[async_trait]
pub trait FriendshipStore: Send + Sync {
    /// The relationship of this agent and this friend.
    async fn find(&self, agent: &AgentId, friend: &FriendId) -> Result<Option<Friendship>, BackendError>;
    /// All relationships of a friend, sorted by agent.
    async fn of_friend(&self, friend: &FriendId) -> Result<Vec<Friendship>, BackendError>;
    /// Counts the other friends with an active friendship of this agent, up to `most`.
    async fn count_others(&self, agent: &AgentId, friend: &FriendId, most: u32) -> Result<u32, BackendError>;
    /// All relationships of an agent, sorted by friend.
    async fn of_agent(&self, agent: &AgentId) -> Result<Vec<Friendship>, BackendError>;
    /// Makes or changes a relationship, keeping its first `created_at`; `false` if agent or friend is unknown.
    async fn set(&self, friendship: Friendship, audit: AuditEntry) -> Result<bool, BackendError>;
}
