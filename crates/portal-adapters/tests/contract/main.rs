//! Every port against every adapter. The contract of each store is a suite of `portal-testkit`, run in memory and for SQLite
//! always, and for PostgreSQL in the tier `postgres`, which hands over a server by `TEST_DATABASE_URL`. Suites of ports
//! that are no stores (files, records, routes, the cluster) stand here.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends where its premise fails")]

mod files;
mod kubernetes;
mod memory_stores;
mod postgres;
mod records;
mod routes;

use portal_adapters::db::DbSettings;
use portal_testkit::Fixture;

/// A PostgreSQL database of its own.
async fn on_postgres() -> Fixture {
    let database = postgres::Database::create().await;
    Fixture::in_database(&DbSettings::new(database.url()), Box::new(database)).await
}

/// Runs the suite of a kind of store against each adapter.
macro_rules! stores {
    ($($suite:ident: $contract:ident,)+) => {
        $(mod $suite {
            mod memory {
                portal_testkit::$contract!(crate::memory_stores::fixture());
            }

            mod sqlite {
                portal_testkit::$contract!(portal_testkit::Fixture::on_sqlite());
            }

            mod postgres {
                portal_testkit::$contract!(
                    #[ignore = "tier postgres"]
                    crate::on_postgres()
                );
            }
        })+
    };
}

stores! {
    people: people_contract,
    documents: documents_contract,
    exposures: exposures_contract,
    jobs: jobs_contract,
}
