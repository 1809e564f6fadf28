//! The portal's database: SQLite on one machine, PostgreSQL beyond it.
//!
//! One store is one file of `db/stores/`: it implements a port for `Store`, with its rows, conversions and queries.
//! 1. The folder is compiled twice. `db/sqlite.rs` and `db/postgres.rs` define what differs: `Conn`, `Pools`, `now`,
//!    `trigger_time`, `lock_names`, `for_update!` and `for_update_skip_locked!`. `schema.rs` serves both.
//! 2. A method clones its arguments and passes a closure to `self.pools.read(..)` or `self.pools.write(..)`. `write` is
//!    one transaction, rolled back if the closure returns an error; its last statement is `audit::insert(..)` where a
//!    person caused the change.
//! 3. The closure never runs inside the caller's future, so it completes when a client hangs up: on PostgreSQL it is a
//!    task of the runtime given to [`Db::open`]; on SQLite, which blocks, it runs on a pool of threads (`blocking.rs`).
//! 4. [`Db::agents`] and its siblings hand the store out as `Arc<dyn AgentStore>`; nothing else of it is public.
//!
//! To add a store: the tables in `migrations/{sqlite,postgres}/` (rules are constraints, foreign keys have an index; on
//! PostgreSQL sorted text is `collate "C"` and times are `timestamp(3)`), `db/schema/`, a file with a line in
//! `stores.rs`, a line in `stores!` below, and a suite of the port in portal-testkit.

#![expect(clippy::duplicate_mod, reason = "each store is compiled once per database")]

mod error;
mod executor;
mod in_memory;
mod migrations;
mod postgres;
mod probes;
mod schema;
mod settings;
mod sqlite;
mod tls;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use portal_core::{
    AgentId, AgentStore, AuditLog, Backend, BackendError, ChangeLog, Clock, ContactStore, FriendStore, FriendshipStore,
    Ids, Invalid, LoginStore, RetentionStore, SessionStore,
};
use portal_cron::{JobStore, MessageStore, Release, RemoteStore, RunQueue};
use portal_dns::ExposureStore;
use portal_workspace::{DocumentStore, VersionStore};
use tokio::runtime::Handle;

pub use probes::{DbProbe, MigrationsProbe, WritesProbe};
pub use settings::DbSettings;

use crate::SystemClock;
use executor::Executor;

/// The portal's database; cheap to clone.
#[derive(Clone)]
pub struct Db {
    store: Store,
    executor: Executor,
}

#[derive(Clone)]
enum Store {
    Sqlite(Arc<sqlite::stores::Store>),
    Postgres(Arc<postgres::stores::Store>),
}

/// Runs an expression on the store of whichever database this is.
macro_rules! on_store {
    ($db:expr, $store:ident => $value:expr) => {
        match &$db.store {
            Store::Sqlite($store) => $value,
            Store::Postgres($store) => $value,
        }
    };
}

/// Defines a method for each store.
macro_rules! stores {
    ($($(#[$doc:meta])* $name:ident: $port:ident;)*) => {
        impl Db {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> Arc<dyn $port> {
                on_store!(self, store => store.clone())
            })*
        }
    };
}

stores! {
    /// The register of agents.
    agents: AgentStore;
    /// The audit log.
    audit_log: AuditLog;
    /// Hints for event streams.
    changes: ChangeLog;
    /// The addresses of friends on channels.
    contacts: ContactStore;
    /// Leases and pending writes of documents.
    documents: DocumentStore;
    /// Exposures, hostnames and tombstones.
    exposures: ExposureStore;
    /// The register of friends.
    friends: FriendStore;
    /// Friendships: the agents that work for a friend.
    friendships: FriendshipStore;
    /// The single-use codes of login links.
    logins: LoginStore;
    /// Scheduled jobs.
    jobs: JobStore;
    /// Messages that are sent now.
    messages: MessageStore;
    /// Changes and runs of jobs that an agent's gateway keeps.
    remote: RemoteStore;
    /// Deletion of expired rows.
    retention: RetentionStore;
    /// The queue of runs, which all runners share.
    runs: RunQueue;
    /// Sessions.
    sessions: SessionStore;
    /// The stored texts of documents.
    versions: VersionStore;
}

impl Db {
    /// Prepares access to a database; connects to nothing yet. `handle` must be of a multi-thread runtime.
    ///
    /// # Errors
    /// Refuses a url that names no known kind of database, and TLS settings that cannot be read.
    pub fn open(settings: &DbSettings, handle: Handle) -> Result<Self, Invalid> {
        match settings.target()? {
            settings::Target::Sqlite(path) => Ok(Self::sqlite(sqlite::Location::File(path), settings, handle)),
            settings::Target::Postgres(target) => {
                let executor = Executor::of(settings, handle);
                // The pools start tasks as they are made.
                let _runtime = executor.enter();
                let pools = postgres::Pools::new(target, settings, executor.clone());
                let clock = Arc::new(SystemClock);
                Ok(Self { store: Store::Postgres(Arc::new(postgres::stores::Store { pools, clock })), executor })
            }
        }
    }

    /// Creates a SQLite database in the memory of this process, migrated and empty, for tests and examples. It goes with
    /// the last clone of this value and with the stores that it handed out. Blocks for some milliseconds.
    ///
    /// A runtime of one thread will do for it, also one with a paused clock: while a query runs, a blocking thread of the
    /// runtime is busy, and tokio then lets no time pass.
    ///
    /// # Errors
    /// SQLite failed, such as for lack of memory.
    pub fn in_memory(handle: Handle) -> Result<Self, BackendError> {
        let database = in_memory::MemoryDatabase::create(migrations::fill_in_memory)?;
        // The URL is that of no file; everything else is as it is for files.
        let settings = DbSettings::new("sqlite::memory:");
        Ok(Self::sqlite(sqlite::Location::Memory(database), &settings, handle))
    }

    fn sqlite(location: sqlite::Location, settings: &DbSettings, handle: Handle) -> Self {
        let executor = Executor::of(settings, handle);
        let _runtime = executor.enter();
        let pools = sqlite::Pools::new(location, settings, executor.clone());
        let clock = Arc::new(SystemClock);
        Self { store: Store::Sqlite(Arc::new(sqlite::stores::Store { pools, clock })), executor }
    }

    /// Returns the same database with leases granted by `clock`. Only SQLite asks it: on PostgreSQL, which several
    /// machines share, the server's clock grants leases.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        let store = match self.store {
            Store::Sqlite(store) => {
                Store::Sqlite(Arc::new(sqlite::stores::Store { clock, pools: store.pools.clone() }))
            }
            Store::Postgres(store) => {
                Store::Postgres(Arc::new(postgres::stores::Store { clock, pools: store.pools.clone() }))
            }
        };
        Self { store, ..self }
    }

    /// Runs pending migrations and returns their names. Several portals may do so at once.
    ///
    /// # Errors
    /// The database cannot be reached, or a migration failed and was rolled back.
    pub async fn migrate(&self) -> Result<Vec<String>, BackendError> {
        match &self.store {
            Store::Sqlite(store) => {
                let pools = store.pools.clone();
                self.executor.spawn_blocking_without_limit(move || migrations::run_sqlite(&pools)).await
            }
            Store::Postgres(store) => {
                let pools = store.pools.clone();
                self.executor.spawn_without_limit(async move { migrations::run_postgres(&pools).await }).await
            }
        }
    }

    /// Returns the migrations that have not run yet, in their order.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, BackendError> {
        match &self.store {
            Store::Sqlite(store) => {
                let pools = store.pools.clone();
                self.executor.spawn_blocking(move || migrations::pending_sqlite(&pools)).await
            }
            Store::Postgres(store) => {
                let pools = store.pools.clone();
                self.executor.spawn(async move { migrations::pending_postgres(&pools).await }).await
            }
        }
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), BackendError> {
        on_store!(self, store => store.ping().await)
    }

    /// Checks that the database takes writes: the last one succeeded, or failed a while ago and another try succeeds. A full
    /// disk refuses writes while reads go on.
    ///
    /// # Errors
    /// It does not.
    pub async fn check_writes(&self) -> Result<(), BackendError> {
        match self.executor.failed_write() {
            None => Ok(()),
            Some((error, true)) => Err(BackendError::unavailable(Backend::Database, error)),
            Some((_, false)) => on_store!(self, store => store.try_write().await),
        }
    }

    /// Returns the portal's instance, the middle part of its ownership markers: 32 hexadecimal digits, drawn when a
    /// portal first asks after the migrations and the same ever after.
    ///
    /// # Errors
    /// The database cannot be reached or was not migrated.
    pub async fn instance(&self, ids: &dyn Ids) -> Result<String, BackendError> {
        let candidate = ids.id();
        on_store!(self, store => store.instance(candidate).await)
    }

    /// Returns the newest release of the time zone rules by which jobs were planned; `None` before any were.
    ///
    /// # Errors
    /// The database cannot be reached or was not migrated.
    pub async fn time_zone_release(&self) -> Result<Option<Release>, BackendError> {
        let stored = on_store!(self, store => store.time_zone_release().await)?;
        Ok(stored.and_then(|stored| Release::parse(&stored).ok()))
    }

    /// Counts an agent's enabled jobs in this database.
    ///
    /// # Errors
    /// The database cannot be reached or was not migrated.
    pub async fn enabled_jobs(&self, agent: &AgentId) -> Result<u64, BackendError> {
        on_store!(self, store => store.enabled_jobs(agent.clone()).await)
    }

    /// Returns the time by which leases are granted.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn now(&self) -> Result<DateTime<Utc>, BackendError> {
        on_store!(self, store => store.lease_time().await)
    }
}
