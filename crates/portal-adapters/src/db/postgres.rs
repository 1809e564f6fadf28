//! PostgreSQL: a server that comes and goes, row locks, a clock of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::result::Error;
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::bb8::{Pool, PooledConnection};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, TransactionManager};
use futures::FutureExt;
use parking_lot::Mutex;
use portal_core::{Backend, BackendError};

use super::DbSettings;
use super::error::{QueryError, no_connection};
use super::executor::{Executor, SendQuery};
use super::settings::PostgresTarget;

/// A connection.
pub(super) type Conn = AsyncPgConnection;

/// Locks the rows of a query until the transaction ends; new rows may still refer to them.
macro_rules! for_update {
    ($query:expr) => {
        $query.for_no_key_update()
    };
}
/// Locks the rows of a query until the transaction ends, without those that another transaction has locked.
macro_rules! for_update_skip_locked {
    ($query:expr) => {
        $query.for_update().skip_locked()
    };
}

#[path = "stores.rs"]
pub(super) mod stores;

/// Runs work in a transaction, which is rolled back if its end comes after `deadline`.
async fn transaction<T>(
    conn: &mut Conn,
    deadline: Instant,
    work: impl AsyncFnOnce(&mut Conn) -> Result<T, QueryError> + for<'c> SendQuery<&'c mut Conn, T>,
) -> Result<T, QueryError> {
    <Conn as AsyncConnection>::TransactionManager::begin_transaction(conn).await?;
    let mut result = work(conn).await;
    // The caller was told by now that this failed. Runs that a server claims when it is back from a pause, for nobody,
    // would wait for the end of their lease.
    if Instant::now() > deadline {
        result = result.and(Err(Error::RollbackTransaction.into()));
    }
    match &result {
        Ok(_) => <Conn as AsyncConnection>::TransactionManager::commit_transaction(conn).await?,
        // The work's own error says more than that of a rollback; the pool discards a connection whose rollback failed.
        Err(_) => drop(<Conn as AsyncConnection>::TransactionManager::rollback_transaction(conn).await),
    }
    result
}

/// Returns the time by which leases are granted: the server's, now rather than at the transaction's start.
pub(super) async fn now(conn: &mut Conn, _: DateTime<Utc>) -> diesel::QueryResult<DateTime<Utc>> {
    let clock = diesel::dsl::sql::<diesel::sql_types::Timestamp>(
        "date_trunc('milliseconds', clock_timestamp() at time zone 'utc')",
    );
    diesel::select(clock).get_result::<NaiveDateTime>(conn).await.map(|now| now.and_utc())
}

/// Returns the time that triggers write.
pub(super) async fn trigger_time(conn: &mut Conn) -> diesel::QueryResult<DateTime<Utc>> {
    now(conn, DateTime::UNIX_EPOCH).await
}

/// Keeps other transactions from adding contacts and friends until this one ends; reads continue.
pub(super) async fn lock_names(conn: &mut Conn) -> diesel::QueryResult<()> {
    diesel::sql_query("lock table contacts in share row exclusive mode").execute(conn).await.map(drop)
}

/// The connections to one server.
#[derive(Clone)]
pub(super) struct Pools {
    server: Arc<Server>,
    pool: Pool<Conn>,
    executor: Executor,
    pub(super) migration_timeout: Duration,
}

struct Server {
    target: PostgresTarget,
    settings: DbSettings,
    last_error: Mutex<Option<String>>,
}

impl Pools {
    pub(super) fn new(target: Box<PostgresTarget>, settings: &DbSettings, executor: Executor) -> Self {
        let server = Arc::new(Server { target: *target, settings: settings.clone(), last_error: Mutex::new(None) });
        let for_setup = server.clone();
        let mut config = ManagerConfig::default();
        // Asked on every checkout: a server that was restarted in between costs no request.
        config.recycling_method = RecyclingMethod::Verified;
        config.custom_setup = Box::new(move |_| {
            let server = for_setup.clone();
            async move { server.connect().await }.boxed()
        });
        let pool = Pool::builder()
            .max_size(settings.connections.max(1))
            .connection_timeout(settings.acquire_timeout)
            .build_unchecked(AsyncDieselConnectionManager::new_with_config(String::new(), config));
        Self { server, pool, executor, migration_timeout: settings.migration_timeout }
    }

    /// Runs a query.
    pub(super) async fn read<T, Q>(&self, query: Q) -> Result<T, BackendError>
    where
        T: Send + 'static,
        Q: AsyncFnOnce(&mut Conn) -> Result<T, QueryError> + for<'c> SendQuery<&'c mut Conn, T>,
    {
        let pools = self.clone();
        self.executor.spawn(async move { Ok(query(&mut *pools.connection().await?).await?) }).await
    }

    /// Runs a query in a transaction.
    pub(super) async fn write<T, Q>(&self, query: Q) -> Result<T, BackendError>
    where
        T: Send + 'static,
        Q: AsyncFnOnce(&mut Conn) -> Result<T, QueryError> + for<'c> SendQuery<&'c mut Conn, T>,
    {
        let pools = self.clone();
        let deadline = self.executor.deadline();
        let work = async move { Ok(transaction(&mut *pools.connection().await?, deadline, query).await?) };
        self.executor.record_write(self.executor.spawn(work).await)
    }

    async fn connection(&self) -> Result<PooledConnection<'_, Conn>, BackendError> {
        self.pool.get().await.map_err(|error| no_connection(error, self.server.last_error()))
    }

    /// A connection of its own, for migrations.
    pub(super) async fn create(&self) -> Result<Conn, BackendError> {
        self.server.connect().await.map_err(|error| BackendError::unavailable(Backend::Database, error))
    }
}

impl Server {
    async fn connect(&self) -> ConnectionResult<Conn> {
        let connected = self.set_up().await;
        let error = connected.as_ref().err().map(ToString::to_string);
        *self.last_error.lock() = error;
        connected
    }

    async fn set_up(&self) -> ConnectionResult<Conn> {
        let read_again = self.settings.read_again();
        let PostgresTarget { config, tls } = read_again.as_ref().unwrap_or(&self.target);
        if let Some(tls) = tls {
            let (client, connection) = config.connect(tls.connector()).await.map_err(|error| bad(&error))?;
            Conn::try_from_client_and_connection(client, connection).await
        } else {
            let (client, connection) = config.connect(tokio_postgres::NoTls).await.map_err(|error| bad(&error))?;
            Conn::try_from_client_and_connection(client, connection).await
        }
    }

    fn last_error(&self) -> Option<String> {
        self.last_error.lock().clone()
    }
}

/// The client's own text is "db error" or "error connecting to server"; what happened is in its source.
fn bad(error: &tokio_postgres::Error) -> ConnectionError {
    let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    ConnectionError::BadConnection(format!("{error}{cause}"))
}
