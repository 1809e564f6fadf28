//! Logins: who may come in, and for how long.

mod unknown;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use moka::future::Cache;

use self::unknown::UnknownTokens;
use crate::{
    Action, Actor, AgentId, AuditEntry, BackendError, Clock, Friend, FriendId, FriendshipKey, FriendshipStatus, Ids,
    Token, TokenHash, TokenKind,
};

/// Lifetime of a session, counted from its last use: 30 days.
pub const SESSION_LIFETIME: TimeDelta = TimeDelta::days(30);
/// Longest lifetime of a session, however often it is used: 180 days.
pub const SESSION_LIFETIME_MAX: TimeDelta = TimeDelta::days(180);
/// Shortest extension that is stored, so that a session that is used all day is written once a day.
const EXTENSION_MIN: TimeDelta = TimeDelta::days(1);
/// Cache lifetime of a session lookup, measured from its start: a revoked session is refused at most this much later.
const REVOCATION_DELAY: Duration = Duration::from_secs(1);
/// Number of tokens whose lookups are cached at most, so that guessed tokens do not use up memory.
const CACHE_CAPACITY: u64 = 100_000;

crate::word_enum! {
    /// Beginning of a session.
    pub enum Origin: "origin" {
        /// A login link that an agent made.
        Link = "link",
        /// A link or a token that the operator made.
        Operator = "operator",
    }
}

/// A friend's login, bound to one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Id, which is not the token and may be shown.
    pub id: String,
    /// The friend who is logged in.
    pub friend: FriendId,
    /// The agent to which the session is bound.
    pub agent: AgentId,
    /// Time of the login.
    pub created_at: DateTime<Utc>,
    /// Time from which it is refused, unless it is used before.
    pub expires_at: DateTime<Utc>,
    /// How it began; `None` for sessions from before this was stored.
    pub origin: Option<Origin>,
}

impl Session {
    /// Returns the later expiry that a use at `now` gives the session, if it is worth storing.
    fn extension(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let extended = (now + SESSION_LIFETIME).min(self.created_at + SESSION_LIFETIME_MAX);
        (extended >= self.expires_at + EXTENSION_MIN).then_some(extended)
    }

    /// Returns the friend and the agent that the session is bound to.
    #[must_use]
    pub fn key(&self) -> FriendshipKey {
        FriendshipKey::new(self.friend.clone(), self.agent.clone())
    }
}

/// Revocation of a session; expiry and friendship are asked apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It was not revoked.
    Valid,
    /// It was revoked.
    Revoked,
}

/// A session with its friend and its friendship, all read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// The session.
    pub session: Session,
    /// Revocation; expiry and friendship are not in it.
    pub state: SessionState,
    /// Status of the friendship between its friend and its agent; `None` if there is none any more.
    pub friendship: Option<FriendshipStatus>,
    /// Owner of the session.
    pub friend: Friend,
}

/// The stored sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Stores a new session; `false` if its friend and its agent have no active friendship, and nothing is stored.
    async fn issue(&self, session: Session, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError>;
    /// Finds the session that this token opens; `None` only where the store of accounts answered that there is none.
    ///
    /// The port gets the token itself, not its hash, so that accounts may live elsewhere. It must not retain it.
    async fn find(&self, token: &Token) -> Result<Option<StoredSession>, BackendError>;
    /// Moves the expiry of a session that is neither revoked nor expired; a session that has gone meanwhile stays so.
    async fn extend(&self, id: &str, expires_at: DateTime<Utc>) -> Result<(), BackendError>;
    /// The sessions of a friend that are neither revoked nor expired at `now`, newest first.
    async fn list(&self, friend: &FriendId, now: DateTime<Utc>) -> Result<Vec<Session>, BackendError>;
    /// Revokes a friend's session; `false` if the friend has no such session that is still valid at `audit.at`.
    async fn revoke(&self, friend: &FriendId, id: &str, audit: AuditEntry) -> Result<bool, BackendError>;
    /// Revokes all sessions of a friend; tells how many were still valid at `audit.at`.
    async fn revoke_all(&self, friend: &FriendId, audit: AuditEntry) -> Result<u64, BackendError>;
    /// Forgets sessions that expired before `before`; tells how many.
    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError>;
}

/// Errors of authenticating a token.
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
struct CachedSession {
    read_started: Instant,
    stored: Option<Arc<StoredSession>>,
}

impl CachedSession {
    /// Returns the part of [`REVOCATION_DELAY`] that is left at `now`.
    fn fresh_for(&self, now: Instant) -> Duration {
        REVOCATION_DELAY.saturating_sub(now.saturating_duration_since(self.read_started))
    }
}

struct CacheExpiry;

impl moka::Expiry<TokenHash, CachedSession> for CacheExpiry {
    fn expire_after_create(&self, _: &TokenHash, cached: &CachedSession, created_at: Instant) -> Option<Duration> {
        // The time since the lookup began counts too: a revocation may have been committed while it ran.
        Some(cached.fresh_for(created_at))
    }
}

/// Issues, authenticates and revokes sessions.
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    cache: Cache<TokenHash, CachedSession>,
    unknown: UnknownTokens,
}

impl Sessions {
    /// Creates the sessions of this store, with an empty cache.
    pub fn new(store: Arc<dyn SessionStore>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        let cache = Cache::builder().max_capacity(CACHE_CAPACITY).expire_after(CacheExpiry).build();
        Self { store, clock, ids, cache, unknown: UnknownTokens::new() }
    }

    /// Returns the session that this token opens, with its friend, at most a second old. The store is asked at most once
    /// a second per token, however many requests come.
    ///
    /// # Errors
    /// [`SessionError::Invalid`] only when the store said so; [`SessionError::Unchecked`] when it could not be asked.
    pub async fn check(&self, token: &Token) -> Result<Arc<StoredSession>, SessionError> {
        let hash = token.hash();
        let cached = match self.cache.get(&hash).await {
            Some(cached) => cached,
            // In a box: the future of a lookup has some kilobytes, which every request would pass from layer to layer.
            None => Box::pin(self.look_up(token, hash)).await?,
        };
        // Judged at each request: a cached session may have expired since it was read.
        cached.stored.filter(|stored| self.is_valid(stored)).ok_or(SessionError::Invalid)
    }

    async fn look_up(&self, token: &Token, hash: TokenHash) -> Result<CachedSession, SessionError> {
        // Before the store is asked: a guess that was refused a moment ago waits for nobody and occupies no place in the cache.
        if self.unknown.is_absent(&hash) {
            return Err(SessionError::Invalid);
        }
        let read = async {
            let _turn = self.unknown.turn(&hash).await;
            // Behind the wait: the session is as old as its lookup.
            let read_started = Instant::now();
            let stored = self.store.find(token).await?;
            self.unknown.record(hash, stored.is_some()).await;
            // Inside the lookup, so that a session in use is looked at for this once a second, not at each request.
            if let Some(stored) = &stored {
                self.extend(stored).await;
            }
            Ok::<_, BackendError>(CachedSession { read_started, stored: stored.map(Arc::new) })
        };
        // Requests that come together wait for one lookup. An error is not cached.
        self.cache.try_get_with(hash, read).await.map_err(SessionError::Unchecked)
    }

    /// Extends a session that is in use. A failure is logged and costs nothing but time: the next use tries again.
    async fn extend(&self, stored: &StoredSession) {
        let now = self.clock.now();
        if let Some(expires_at) = stored.session.extension(now).filter(|_| self.is_valid(stored))
            && let Err(error) = self.store.extend(&stored.session.id, expires_at).await
        {
            tracing::warn!(session.id = %stored.session.id, error = &error as &dyn Error, "a session was not extended");
        }
    }

    fn is_valid(&self, stored: &StoredSession) -> bool {
        stored.state == SessionState::Valid
            && stored.friendship == Some(FriendshipStatus::Active)
            && self.clock.now() < stored.session.expires_at
    }

    /// Logs a friend in with an agent; `None` if their friendship is not active.
    ///
    /// # Errors
    /// A failure of the store; no session exists then, or one whose token nobody has.
    pub async fn issue(
        &self,
        friend: FriendId,
        agent: AgentId,
        actor: Actor,
    ) -> Result<Option<IssuedSession>, BackendError> {
        let token = Token::generate(TokenKind::FriendSession, &*self.ids);
        let created_at = self.clock.now();
        let (id, expires_at) = (self.ids.id(), created_at + SESSION_LIFETIME);
        let session = Session { id, friend, agent, created_at, expires_at, origin: Some(Origin::Operator) };
        let audit = AuditEntry::new(created_at, actor, Action::SessionIssue)
            .with_friend(session.friend.clone())
            .with_subject(session.id.clone())
            .with_detail(format!("agent {}", session.agent));
        let issued = self.store.issue(session.clone(), token.hash(), audit).await?;
        Ok(issued.then_some(IssuedSession { session, token }))
    }

    /// The friend's sessions that still count, newest first.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn list(&self, friend: &FriendId) -> Result<Vec<Session>, BackendError> {
        self.store.list(friend, self.clock.now()).await
    }

    /// Ends one of the friend's sessions; `false` if they have no such one. Refused here at once, by every other
    /// replica within a second.
    ///
    /// # Errors
    /// A failure of the store; the session may or may not be revoked.
    pub async fn revoke(&self, friend: &FriendId, id: &str, actor: Actor) -> Result<bool, BackendError> {
        // Whatever the result, the cache goes: after an error the session may be revoked all the same. All of it, because its
        // keys are hashes of tokens and only an id is known here.
        let revoked = self.store.revoke(friend, id, self.revocation(friend, id, actor)).await;
        self.cache.invalidate_all();
        revoked
    }

    /// Ends the friend's sessions but the one with the id `current`; tells how many. Each leaves an audit line.
    ///
    /// # Errors
    /// A failure of the store; some of the sessions may be revoked.
    pub async fn revoke_others(&self, friend: &FriendId, current: &str, actor: &Actor) -> Result<u64, BackendError> {
        let mut revoked = 0;
        // One at a time: `SessionStore::revoke_all` would end `current` as well.
        for session in self.list(friend).await? {
            if session.id != current && self.revoke(friend, &session.id, actor.clone()).await? {
                revoked += 1;
            }
        }
        Ok(revoked)
    }

    /// Ends all of the friend's sessions; tells how many.
    ///
    /// # Errors
    /// A failure of the store; the sessions may or may not be revoked.
    pub async fn revoke_all(&self, friend: &FriendId, actor: Actor) -> Result<u64, BackendError> {
        let revoked = self.store.revoke_all(friend, self.revocation(friend, "all", actor)).await;
        self.cache.invalidate_all();
        revoked
    }

    fn revocation(&self, friend: &FriendId, subject: &str, actor: Actor) -> AuditEntry {
        AuditEntry::new(self.clock.now(), actor, Action::SessionRevoke)
            .with_friend(friend.clone())
            .with_subject(subject)
    }
}

#[cfg(test)]
mod tests;
