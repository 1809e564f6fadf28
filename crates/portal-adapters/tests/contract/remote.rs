//! Changes and runs of jobs that a gateway keeps, in both databases.

use std::any::Any;

use portal_adapters::db::{Db, DbSettings};
use portal_testkit::{Fixture, RemoteFixture};

use crate::postgres::Database;
use crate::stores::fixture_of;

async fn on_sqlite() -> RemoteFixture {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("portal.db").display());
    in_database(&DbSettings::new(url), Box::new(folder), true).await
}

async fn on_postgres() -> RemoteFixture {
    let database = Database::create().await;
    in_database(&DbSettings::new(database.url()), Box::new(database), false).await
}

async fn in_database(settings: &DbSettings, guard: Box<dyn Any + Send + Sync>, has_own_clock: bool) -> RemoteFixture {
    let db = Db::open(settings, tokio::runtime::Handle::current()).unwrap();
    db.migrate().await.unwrap();
    let clock = Fixture::clock();
    let db = db.with_clock(clock.clone());
    RemoteFixture { remote: db.remote(), stores: fixture_of(&db, clock, guard), has_own_clock }
}

mod sqlite {
    portal_testkit::remote_contract!(super::on_sqlite());
}

mod postgres {
    portal_testkit::remote_contract!(
        #[ignore = "tier postgres"]
        super::on_postgres()
    );
}
