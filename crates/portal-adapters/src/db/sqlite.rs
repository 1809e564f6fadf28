//! What is particular to SQLite: one writer, several readers, one file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use chrono::{DateTime, Utc};
use diesel::SqliteConnection;
use diesel_async::pooled_connection::bb8::{Pool, PooledConnection};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, SimpleAsyncConnection};
use futures::FutureExt;
use portal_core::{Backend, PortError};

use super::DbSettings;
use super::error::no_connection;

/// A connection.
pub(super) type Conn = SyncConnectionWrapper<SqliteConnection>;

/// Runs a closure in a transaction that may write. It takes the lock at once: one that is upgraded later fails as soon
/// as somebody else has written in between.
macro_rules! write_tx {
    ($conn:expr, $work:expr) => {
        $conn.immediate_transaction($work)
    };
}
/// Holds the rows of a query until the transaction ends. SQLite has one writer, so they are held already.
macro_rules! for_update {
    ($query:expr) => {
        $query
    };
}
/// Holds the rows of a query until the transaction ends, leaving out those that another transaction holds.
macro_rules! for_update_skip_locked {
    ($query:expr) => {
        $query
    };
}

#[path = "queries.rs"]
pub(super) mod queries;

/// The time by which leases are granted.
pub(super) async fn now(_: &mut Conn, portal_time: DateTime<Utc>) -> diesel::QueryResult<DateTime<Utc>> {
    Ok(portal_time)
}

/// Keeps everybody else from adding contacts and friends until the transaction ends; SQLite has one writer.
pub(super) async fn lock_names(_: &mut Conn) -> diesel::QueryResult<()> {
    Ok(())
}

/// The connections to one file.
#[derive(Clone)]
pub(super) struct Pools {
    file: Arc<File>,
    writer: Pool<Conn>,
    readers: Pool<Conn>,
}

struct File {
    path: PathBuf,
    busy_timeout_ms: u128,
    /// Device and inode of the file that was first opened.
    identity: OnceLock<(u64, u64)>,
    last_error: Mutex<Option<String>>,
}

impl Pools {
    pub(super) fn new(path: PathBuf, settings: &DbSettings) -> Self {
        let file = Arc::new(File {
            path,
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
                async move { file.connect(access).await }.boxed()
            });
            Pool::builder()
                .max_size(connections)
                .connection_timeout(settings.acquire_timeout)
                .max_lifetime(None)
                .idle_timeout(None)
                .test_on_check_out(false)
                .build_unchecked(AsyncDieselConnectionManager::new_with_config(String::new(), config))
        };
        let writer = pool(1, Access::Write);
        let readers = pool(settings.connections.max(1), Access::Read);
        Self { file, writer, readers }
    }

    /// A connection that only reads.
    pub(super) async fn read(&self) -> Result<PooledConnection<'_, Conn>, PortError> {
        self.take(&self.readers).await
    }

    /// The one connection that writes.
    pub(super) async fn write(&self) -> Result<PooledConnection<'_, Conn>, PortError> {
        self.take(&self.writer).await
    }

    /// A connection of its own, for migrations; makes the file if there is none.
    pub(super) async fn create(&self) -> Result<Conn, PortError> {
        self.file.create().map_err(|error| PortError::unavailable(Backend::Database, error))?;
        self.open().await
    }

    /// A connection of its own to a file that must be there.
    pub(super) async fn open(&self) -> Result<Conn, PortError> {
        self.file.connect(Access::Write).await.map_err(|error| PortError::unavailable(Backend::Database, error))
    }

    async fn take<'a>(&self, pool: &'a Pool<Conn>) -> Result<PooledConnection<'a, Conn>, PortError> {
        let conn = pool.get().await.map_err(|error| no_connection(error, self.file.last_error()))?;
        self.file.is_still_there().map_err(|error| PortError::unavailable(Backend::Database, error))?;
        Ok(conn)
    }
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

impl File {
    async fn connect(&self, access: Access) -> diesel::ConnectionResult<Conn> {
        let connected = self.set_up(access).await;
        let error = connected.as_ref().err().map(ToString::to_string);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
        connected
    }

    async fn set_up(&self, access: Access) -> diesel::ConnectionResult<Conn> {
        // `rw`: a file that is gone must not come back empty.
        let mut conn = Conn::establish(&format!("file:{}?mode=rw", escaped(&self.path))).await?;
        let pragmas = [
            format!("pragma busy_timeout = {};", self.busy_timeout_ms),
            "pragma journal_mode = wal;".to_owned(),
            "pragma synchronous = full;".to_owned(),
            "pragma foreign_keys = on;".to_owned(),
            format!("pragma query_only = {};", if matches!(access, Access::Read) { "on" } else { "off" }),
        ];
        for pragma in pragmas {
            conn.batch_execute(&pragma).await.map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
        }
        Ok(conn)
    }

    fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the file, readable by nobody else, unless there is one.
    fn create(&self) -> std::io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path).map(drop)
    }

    /// Whether the path still leads to the file that the connections have open. What is written to a file that was
    /// removed or replaced is gone with the last connection, so nothing may be acknowledged on it.
    #[cfg(unix)]
    fn is_still_there(&self) -> std::io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(&self.path)?;
        let found = (found.dev(), found.ino());
        if *self.identity.get_or_init(|| found) == found {
            return Ok(());
        }
        Err(std::io::Error::new(std::io::ErrorKind::NotFound, "the database file was replaced; start the portal anew"))
    }

    #[cfg(not(unix))]
    fn is_still_there(&self) -> std::io::Result<()> {
        std::fs::metadata(&self.path).map(drop)
    }
}

/// A path as part of a `file:` URI: what begins a query, a fragment or an escape is escaped.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}
