//! Login links: a single-use code that stands for a friend, and the session that it is exchanged for.
//!
//! 1. [`Logins::create`] draws a code of 256 random bits for a friend whose friendship with the agent is active, and
//!    stores its SHA-256. The code itself exists only in the link.
//! 2. The link reaches the friend; loading the page behind it spends nothing.
//! 3. [`Logins::exchange`] marks the code as spent and stores the session in one transaction, so of many concurrent
//!    exchanges exactly one gets a session.
//! 4. A code that nobody spent within [`LINK_LIFETIME`] is refused and deleted by the retention sweep.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use crate::session::{IssuedSession, Origin, Session};
use crate::{
    Action, Actor, AgentId, AuditEntry, BackendError, ChannelId, Clock, FriendId, Ids, SESSION_LIFETIME, Token,
    TokenHash, TokenKind,
};

/// Lifetime of a login code: 10 minutes.
pub const LINK_LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// The friend that a login link is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// A friend by id.
    Friend(FriendId),
    /// The friend whose contact this is; the address is in lower case, as contacts are stored.
    Contact {
        /// Channel of the contact.
        channel: ChannelId,
        /// Address on that channel.
        address: String,
    },
}

/// A login code as it is stored: everything but the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginCode {
    /// SHA-256 of the code.
    pub hash: TokenHash,
    /// Agent that the session will be bound to.
    pub agent: AgentId,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time from which the code is refused.
    pub expires_at: DateTime<Utc>,
    /// Path of the page to open after the login.
    pub open: Option<String>,
    /// Agent or operator who made the link.
    pub created_by: Actor,
}

/// The session that an exchange would store, before the store knows whose code it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Id of the session.
    pub id: String,
    /// SHA-256 of its token.
    pub token: TokenHash,
    /// Time of the exchange.
    pub created_at: DateTime<Utc>,
    /// Time from which the session is refused unless it is used before.
    pub expires_at: DateTime<Utc>,
}

/// Login codes in the portal's database.
#[async_trait]
pub trait LoginStore: Send + Sync {
    /// Stores a code for the recipient if their friendship with `code.agent` is active; `None` otherwise. An unknown
    /// recipient, somebody else's and an inactive one cost the same statements. The store fills in `audit.friend`.
    async fn create(
        &self,
        recipient: Recipient,
        code: LoginCode,
        audit: AuditEntry,
    ) -> Result<Option<FriendId>, BackendError>;
    /// Spends a code and stores the session in one transaction, with an audit entry of the friend's. `None` for a code
    /// that is unknown, spent or expired, or whose friendship is no longer active.
    async fn exchange(
        &self,
        code: TokenHash,
        session: NewSession,
    ) -> Result<Option<(Session, Option<String>)>, BackendError>;
}

/// A login link just made, with the only copy of its code.
#[derive(Debug)]
pub struct LoginLink {
    /// Friend who will be logged in.
    pub friend: FriendId,
    /// The single-use code.
    pub code: Token,
    /// Time from which the code is refused.
    pub expires_at: DateTime<Utc>,
}

impl LoginLink {
    /// Returns the address of the link below `public_url`. The code stands in the fragment, which browsers send to
    /// nobody.
    #[must_use]
    pub fn url(&self, public_url: &str) -> String {
        format!("{public_url}/portal/enter#code={}&friend={}", self.code.reveal(), self.friend)
    }
}

/// A login just made.
#[derive(Debug)]
pub struct Login {
    /// The session and its token.
    pub issued: IssuedSession,
    /// Path of the page to open, as the link said.
    pub open: Option<String>,
}

/// Makes login links and exchanges their codes for sessions.
pub struct Logins {
    store: Arc<dyn LoginStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl Logins {
    /// Creates the use case over this store.
    #[must_use]
    pub fn new(store: Arc<dyn LoginStore>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { store, clock, ids }
    }

    /// Makes a link for a friend of this agent; `None` if they have no active friendship.
    ///
    /// # Errors
    /// The store failed; a code may be stored that nobody has.
    pub async fn create(
        &self,
        recipient: Recipient,
        agent: &AgentId,
        open: Option<String>,
        created_by: Actor,
    ) -> Result<Option<LoginLink>, BackendError> {
        let code = Token::generate(TokenKind::LoginCode, &*self.ids);
        let created_at = self.clock.now();
        let expires_at = created_at + LINK_LIFETIME;
        // Without the friend: only the store knows to whom an address belongs.
        let audit =
            AuditEntry::new(created_at, created_by.clone(), Action::SessionLink).with_subject(agent.to_string());
        let stored = LoginCode { hash: code.hash(), agent: agent.clone(), created_at, expires_at, open, created_by };
        let friend = self.store.create(recipient, stored, audit).await?;
        Ok(friend.map(|friend| LoginLink { friend, code, expires_at }))
    }

    /// Exchanges a code for a session; `None` for a code that is unknown, spent or expired, or whose friendship is no
    /// longer active.
    ///
    /// # Errors
    /// The store failed; the code may be spent, and the friend then needs a new link.
    pub async fn exchange(&self, code: &Token) -> Result<Option<Login>, BackendError> {
        // Drawn before anything is known of the code: spending it and storing the session are one transaction, which needs
        // the token's hash.
        let token = Token::generate(TokenKind::FriendSession, &*self.ids);
        let created_at = self.clock.now();
        let session = NewSession {
            id: self.ids.id(),
            token: token.hash(),
            created_at,
            expires_at: created_at + SESSION_LIFETIME,
        };
        let exchanged = self.store.exchange(code.hash(), session).await?;
        Ok(exchanged.map(|(session, open)| Login { issued: IssuedSession { session, token }, open }))
    }
}

impl Origin {
    /// Returns the origin of a session that began with a link made by this actor.
    #[must_use]
    pub fn of(created_by: &Actor) -> Self {
        match created_by {
            Actor::Agent(_) => Self::Link,
            Actor::Operator(_) | Actor::Friend(_) => Self::Operator,
        }
    }
}
