//! Sessions, in memory.

use std::cmp::Reverse;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_core::{
    AuditEntry, BackendError, FriendId, FriendshipKey, FriendshipStatus, Session, SessionState, SessionStore,
    StoredSession, Token, TokenHash,
};

use super::MemoryPeople;
use super::rows::SessionRow;

/// The stored sessions, in memory.
#[derive(Clone)]
pub struct MemorySessions(MemoryPeople);

impl MemorySessions {
    /// The sessions of this register.
    #[must_use]
    pub fn new(people: &MemoryPeople) -> Self {
        Self(people.clone())
    }
}

impl SessionRow {
    fn is_valid_for(&self, friend: &FriendId, now: DateTime<Utc>) -> bool {
        self.session.friend == *friend && self.state == SessionState::Valid && now < self.session.expires_at
    }
}

#[async_trait]
impl SessionStore for MemorySessions {
    async fn issue(&self, session: Session, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError> {
        self.0.transaction(|register| {
            let key = FriendshipKey::new(session.friend.clone(), session.agent.clone());
            let friendship = register.friendships.get(&key);
            if friendship.is_none_or(|kept| kept.status != FriendshipStatus::Active) {
                return false;
            }
            let kept = SessionRow { session, state: SessionState::Valid };
            register.sessions.insert(kept.session.id.clone(), (token, kept));
            register.record(audit);
            true
        })
    }

    async fn find(&self, token: &Token) -> Result<Option<StoredSession>, BackendError> {
        let token = token.hash();
        self.0.transaction(|register| {
            let (_, kept) = register.sessions.values().find(|(hash, _)| *hash == token)?;
            let key = FriendshipKey::new(kept.session.friend.clone(), kept.session.agent.clone());
            let friendship = register.friendships.get(&key).map(|friendship| friendship.status);
            let friend = register.friends.get(&kept.session.friend)?.clone();
            Some(StoredSession { session: kept.session.clone(), state: kept.state, friendship, friend })
        })
    }

    async fn extend(&self, id: &str, expires_at: DateTime<Utc>) -> Result<(), BackendError> {
        self.0.transaction(|register| {
            if let Some((_, kept)) = register.sessions.get_mut(id) {
                kept.session.expires_at = kept.session.expires_at.max(expires_at);
            }
        })
    }

    async fn list(&self, friend: &FriendId, now: DateTime<Utc>) -> Result<Vec<Session>, BackendError> {
        self.0.transaction(|register| {
            let valid = register.sessions.values().filter(|(_, kept)| kept.is_valid_for(friend, now));
            let mut sessions: Vec<_> = valid.map(|(_, kept)| kept.session.clone()).collect();
            sessions.sort_by_key(|session| Reverse(session.created_at));
            sessions
        })
    }

    async fn revoke(&self, friend: &FriendId, id: &str, audit: AuditEntry) -> Result<bool, BackendError> {
        self.0.transaction(|register| {
            let Some((_, kept)) = register.sessions.get_mut(id) else { return false };
            if !kept.is_valid_for(friend, audit.at) {
                return false;
            }
            kept.state = SessionState::Revoked;
            register.record(audit);
            true
        })
    }

    async fn revoke_all(&self, friend: &FriendId, audit: AuditEntry) -> Result<u64, BackendError> {
        self.0.transaction(|register| {
            let mut revoked = 0;
            for (_, kept) in register.sessions.values_mut().filter(|(_, kept)| kept.is_valid_for(friend, audit.at)) {
                kept.state = SessionState::Revoked;
                revoked += 1;
            }
            if revoked > 0 {
                register.record(audit);
            }
            revoked
        })
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError> {
        self.0.transaction(|register| {
            let mut swept = 0;
            register.sessions.retain(|_, (_, kept)| {
                let expired = kept.session.expires_at < before;
                swept += u64::from(expired);
                !expired
            });
            swept
        })
    }
}
