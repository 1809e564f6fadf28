//! SQLite: one writer, several readers, one file, and calls that block.

use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::connection::{AnsiTransactionManager, SimpleConnection};
use diesel::{Connection, ConnectionError, ConnectionResult, SqliteConnection};
use diesel_async::pooled_connection::bb8::{Pool, PooledConnection};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use diesel_async::{AsyncConnection, RunQueryDsl, TransactionManager};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use portal_core::{Backend, BackendError, BoxError};

use super::DbSettings;
use super::error::{QueryError, no_connection};
use super::executor::{Executor, SendQuery};
use super::in_memory::MemoryDatabase;
use super::settings::MIGRATION_LOCK_TIMEOUT;
use crate::blocking::BlockingPool;

/// A connection. Its futures are ready at once, and block the thread that polls them until then.
pub(super) type Conn = SyncConnectionWrapper<SqliteConnection, Here>;
/// A connection of a pool.
pub(super) type Pooled = PooledConnection<'static, Conn>;

/// A connection of a pool as soon as one is free, and the threads that it may block.
struct CheckedOut {
    connection: BoxFuture<'static, Result<Pooled, BackendError>>,
    threads: BlockingPool,
}

/// Runs statements on the thread that polls them. It is a thread of the blocking pool already, and sending each statement
/// to another thread costs more than most statements take.
pub(super) struct Here;

impl SpawnBlocking for Here {
    fn spawn_blocking<'a, R: Send + 'static>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, Result<R, BoxError>> {
        ready(Ok(task())).boxed()
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// Locks the rows of a query until the transaction ends. SQLite has one writer, so they are locked already.
macro_rules! for_update {
    ($query:expr) => {
        $query
    };
}
/// Locks the rows of a query until the transaction ends, without those that another transaction has locked.
macro_rules! for_update_skip_locked {
    ($query:expr) => {
        $query
    };
}

#[path = "stores.rs"]
pub(super) mod stores;

/// Runs work in a transaction.
async fn transaction<T>(
    conn: &mut Conn,
    work: impl AsyncFnOnce(&mut Conn) -> Result<T, QueryError>,
) -> Result<T, QueryError> {
    // `immediate` takes the write lock at once: a transaction that asks for it later fails with "database is locked" if
    // anyone wrote in between, whatever the busy timeout.
    conn.spawn_blocking(|conn| AnsiTransactionManager::begin_transaction_sql(conn, "begin immediate")).await?;
    let result = work(conn).await;
    match &result {
        Ok(_) => <Conn as AsyncConnection>::TransactionManager::commit_transaction(conn).await?,
        // The work's own error says more than that of a rollback; the pool discards a connection whose rollback failed.
        Err(_) => drop(<Conn as AsyncConnection>::TransactionManager::rollback_transaction(conn).await),
    }
    result
}

/// Returns the time by which leases are granted: the portal's own, since only one machine uses the file.
pub(super) async fn now(_: &mut Conn, portal_time: DateTime<Utc>) -> diesel::QueryResult<DateTime<Utc>> {
    Ok(portal_time)
}

/// Returns the time that triggers write: the machine's, whatever clock grants leases.
pub(super) async fn trigger_time(conn: &mut Conn) -> diesel::QueryResult<DateTime<Utc>> {
    let clock = diesel::dsl::sql::<diesel::sql_types::Timestamp>("strftime('%Y-%m-%d %H:%M:%f', 'now')");
    diesel::select(clock).get_result::<NaiveDateTime>(conn).await.map(|now| now.and_utc())
}

/// Keeps other transactions from adding contacts and friends until this one ends; SQLite has one writer.
pub(super) async fn lock_names(_: &mut Conn) -> diesel::QueryResult<()> {
    Ok(())
}

/// The connections to one file.
#[derive(Clone)]
pub(super) struct Pools {
    file: Arc<File>,
    writer: Connections,
    readers: Connections,
    executor: Executor,
}

/// Connections with the threads that they block.
#[derive(Clone)]
struct Connections {
    pool: Pool<Conn>,
    threads: BlockingPool,
}

/// Location of a database.
pub(super) enum Location {
    File(PathBuf),
    Memory(MemoryDatabase),
}

struct File {
    location: Location,
    busy_timeout_ms: u128,
    /// Device and inode of the file that was first opened.
    identity: OnceLock<(u64, u64)>,
    last_error: Mutex<Option<String>>,
}

impl Pools {
    pub(super) fn new(location: Location, settings: &DbSettings, executor: Executor) -> Self {
        let file = Arc::new(File {
            location,
            busy_timeout_ms: settings.statement_timeout.as_millis(),
            identity: OnceLock::new(),
            last_error: Mutex::new(None),
        });
        let pool = |connections: u32, access: Access| {
            let file = file.clone();
            let mut config = ManagerConfig::default();
            config.recycling_method = RecyclingMethod::Fast;
            config.custom_setup = Box::new(move |_| {
                let file = file.clone();
                async move {
                    let connecting = tokio::task::spawn_blocking(move || file.connect(access));
                    connecting
                        .await
                        .unwrap_or_else(|panicked| Err(ConnectionError::BadConnection(panicked.to_string())))
                }
                .boxed()
            });
            Pool::builder()
                .max_size(connections)
                .connection_timeout(settings.acquire_timeout)
                .max_lifetime(None)
                .idle_timeout(None)
                // A file does not hang up as a server does; that it is still the same file is checked at each use.
                .test_on_check_out(false)
                .build_unchecked(AsyncDieselConnectionManager::new_with_config(String::new(), config))
        };
        let connections = |most: usize, access: Access| {
            let most_of_pool = u32::try_from(most).unwrap_or(u32::MAX);
            Connections { pool: pool(most_of_pool, access), threads: BlockingPool::new(most) }
        };
        let writer = connections(1, Access::Write);
        let readers = match &file.location {
            Location::File(_) => connections(usize::try_from(settings.connections.max(1)).unwrap_or(1), Access::Read),
            // Without a write-ahead log readers wait for the writer anyway. On its connection they do so in turn, not by
            // pauses and trying again.
            Location::Memory(_) => writer.clone(),
        };
        Self { file, writer, readers, executor }
    }

    /// Runs a query on a connection that only reads.
    pub(super) async fn read<T, Q>(&self, query: Q) -> Result<T, BackendError>
    where
        T: Send + 'static,
        Q: AsyncFnOnce(&mut Conn) -> Result<T, QueryError> + for<'c> SendQuery<&'c mut Conn, T>,
    {
        let CheckedOut { connection, threads } = self.check_out(&self.readers);
        self.executor.block(&threads, async move || Ok(query(&mut *connection.await?).await?)).await
    }

    /// Runs a query in a transaction, on the one connection that writes.
    pub(super) async fn write<T, Q>(&self, query: Q) -> Result<T, BackendError>
    where
        T: Send + 'static,
        Q: AsyncFnOnce(&mut Conn) -> Result<T, QueryError> + for<'c> SendQuery<&'c mut Conn, T>,
    {
        let CheckedOut { connection, threads } = self.check_out(&self.writer);
        let work = async move || Ok(transaction(&mut *connection.await?, query).await?);
        self.executor.record_write(self.executor.block(&threads, work).await)
    }

    /// A connection of its own, for migrations; makes the file if there is none. Blocks.
    pub(super) fn create(&self) -> Result<Conn, BackendError> {
        self.file.create().map_err(|error| BackendError::unavailable(Backend::Database, error))?;
        self.file.connect(Access::Migrate).map_err(|error| BackendError::unavailable(Backend::Database, error))
    }

    /// A connection of its own to a file that must be there. Blocks.
    pub(super) fn open(&self) -> Result<Conn, BackendError> {
        self.file.connect(Access::Write).map_err(|error| BackendError::unavailable(Backend::Database, error))
    }

    fn check_out(&self, of: &Connections) -> CheckedOut {
        let (file, pool) = (self.file.clone(), of.pool.clone());
        let connection = async move {
            let conn = pool.get_owned().await.map_err(|error| no_connection(error, file.last_error()))?;
            file.is_still_there().map_err(|error| BackendError::unavailable(Backend::Database, error))?;
            Ok(conn)
        };
        CheckedOut { connection: connection.boxed(), threads: of.threads.clone() }
    }
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
    Migrate,
}

impl File {
    fn connect(&self, access: Access) -> ConnectionResult<Conn> {
        let connected = self.set_up(access);
        let error = connected.as_ref().err().map(ToString::to_string);
        *self.last_error.lock() = error;
        connected.map(Conn::new)
    }

    fn set_up(&self, access: Access) -> ConnectionResult<SqliteConnection> {
        let busy_timeout = match access {
            Access::Read | Access::Write => self.busy_timeout_ms,
            // Portals that run, and others that migrate, hold the write lock for longer than a request waits.
            Access::Migrate => MIGRATION_LOCK_TIMEOUT.as_millis(),
        };
        let mut conn = match &self.location {
            // `rw`: a file that is gone must not come back empty.
            Location::File(path) => SqliteConnection::establish(&format!("file:{}?mode=rw", escaped(path)))?,
            Location::Memory(database) => SqliteConnection::establish(&database.uri)?,
        };
        let pragmas = [
            format!("pragma busy_timeout = {busy_timeout};"),
            "pragma journal_mode = wal;".to_owned(),
            "pragma synchronous = full;".to_owned(),
            "pragma foreign_keys = on;".to_owned(),
            format!("pragma query_only = {};", if matches!(access, Access::Read) { "on" } else { "off" }),
        ];
        for pragma in pragmas {
            conn.batch_execute(&pragma).map_err(ConnectionError::CouldntSetupConfiguration)?;
        }
        Ok(conn)
    }

    fn last_error(&self) -> Option<String> {
        self.last_error.lock().clone()
    }

    /// Makes the file, readable by nobody else, unless there is one.
    fn create(&self) -> std::io::Result<()> {
        let Location::File(path) = &self.location else { return Ok(()) };
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path).map(drop)
    }

    /// Fails unless the path still leads to the file that the connections have open. Writes to a file that was removed or
    /// replaced are lost with the last connection, so nothing may be acknowledged on it.
    #[cfg(unix)]
    fn is_still_there(&self) -> std::io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let Location::File(path) = &self.location else { return Ok(()) };
        let found = std::fs::metadata(path)?;
        let found = (found.dev(), found.ino());
        if *self.identity.get_or_init(|| found) == found {
            return Ok(());
        }
        Err(std::io::Error::new(std::io::ErrorKind::NotFound, "the database file was replaced; restart the portal"))
    }

    #[cfg(not(unix))]
    fn is_still_there(&self) -> std::io::Result<()> {
        let Location::File(path) = &self.location else { return Ok(()) };
        std::fs::metadata(path).map(drop)
    }
}

/// A path as part of a `file:` URI: what begins a query, a fragment or an escape is escaped.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}
