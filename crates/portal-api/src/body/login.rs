//! Logging in: links, their exchange, and who is logged in.

use portal_core::{
    AgentId, ChannelId, Friend, FriendId, Invalid, LINK_LIFETIME, Login, Origin, Recipient, SESSION_LIFETIME, Session,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time;
use crate::login::parse_open;

/// The friend who is to be logged in: `friend_id`, or `channel` and `address` of a contact.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateLink {
    /// The friend's id.
    #[schema(example = "alice")]
    friend_id: Option<String>,
    /// The channel of a contact of theirs, with `address` and instead of `friend_id`.
    #[schema(example = "signal")]
    channel: Option<String>,
    /// The address on that channel.
    #[schema(example = "+15550100")]
    address: Option<String>,
    /// The agent that asks; it may be left out and names nobody else.
    #[schema(example = "main")]
    agent: Option<String>,
    /// A path of the page to open after the login.
    #[schema(example = "/portal/memory")]
    open: Option<String>,
}

/// A link that was asked for.
pub(crate) struct WantedLink {
    pub(crate) recipient: Recipient,
    pub(crate) agent: Option<AgentId>,
    pub(crate) open: Option<String>,
}

impl CreateLink {
    pub(crate) fn parse(self) -> Result<WantedLink, Invalid> {
        let recipient = match (self.friend_id, self.channel, self.address) {
            (Some(id), None, None) => Recipient::Friend(FriendId::parse(&id)?),
            (None, Some(channel), Some(address)) => {
                // As addresses are stored: whoever writes it in capitals is the same peer.
                Recipient::Contact { channel: ChannelId::parse(&channel)?, address: address.to_lowercase() }
            }
            _ => return Err(Invalid::new("friend_id", "Send either friend_id, or channel and address.")),
        };
        Ok(WantedLink {
            recipient,
            agent: self.agent.as_deref().map(AgentId::parse).transpose()?,
            open: self.open.as_deref().map(parse_open).transpose()?,
        })
    }
}

/// A link for one login.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoginLinkCreated {
    /// The link, to be sent to the friend and to nobody else. Its code works once.
    #[schema(example = "https://portal.example.org/portal/enter#code=fpl_..&friend=alice")]
    pub(crate) portal_url: String,
    /// Time from which the session of this login is refused unless it is used before.
    #[schema(example = "2026-03-31T10:00:00Z", format = DateTime)]
    pub(crate) expires_at: String,
    /// The same in seconds from now.
    #[schema(example = 2_592_000)]
    pub(crate) expires_in: i64,
    /// Seconds for which the link works.
    #[schema(example = 600)]
    pub(crate) link_expires_in: i64,
}

impl LoginLinkCreated {
    /// Lifetimes in seconds: of the session, and of the link.
    pub(crate) const SECONDS: (i64, i64) = (SESSION_LIFETIME.num_seconds(), LINK_LIFETIME.num_seconds());
}

/// The code of a login link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExchangeCode {
    /// The code, as it stands in the fragment of the link.
    #[schema(example = "fpl_..")]
    pub(crate) code: String,
}

/// A session that has just begun. Its token is shown here and never again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoggedIn {
    /// The session's token, for `Authorization: Bearer`.
    #[schema(example = "fps_..")]
    session_token: String,
    /// The friend who is logged in.
    #[schema(example = "alice")]
    friend_id: String,
    /// The agent to which the session is bound.
    #[schema(example = "main")]
    agent_id: String,
    /// Time from which the session is refused unless it is used before.
    #[schema(example = "2026-03-31T10:00:00Z", format = DateTime)]
    expires_at: String,
    /// The path of the page that the link opens, if any.
    #[schema(example = "/portal/memory")]
    open: Option<String>,
}

impl From<Login> for LoggedIn {
    fn from(login: Login) -> Self {
        let session = login.issued.session;
        Self {
            session_token: login.issued.token.reveal().to_owned(),
            friend_id: session.friend.to_string(),
            agent_id: session.agent.to_string(),
            expires_at: time(session.expires_at),
            open: login.open,
        }
    }
}

/// The session that asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CurrentLogin {
    /// The friend.
    #[schema(example = "alice")]
    friend_id: String,
    /// Their name.
    #[schema(example = "Alice")]
    display_name: String,
    /// The agent to which the session is bound.
    #[schema(example = "main")]
    agent_id: String,
    /// The session's id, which opens nothing.
    #[schema(example = "0f8c1d7a94f35f7a2b6ad1fd1d6f2f3c")]
    session_id: String,
    /// Time from which the session is refused unless it is used before.
    #[schema(example = "2026-03-31T10:00:00Z", format = DateTime)]
    expires_at: String,
    /// How the session began: `link` of its agent, `operator`, or null if that is not known.
    #[schema(example = "link")]
    origin: Option<&'static str>,
}

impl CurrentLogin {
    /// Shows the session of a friend who is registered as `person`.
    pub(crate) fn new(session: &Session, person: &Friend) -> Self {
        Self {
            friend_id: session.friend.to_string(),
            display_name: person.shown_name(),
            agent_id: session.agent.to_string(),
            session_id: session.id.clone(),
            expires_at: time(session.expires_at),
            origin: session.origin.map(Origin::as_str),
        }
    }
}
