//! Friendships: the agents that work for a friend.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{AgentId, AuditEntry, BackendError, FriendId};

crate::word_enum! {
    /// Status of a friendship. Only an active one admits sessions and runs jobs.
    pub enum FriendshipStatus: "status" {
        /// The agent works for the friend.
        Active = "active",
        /// The agent rests: no sessions, jobs paused.
        Inactive = "inactive",
        /// The friend is kept out: no sessions, jobs paused.
        Blocked = "blocked",
    }
}

/// A friend and an agent: the key of a friendship, and of all that belongs to one, such as jobs and documents.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FriendshipKey {
    /// The friend.
    pub friend: FriendId,
    /// The agent.
    pub agent: AgentId,
}

impl FriendshipKey {
    /// Creates the key of `friend` and `agent`.
    #[must_use]
    pub fn new(friend: FriendId, agent: AgentId) -> Self {
        Self { friend, agent }
    }
}

/// The relationship of one friend and one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Friendship {
    /// The friend.
    pub friend: FriendId,
    /// The agent.
    pub agent: AgentId,
    /// Status, which decides about sessions and jobs.
    pub status: FriendshipStatus,
    /// Right to write the agent's HEARTBEAT.md, which all its friends share. `None`, the default: only while the agent has
    /// no other active friend, since the text steers the agent for all of them.
    pub heartbeat_writable: Option<bool>,
    /// Time at which the friendship was first set.
    pub created_at: DateTime<Utc>,
}

impl Friendship {
    /// Creates an active friendship with the default right to HEARTBEAT.md.
    #[must_use]
    pub fn new(key: FriendshipKey, created_at: DateTime<Utc>) -> Self {
        let FriendshipKey { friend, agent } = key;
        Self { friend, agent, status: FriendshipStatus::Active, heartbeat_writable: None, created_at }
    }

    /// Returns the friend and the agent.
    #[must_use]
    pub fn key(&self) -> FriendshipKey {
        FriendshipKey::new(self.friend.clone(), self.agent.clone())
    }
}

/// The friendships.
#[async_trait]
pub trait FriendshipStore: Send + Sync {
    /// Finds the friendship of a friend and an agent.
    async fn find(&self, key: &FriendshipKey) -> Result<Option<Friendship>, BackendError>;
    /// Returns all friendships of a friend, sorted by agent.
    async fn of_friend(&self, friend: &FriendId) -> Result<Vec<Friendship>, BackendError>;
    /// Counts the other friends with an active friendship of this agent, up to `most`.
    async fn count_others(&self, key: &FriendshipKey, most: u32) -> Result<u32, BackendError>;
    /// Returns all friendships of an agent, sorted by friend.
    async fn of_agent(&self, agent: &AgentId) -> Result<Vec<Friendship>, BackendError>;
    /// Creates or changes a friendship, whose first `created_at` stays; `false` if agent or friend is unknown.
    async fn set(&self, friendship: Friendship, audit: AuditEntry) -> Result<bool, BackendError>;
}
