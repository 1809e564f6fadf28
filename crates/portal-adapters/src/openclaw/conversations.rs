//! Which conversations a gateway keeps apart, as its configuration says.

use std::collections::BTreeMap;

use portal_core::Contact;
use serde_json::{Value, json};

use super::client::{CallError, CallKind, GatewayClient};

portal_core::word_enum! {
    /// Conversation in which a gateway puts a direct message.
    pub enum DmScope: "session.dmScope" {
        /// One for everybody.
        Main = "main",
        /// One for each person.
        PerPeer = "per-peer",
        /// One for each person and channel.
        PerChannelPeer = "per-channel-peer",
        /// One for each person, channel and account of the gateway.
        PerAccountChannelPeer = "per-account-channel-peer",
    }
}

/// The parts of a gateway's configuration that decide where a friend's messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversations {
    /// The scope; `None` for one that this portal does not know.
    pub scope: Option<DmScope>,
    /// Addresses of each person, as `channel:address` or an address alone, in lower case.
    links: BTreeMap<String, Vec<String>>,
    /// Whether a message by the hooks may name its conversation.
    pub accepts_keys: bool,
    /// Beginnings of the conversations that it may name.
    key_prefixes: Vec<String>,
}

impl Conversations {
    /// Asks a gateway.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn read(client: &GatewayClient) -> Result<Self, CallError> {
        let answer = client.call(CallKind::Read, "config.get", json!({})).await?;
        Ok(Self::parse(answer.get("config").unwrap_or(&Value::Null)))
    }

    /// Reads the configuration as the gateway shows it.
    #[must_use]
    pub fn parse(config: &Value) -> Self {
        let (session, hooks) = (&config["session"], &config["hooks"]);
        // A gateway fills no default in: nothing said is the one conversation for everybody.
        let scope = session["dmScope"].as_str().map_or(Some(DmScope::Main), |text| DmScope::parse(text).ok());
        let texts = |list: &Value| {
            list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_lowercase).collect::<Vec<_>>()
        };
        let links = session["identityLinks"].as_object().into_iter().flatten();
        Self {
            scope,
            links: links.map(|(person, addresses)| (person.clone(), texts(addresses))).collect(),
            accepts_keys: hooks["allowRequestSessionKey"] == true,
            key_prefixes: texts(&hooks["allowedSessionKeyPrefixes"]),
        }
    }

    /// Returns whether messages from a contact are said in the conversation of that friend's name.
    #[must_use]
    pub fn links(&self, contact: &Contact) -> bool {
        self.links.get(contact.friend.as_str()).is_some_and(|addresses| names(addresses, contact))
    }

    /// Returns whether they are said in a conversation of another name.
    #[must_use]
    pub fn links_elsewhere(&self, contact: &Contact) -> bool {
        let others = self.links.iter().filter(|(person, _)| person.as_str() != contact.friend.as_str());
        others.into_iter().any(|(_, addresses)| names(addresses, contact))
    }

    /// Returns whether the hooks accept conversations that begin so.
    #[must_use]
    pub fn accepts(&self, key: &str) -> bool {
        // Without prefixes a gateway refuses messages into a conversation that exists.
        self.accepts_keys && self.key_prefixes.iter().any(|prefix| key.starts_with(prefix))
    }
}

fn names(addresses: &[String], contact: &Contact) -> bool {
    let with_channel = format!("{}:{}", contact.channel, contact.address);
    addresses.iter().any(|address| *address == with_channel || *address == contact.address)
}

#[cfg(test)]
mod tests {
    use portal_core::{Contact, FriendId};
    use serde_json::json;

    use super::{Conversations, DmScope};

    #[test]
    fn a_configuration_says_who_shares_a_conversation_and_which_the_hooks_accept() {
        let nothing = Conversations::parse(&json!({}));
        assert_eq!(nothing.scope, Some(DmScope::Main));
        assert!(!nothing.accepts("agent:main:direct:alice"));
        let config = Conversations::parse(&json!({
            "session": {"dmScope": "per-peer", "identityLinks": {"alice": ["Signal:+1", "ABC"], "bob": "signal:+2"}},
            "hooks": {"allowRequestSessionKey": true, "allowedSessionKeyPrefixes": ["hook:", "agent:main:direct:"]},
        }));
        assert_eq!(config.scope, Some(DmScope::PerPeer));
        assert!(config.accepts("agent:main:direct:alice") && !config.accepts("agent:other:direct:alice"));
        for (friend, channel, address, expected) in [
            ("alice", "signal", "+1", [true, false]),
            ("alice", "slack", "aBc", [true, false]),
            ("alice", "telegram", "+1", [false, false]),
            ("bob", "signal", "+1", [false, true]),
            ("bob", "slack", "abc", [false, true]),
            ("bob", "signal", "+2", [false, false]),
        ] {
            let contact = Contact::parse(FriendId::parse(friend).unwrap(), channel, address).unwrap();
            let found = [config.links(&contact), config.links_elsewhere(&contact)];
            assert_eq!(found, expected, "{friend} {channel} {address}");
        }
        assert_eq!(Conversations::parse(&json!({"session": {"dmScope": "per-planet"}})).scope, None);
    }
}
