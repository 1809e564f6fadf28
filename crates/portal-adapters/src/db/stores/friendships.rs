//! Friendships: the agents that work for a friend.

use async_trait::async_trait;
use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{
    AgentId, AuditEntry, BackendError, FriendId, Friendship, FriendshipKey, FriendshipStatus, FriendshipStore,
};

use super::{Conn, Store, agents, audit, friends, parking};
use crate::db::error::QueryError;
use crate::db::schema::friendships;

#[derive(Queryable, Selectable)]
#[diesel(table_name = friendships)]
struct Row {
    friend_id: String,
    agent_id: String,
    status: String,
    heartbeat_writable: bool,
    heartbeat_default: bool,
    created_at: NaiveDateTime,
}

impl TryFrom<Row> for Friendship {
    type Error = QueryError;

    fn try_from(row: Row) -> Result<Self, QueryError> {
        Ok(Self {
            agent: AgentId::parse(&row.agent_id)?,
            friend: FriendId::parse(&row.friend_id)?,
            status: FriendshipStatus::parse(&row.status)?,
            heartbeat_writable: (!row.heartbeat_default).then_some(row.heartbeat_writable),
            created_at: row.created_at.and_utc(),
        })
    }
}

#[async_trait]
impl FriendshipStore for Store {
    async fn find(&self, key: &FriendshipKey) -> Result<Option<Friendship>, BackendError> {
        let key = key.clone();
        self.pools.read(async move |conn| find(conn, &key).await).await
    }

    async fn of_friend(&self, friend: &FriendId) -> Result<Vec<Friendship>, BackendError> {
        let friend = friend.clone();
        self.pools
            .read(async move |conn| {
                let own = friendships::table.filter(friendships::friend_id.eq(friend.as_str()));
                let rows = own.select(Row::as_select()).order(friendships::agent_id).load(conn).await?;
                rows.into_iter().map(Friendship::try_from).collect()
            })
            .await
    }

    async fn of_agent(&self, agent: &AgentId) -> Result<Vec<Friendship>, BackendError> {
        let agent = agent.clone();
        self.pools
            .read(async move |conn| {
                let own = friendships::table.filter(friendships::agent_id.eq(agent.as_str()));
                let rows = own.select(Row::as_select()).order(friendships::friend_id).load(conn).await?;
                rows.into_iter().map(Friendship::try_from).collect()
            })
            .await
    }

    async fn count_others(&self, key: &FriendshipKey, most: u32) -> Result<u32, BackendError> {
        let key = key.clone();
        self.pools
            .read(async move |conn| {
                // A limit, so that the cost does not grow with the number of the agent's friends.
                let others = friendships::table
                    .filter(friendships::agent_id.eq(key.agent.as_str()))
                    .filter(friendships::friend_id.ne(key.friend.as_str()))
                    .filter(friendships::status.eq(FriendshipStatus::Active.as_str()))
                    .select(friendships::friend_id)
                    .limit(i64::from(most));
                Ok(u32::try_from(others.load::<String>(conn).await?.len()).unwrap_or(most))
            })
            .await
    }

    async fn set(&self, friendship: Friendship, audit: AuditEntry) -> Result<bool, BackendError> {
        self.pools
            .write(async move |conn| {
                if !friends::lock(conn, &friendship.friend).await? || !agents::lock(conn, &friendship.agent).await? {
                    return Ok(false);
                }
                let key = FriendshipKey::new(friendship.friend.clone(), friendship.agent.clone());
                let before = find(conn, &key).await?;
                let changing = (
                    friendships::status.eq(friendship.status.as_str()),
                    friendships::heartbeat_writable.eq(friendship.heartbeat_writable.unwrap_or(false)),
                    friendships::heartbeat_default.eq(friendship.heartbeat_writable.is_none()),
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
                let was_active = before.is_some_and(|before| before.status == FriendshipStatus::Active);
                if friendship.status == FriendshipStatus::Active && !was_active {
                    parking::resume(conn, &friendship, audit.at).await?;
                }
                audit::insert(conn, &audit).await?;
                Ok(true)
            })
            .await
    }
}

/// Returns the friendship of this agent and this friend.
pub(super) async fn find(conn: &mut Conn, key: &FriendshipKey) -> Result<Option<Friendship>, QueryError> {
    let row = friendships::table
        .find((key.friend.as_str(), key.agent.as_str()))
        .select(Row::as_select())
        .first(conn)
        .await
        .optional()?;
    row.map(Friendship::try_from).transpose()
}
