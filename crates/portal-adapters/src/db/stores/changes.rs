//! The log of changes. Triggers write it (`create_changes` among the migrations).

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AgentId, BackendError, ChangeLog, FriendId, LoggedChange, RecentChanges, Topic};

use super::{Store, trigger_time};
use crate::db::error::QueryError;
use crate::db::schema::changes;

#[derive(Queryable, Selectable)]
#[diesel(table_name = changes)]
struct Row {
    id: i64,
    friend_id: String,
    topic: String,
    agent_id: Option<String>,
    subject: String,
}

impl TryFrom<Row> for LoggedChange {
    type Error = QueryError;

    fn try_from(row: Row) -> Result<Self, QueryError> {
        Ok(Self {
            id: row.id,
            friend: FriendId::parse(&row.friend_id)?,
            topic: Topic::parse(&row.topic)?,
            agent: row.agent_id.as_deref().map(AgentId::parse).transpose()?,
            subject: row.subject,
        })
    }
}

#[async_trait]
impl ChangeLog for Store {
    async fn recent(&self, age: Duration, limit: u32) -> Result<RecentChanges, BackendError> {
        self.pools
            .read(async move |conn| {
                let read_at = trigger_time(conn).await?;
                let since = read_at - TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
                let recent = changes::table.filter(changes::at.ge(since.naive_utc()));
                let rows: Vec<Row> =
                    recent.order(changes::id).limit(limit.into()).select(Row::as_select()).load(conn).await?;
                let changes = rows.into_iter().map(LoggedChange::try_from).collect::<Result<_, _>>()?;
                Ok(RecentChanges { read_at, changes })
            })
            .await
    }

    async fn since(&self, friend: &FriendId, at: DateTime<Utc>, limit: u32) -> Result<Vec<LoggedChange>, BackendError> {
        let friend = friend.clone();
        self.pools
            .read(async move |conn| {
                let own = changes::table.filter(changes::friend_id.eq(friend.as_str()));
                let own = own.filter(changes::at.ge(at.naive_utc())).order(changes::id);
                let rows: Vec<Row> = own.limit(limit.into()).select(Row::as_select()).load(conn).await?;
                rows.into_iter().map(LoggedChange::try_from).collect()
            })
            .await
    }
}
