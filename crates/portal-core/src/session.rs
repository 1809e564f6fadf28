//! Logins: who may come in, and for how long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use moka::future::Cache;

use crate::{
    Action, Actor, AgentId, AuditEntry, BackendError, Clock, Friend, FriendId, FriendshipStatus, Ids, Token, TokenHash,
    TokenKind,
};

/// How long a session lives: 30 days.
pub const SESSION_LIFETIME: TimeDelta = TimeDelta::days(30);
/// How long an answer of the store is believed, counted from before the store was asked: what is revoked is refused
/// everywhere this much later.
const BELIEF: Duration = Duration::from_secs(1);
/// How many tokens' answers are remembered at most; a guesser cannot make the portal grow.
const REMEMBERED: u64 = 100_000;

/// A friend's login, bound to one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The session's id, which is not its token and may be shown.
    pub id: String,
    /// Who is logged in.
    pub friend: FriendId,
    /// The agent through which they came.
    pub agent: AgentId,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Until when, at the latest.
    pub expires_at: DateTime<Utc>,
}

/// Whether a stored session still counts, leaving its expiry aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It was not revoked.
    Valid,
    /// It was revoked.
    Revoked,
}

/// A session as its store knows it, together with whose it is and the friendship it rests on, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// The session.
    pub session: Session,
    /// Whether it was revoked.
    pub standing: SessionState,
    /// How its friend and its agent stand with each other; `None` if they have no relationship any more.
    pub friendship: Option<FriendshipStatus>,
    /// Whose it is.
    pub friend: Friend,
}

/// The stored sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Stores a new session; `false` if its friend and its agent have no active friendship, and nothing is stored.
    async fn issue(&self, session: Session, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError>;
    /// The session whose token has this hash; `None` only when the database said that there is none.
    async fn find(&self, token: &TokenHash) -> Result<Option<StoredSession>, BackendError>;
    /// The sessions of a friend that are neither revoked nor expired at `now`, newest first.
    async fn list(&self, friend: &FriendId, now: DateTime<Utc>) -> Result<Vec<Session>, BackendError>;
    /// Revokes a friend's session; `false` if the friend has no such session that is still valid at `audit.at`.
    async fn revoke(&self, friend: &FriendId, id: &str, audit: AuditEntry) -> Result<bool, BackendError>;
    /// Revokes all sessions of a friend; tells how many were still valid at `audit.at`.
    async fn revoke_all(&self, friend: &FriendId, audit: AuditEntry) -> Result<u64, BackendError>;
    /// Forgets sessions that expired before `before`; tells how many.
    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError>;
}

/// Why nobody is let in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SessionError {
    /// The store said that the session is unknown, expired or revoked, or that its friendship is not active.
    #[error("the session is not valid")]
    Invalid,
    /// The store could not be asked, so nothing is known of the session.
    #[error("the session could not be checked")]
    Unchecked(#[source] Arc<BackendError>),
}

/// A session just issued, with the only copy of its token.
#[derive(Debug)]
pub struct IssuedSession {
    /// The session.
    pub session: Session,
    /// Its token.
    pub token: Token,
}

#[derive(Clone)]
struct Belief {
    read_started: Instant,
    stored: Option<Arc<StoredSession>>,
}

struct BeliefExpiry;

impl moka::Expiry<TokenHash, Belief> for BeliefExpiry {
    fn expire_after_create(&self, _: &TokenHash, belief: &Belief, created_at: Instant) -> Option<Duration> {
        Some(BELIEF.saturating_sub(created_at.saturating_duration_since(belief.read_started)))
    }
}

/// The portal's door: issues sessions, lets their tokens in, revokes them.
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    beliefs: Cache<TokenHash, Belief>,
}

impl Sessions {
    /// A door before this store.
    pub fn new(store: Arc<dyn SessionStore>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        let beliefs = Cache::builder().max_capacity(REMEMBERED).expire_after(BeliefExpiry).build();
        Self { store, clock, ids, beliefs }
    }

    /// The session that this token opens, and whose it is, at most a second old. The store is asked at most once a
    /// second per token, however many ask.
    ///
    /// # Errors
    /// [`SessionError::Invalid`] only when the store said so; [`SessionError::Unchecked`] when it could not be asked.
    pub async fn check(&self, token: &Token) -> Result<Arc<StoredSession>, SessionError> {
        let hash = token.hash();
        let read = async {
            let read_started = Instant::now();
            let stored = self.store.find(&hash).await?;
            Ok::<_, BackendError>(Belief { read_started, stored: stored.map(Arc::new) })
        };
        let belief = self.beliefs.try_get_with(hash, read).await.map_err(SessionError::Unchecked)?;
        belief.stored.filter(|stored| self.counts(stored)).ok_or(SessionError::Invalid)
    }

    fn counts(&self, stored: &StoredSession) -> bool {
        stored.standing == SessionState::Valid
            && stored.friendship == Some(FriendshipStatus::Active)
            && self.clock.now() < stored.session.expires_at
    }

    /// Logs a friend in with an agent; `None` if their friendship is not active.
    ///
    /// # Errors
    /// Trouble with the store; no session exists then, or one whose token nobody has.
    pub async fn issue(
        &self,
        friend: FriendId,
        agent: AgentId,
        actor: Actor,
    ) -> Result<Option<IssuedSession>, BackendError> {
        let token = Token::generate(TokenKind::FriendSession, &*self.ids);
        let created_at = self.clock.now();
        let session =
            Session { id: self.ids.id(), friend, agent, created_at, expires_at: created_at + SESSION_LIFETIME };
        let audit = AuditEntry {
            at: created_at,
            actor,
            action: Action::SessionIssue,
            friend: Some(session.friend.clone()),
            subject: session.id.clone(),
            detail: format!("agent {}", session.agent),
        };
        let issued = self.store.issue(session.clone(), token.hash(), audit).await?;
        Ok(issued.then_some(IssuedSession { session, token }))
    }

    /// The friend's sessions that still count, newest first.
    ///
    /// # Errors
    /// Trouble with the store.
    pub async fn list(&self, friend: &FriendId) -> Result<Vec<Session>, BackendError> {
        self.store.list(friend, self.clock.now()).await
    }

    /// Ends one of the friend's sessions; `false` if they have no such one. Refused here at once, by every other
    /// replica within a second.
    ///
    /// # Errors
    /// Trouble with the store; the session may or may not be revoked.
    pub async fn revoke(&self, friend: &FriendId, id: &str, actor: Actor) -> Result<bool, BackendError> {
        let revoked = self.store.revoke(friend, id, self.revocation(friend, id, actor)).await;
        self.beliefs.invalidate_all();
        revoked
    }

    /// Ends all of the friend's sessions; tells how many.
    ///
    /// # Errors
    /// Trouble with the store; the sessions may or may not be revoked.
    pub async fn revoke_all(&self, friend: &FriendId, actor: Actor) -> Result<u64, BackendError> {
        let revoked = self.store.revoke_all(friend, self.revocation(friend, "all", actor)).await;
        self.beliefs.invalidate_all();
        revoked
    }

    fn revocation(&self, friend: &FriendId, subject: &str, actor: Actor) -> AuditEntry {
        AuditEntry {
            at: self.clock.now(),
            actor,
            action: Action::SessionRevoke,
            friend: Some(friend.clone()),
            subject: subject.to_owned(),
            detail: String::new(),
        }
    }
}

#[cfg(test)]
mod tests;
