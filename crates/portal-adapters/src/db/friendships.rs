//! The friendships, in the database.

use async_trait::async_trait;
use portal_core::{AgentId, AuditEntry, BackendError, FriendId, Friendship, FriendshipKey, FriendshipStore};

use super::Db;

/// The friendships, in the database.
#[derive(Clone)]
pub struct DbFriendships(Db);

impl DbFriendships {
    /// The store in this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self(db)
    }
}

#[async_trait]
impl FriendshipStore for DbFriendships {
    async fn find(&self, key: &FriendshipKey) -> Result<Option<Friendship>, BackendError> {
        let key = key.clone();
        ask!(self.0, read, friendships::find(&key))
    }

    async fn of_friend(&self, friend: &FriendId) -> Result<Vec<Friendship>, BackendError> {
        let friend = friend.clone();
        ask!(self.0, read, friendships::of_friend(&friend))
    }

    async fn of_agent(&self, agent: &AgentId) -> Result<Vec<Friendship>, BackendError> {
        let agent = agent.clone();
        ask!(self.0, read, friendships::of_agent(&agent))
    }

    async fn set(&self, friendship: Friendship, audit: AuditEntry) -> Result<bool, BackendError> {
        ask!(self.0, write, friendships::set(&friendship, &audit))
    }
}
