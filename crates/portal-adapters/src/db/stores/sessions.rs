//! Sessions: the logins of friends.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{
    AgentId, AuditEntry, BackendError, Expired, FriendId, FriendshipStatus, Origin, Session, SessionState,
    SessionStore, StoredSession, Token, TokenHash, sweep,
};

use super::{Conn, Store, audit, friends as friend_rows, friendships as friendship_rows};
use crate::db::error::QueryError;
use crate::db::schema::{friends, friendships, sessions};

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct Row {
    id: String,
    friend_id: String,
    agent_id: String,
    created_at: NaiveDateTime,
    expires_at: NaiveDateTime,
    origin: Option<String>,
}

impl TryFrom<Row> for Session {
    type Error = QueryError;

    fn try_from(row: Row) -> Result<Self, QueryError> {
        Ok(Self {
            id: row.id,
            friend: FriendId::parse(&row.friend_id)?,
            agent: AgentId::parse(&row.agent_id)?,
            created_at: row.created_at.and_utc(),
            expires_at: row.expires_at.and_utc(),
            origin: row.origin.as_deref().map(Origin::parse).transpose()?,
        })
    }
}

#[async_trait]
impl SessionStore for Store {
    async fn issue(&self, session: Session, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError> {
        self.pools
            .write(async move |conn| {
                if !friend_rows::lock(conn, &session.friend).await? {
                    return Ok(false);
                }
                let friendship = friendship_rows::find(conn, &session.key()).await?;
                if friendship.is_none_or(|friendship| friendship.status != FriendshipStatus::Active) {
                    return Ok(false);
                }
                insert(conn, &session, &token).await?;
                audit::insert(conn, &audit).await?;
                Ok(true)
            })
            .await
    }

    async fn find(&self, token: &Token) -> Result<Option<StoredSession>, BackendError> {
        let token = token.hash().to_hex();
        self.pools
            .read(async move |conn| {
                // One statement, so that session, friend and friendship are read at one moment.
                let same_pair =
                    friendships::friend_id.eq(sessions::friend_id).and(friendships::agent_id.eq(sessions::agent_id));
                let found = sessions::table
                    .inner_join(friends::table.on(friends::id.eq(sessions::friend_id)))
                    .left_join(friendships::table.on(same_pair))
                    .filter(sessions::token_hash.eq(token))
                    .select((
                        Row::as_select(),
                        sessions::revoked_at,
                        friendships::status.nullable(),
                        friend_rows::Row::as_select(),
                    ))
                    .first::<(Row, Option<NaiveDateTime>, Option<String>, friend_rows::Row)>(conn)
                    .await
                    .optional()?;
                let Some((row, revoked_at, status, friend)) = found else { return Ok(None) };
                let state = if revoked_at.is_some() { SessionState::Revoked } else { SessionState::Valid };
                let friendship = status.as_deref().map(FriendshipStatus::parse).transpose()?;
                Ok(Some(StoredSession { session: row.try_into()?, state, friendship, friend: friend.try_into()? }))
            })
            .await
    }

    async fn extend(&self, id: &str, expires_at: DateTime<Utc>) -> Result<(), BackendError> {
        let id = id.to_owned();
        self.pools
            .write(async move |conn| {
                let valid = sessions::table.filter(sessions::id.eq(id)).filter(sessions::revoked_at.is_null());
                let earlier = valid.filter(sessions::expires_at.lt(expires_at.naive_utc()));
                diesel::update(earlier).set(sessions::expires_at.eq(expires_at.naive_utc())).execute(conn).await?;
                Ok(())
            })
            .await
    }

    async fn list(&self, friend: &FriendId, now: DateTime<Utc>) -> Result<Vec<Session>, BackendError> {
        let friend = friend.clone();
        self.pools
            .read(async move |conn| {
                let rows = sessions::table
                    .filter(sessions::friend_id.eq(friend.as_str()))
                    .filter(sessions::revoked_at.is_null())
                    .filter(sessions::expires_at.gt(now.naive_utc()))
                    .order((sessions::created_at.desc(), sessions::id))
                    .select(Row::as_select())
                    .load(conn)
                    .await?;
                rows.into_iter().map(Session::try_from).collect()
            })
            .await
    }

    async fn revoke(&self, friend: &FriendId, id: &str, audit: AuditEntry) -> Result<bool, BackendError> {
        let (friend, id) = (friend.clone(), id.to_owned());
        let revoked = self.pools.write(async move |conn| revoke(conn, &friend, Some(&id), &audit).await).await?;
        Ok(revoked > 0)
    }

    async fn revoke_all(&self, friend: &FriendId, audit: AuditEntry) -> Result<u64, BackendError> {
        let friend = friend.clone();
        self.pools.write(async move |conn| revoke(conn, &friend, None, &audit).await).await
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError> {
        sweep(self, Expired::Sessions { before }).await
    }
}

/// Stores a new session.
pub(super) async fn insert(conn: &mut Conn, session: &Session, token: &TokenHash) -> Result<(), QueryError> {
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(&session.id),
            sessions::token_hash.eq(token.to_hex()),
            sessions::friend_id.eq(session.friend.as_str()),
            sessions::agent_id.eq(session.agent.as_str()),
            sessions::created_at.eq(session.created_at.naive_utc()),
            sessions::expires_at.eq(session.expires_at.naive_utc()),
            sessions::origin.eq(session.origin.map(Origin::as_str)),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Revokes a friend's session of that id, or all of them; returns the number of sessions that were valid until then.
async fn revoke(conn: &mut Conn, friend: &FriendId, id: Option<&str>, audit: &AuditEntry) -> Result<u64, QueryError> {
    let at = audit.at.naive_utc();
    let mut valid = diesel::update(sessions::table)
        .set(sessions::revoked_at.eq(at))
        .filter(sessions::friend_id.eq(friend.as_str()))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(at))
        .into_boxed();
    if let Some(id) = id {
        valid = valid.filter(sessions::id.eq(id));
    }
    let revoked = valid.execute(conn).await?;
    audit::insert_if(revoked > 0, conn, audit).await?;
    Ok(revoked.try_into().unwrap_or(u64::MAX))
}
