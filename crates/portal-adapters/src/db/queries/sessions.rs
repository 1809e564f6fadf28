//! Logins.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AgentId, AuditEntry, FriendId, FriendshipStatus, Session, SessionState, StoredSession, TokenHash};

use super::{Conn, audit, friends as people, friendships as relationships};
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
}

/// Stores a new session if its friendship is active.
pub(in crate::db) async fn issue(
    conn: &mut Conn,
    session: &Session,
    token: &TokenHash,
    audit: &AuditEntry,
) -> Result<bool, QueryError> {
    write_tx!(conn, async |conn| {
        if !people::lock(conn, &session.friend).await? {
            return Ok(false);
        }
        let friendship = relationships::find(conn, &session.key()).await?;
        if friendship.is_none_or(|friendship| friendship.status != FriendshipStatus::Active) {
            return Ok(false);
        }
        diesel::insert_into(sessions::table)
            .values((
                sessions::id.eq(&session.id),
                sessions::token_hash.eq(token.to_hex()),
                sessions::friend_id.eq(session.friend.as_str()),
                sessions::agent_id.eq(session.agent.as_str()),
                sessions::created_at.eq(session.created_at.naive_utc()),
                sessions::expires_at.eq(session.expires_at.naive_utc()),
            ))
            .execute(conn)
            .await?;
        audit::insert(conn, audit).await?;
        Ok(true)
    })
    .await
}

/// The session whose token has this hash, with its friend and their friendship, read by one statement and so at one
/// moment.
pub(in crate::db) async fn find(conn: &mut Conn, token: &TokenHash) -> Result<Option<StoredSession>, QueryError> {
    let same_pair = friendships::friend_id.eq(sessions::friend_id).and(friendships::agent_id.eq(sessions::agent_id));
    let found = sessions::table
        .inner_join(friends::table.on(friends::id.eq(sessions::friend_id)))
        .left_join(friendships::table.on(same_pair))
        .filter(sessions::token_hash.eq(token.to_hex()))
        .select((Row::as_select(), sessions::revoked_at, friendships::status.nullable(), people::Row::as_select()))
        .first::<(Row, Option<NaiveDateTime>, Option<String>, people::Row)>(conn)
        .await
        .optional()?;
    let Some((row, revoked_at, status, friend)) = found else { return Ok(None) };
    let state = if revoked_at.is_some() { SessionState::Revoked } else { SessionState::Valid };
    let friendship = status.as_deref().map(FriendshipStatus::parse).transpose()?;
    Ok(Some(StoredSession { session: session(row)?, state, friendship, friend: friend.try_into()? }))
}

/// A friend's sessions that count at `now`, newest first.
pub(in crate::db) async fn list(
    conn: &mut Conn,
    friend: &FriendId,
    now: DateTime<Utc>,
) -> Result<Vec<Session>, QueryError> {
    let rows = sessions::table
        .filter(sessions::friend_id.eq(friend.as_str()))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now.naive_utc()))
        .order((sessions::created_at.desc(), sessions::id))
        .select(Row::as_select())
        .load(conn)
        .await?;
    rows.into_iter().map(session).collect()
}

/// Revokes a friend's session of that id, or all of them; tells how many counted until then.
pub(in crate::db) async fn revoke(
    conn: &mut Conn,
    friend: &FriendId,
    id: Option<&str>,
    audit: &AuditEntry,
) -> Result<u64, QueryError> {
    let at = audit.at.naive_utc();
    write_tx!(conn, async |conn| {
        let mut meant = diesel::update(sessions::table)
            .set(sessions::revoked_at.eq(at))
            .filter(sessions::friend_id.eq(friend.as_str()))
            .filter(sessions::revoked_at.is_null())
            .filter(sessions::expires_at.gt(at))
            .into_boxed();
        if let Some(id) = id {
            meant = meant.filter(sessions::id.eq(id));
        }
        let revoked = meant.execute(conn).await?;
        if revoked > 0 {
            audit::insert(conn, audit).await?;
        }
        Ok(revoked.try_into().unwrap_or(u64::MAX))
    })
    .await
}

/// Forgets sessions that expired before then.
pub(in crate::db) async fn sweep(conn: &mut Conn, before: DateTime<Utc>) -> Result<u64, QueryError> {
    let expired = sessions::table.filter(sessions::expires_at.lt(before.naive_utc()));
    let forgotten = diesel::delete(expired).execute(conn).await?;
    Ok(forgotten.try_into().unwrap_or(u64::MAX))
}

fn session(row: Row) -> Result<Session, QueryError> {
    Ok(Session {
        id: row.id,
        friend: FriendId::parse(&row.friend_id)?,
        agent: AgentId::parse(&row.agent_id)?,
        created_at: row.created_at.and_utc(),
        expires_at: row.expires_at.and_utc(),
    })
}
