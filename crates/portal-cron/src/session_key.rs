//! Ownership of session keys.

use std::sync::Arc;

use async_trait::async_trait;
use portal_core::{AgentId, BackendError, ChannelId, Contact, ContactStore, FriendId, FriendStore, FriendshipKey};

/// Word for the default session, in which a friend and an agent talk across channels.
pub(crate) const DEFAULT_SESSION: &str = "isolated";
/// Literal that stands for any channel in the example of the portal's specification.
const ANY_CHANNEL: &str = "channel";
/// Longest account of a channel, in bytes.
const ACCOUNT_MAX: usize = 64;
/// Words that make a key with this second segment name a room or a thread, never one person.
const NO_ACCOUNTS: [&str; 7] = ["group", "channel", "room", "dm", "direct", "topic", "thread"];

/// The canonical address of a conversation between one agent and one friend.
///
/// It exists only for the friend that it was found to belong to, and its text is built here from their own names: the
/// text of a client is never handed on. It is lower-cased and in one of the forms `agent:<agent>:direct:<friend>`,
/// `agent:<agent>:<channel>:direct:<peer>` and `agent:<agent>:<channel>:<account>:direct:<peer>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionKey(String);

portal_core::string_newtype!(write only: SessionKey);

impl SessionKey {
    /// Returns channel and peer of a conversation on one channel; `None` for the one across channels.
    fn channel_and_peer(&self) -> Option<(&str, &str)> {
        let (_, rest) = self.0.strip_prefix("agent:")?.split_once(':')?;
        let (channel, rest) = rest.split_once(':').filter(|(first, _)| *first != "direct")?;
        let direct = rest.strip_prefix("direct:");
        // An account is never `direct`, and everything behind that word is the peer.
        direct.or_else(|| rest.split_once(":direct:").map(|(_, peer)| peer)).map(|peer| (channel, peer))
    }
}

/// A friend and an agent whose conversation a session key may name, with all that identifies them.
#[derive(Debug, Clone, Copy)]
pub struct Claimant<'a> {
    /// The chosen agent.
    pub agent: &'a AgentId,
    /// The friend.
    pub friend: &'a FriendId,
    /// The friend's contacts.
    pub contacts: &'a [Contact],
    /// The channels that the operator configured.
    pub channels: &'a [ChannelId],
}

impl Claimant<'_> {
    /// Returns the claimant's own conversation that `session` names; `None` if it names anybody else's, a shared one or
    /// nothing.
    ///
    /// Letters are compared in lower case, and what remains for the peer is compared whole, never in part.
    #[must_use]
    pub fn own(&self, session: &str) -> Option<SessionKey> {
        // Gateways compare keys in lower case.
        let session = session.to_ascii_lowercase();
        if session == DEFAULT_SESSION {
            return Some(self.default_key());
        }
        let rest = session.strip_prefix("agent:")?.strip_prefix(self.agent.as_str())?.strip_prefix(':')?;
        // An empty segment would be read away by some gateways, and a thread is never one person's.
        if rest.split(':').any(|segment| segment.is_empty() || segment == "thread") {
            return None;
        }
        let (first, rest) = rest.split_once(':')?;
        if first == "direct" { self.own_direct(rest) } else { self.own_on_channel(first, rest) }
    }

    /// `direct:<peer>` and `direct:<channel>:<peer>`.
    fn own_direct(&self, rest: &str) -> Option<SessionKey> {
        if rest == self.friend.as_str() {
            return Some(self.default_key());
        }
        // Everything that remains is the peer: an address may hold colons.
        let (channel, peer) = rest.split_once(':')?;
        if channel == ANY_CHANNEL && peer == self.friend.as_str() {
            return Some(self.default_key());
        }
        let (channel, peer) = (self.configured(channel)?, self.own_peer(channel, peer)?);
        Some(SessionKey(format!("agent:{}:{channel}:direct:{peer}", self.agent)))
    }

    /// `<channel>:direct:<peer>` and `<channel>:<account>:direct:<peer>`.
    fn own_on_channel(&self, channel: &str, rest: &str) -> Option<SessionKey> {
        let channel = self.configured(channel)?;
        if let Some(peer) = rest.strip_prefix("direct:") {
            let peer = self.own_peer(channel, peer)?;
            return Some(SessionKey(format!("agent:{}:{channel}:direct:{peer}", self.agent)));
        }
        let (account, rest) = rest.split_once(':')?;
        let peer = self.own_peer(channel, rest.strip_prefix("direct:")?)?;
        is_account(account).then(|| SessionKey(format!("agent:{}:{channel}:{account}:direct:{peer}", self.agent)))
    }

    fn configured(&self, channel: &str) -> Option<&str> {
        self.channels.iter().map(ChannelId::as_str).find(|configured| *configured == channel)
    }

    fn own_peer(&self, channel: &str, peer: &str) -> Option<&str> {
        if peer == self.friend.as_str() {
            return Some(self.friend.as_str());
        }
        // Addresses are stored in lower case, letters beyond ASCII included.
        let peer = peer.to_lowercase();
        let is_peer = |contact: &&Contact| {
            contact.friend == *self.friend && contact.channel.as_str() == channel && contact.address == peer
        };
        self.contacts.iter().find(is_peer).map(|contact| contact.address.as_str())
    }

    fn default_key(&self) -> SessionKey {
        SessionKey(format!("agent:{}:direct:{}", self.agent, self.friend))
    }
}

fn is_account(text: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.' | b'@');
    text.len() <= ACCOUNT_MAX && text.bytes().all(plain) && !NO_ACCOUNTS.contains(&text)
}

/// Conversation of a contact in a gateway, for jobs that name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultConversation {
    /// One across all channels, under the friend's id.
    OfFriend,
    /// One on the contact's channel, under the friend's id.
    OnChannelOfFriend,
    /// One on the contact's channel, under the contact's address.
    OnChannelOfAddress,
}

/// Destination of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination<'a> {
    /// The conversation.
    pub session: SessionKey,
    /// The contact to which the answers in it go: the one whom it is with, else one on its channel, else one on the
    /// friend's preferred channel, else the first; `None` without contacts.
    pub answer: Option<&'a Contact>,
}

/// Gateways, as far as they decide in which conversation a friend's messages are.
#[async_trait]
pub trait ConversationScopes: Send + Sync {
    /// Returns the conversation in which the agent's gateway has what comes from `contact`.
    async fn conversation(&self, agent: &AgentId, contact: &Contact) -> Result<DefaultConversation, BackendError>;
}

/// Gateways that are not asked: every friend has one conversation across all channels.
pub struct OneConversation;

#[async_trait]
impl ConversationScopes for OneConversation {
    async fn conversation(&self, _: &AgentId, _: &Contact) -> Result<DefaultConversation, BackendError> {
        Ok(DefaultConversation::OfFriend)
    }
}

/// The session keys of friends, by their contacts and the configured channels.
pub struct SessionKeys {
    contacts: Arc<dyn ContactStore>,
    friends: Arc<dyn FriendStore>,
    scopes: Arc<dyn ConversationScopes>,
    channels: Vec<ChannelId>,
}

impl SessionKeys {
    /// Keys over these channels.
    pub fn new(contacts: Arc<dyn ContactStore>, friends: Arc<dyn FriendStore>, channels: Vec<ChannelId>) -> Self {
        Self { contacts, friends, scopes: Arc::new(OneConversation), channels }
    }

    /// The same, with gateways that decide in which conversation a friend's messages are.
    #[must_use]
    pub fn with_scopes(self, scopes: Arc<dyn ConversationScopes>) -> Self {
        Self { scopes, ..self }
    }

    /// Returns the configured channels.
    #[must_use]
    pub fn channels(&self) -> &[ChannelId] {
        &self.channels
    }

    /// Returns the friend's contacts at this moment.
    ///
    /// # Errors
    /// The contact store failed.
    pub async fn contacts(&self, friend: &FriendId) -> Result<Vec<Contact>, BackendError> {
        self.contacts.list(friend).await
    }

    /// Returns the owner's own conversation that `session` names, by these contacts of theirs; `None` if it is not
    /// theirs.
    #[must_use]
    pub fn own(&self, owner: &FriendshipKey, contacts: &[Contact], session: &str) -> Option<SessionKey> {
        Claimant { agent: &owner.agent, friend: &owner.friend, contacts, channels: &self.channels }.own(session)
    }

    /// Returns the owner's own conversation that a key of the agent's gateway names, by these contacts of theirs; `None`
    /// if it is not theirs. The channels of their contacts count as well as the configured ones: a default conversation
    /// may be on any of them.
    #[must_use]
    pub fn own_in_gateway(&self, owner: &FriendshipKey, contacts: &[Contact], key: &str) -> Option<SessionKey> {
        // Words such as `isolated` mean something else to a gateway, and an alias is completed by it.
        let is_key = key.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("agent:"));
        let of_contacts = contacts.iter().map(|contact| contact.channel.clone());
        let channels: Vec<_> = self.channels.iter().cloned().chain(of_contacts).collect();
        let claimant = Claimant { agent: &owner.agent, friend: &owner.friend, contacts, channels: &channels };
        claimant.own(key).filter(|_| is_key)
    }

    /// Returns the destination of a message in the owner's own conversation, as [`Self::own`] finds it; a session that
    /// names none is where the gateway has what the friend writes.
    ///
    /// # Errors
    /// The register of friends or the agent's gateway failed. The register is asked only about a session across channels
    /// and several contacts.
    pub async fn destination<'a>(
        &self,
        owner: &FriendshipKey,
        contacts: &'a [Contact],
        session: &str,
    ) -> Result<Option<Destination<'a>>, BackendError> {
        let Some(own) = self.own(owner, contacts, session) else { return Ok(None) };
        let answer = self.answer_contact(owner, contacts, &own).await?;
        let Some(contact) = answer.filter(|_| session.eq_ignore_ascii_case(DEFAULT_SESSION)) else {
            return Ok(Some(Destination { session: own, answer }));
        };
        let FriendshipKey { friend, agent } = owner;
        let channel = &contact.channel;
        let session = match self.scopes.conversation(agent, contact).await? {
            DefaultConversation::OfFriend => own,
            DefaultConversation::OnChannelOfFriend => SessionKey(format!("agent:{agent}:{channel}:direct:{friend}")),
            DefaultConversation::OnChannelOfAddress => {
                SessionKey(format!("agent:{agent}:{channel}:direct:{}", contact.address))
            }
        };
        Ok(Some(Destination { session, answer }))
    }

    /// Returns the destination of a message in the owner's default conversation.
    ///
    /// # Errors
    /// As of [`Self::destination`].
    pub async fn default_destination<'a>(
        &self,
        owner: &FriendshipKey,
        contacts: &'a [Contact],
    ) -> Result<Option<Destination<'a>>, BackendError> {
        self.destination(owner, contacts, DEFAULT_SESSION).await
    }

    /// Returns [`Destination::answer`] of the owner's conversation `session`.
    ///
    /// # Errors
    /// The register of friends failed. It is asked only about a session across channels and several contacts.
    pub async fn answer_contact<'a>(
        &self,
        owner: &FriendshipKey,
        contacts: &'a [Contact],
        session: &SessionKey,
    ) -> Result<Option<&'a Contact>, BackendError> {
        if let Some((channel, peer)) = session.channel_and_peer() {
            let on_channel = || contacts.iter().filter(|contact| contact.channel.as_str() == channel);
            let found = on_channel().find(|contact| contact.address == peer).or_else(|| on_channel().next());
            if found.is_some() {
                return Ok(found);
            }
        }
        let [first, _, ..] = contacts else { return Ok(contacts.first()) };
        let friend = self.friends.find(&owner.friend).await?;
        let preferred = friend.and_then(|friend| friend.preferred_channel);
        let found = contacts.iter().find(|contact| Some(&contact.channel) == preferred.as_ref());
        Ok(Some(found.unwrap_or(first)))
    }
}

#[cfg(test)]
mod tests;
