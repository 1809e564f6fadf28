//! SQLite databases in the memory of this process.

use std::sync::atomic::{AtomicU64, Ordering};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use parking_lot::Mutex;
use portal_core::{Backend, BackendError};

/// Number of the next database.
static NEXT: AtomicU64 = AtomicU64::new(0);
/// A database with all migrations and no row of ours: copying it takes a fraction of the time of running them.
static TEMPLATE: Mutex<Option<SqliteConnection>> = Mutex::new(None);

/// A database in memory, which all connections to its URI share.
pub(super) struct MemoryDatabase {
    pub(super) uri: String,
    /// Unused: SQLite drops the database with the last connection to it, and those of a pool come and go.
    _keeper: Mutex<SqliteConnection>,
}

impl MemoryDatabase {
    /// Creates an empty database with the tables that `migrate` makes. Blocks for some milliseconds.
    pub(super) fn create(migrate: fn(&mut SqliteConnection) -> Result<(), BackendError>) -> Result<Self, BackendError> {
        // Unlike `:memory:` and `cache=shared`, whose locks on tables no busy timeout waits for, this VFS locks as a file does.
        let uri = format!("file:/portal-{}?vfs=memdb", NEXT.fetch_add(1, Ordering::Relaxed));
        let keeper =
            SqliteConnection::establish(&uri).map_err(|error| BackendError::failed(Backend::Database, error))?;
        let mut template = TEMPLATE.lock();
        let template = match &mut *template {
            Some(template) => template,
            none => none.insert(migrated(migrate)?),
        };
        let copied = template.batch_execute(&format!("vacuum into '{uri}'"));
        copied.map_err(|error| BackendError::failed(Backend::Database, error))?;
        Ok(Self { uri, _keeper: Mutex::new(keeper) })
    }
}

fn migrated(migrate: fn(&mut SqliteConnection) -> Result<(), BackendError>) -> Result<SqliteConnection, BackendError> {
    let establish = SqliteConnection::establish(":memory:");
    let mut connection = establish.map_err(|error| BackendError::failed(Backend::Database, error))?;
    migrate(&mut connection)?;
    Ok(connection)
}
