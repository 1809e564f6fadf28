//! The friends' contacts, in the database.

use async_trait::async_trait;
use portal_core::{AuditEntry, BackendError, Contact, ContactAdded, ContactStore, FriendId};

use super::Db;

/// The friends' contacts, in the database.
#[derive(Clone)]
pub struct DbContacts(Db);

impl DbContacts {
    /// The store in this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self(db)
    }
}

#[async_trait]
impl ContactStore for DbContacts {
    async fn list(&self, friend: &FriendId) -> Result<Vec<Contact>, BackendError> {
        let friend = friend.clone();
        ask!(self.0, read, contacts::list(&friend))
    }

    async fn add(&self, contact: Contact, audit: AuditEntry) -> Result<ContactAdded, BackendError> {
        ask!(self.0, write, contacts::add(&contact, &audit))
    }

    async fn remove(&self, contact: &Contact, audit: AuditEntry) -> Result<bool, BackendError> {
        let contact = contact.clone();
        ask!(self.0, write, contacts::remove(&contact, &audit))
    }
}
