//! Ids of friends and agents.

use crate::Invalid;

/// Longest friend id, in bytes: `friend-<id>` and `<name>-<id>` must fit the 63 bytes of a DNS label.
const FRIEND_ID_MAX: usize = 40;
/// Longest agent id, in bytes, as the agent gateway limits it.
const AGENT_ID_MAX: usize = 64;

/// The id of a friend: 1 to 40 lower-case letters, digits and inner hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FriendId(String);

impl FriendId {
    /// Reads a friend id.
    ///
    /// # Errors
    /// Refuses what `^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$` does not match; nothing is folded or trimmed, so that
    /// two spellings are never one friend.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        // Bytes are letters here, since no byte of a longer letter passes.
        let edges_are_plain = !text.starts_with('-') && !text.ends_with('-');
        if (1..=FRIEND_ID_MAX).contains(&text.len()) && edges_are_plain && text.bytes().all(inner) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::not_matching(
            "friend_id",
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            "friend_id must be 1 to 40 lower-case letters, digits or hyphens, and neither begin nor end with a hyphen",
        ))
    }

    /// The friend's Kubernetes namespace, `friend-<id>`.
    #[must_use]
    pub fn namespace(&self) -> String {
        format!("friend-{}", self.0)
    }
}

/// The id of an agent, as its gateway writes it: 1 to 64 lower-case letters, digits, `_` and `-`, the first of them a
/// letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(String);

crate::string_newtype!(FriendId, AgentId);

impl AgentId {
    /// Reads an agent id.
    ///
    /// # Errors
    /// Refuses what `^[a-z0-9][a-z0-9_-]{0,63}$` does not match.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        let begins_plain = !text.starts_with(['-', '_']);
        if (1..=AGENT_ID_MAX).contains(&text.len()) && begins_plain && text.bytes().all(inner) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::not_matching(
            "agent",
            "^[a-z0-9][a-z0-9_-]{0,63}$",
            "agent must be 1 to 64 lower-case letters, digits, hyphens or underscores, and begin with a letter or digit",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{AgentId, FriendId};

    #[track_caller]
    fn check_friend(text: &str, accepted: bool) {
        assert_eq!(FriendId::parse(text).is_ok(), accepted, "{text:?}");
    }

    #[test]
    fn a_friend_id_is_a_piece_of_a_dns_label() {
        check_friend("a", true);
        check_friend("lord-helmchen", true);
        check_friend(&"a".repeat(40), true);
        check_friend(&"a".repeat(41), false);
        for text in ["", "-a", "a-", "Alice", "al ice", "al/ice", "..", "аlice", "al_ice", "alice\u{0}", "alice\n"] {
            check_friend(text, false);
        }
    }

    #[test]
    fn an_agent_id_is_what_the_gateway_accepts() {
        for (text, accepted) in
            [("main", true), ("a_b-c", true), ("_a", false), ("Main", false), ("", false), ("a/b", false)]
        {
            assert_eq!(AgentId::parse(text).is_ok(), accepted, "{text:?}");
        }
    }

    #[test]
    fn a_namespace_carries_the_friend_id() {
        assert_eq!(FriendId::parse("alice").map(|id| id.namespace()), Ok("friend-alice".to_owned()));
    }
}
