//! Friendships, in memory.

use async_trait::async_trait;
use portal_core::{
    AgentId, AuditEntry, BackendError, FriendId, Friendship, FriendshipKey, FriendshipStatus, FriendshipStore,
};

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

    async fn count_others(&self, key: &FriendshipKey, most: u32) -> Result<u32, BackendError> {
        let is_other = |of: &&Friendship| {
            of.agent == key.agent && of.friend != key.friend && of.status == portal_core::FriendshipStatus::Active
        };
        self.0.transaction(|register| {
            let count = register.friendships.values().filter(is_other).count();
            u32::try_from(count).unwrap_or(u32::MAX).min(most)
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
            let before = register.friendships.get(&key);
            let created_at = before.map_or(friendship.created_at, |before| before.created_at);
            let was_active = before.is_some_and(|before| before.status == FriendshipStatus::Active);
            if friendship.status == FriendshipStatus::Active && !was_active {
                register.resume_jobs(&friendship, audit.at);
            }
            register.friendships.insert(key, Friendship { created_at, ..friendship });
            register.record(audit);
            true
        })
    }
}
