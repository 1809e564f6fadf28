//! The mark by which a portal knows its own, and the clock by which leases are granted.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use portal_adapters::db::{Db, DbSettings};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{Clock, FixedClock, Ids, SeededIds};

use crate::postgres::Database;

async fn opened(settings: &DbSettings) -> Db {
    let db = Db::open(settings, tokio::runtime::Handle::current()).unwrap();
    db.migrate().await.unwrap();
    db
}

async fn the_first_to_ask_draws_the_mark_for_all(settings: &DbSettings) {
    let (first, second) = (opened(settings).await, opened(settings).await);
    let ids: Vec<SeededIds> = (0..8).map(SeededIds::from_seed).collect();
    let asked = ids.iter().zip([&first, &second].into_iter().cycle()).map(|(ids, db)| db.instance(ids));
    let marks: Vec<String> = futures::future::join_all(asked).await.into_iter().map(Result::unwrap).collect();
    let candidates: Vec<String> = (0..8).map(|seed| SeededIds::from_seed(seed).id()).collect();
    let [mark, ..] = &*marks else { unreachable!("eight were asked") };
    assert!(marks.iter().all(|other| other == mark) && candidates.contains(mark), "{marks:?}");
    assert_eq!(&opened(settings).await.instance(&RandomIds).await.unwrap(), mark, "it stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_the_first_to_ask_draws_the_mark_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("portal.db").display());
    the_first_to_ask_draws_the_mark_for_all(&DbSettings::new(url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_goes_by_the_portals_clock() {
    let folder = tempfile::tempdir().unwrap();
    let db = opened(&DbSettings::new(format!("sqlite:{}", folder.path().join("portal.db").display()))).await;
    let clock = Arc::new(FixedClock::new(DateTime::UNIX_EPOCH));
    let db = db.with_clock(clock.clone());
    assert_eq!(db.now().await.unwrap(), clock.now());
}

mod postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn on_postgres_the_first_to_ask_draws_the_mark_for_all() {
        let database = Database::create().await;
        the_first_to_ask_draws_the_mark_for_all(&DbSettings::new(database.url())).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn postgres_goes_by_its_own_clock_in_utc() {
        let database = Database::create().await;
        let db = opened(&DbSettings::new(database.url())).await;
        let said = db.with_clock(Arc::new(FixedClock::new(DateTime::UNIX_EPOCH))).now().await.unwrap();
        assert!((SystemClock.now() - said).abs() < TimeDelta::minutes(1), "{said}");
        assert_eq!(said.timestamp_subsec_nanos() % 1_000_000, 0, "to the millisecond");
    }
}
