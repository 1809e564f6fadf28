//! A database of its own on the tier's PostgreSQL server.

use anyhow::Context as _;
use tokio_postgres::NoTls;

/// A database that is dropped with this value.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A new, empty database.
    #[expect(clippy::disallowed_methods, reason = "the tier hands over its server by environment")]
    pub(crate) async fn create() -> anyhow::Result<Self> {
        let server = std::env::var("TEST_DATABASE_URL")?;
        let name = format!("portal_jobs_{:032x}", rand::random::<u128>());
        execute(&server, &format!("create database {name}")).await?;
        Ok(Self { server, name })
    }

    pub(crate) fn url(&self) -> anyhow::Result<String> {
        let (before, _) = self.server.rsplit_once('/').context("the server's URL names no database")?;
        Ok(format!("{before}/{}", self.name))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("drop database {} with (force)", self.name);
        let server = self.server.clone();
        // On a thread of its own, since the test's runtime may not be blocked.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(execute(&server, &statement))
        });
        drop(dropped.join());
    }
}

async fn execute(server: &str, statement: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await?;
    let connection = tokio::spawn(connection);
    client.batch_execute(statement).await?;
    drop(client);
    Ok(connection.await??)
}
