//! The migrations, embedded in the program.

use std::time::Duration;

use diesel::migration::{Migration, MigrationSource};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use portal_core::{Backend, BackendError, BoxError};

use super::settings::MIGRATION_LOCK_TIMEOUT;
use super::{postgres, sqlite};

/// The migrations for SQLite.
pub(super) const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
/// The migrations for PostgreSQL.
pub(super) const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Key of the advisory lock that keeps two portals from migrating at once: "portal" in ASCII.
const MIGRATION_LOCK: i64 = 0x706f_7274_616c;

/// Runs what is pending on SQLite, creating the file first if there is none. Blocks.
pub(super) fn run_sqlite(pools: &sqlite::Pools) -> Result<Vec<String>, BackendError> {
    run(&mut AsyncMigrationHarness::new(pools.create()?), SQLITE)
}

/// Runs everything on an empty database of one connection. Blocks.
pub(super) fn fill_in_memory(connection: &mut diesel::SqliteConnection) -> Result<(), BackendError> {
    run(connection, SQLITE).map(drop)
}

/// Runs what is pending on PostgreSQL.
pub(super) async fn run_postgres(pools: &postgres::Pools) -> Result<Vec<String>, BackendError> {
    let unavailable = |error| BackendError::unavailable(Backend::Database, error);
    let mut conn = pools.create().await?;
    set_timeout(&mut conn, "statement_timeout", pools.migration_timeout).await.map_err(unavailable)?;
    // Another portal may be in the middle of a long migration, which this one then has nothing left to do of.
    set_timeout(&mut conn, "lock_timeout", pools.migration_timeout).await.map_err(unavailable)?;
    // Released when the connection closes, which is when this function returns.
    diesel::sql_query("select pg_advisory_lock($1)")
        .bind::<diesel::sql_types::BigInt, _>(MIGRATION_LOCK)
        .execute(&mut conn)
        .await
        .map_err(unavailable)?;
    set_timeout(&mut conn, "lock_timeout", MIGRATION_LOCK_TIMEOUT).await.map_err(unavailable)?;
    run(&mut AsyncMigrationHarness::new(conn), POSTGRES)
}

/// Replaces a limit that the connection began with, which is meant for requests.
async fn set_timeout(conn: &mut postgres::Conn, name: &str, timeout: Duration) -> diesel::QueryResult<()> {
    diesel::sql_query(format!("set {name} = {}", timeout.as_millis())).execute(conn).await.map(drop)
}

/// Returns what is pending on SQLite. Blocks.
pub(super) fn pending_sqlite(pools: &sqlite::Pools) -> Result<Vec<String>, BackendError> {
    pending(&mut AsyncMigrationHarness::new(pools.open()?), SQLITE)
}

/// Returns what is pending on PostgreSQL.
pub(super) async fn pending_postgres(pools: &postgres::Pools) -> Result<Vec<String>, BackendError> {
    pending(&mut AsyncMigrationHarness::new(pools.create().await?), POSTGRES)
}

/// Runs what is pending and returns its names. Blocks.
fn run<B, H, S>(harness: &mut H, source: S) -> Result<Vec<String>, BackendError>
where
    B: diesel::backend::Backend,
    H: MigrationHarness<B>,
    S: MigrationSource<B>,
{
    let ran = harness.run_pending_migrations(source).map_err(failed)?;
    Ok(ran.iter().map(ToString::to_string).collect())
}

fn pending<B, H, S>(harness: &mut H, source: S) -> Result<Vec<String>, BackendError>
where
    B: diesel::backend::Backend,
    H: MigrationHarness<B>,
    S: MigrationSource<B>,
{
    let pending: Vec<Box<dyn Migration<B>>> = harness.pending_migrations(source).map_err(failed)?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

fn failed(error: BoxError) -> BackendError {
    BackendError::failed(Backend::Database, error)
}
