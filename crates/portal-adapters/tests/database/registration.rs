//! A friend to register.

use chrono::DateTime;
use portal_core::{Action, Actor, AuditEntry, Friend, FriendId};

/// A friend with nothing but an id, and the line that goes with their registration.
pub(crate) fn friend_and_audit(id: &str) -> (Friend, AuditEntry) {
    let id = FriendId::parse(id).unwrap();
    let audit = by_root(Action::FriendCreate, &id);
    let friend = Friend::new(id, DateTime::UNIX_EPOCH);
    (friend, audit)
}

/// A line about something of a friend's that an operator did.
pub(crate) fn by_root(action: Action, friend: &FriendId) -> AuditEntry {
    AuditEntry::new(DateTime::UNIX_EPOCH, Actor::Operator("root".to_owned()), action)
        .with_friend(friend.clone())
        .with_subject(friend.to_string())
}
