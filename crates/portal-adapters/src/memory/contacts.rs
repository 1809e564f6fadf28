//! Contacts, in memory.

use async_trait::async_trait;
use portal_core::{AuditEntry, BackendError, Contact, ContactAdded, ContactStore, FriendId};

use super::MemoryPeople;

/// The friends' contacts, in memory.
#[derive(Clone)]
pub struct MemoryContacts(MemoryPeople);

impl MemoryContacts {
    /// The contacts of this register.
    #[must_use]
    pub fn new(people: &MemoryPeople) -> Self {
        Self(people.clone())
    }
}

#[async_trait]
impl ContactStore for MemoryContacts {
    async fn list(&self, friend: &FriendId) -> Result<Vec<Contact>, BackendError> {
        self.0.transaction(|register| {
            let mut contacts: Vec<_> =
                register.contacts.iter().filter(|contact| contact.friend == *friend).cloned().collect();
            contacts.sort_by(|a, b| (&a.channel, &a.address).cmp(&(&b.channel, &b.address)));
            contacts
        })
    }

    async fn add(&self, contact: Contact, audit: AuditEntry) -> Result<ContactAdded, BackendError> {
        self.0.transaction(|register| {
            if !register.friends.contains_key(&contact.friend) {
                return ContactAdded::NoFriend;
            }
            let same_address = |kept: &&Contact| is_same(kept, &contact);
            if let Some(kept) = register.contacts.iter().find(same_address) {
                if kept.friend != contact.friend {
                    return ContactAdded::Taken;
                }
                if *kept == contact {
                    return ContactAdded::Same;
                }
                register.contacts.retain(|kept| !is_same(kept, &contact));
                register.contacts.push(contact);
                register.record(audit);
                return ContactAdded::New;
            }
            if register.friends.keys().any(|id| id.as_str() == contact.address) {
                return ContactAdded::IsFriendId;
            }
            register.contacts.push(contact);
            register.record(audit);
            ContactAdded::New
        })
    }

    async fn remove(&self, contact: &Contact, audit: AuditEntry) -> Result<bool, BackendError> {
        self.0.transaction(|register| {
            let before = register.contacts.len();
            register.contacts.retain(|kept| kept.friend != contact.friend || !is_same(kept, contact));
            let removed = register.contacts.len() < before;
            if removed {
                register.record(audit);
            }
            removed
        })
    }
}

/// Compares the addresses as session keys do.
fn is_same(one: &Contact, other: &Contact) -> bool {
    (&one.channel, &one.address) == (&other.channel, &other.address)
}
