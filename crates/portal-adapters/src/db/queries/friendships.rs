//! Which agent works for which friend.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AgentId, AuditEntry, FriendId, Friendship, FriendshipKey, FriendshipStatus};

use super::{Conn, agents, audit, friends};
use crate::db::error::QueryError;
use crate::db::schema::friendships;

#[derive(Queryable, Selectable)]
#[diesel(table_name = friendships)]
struct Row {
    friend_id: String,
    agent_id: String,
    status: String,
    heartbeat_writable: bool,
    created_at: NaiveDateTime,
}

/// The relationship of a friend and an agent.
pub(in crate::db) async fn find(conn: &mut Conn, key: &FriendshipKey) -> Result<Option<Friendship>, QueryError> {
    let row = friendships::table
        .find((key.friend.as_str(), key.agent.as_str()))
        .select(Row::as_select())
        .first(conn)
        .await
        .optional()?;
    row.as_ref().map(friendship).transpose()
}

/// All relationships of a friend, sorted by agent.
pub(in crate::db) async fn of_friend(conn: &mut Conn, friend: &FriendId) -> Result<Vec<Friendship>, QueryError> {
    let theirs = friendships::table.filter(friendships::friend_id.eq(friend.as_str()));
    let rows = theirs.select(Row::as_select()).order(friendships::agent_id).load(conn).await?;
    rows.iter().map(friendship).collect()
}

/// All relationships of an agent, sorted by friend.
pub(in crate::db) async fn of_agent(conn: &mut Conn, agent: &AgentId) -> Result<Vec<Friendship>, QueryError> {
    let theirs = friendships::table.filter(friendships::agent_id.eq(agent.as_str()));
    let rows = theirs.select(Row::as_select()).order(friendships::friend_id).load(conn).await?;
    rows.iter().map(friendship).collect()
}

/// Makes or changes a relationship.
pub(in crate::db) async fn set(
    conn: &mut Conn,
    friendship: &Friendship,
    audit: &AuditEntry,
) -> Result<bool, QueryError> {
    write_tx!(conn, async |conn| {
        if !friends::lock(conn, &friendship.friend).await? || !agents::lock(conn, &friendship.agent).await? {
            return Ok(false);
        }
        let changing = (
            friendships::status.eq(friendship.status.as_str()),
            friendships::heartbeat_writable.eq(friendship.heartbeat_writable),
        );
        diesel::insert_into(friendships::table)
            .values((
                friendships::friend_id.eq(friendship.friend.as_str()),
                friendships::agent_id.eq(friendship.agent.as_str()),
                changing,
                friendships::created_at.eq(friendship.created_at.naive_utc()),
            ))
            .on_conflict((friendships::friend_id, friendships::agent_id))
            .do_update()
            .set(changing)
            .execute(conn)
            .await?;
        audit::insert(conn, audit).await?;
        Ok(true)
    })
    .await
}

fn friendship(row: &Row) -> Result<Friendship, QueryError> {
    Ok(Friendship {
        agent: AgentId::parse(&row.agent_id)?,
        friend: FriendId::parse(&row.friend_id)?,
        status: FriendshipStatus::parse(&row.status)?,
        heartbeat_writable: row.heartbeat_writable,
        created_at: row.created_at.and_utc(),
    })
}
