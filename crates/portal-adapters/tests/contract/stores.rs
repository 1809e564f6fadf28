//! Empty stores, in each place where the portal can have them.

use std::any::Any;
use std::sync::Arc;

use portal_adapters::db::{Db, DbSettings};
use portal_core::{FixedClock, SeededIds};
use portal_testkit::Fixture;
use tokio::runtime::Handle;

use crate::postgres::Database;

/// Creates a SQLite file of its own.
pub(crate) async fn on_sqlite() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("portal.db").display());
    migrated(&DbSettings::new(url), Box::new(folder)).await
}

/// Creates a PostgreSQL database of its own.
pub(crate) async fn on_postgres() -> Fixture {
    let database = Database::create().await;
    migrated(&DbSettings::new(database.url()), Box::new(database)).await
}

/// Creates a SQLite database in memory.
pub(crate) async fn in_memory() -> Fixture {
    fixture(Db::in_memory(Handle::current()).unwrap(), Box::new(())).await
}

async fn migrated(settings: &DbSettings, guard: Box<dyn Any + Send + Sync>) -> Fixture {
    let db = Db::open(settings, Handle::current()).unwrap();
    db.migrate().await.unwrap();
    fixture(db, guard).await
}

async fn fixture(db: Db, guard: Box<dyn Any + Send + Sync>) -> Fixture {
    db.instance(&SeededIds::from_seed(2)).await.unwrap();
    let clock = Fixture::clock();
    fixture_of(&db.with_clock(clock.clone()), clock, guard)
}

/// Makes a fixture of a database whose leases are granted by `clock`.
pub(crate) fn fixture_of(db: &Db, clock: Arc<FixedClock>, guard: Box<dyn Any + Send + Sync>) -> Fixture {
    Fixture::of(portal_testkit::stores!(db), clock, guard)
}
