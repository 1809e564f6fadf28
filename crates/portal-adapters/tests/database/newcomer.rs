//! Somebody to register.

use chrono::DateTime;
use portal_core::{Action, Actor, AuditEntry, Friend, FriendId};

/// A friend with nothing but an id, and the line that goes with their registration.
pub(crate) fn newcomer(id: &str) -> (Friend, AuditEntry) {
    let id = FriendId::parse(id).unwrap();
    let audit = by_root(Action::FriendCreate, &id);
    let friend =
        Friend { id, display_name: None, preferred_channel: None, time_zone: None, created_at: DateTime::UNIX_EPOCH };
    (friend, audit)
}

/// A line about something of a friend's that an operator did.
pub(crate) fn by_root(action: Action, friend: &FriendId) -> AuditEntry {
    AuditEntry {
        at: DateTime::UNIX_EPOCH,
        actor: Actor::Operator("root".to_owned()),
        action,
        friend: Some(friend.clone()),
        subject: friend.to_string(),
        detail: String::new(),
    }
}
