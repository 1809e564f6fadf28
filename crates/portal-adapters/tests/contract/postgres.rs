//! One database per test, on the server that the tier hands over.

use tokio_postgres::{Config, NoTls};

/// A database that is dropped with this value.
pub(crate) struct Database {
    server: String,
    pub(crate) name: String,
}

impl Database {
    /// A new, empty database.
    pub(crate) async fn create() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the tier hands over its server by environment")]
        let server = std::env::var("TEST_DATABASE_URL").unwrap();
        let name = format!("portal_test_{:032x}", rand::random::<u128>());
        let database = Self { server, name };
        database.tell_server(&format!("create database {}", database.name)).await;
        database
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        let mut url = url::Url::parse(&self.server).unwrap();
        url.set_path(&self.name);
        url.into()
    }

    /// Has a statement run by another session, which is not in this database.
    pub(crate) async fn tell_server(&self, statement: &str) {
        let config: Config = self.server.parse().unwrap();
        let (client, connection) = config.connect(NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(statement).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("drop database {} with (force)", self.name);
        // On a thread of its own, since the test's runtime may not be blocked.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(self.tell_server(&statement));
            });
        });
    }
}
