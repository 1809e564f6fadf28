//! Friends, in memory.

use async_trait::async_trait;
use portal_core::{AuditEntry, BackendError, Friend, FriendCreated, FriendId, FriendPatch, FriendRemoved, FriendStore};

use super::MemoryPeople;

/// The register of friends, in memory.
#[derive(Clone)]
pub struct MemoryFriends(MemoryPeople);

impl MemoryFriends {
    /// The friends of this register.
    #[must_use]
    pub fn new(people: &MemoryPeople) -> Self {
        Self(people.clone())
    }
}

#[async_trait]
impl FriendStore for MemoryFriends {
    async fn find(&self, id: &FriendId) -> Result<Option<Friend>, BackendError> {
        self.0.transaction(|register| register.friends.get(id).cloned())
    }

    async fn list(&self) -> Result<Vec<Friend>, BackendError> {
        self.0.transaction(|register| register.friends.values().cloned().collect())
    }

    async fn create(&self, friend: Friend, audit: AuditEntry) -> Result<FriendCreated, BackendError> {
        self.0.transaction(|register| {
            if register.friends.contains_key(&friend.id) {
                return FriendCreated::Exists;
            }
            if register.contacts.iter().any(|contact| contact.address == friend.id.as_str()) {
                return FriendCreated::IsContact;
            }
            register.friends.insert(friend.id.clone(), friend);
            register.record(audit);
            FriendCreated::New
        })
    }

    async fn update(&self, friend: Friend, audit: AuditEntry) -> Result<bool, BackendError> {
        self.0.transaction(|register| {
            let Some(stored) = register.friends.get_mut(&friend.id) else { return false };
            *stored = Friend { created_at: stored.created_at, ..friend };
            register.record(audit);
            true
        })
    }

    async fn patch(
        &self,
        id: &FriendId,
        patch: FriendPatch,
        audit: AuditEntry,
    ) -> Result<Option<Friend>, BackendError> {
        self.0.transaction(|register| {
            let stored = register.friends.get_mut(id)?;
            patch.apply(stored);
            let friend = stored.clone();
            register.record(audit);
            Some(friend)
        })
    }

    async fn remove(&self, id: &FriendId, audit: AuditEntry) -> Result<FriendRemoved, BackendError> {
        self.0.transaction(|register| {
            if !register.friends.contains_key(id) {
                return FriendRemoved::Absent;
            }
            if register.is_guarded(id) {
                return FriendRemoved::HasExposures;
            }
            register.friends.remove(id);
            register.contacts.retain(|contact| contact.friend != *id);
            register.friendships.retain(|key, _| key.friend != *id);
            register.sessions.retain(|_, (_, kept)| kept.session.friend != *id);
            register.retain_jobs(|job| job.owner.friend != *id);
            register.forget_documents_of(id);
            register.record(audit);
            FriendRemoved::Done
        })
    }
}
