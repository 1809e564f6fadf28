//! The people the portal serves.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{AuditEntry, BackendError, Change, ChannelId, FriendId, Invalid};

/// Longest display name, in characters.
const DISPLAY_NAME_MAX: usize = 80;

/// A person who has agents work for them, and a namespace of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Friend {
    /// Id, unique in this portal.
    pub id: FriendId,
    /// The name they chose, if any.
    pub display_name: Option<String>,
    /// The channel on which they would rather be written to.
    pub preferred_channel: Option<ChannelId>,
    /// Their IANA time zone, in which a schedule without one is read.
    pub time_zone: Option<String>,
    /// Time of registration.
    pub created_at: DateTime<Utc>,
}

impl Friend {
    /// Creates a friend of whom nothing but the id is known.
    #[must_use]
    pub fn new(id: FriendId, created_at: DateTime<Utc>) -> Self {
        Self { id, display_name: None, preferred_channel: None, time_zone: None, created_at }
    }

    /// Reads a display name.
    ///
    /// # Errors
    /// Refuses an empty name, more than 80 characters, control characters, and spaces around it.
    pub fn parse_display_name(text: String) -> Result<String, Invalid> {
        // Characters, not bytes: the limit is for what a page shows.
        let length = text.chars().count();
        if (1..=DISPLAY_NAME_MAX).contains(&length) && !text.chars().any(char::is_control) && text.trim() == text {
            return Ok(text);
        }
        let rule = "display_name must be 1 to 80 characters, without control characters and without spaces around it";
        Err(Invalid::new("display_name", rule).with_rule("max-characters", [("max", DISPLAY_NAME_MAX.to_string())]))
    }

    /// The name to show: the chosen one, else the id with a capital first letter.
    #[must_use]
    pub fn shown_name(&self) -> String {
        if let Some(name) = &self.display_name {
            return name.clone();
        }
        // An id has a first letter; the empty text only satisfies the type.
        let mut letters = self.id.as_str().chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }
}

/// Changes to what is registered of a friend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FriendPatch {
    /// Another name.
    pub display_name: Change<String>,
    /// Another channel.
    pub preferred_channel: Change<ChannelId>,
    /// Another time zone.
    pub time_zone: Change<String>,
}

impl FriendPatch {
    /// Returns the names of the members that it changes.
    #[must_use]
    pub fn members(&self) -> Vec<&'static str> {
        let members = [
            ("display_name", self.display_name.is_keep()),
            ("preferred_channel", self.preferred_channel.is_keep()),
            ("time_zone", self.time_zone.is_keep()),
        ];
        members.into_iter().filter(|(_, is_kept)| !is_kept).map(|(name, _)| name).collect()
    }

    /// Writes the changes into `friend`.
    pub fn apply(self, friend: &mut Friend) {
        self.display_name.write(&mut friend.display_name);
        self.preferred_channel.write(&mut friend.preferred_channel);
        self.time_zone.write(&mut friend.time_zone);
    }
}

/// Outcome of registering a friend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FriendCreated {
    /// They are registered now.
    New,
    /// There was a friend of that id before; nothing changed.
    Exists,
    /// The id is somebody's contact; a session key could mean either, so nothing changed.
    IsContact,
}

/// Outcome of removing a friend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FriendRemoved {
    /// They are gone, with their contacts, friendships, sessions, documents' versions and jobs.
    Done,
    /// There was no such friend.
    Absent,
    /// They still have exposures, and so records in somebody's zone; nothing changed.
    HasExposures,
}

/// The register of friends.
#[async_trait]
pub trait FriendStore: Send + Sync {
    /// The friend of that id.
    async fn find(&self, id: &FriendId) -> Result<Option<Friend>, BackendError>;
    /// Every friend, sorted by id.
    async fn list(&self) -> Result<Vec<Friend>, BackendError>;
    /// Registers a friend.
    async fn create(&self, friend: Friend, audit: AuditEntry) -> Result<FriendCreated, BackendError>;
    /// Replaces name, channel and time zone of a friend; `false` if there is no such friend.
    async fn update(&self, friend: Friend, audit: AuditEntry) -> Result<bool, BackendError>;
    /// Changes the members of a friend that `patch` names and no others, so that changes from two devices both count;
    /// returns the friend as they are now, `None` if there is no such friend.
    async fn patch(&self, id: &FriendId, patch: FriendPatch, audit: AuditEntry)
    -> Result<Option<Friend>, BackendError>;
    /// Removes a friend and all that the portal keeps of them, unless they have exposures.
    async fn remove(&self, id: &FriendId, audit: AuditEntry) -> Result<FriendRemoved, BackendError>;
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::Friend;
    use crate::FriendId;

    #[test]
    fn a_friend_without_a_name_is_shown_by_their_id() {
        let id = FriendId::parse("lord-helmchen").unwrap();
        let mut friend = Friend::new(id, DateTime::UNIX_EPOCH);
        assert_eq!(friend.shown_name(), "Lord-helmchen");
        friend.display_name = Some("Dark".to_owned());
        assert_eq!(friend.shown_name(), "Dark");
    }
}
