//! Friendships, in memory.

use async_trait::async_trait;
use portal_core::{AgentId, AuditEntry, BackendError, FriendId, Friendship, FriendshipKey, FriendshipStore};

use super::MemoryPeople;

/// The friendships, in memory.
#[derive(Clone)]
pub struct MemoryFriendships(MemoryPeople);

impl MemoryFriendships {
    /// The friendships of this register.
    #[must_use]
    pub fn new(people: &MemoryPeople) -> Self {
        Self(people.clone())
    }
}

#[async_trait]
impl FriendshipStore for MemoryFriendships {
    async fn find(&self, key: &FriendshipKey) -> Result<Option<Friendship>, BackendError> {
        self.0.transaction(|register| register.friendships.get(key).cloned())
    }

    async fn of_friend(&self, friend: &FriendId) -> Result<Vec<Friendship>, BackendError> {
        self.0.transaction(|register| {
            register.friendships.values().filter(|kept| kept.friend == *friend).cloned().collect()
        })
    }

    async fn of_agent(&self, agent: &AgentId) -> Result<Vec<Friendship>, BackendError> {
        self.0.transaction(|register| {
            register.friendships.values().filter(|kept| kept.agent == *agent).cloned().collect()
        })
    }

    async fn set(&self, friendship: Friendship, audit: AuditEntry) -> Result<bool, BackendError> {
        self.0.transaction(|register| {
            let known =
                register.agents.contains_key(&friendship.agent) && register.friends.contains_key(&friendship.friend);
            if !known {
                return false;
            }
            let key = FriendshipKey::new(friendship.friend.clone(), friendship.agent.clone());
            let created_at = register.friendships.get(&key).map_or(friendship.created_at, |kept| kept.created_at);
            register.friendships.insert(key, Friendship { created_at, ..friendship });
            register.record(audit);
            true
        })
    }
}
