//! The register of friends, in the database.

use async_trait::async_trait;
use portal_core::{AuditEntry, BackendError, Friend, FriendCreated, FriendId, FriendRemoved, FriendStore};

use super::Db;

/// The register of friends, in the database.
#[derive(Clone)]
pub struct DbFriends(Db);

impl DbFriends {
    /// The store in this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self(db)
    }
}

#[async_trait]
impl FriendStore for DbFriends {
    async fn find(&self, id: &FriendId) -> Result<Option<Friend>, BackendError> {
        let id = id.clone();
        ask!(self.0, read, friends::find(&id))
    }

    async fn list(&self) -> Result<Vec<Friend>, BackendError> {
        ask!(self.0, read, friends::list())
    }

    async fn create(&self, friend: Friend, audit: AuditEntry) -> Result<FriendCreated, BackendError> {
        ask!(self.0, write, friends::create(&friend, &audit))
    }

    async fn update(&self, friend: Friend, audit: AuditEntry) -> Result<bool, BackendError> {
        ask!(self.0, write, friends::update(&friend, &audit))
    }

    async fn remove(&self, id: &FriendId, audit: AuditEntry) -> Result<FriendRemoved, BackendError> {
        let id = id.clone();
        ask!(self.0, write, friends::remove(&id, &audit))
    }
}
