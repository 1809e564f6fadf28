//! The contract suites of portal-testkit for every adapter: those of stores for SQLite in memory and in a file always, for
//! PostgreSQL in the tier `postgres`, which hands over a server by `TEST_DATABASE_URL`.
//!
//! To add a suite of a store: a field in `portal_testkit::Stores`, filled in `stores.rs`, and a line in `suites!`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends where its premise fails")]

/// Runs suites in each place where the portal can have its stores.
macro_rules! suites {
    ($($module:ident: $suite:ident,)+) => {$(
        mod $module {
            mod memory {
                portal_testkit::$suite!(crate::stores::in_memory());
            }

            mod sqlite {
                portal_testkit::$suite!(crate::stores::on_sqlite());
            }

            mod postgres {
                portal_testkit::$suite!(#[ignore = "tier postgres"] crate::stores::on_postgres());
            }
        }
    )+};
}

suites! {
    changes: changes_contract,
    documents: documents_contract,
    exposures: exposures_contract,
    jobs: jobs_contract,
    logins: logins_contract,
    people: people_contract,
    retention: retention_contract,
    runs: runs_contract,
    settings: settings_contract,
}

mod delivery;
mod files;
mod kubernetes;
mod postgres;
mod probes;
mod records;
mod remote;
mod routes;
mod stores;

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_older_than_a_day_count_no_more() {
    use portal_testkit::contract::exposures::tombstones_older_than_a_day_count_no_more;
    tombstones_older_than_a_day_count_no_more(&stores::on_sqlite().await).await;
}
