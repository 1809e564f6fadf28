//! Contacts: addresses of friends on channels.

use async_trait::async_trait;

use crate::{AuditEntry, BackendError, FriendId, Invalid};

/// Longest address on a channel, in bytes.
const ADDRESS_MAX: usize = 128;

/// The id of a channel, such as `signal`: 1 to 32 lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(String);

crate::string_newtype!(ChannelId);

impl ChannelId {
    /// Reads a channel id.
    ///
    /// # Errors
    /// Refuses what `^[a-z0-9][a-z0-9-]{0,31}$` does not match, and `direct`, `agent` and `thread`, which are words
    /// of a session key's grammar.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let reserved = matches!(text, "direct" | "agent" | "thread");
        if (1..=32).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(plain) && !reserved {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "channel",
            "channel must be 1 to 32 lower-case letters, digits or hyphens, begin with a letter or digit, and not be direct, agent or thread",
        ))
    }
}

/// A friend's address on a channel. No two friends share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Owner of the address.
    pub friend: FriendId,
    /// On which channel.
    pub channel: ChannelId,
    /// The address there, in lower case: session keys are compared that way.
    pub address: String,
    /// The address as it was typed: some channels tell upper from lower case, and the agent's answers are sent to it.
    pub typed: String,
}

impl Contact {
    /// Reads a contact; the address is lower-cased, as session keys are.
    ///
    /// # Errors
    /// Refuses an address that is empty, longer than 128 bytes, begins or ends with `:`, or holds white space,
    /// control characters, an empty segment (`::`) or `:thread:`, all of which a session key cannot carry.
    pub fn parse(friend: FriendId, channel: &str, address: &str) -> Result<Self, Invalid> {
        let channel = ChannelId::parse(channel)?;
        let (typed, address) = (address.to_owned(), address.to_lowercase());
        // Of the folded text, which is stored and compared; folding may make it longer.
        let segments_are_full = address.split(':').all(|segment| !segment.is_empty());
        let printable = !typed.chars().any(|letter| letter.is_whitespace() || letter.is_control());
        let threaded = address.split(':').any(|segment| segment == "thread");
        if address.len() <= ADDRESS_MAX && segments_are_full && printable && !threaded {
            return Ok(Self { friend, channel, address, typed });
        }
        Err(Invalid::new(
            "address",
            "address must be 1 to 128 bytes without white space, without empty parts between colons and without a part `thread`",
        ))
    }
}

/// Outcome of adding a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactAdded {
    /// It is the friend's now, as it was typed.
    New,
    /// It was the friend's before; nothing changed.
    Same,
    /// It belongs to another friend; nothing changed.
    Taken,
    /// The address is the id of a friend; a session key could mean either, so nothing changed.
    IsFriendId,
    /// There is no such friend.
    NoFriend,
}

/// The friends' contacts.
#[async_trait]
pub trait ContactStore: Send + Sync {
    /// The contacts of a friend, sorted by channel and address.
    async fn list(&self, friend: &FriendId) -> Result<Vec<Contact>, BackendError>;
    /// Adds a contact.
    async fn add(&self, contact: Contact, audit: AuditEntry) -> Result<ContactAdded, BackendError>;
    /// Removes a contact; `false` if the friend has no such one.
    async fn remove(&self, contact: &Contact, audit: AuditEntry) -> Result<bool, BackendError>;
}

#[cfg(test)]
mod tests {
    use super::{ChannelId, Contact};
    use crate::FriendId;

    #[test]
    fn an_address_is_one_a_session_key_can_carry() {
        let alice = FriendId::parse("alice").unwrap();
        for (address, accepted) in [
            ("+15550100", true),
            ("user:server.example", true),
            ("ALICE@example.org", true),
            ("", false),
            (":a", false),
            ("a::b", false),
            ("a:thread:b", false),
            ("a b", false),
            ("a\u{0}", false),
        ] {
            assert_eq!(Contact::parse(alice.clone(), "signal", address).is_ok(), accepted, "{address:?}");
        }
    }

    #[test]
    fn words_of_the_session_key_grammar_are_no_channels() {
        for (text, accepted) in
            [("signal", true), ("channel", true), ("direct", false), ("thread", false), ("Signal", false), ("", false)]
        {
            assert_eq!(ChannelId::parse(text).is_ok(), accepted, "{text:?}");
        }
    }
}
