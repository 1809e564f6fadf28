//! Accounts that live elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    Action, Actor, AuditEntry, BackendError, Clock, FriendId, FriendStore, Friendship, FriendshipStatus,
    FriendshipStore, Session, SessionState, SessionStore, StoredSession, Token, TokenHash,
};

/// Sessions of accounts that live elsewhere, made known to the portal's own register of friends.
///
/// Exposures and jobs refer to friends and friendships in the portal's database. Whoever `accounts` lets in is therefore
/// registered there, with the friendship of their session, so that every operation works for them. The agent has to be
/// registered already. An existing friendship is never changed: an operator's block wins over `accounts`.
#[derive(Clone)]
pub struct RegisteredAccounts {
    /// The accounts' own sessions.
    pub accounts: Arc<dyn SessionStore>,
    /// The portal's register of friends.
    pub friends: Arc<dyn FriendStore>,
    /// The portal's friendships.
    pub friendships: Arc<dyn FriendshipStore>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

impl RegisteredAccounts {
    /// Registers the friend and the friendship if they are not known; returns the friendship's status as registered.
    async fn register(&self, stored: &StoredSession) -> Result<Option<FriendshipStatus>, BackendError> {
        let (key, now) = (stored.session.key(), self.clock.now());
        // The portal's own status wins: an operator may have blocked the friend here.
        if let Some(known) = self.friendships.find(&key).await? {
            return Ok(Some(known.status));
        }
        let entry = |action| {
            let actor = Actor::Operator("accounts".to_owned());
            AuditEntry::new(now, actor, action).with_friend(key.friend.clone())
        };
        if self.friends.find(&key.friend).await?.is_none() {
            // Two lookups may come together; the second one finds the friend registered, which is as good.
            let audit = entry(Action::FriendCreate).with_subject(key.friend.as_str());
            self.friends.create(stored.friend.clone(), audit).await?;
        }
        let audit = entry(Action::FriendshipSet).with_subject(key.agent.as_str());
        // `false` means that the agent is unknown: the session is valid, and jobs are refused as `friend-unknown`.
        self.friendships.set(Friendship::new(key, now), audit).await?;
        Ok(stored.friendship)
    }
}

#[async_trait]
impl SessionStore for RegisteredAccounts {
    async fn issue(&self, session: Session, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError> {
        self.accounts.issue(session, token, audit).await
    }

    async fn find(&self, token: &Token) -> Result<Option<StoredSession>, BackendError> {
        let Some(mut stored) = self.accounts.find(token).await? else { return Ok(None) };
        // Whoever is refused anyway must not be registered by the attempt.
        let is_live = stored.session.expires_at > self.clock.now() && stored.state == SessionState::Valid;
        if is_live && stored.friendship == Some(FriendshipStatus::Active) {
            stored.friendship = self.register(&stored).await?;
        }
        Ok(Some(stored))
    }

    async fn extend(&self, id: &str, expires_at: DateTime<Utc>) -> Result<(), BackendError> {
        self.accounts.extend(id, expires_at).await
    }

    async fn list(&self, friend: &FriendId, now: DateTime<Utc>) -> Result<Vec<Session>, BackendError> {
        self.accounts.list(friend, now).await
    }

    async fn revoke(&self, friend: &FriendId, id: &str, audit: AuditEntry) -> Result<bool, BackendError> {
        self.accounts.revoke(friend, id, audit).await
    }

    async fn revoke_all(&self, friend: &FriendId, audit: AuditEntry) -> Result<u64, BackendError> {
        self.accounts.revoke_all(friend, audit).await
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError> {
        self.accounts.sweep(before).await
    }
}
