//! The audit log.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{Actor, AuditEntry, AuditFilter, AuditRecord, FriendId};

use super::Conn;
use crate::db::error::QueryError;
use crate::db::schema::audit_log;

diesel::define_sql_function! {
    /// The letters of a text from a place on, counted from one.
    fn substr(text: diesel::sql_types::Text, from: diesel::sql_types::Integer, letters: diesel::sql_types::Integer) -> diesel::sql_types::Text;
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

/// Appends a line; to be called inside the transaction of the change that the line tells of.
pub(in crate::db) async fn insert(conn: &mut Conn, entry: &AuditEntry) -> Result<(), QueryError> {
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

/// The lines that match, newest first.
pub(in crate::db) async fn list(conn: &mut Conn, filter: &AuditFilter) -> Result<Vec<AuditRecord>, QueryError> {
    let mut query = audit_log::table.select(Row::as_select()).into_boxed();
    if let Some(friend) = &filter.friend {
        query = query.filter(audit_log::friend_id.eq(friend.as_str()));
    }
    if let Some(action) = &filter.action {
        let noun = format!("{action}.");
        let letters = i32::try_from(noun.chars().count()).unwrap_or(i32::MAX);
        query = query.filter(audit_log::action.eq(action).or(substr(audit_log::action, 1, letters).eq(noun)));
    }
    if let Some(since) = filter.since {
        query = query.filter(audit_log::at.ge(since.naive_utc()));
    }
    let rows = query.order(audit_log::id.desc()).limit(filter.limit.into()).load::<Row>(conn).await?;
    rows.into_iter().map(record).collect()
}

fn record(row: Row) -> Result<AuditRecord, QueryError> {
    Ok(AuditRecord {
        id: row.id,
        at: row.at.and_utc(),
        actor: Actor::parse(&row.actor)?,
        action: row.action,
        friend: row.friend_id.as_deref().map(FriendId::parse).transpose()?,
        subject: row.subject,
        detail: row.detail,
    })
}
