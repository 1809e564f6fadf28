//! Every port against every adapter. A suite is a set of promises, written once as functions of a [`world::World`] and
//! run in memory and for SQLite always and for PostgreSQL in the tier `postgres`, which hands over a server by `TEST_DATABASE_URL`.
//!
//! To add a suite: a field per port in `world::World`, filled in `World::in_database` and `World::in_memory`; a file
//! here that ends with `promises! { .. }`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends where its premise fails")]

/// Runs each promise in a world of its own, for each adapter.
macro_rules! promises {
    ($($promise:ident,)+) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(&crate::world::World::in_memory().await).await;
            })+
        }

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(&crate::world::World::on_sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "tier postgres"]
            async fn $promise() {
                super::$promise(&crate::world::World::on_postgres().await).await;
            })+
        }
    };
}

mod documents;
mod exposures;
mod files;
mod jobs;
mod kubernetes;
mod people;
mod postgres;
mod records;
mod routes;
mod settings;
mod world;
