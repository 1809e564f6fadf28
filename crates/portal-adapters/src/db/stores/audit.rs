//! The audit log.

use async_trait::async_trait;
use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{Actor, AuditEntry, AuditFilter, AuditLog, AuditRecord, BackendError, FriendId};

use super::{Conn, Store};
use crate::db::error::QueryError;
use crate::db::schema::audit_log;

diesel::define_sql_function! {
    /// A part of a text: its start, counted from one, and its length in characters.
    fn substr(text: diesel::sql_types::Text, start: diesel::sql_types::Integer, length: diesel::sql_types::Integer) -> diesel::sql_types::Text;
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_log)]
struct Row {
    id: i64,
    at: NaiveDateTime,
    actor: String,
    action: String,
    friend_id: Option<String>,
    subject: String,
    detail: String,
}

impl TryFrom<Row> for AuditRecord {
    type Error = QueryError;

    fn try_from(row: Row) -> Result<Self, QueryError> {
        Ok(Self {
            id: row.id,
            at: row.at.and_utc(),
            actor: Actor::parse(&row.actor)?,
            action: row.action,
            friend: row.friend_id.as_deref().map(FriendId::parse).transpose()?,
            subject: row.subject,
            detail: row.detail,
        })
    }
}

#[async_trait]
impl AuditLog for Store {
    async fn append(&self, entry: AuditEntry) -> Result<(), BackendError> {
        self.pools.write(async move |conn| insert(conn, &entry).await).await
    }

    async fn list(&self, filter: AuditFilter) -> Result<Vec<AuditRecord>, BackendError> {
        self.pools
            .read(async move |conn| {
                let mut query = audit_log::table.select(Row::as_select()).into_boxed();
                if let Some(friend) = &filter.friend {
                    query = query.filter(audit_log::friend_id.eq(friend.as_str()));
                }
                if let Some(action) = &filter.action {
                    // `friend` also finds `friend.create`. Not `like`, in which `_` and `%` would be wildcards.
                    let noun = format!("{action}.");
                    let length = i32::try_from(noun.chars().count()).unwrap_or(i32::MAX);
                    let is_of_noun = substr(audit_log::action, 1, length).eq(noun);
                    query = query.filter(audit_log::action.eq(action).or(is_of_noun));
                }
                if let Some(before) = filter.before {
                    query = query.filter(audit_log::id.lt(before));
                }
                if let Some(since) = filter.since {
                    query = query.filter(audit_log::at.ge(since.naive_utc()));
                }
                let rows = query.order(audit_log::id.desc()).limit(filter.limit.into()).load::<Row>(conn).await?;
                rows.into_iter().map(AuditRecord::try_from).collect()
            })
            .await
    }
}

/// Appends an entry; called inside the transaction of the change that it records.
pub(super) async fn insert(conn: &mut Conn, entry: &AuditEntry) -> Result<(), QueryError> {
    diesel::insert_into(audit_log::table)
        .values((
            audit_log::at.eq(entry.at.naive_utc()),
            audit_log::actor.eq(entry.actor.to_string()),
            audit_log::action.eq(entry.action.as_str()),
            audit_log::friend_id.eq(entry.friend.as_ref().map(FriendId::as_str)),
            audit_log::subject.eq(&entry.subject),
            audit_log::detail.eq(&entry.detail),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Appends an entry if its statement changed something; returns `is_changed`.
pub(super) async fn insert_if(is_changed: bool, conn: &mut Conn, entry: &AuditEntry) -> Result<bool, QueryError> {
    if is_changed {
        insert(conn, entry).await?;
    }
    Ok(is_changed)
}
