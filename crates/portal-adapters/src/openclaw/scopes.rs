//! The conversations in which gateways have what friends write.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use portal_core::{AgentId, BackendError, Contact};
use portal_cron::{ConversationScopes, DefaultConversation};
use tokio::time::Instant;

use super::GatewayOf;
use super::conversations::{Conversations, DmScope};

/// Time for which a gateway's configuration is remembered; a change there works within seconds.
const LIFETIME: Duration = Duration::from_secs(30);

/// Gateways that are asked for their configuration.
pub struct GatewayScopes {
    gateway_of: GatewayOf,
    known: Mutex<HashMap<AgentId, (Instant, Conversations)>>,
}

impl GatewayScopes {
    /// Scopes of these gateways.
    #[must_use]
    pub fn new(gateway_of: GatewayOf) -> Self {
        Self { gateway_of, known: Mutex::default() }
    }
}

#[async_trait]
impl ConversationScopes for GatewayScopes {
    async fn conversation(&self, agent: &AgentId, contact: &Contact) -> Result<DefaultConversation, BackendError> {
        let Some(gateway) = (self.gateway_of)(agent) else { return Ok(DefaultConversation::OfFriend) };
        let fresh = |(read_at, found): &(Instant, Conversations)| (read_at.elapsed() < LIFETIME).then(|| found.clone());
        let known = self.known.lock().get(agent).and_then(fresh);
        let found = if let Some(found) = known {
            found
        } else {
            let found = Conversations::read(&gateway).await?;
            self.known.lock().insert(agent.clone(), (Instant::now(), found.clone()));
            found
        };
        Ok(default_conversation(&found, contact))
    }
}

fn default_conversation(found: &Conversations, contact: &Contact) -> DefaultConversation {
    match found.scope {
        Some(DmScope::PerChannelPeer) if found.links(contact) => DefaultConversation::OnChannelOfFriend,
        // Linked under another name, it is somebody else's conversation, or shared with them.
        Some(DmScope::PerChannelPeer) if !found.links_elsewhere(contact) => DefaultConversation::OnChannelOfAddress,
        // One conversation for everybody is never the friend's own, and an account's name is not known.
        _ => DefaultConversation::OfFriend,
    }
}

#[cfg(test)]
mod tests {
    use portal_core::{Contact, FriendId};
    use portal_cron::DefaultConversation;
    use serde_json::json;

    use super::default_conversation;
    use crate::openclaw::Conversations;

    #[test]
    fn a_default_conversation_is_the_friends_own() {
        let contact =
            |friend: &str, address| Contact::parse(FriendId::parse(friend).unwrap(), "signal", address).unwrap();
        let links = json!({"alice": ["signal:+1"], "bob": ["+3"]});
        for (scope, friend, address, expected) in [
            ("main", "alice", "+1", DefaultConversation::OfFriend),
            ("per-peer", "alice", "+1", DefaultConversation::OfFriend),
            ("per-channel-peer", "alice", "+1", DefaultConversation::OnChannelOfFriend),
            ("per-channel-peer", "alice", "+2", DefaultConversation::OnChannelOfAddress),
            ("per-channel-peer", "alice", "+3", DefaultConversation::OfFriend),
            ("per-account-channel-peer", "alice", "+1", DefaultConversation::OfFriend),
            ("per-planet", "alice", "+1", DefaultConversation::OfFriend),
        ] {
            let found = Conversations::parse(&json!({"session": {"dmScope": scope, "identityLinks": links}}));
            assert_eq!(default_conversation(&found, &contact(friend, address)), expected, "{scope} {address}");
        }
    }
}
