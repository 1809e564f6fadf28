//! The sessions, in the database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_core::{AuditEntry, BackendError, FriendId, Session, SessionStore, StoredSession, Token, TokenHash};

use super::Db;

/// The sessions, in the database.
#[derive(Clone)]
pub struct DbSessions(Db);

impl DbSessions {
    /// The store in this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self(db)
    }
}

#[async_trait]
impl SessionStore for DbSessions {
    async fn issue(&self, session: Session, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError> {
        ask!(self.0, write, sessions::issue(&session, &token, &audit))
    }

    async fn find(&self, token: &Token) -> Result<Option<StoredSession>, BackendError> {
        let token = token.hash();
        ask!(self.0, read, sessions::find(&token))
    }

    async fn list(&self, friend: &FriendId, now: DateTime<Utc>) -> Result<Vec<Session>, BackendError> {
        let friend = friend.clone();
        ask!(self.0, read, sessions::list(&friend, now))
    }

    async fn revoke(&self, friend: &FriendId, id: &str, audit: AuditEntry) -> Result<bool, BackendError> {
        let (friend, id) = (friend.clone(), id.to_owned());
        let revoked = ask!(self.0, write, sessions::revoke(&friend, Some(&id), &audit))?;
        Ok(revoked > 0)
    }

    async fn revoke_all(&self, friend: &FriendId, audit: AuditEntry) -> Result<u64, BackendError> {
        let friend = friend.clone();
        ask!(self.0, write, sessions::revoke(&friend, None, &audit))
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError> {
        ask!(self.0, write, sessions::sweep(before))
    }
}
