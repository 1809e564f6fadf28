//! What is particular to PostgreSQL: a server that comes and goes, row locks, a clock of its own.

use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::bb8::{Pool, PooledConnection};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::FutureExt;
use parking_lot::Mutex;
use portal_core::{Backend, BackendError};

use super::DbSettings;
use super::error::no_connection;
use super::settings::PostgresTarget;

/// A connection.
pub(super) type Conn = AsyncPgConnection;

/// Runs a closure in a transaction that may write.
macro_rules! write_tx {
    ($conn:expr, $work:expr) => {
        diesel_async::AsyncConnection::transaction($conn, $work)
    };
}
/// Holds the rows of a query until the transaction ends; new rows may still refer to them.
macro_rules! for_update {
    ($query:expr) => {
        $query.for_no_key_update()
    };
}
/// Holds the rows of a query until the transaction ends, leaving out those that another transaction holds.
macro_rules! for_update_skip_locked {
    ($query:expr) => {
        $query.for_update().skip_locked()
    };
}

#[path = "queries.rs"]
pub(super) mod queries;

/// The time by which leases are granted: the server's, at this very moment rather than at the transaction's begin.
pub(super) async fn now(conn: &mut Conn, _: DateTime<Utc>) -> diesel::QueryResult<DateTime<Utc>> {
    let clock = diesel::dsl::sql::<diesel::sql_types::Timestamp>(
        "date_trunc('milliseconds', clock_timestamp() at time zone 'utc')",
    );
    diesel::select(clock).get_result::<NaiveDateTime>(conn).await.map(|now| now.and_utc())
}

/// Keeps everybody else from adding contacts and friends until the transaction ends; reading goes on.
pub(super) async fn lock_names(conn: &mut Conn) -> diesel::QueryResult<()> {
    diesel::sql_query("lock table contacts in share row exclusive mode").execute(conn).await.map(drop)
}

/// The connections to one server.
#[derive(Clone)]
pub(super) struct Pools {
    server: Arc<Server>,
    pool: Pool<Conn>,
}

struct Server {
    target: PostgresTarget,
    last_error: Mutex<Option<String>>,
}

impl Pools {
    pub(super) fn new(target: Box<PostgresTarget>, settings: &DbSettings) -> Self {
        let server = Arc::new(Server { target: *target, last_error: Mutex::new(None) });
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
        Self { server, pool }
    }

    /// A connection for reading.
    pub(super) async fn read(&self) -> Result<PooledConnection<'_, Conn>, BackendError> {
        self.pool.get().await.map_err(|error| no_connection(error, self.server.last_error()))
    }

    /// A connection for writing.
    pub(super) async fn write(&self) -> Result<PooledConnection<'_, Conn>, BackendError> {
        self.read().await
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
        let config = &self.target.config;
        if let Some(tls) = &self.target.tls {
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
