//! The portal itself.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::db::error::QueryError;
use crate::db::schema::portal;

/// Whether the database answers.
pub(in crate::db) async fn ping(conn: &mut Conn) -> Result<(), QueryError> {
    diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("1")).execute(conn).await?;
    Ok(())
}

/// The portal's mark; `candidate` becomes it if there is none yet.
pub(in crate::db) async fn instance(conn: &mut Conn, candidate: &str) -> Result<String, QueryError> {
    diesel::insert_into(portal::table)
        .values((portal::id.eq(1), portal::instance.eq(candidate)))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(portal::table.select(portal::instance).first(conn).await?)
}

/// The time by which leases are granted.
pub(in crate::db) async fn now(conn: &mut Conn, portal_time: DateTime<Utc>) -> Result<DateTime<Utc>, QueryError> {
    Ok(super::now(conn, portal_time).await?)
}
