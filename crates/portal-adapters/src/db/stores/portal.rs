//! The portal itself: its instance, its clock, and the check that the database answers.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::BackendError;

use super::{Store, now};
use crate::db::schema::portal;

impl Store {
    /// Runs the shortest statement there is.
    pub(in crate::db) async fn ping(&self) -> Result<(), BackendError> {
        self.pools
            .read(async move |conn| {
                diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("1")).execute(conn).await?;
                Ok(())
            })
            .await
    }

    /// Returns the portal's instance; `candidate` becomes it if there is none yet.
    pub(in crate::db) async fn instance(&self, candidate: String) -> Result<String, BackendError> {
        self.pools
            .write(async move |conn| {
                diesel::insert_into(portal::table)
                    .values((portal::id.eq(1), portal::instance.eq(candidate)))
                    .on_conflict_do_nothing()
                    .execute(conn)
                    .await?;
                Ok(portal::table.select(portal::instance).first(conn).await?)
            })
            .await
    }

    /// Returns the newest release of the time zone rules by which jobs were planned.
    pub(in crate::db) async fn time_zone_release(&self) -> Result<Option<String>, BackendError> {
        self.pools
            .read(async move |conn| {
                let stored = portal::table.select(portal::time_zone_release).first(conn).await.optional()?;
                Ok(stored.flatten())
            })
            .await
    }

    /// Writes a row without changing it.
    pub(in crate::db) async fn try_write(&self) -> Result<(), BackendError> {
        self.pools
            .write(async move |conn| {
                diesel::update(portal::table).set(portal::instance.eq(portal::instance)).execute(conn).await?;
                Ok(())
            })
            .await
    }

    /// Returns the time by which leases are granted.
    pub(in crate::db) async fn lease_time(&self) -> Result<DateTime<Utc>, BackendError> {
        let portal_time = self.clock.now();
        self.pools.read(async move |conn| Ok(now(conn, portal_time).await?)).await
    }
}
