//! What friends change about themselves.

use std::sync::Arc;

use crate::{Action, Actor, AuditEntry, BackendError, Clock, Friend, FriendId, FriendPatch, FriendStore};

/// The settings of friends: their name, channel and time zone, as they change them themselves.
#[derive(Clone)]
pub struct FriendSettings {
    friends: Arc<dyn FriendStore>,
    clock: Arc<dyn Clock>,
}

impl FriendSettings {
    /// Settings in this register.
    pub fn new(friends: Arc<dyn FriendStore>, clock: Arc<dyn Clock>) -> Self {
        Self { friends, clock }
    }

    /// Returns what is registered of a friend; `None` if they were removed.
    ///
    /// # Errors
    /// The register failed.
    pub async fn find(&self, id: &FriendId) -> Result<Option<Friend>, BackendError> {
        self.friends.find(id).await
    }

    /// Changes a friend's settings and returns the friend as they are now; `None` if they were removed. A change that
    /// changes nothing is success and stores nothing.
    ///
    /// # Errors
    /// The register failed.
    pub async fn change(&self, id: &FriendId, patch: FriendPatch) -> Result<Option<Friend>, BackendError> {
        let Some(current) = self.friends.find(id).await? else { return Ok(None) };
        // Applied to what was just read only to see whether anything changes. The store applies the patch to the row as it
        // then is, in which another device may have changed another member.
        let mut changed = current.clone();
        patch.clone().apply(&mut changed);
        if changed == current {
            return Ok(Some(current));
        }
        let audit = AuditEntry::new(self.clock.now(), Actor::Friend(id.clone()), Action::FriendUpdate)
            .with_friend(id.clone())
            .with_subject(id.as_str())
            .with_detail(patch.members().join(", "));
        self.friends.patch(id, patch, audit).await
    }
}
