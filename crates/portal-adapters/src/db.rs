//! The portal's database: SQLite for one machine, PostgreSQL beyond it.
//!
//! Every query is written once, in `db/queries/`, and compiled twice: `db/sqlite.rs` and `db/postgres.rs` each include
//! that folder after defining what differs (`Conn`, `write_tx!`, `for_update!`, `now`).
//!
//! To add a store:
//! 1. `migrations/{sqlite,postgres}/<time>_create_<noun>/{up,down}.sql`: the same tables twice; rules that must hold are
//!    constraints, each foreign key has an index. On PostgreSQL, text that is sorted or compared by `<` is
//!    `collate "C"`, and times are `timestamp(3)`.
//! 2. `db/schema/<slice>.rs`: the `table!`s; a line in `db/schema.rs`.
//! 3. `db/queries/<slice>.rs`: one `pub(in crate::db) async fn` per port method, from `&mut Conn` to
//!    `Result<_, QueryError>`; rows stay private there. What writes goes through `write_tx!(conn, async |conn| ..)`,
//!    ends with `super::audit::insert(conn, audit)`, and takes rows that it decides upon with `for_update!(query)`.
//!    A line in `db/queries.rs`.
//! 4. `db/<slice>.rs`: `DbThings(Db)` and the port: clone the arguments, then
//!    `ask!(self.0, read, things::find(&id))` or `ask!(self.0, write, things::create(&thing, &audit))`.
//! 5. `tests/contract/<port>.rs`: the promises of the port, run for every adapter.
//!
//! A query never runs inside the caller's future, so that it comes to its end when the caller hangs up: on PostgreSQL it
//! is a task of the multi-thread runtime that [`Db::open`] was given; on SQLite, which blocks, it runs in a pool of no
//! more threads than there are connections (`blocking.rs`).

#![expect(clippy::duplicate_mod, reason = "each query is compiled once per database")]

mod error;
mod migrations;
mod postgres;
mod schema;
mod settings;
mod sqlite;
mod tls;

use std::future::Future;

use chrono::{DateTime, Utc};
use portal_core::{Backend, BackendError, Clock, Ids, Invalid};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use tracing::{Instrument, Span};

pub use settings::DbSettings;

use crate::blocking::Patience;

/// Asks a database a question of `db/queries/`: `ask!(db, read, friends::find(&id))`. The arguments are evaluated in a
/// task of its own and must therefore be owned by the caller.
macro_rules! ask {
    ($db:expr, $access:ident, $module:ident :: $query:ident ($($argument:expr),* $(,)?)) => {{
        use $crate::db::{Pools, postgres, sqlite};
        let db = &$db;
        match &db.pools {
            Pools::Sqlite(pools) => {
                let query = async move |conn: &mut sqlite::Conn| {
                    Ok(sqlite::queries::$module::$query(conn, $($argument),*).await?)
                };
                db.run_blocking(pools.$access(), query).await
            }
            Pools::Postgres(pools) => {
                let pools = pools.clone();
                db.run(async move {
                    let mut conn = pools.$access().await?;
                    Ok(postgres::queries::$module::$query(&mut conn, $($argument),*).await?)
                })
                .await
            }
        }
    }};
}

mod agents;
mod audit;
mod contacts;
mod documents;
mod exposures;
mod friends;
mod friendships;
mod jobs;
mod probes;
mod sessions;

pub use agents::DbAgents;
pub use audit::DbAuditLog;
pub use contacts::DbContacts;
pub use documents::DbDocuments;
pub use exposures::DbExposures;
pub use friends::DbFriends;
pub use friendships::DbFriendships;
pub use jobs::DbJobs;
pub use probes::{DbProbe, MigrationsProbe};
pub use sessions::DbSessions;

/// The portal's database; cheap to clone.
#[derive(Clone)]
pub struct Db {
    pools: Pools,
    handle: Handle,
    patience: Patience,
}

#[derive(Clone)]
enum Pools {
    Sqlite(sqlite::Pools),
    Postgres(postgres::Pools),
}

impl Db {
    /// Prepares access to a database; connects to nothing yet. `handle` must be of a multi-thread runtime.
    ///
    /// # Errors
    /// Refuses a url that names no database the portal knows, and TLS settings that cannot be read.
    pub fn open(settings: &DbSettings, handle: Handle) -> Result<Self, Invalid> {
        let _runtime = handle.enter();
        let pools = match settings.target()? {
            settings::Target::Sqlite(path) => Pools::Sqlite(sqlite::Pools::new(path, settings)),
            settings::Target::Postgres(target) => Pools::Postgres(postgres::Pools::new(target, settings)),
        };
        let patience = Patience { turn: settings.acquire_timeout, work: settings.statement_timeout };
        Ok(Self { pools, handle, patience })
    }

    /// Brings the tables up to date; tells which migrations it ran. Several portals may do so at once.
    ///
    /// # Errors
    /// The database cannot be reached, or a migration failed and was rolled back.
    pub async fn migrate(&self) -> Result<Vec<String>, BackendError> {
        let task = match self.pools.clone() {
            Pools::Sqlite(pools) => self.handle.spawn_blocking(move || migrations::run_sqlite(&pools)),
            Pools::Postgres(pools) => self.handle.spawn(async move { migrations::run_postgres(&pools).await }),
        };
        task.await.unwrap_or_else(|panicked| Err(panic_of(panicked)))
    }

    /// The migrations that have not run yet, in their order.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, BackendError> {
        match self.pools.clone() {
            Pools::Sqlite(pools) => {
                self.outcome(self.handle.spawn_blocking(move || migrations::pending_sqlite(&pools))).await
            }
            Pools::Postgres(pools) => self.run(async move { migrations::pending_postgres(&pools).await }).await,
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), BackendError> {
        ask!(self, read, portal::ping())
    }

    /// The mark by which this portal knows its own records and routes: 32 hexadecimal digits, drawn by whoever asks
    /// first after the migrations and the same for ever after.
    ///
    /// # Errors
    /// The database cannot be reached or was not migrated.
    pub async fn instance(&self, ids: &dyn Ids) -> Result<String, BackendError> {
        let candidate = ids.id();
        ask!(self, write, portal::instance(&candidate))
    }

    /// The time by which leases are granted: PostgreSQL's own, because several machines share it; the portal's on
    /// SQLite, where there is but one.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn now(&self, clock: &dyn Clock) -> Result<DateTime<Utc>, BackendError> {
        let portal_time = clock.now();
        ask!(self, read, portal::now(portal_time))
    }

    /// Runs database work to its end, whatever becomes of the caller.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, BackendError>> + Send + 'static,
    ) -> Result<T, BackendError> {
        self.outcome(self.handle.spawn(work.in_current_span())).await
    }

    /// The same on a thread that the work may block.
    async fn run_blocking<T: Send + 'static>(
        &self,
        lent: sqlite::Lent,
        work: impl AsyncFnOnce(&mut sqlite::Conn) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let (sqlite::Lent { connection, threads }, handle, span) = (lent, self.handle.clone(), Span::current());
        let query = async move || work(&mut *connection.await?).await;
        let done = threads.run(self.patience, move || span.in_scope(|| handle.block_on(query()))).await;
        done.unwrap_or_else(|undone| Err(undone.at(Backend::Database)))
    }

    /// What a task came to; the caller waits only so long.
    async fn outcome<T>(&self, task: JoinHandle<Result<T, BackendError>>) -> Result<T, BackendError> {
        match tokio::time::timeout(self.patience.turn + self.patience.work, task).await {
            Ok(settled) => settled.unwrap_or_else(|panicked| Err(panic_of(panicked))),
            Err(elapsed) => Err(BackendError::unavailable(Backend::Database, elapsed)),
        }
    }
}

fn panic_of(panicked: JoinError) -> BackendError {
    BackendError::failed(Backend::Database, panicked)
}
