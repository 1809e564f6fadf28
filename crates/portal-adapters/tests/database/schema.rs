//! The migrations, and the tables they make.

use std::path::PathBuf;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use portal_adapters::db::{Db, DbSettings};

use crate::postgres::Database;
use crate::tables::{self, Table, Tables};

fn migrations(dialect: &str) -> FileBasedMigrations {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "migrations", dialect].iter().collect();
    FileBasedMigrations::from_path(folder).unwrap()
}

fn sqlite_file() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portal.db").display().to_string();
    (folder, path)
}

fn migrated_sqlite() -> Tables {
    let (_folder, path) = sqlite_file();
    let mut conn = SqliteConnection::establish(&path).unwrap();
    conn.run_pending_migrations(migrations("sqlite")).unwrap();
    tables::on_sqlite(&path)
}

/// The tables as the code declares them.
fn declarable(tables: &Tables) -> Tables {
    let declarable = |table: &Table| Table {
        columns: table.columns.clone(),
        primary_key: table.primary_key.clone(),
        ..Table::default()
    };
    tables.iter().map(|(name, table)| (name.clone(), declarable(table))).collect()
}

#[test]
fn sqlite_migrates_up_down_and_up_again() {
    let (_folder, path) = sqlite_file();
    let mut conn = SqliteConnection::establish(&path).unwrap();
    conn.run_pending_migrations(migrations("sqlite")).unwrap();
    let first = tables::on_sqlite(&path);
    conn.revert_all_migrations(migrations("sqlite")).unwrap();
    assert_eq!(tables::on_sqlite(&path), Tables::new(), "nothing is left behind");
    conn.run_pending_migrations(migrations("sqlite")).unwrap();
    assert_eq!(tables::on_sqlite(&path), first);
}

#[test]
fn the_code_declares_the_tables_as_they_are() {
    let real = migrated_sqlite();
    assert!(!real.is_empty());
    assert_eq!(tables::as_declared(), declarable(&real));
}

#[test]
fn every_foreign_key_has_an_index() {
    for (name, table) in migrated_sqlite() {
        let sorted = table.indexes.iter().chain(&table.unique).chain([&table.primary_key]);
        let sorted: Vec<_> = sorted.collect();
        for (columns, refers_to, _) in &table.foreign_keys {
            let indexed = sorted.iter().any(|index| index.starts_with(columns));
            assert!(indexed, "{name} looks up {columns:?} of {refers_to} without an index");
        }
    }
}

#[test]
fn both_databases_have_migrations_of_the_same_names() {
    let names = |dialect: &str| {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "migrations", dialect].iter().collect();
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

async fn pending_until_migrated(settings: &DbSettings) {
    let db = Db::open(settings, tokio::runtime::Handle::current()).unwrap();
    let pending = db.pending_migrations().await.unwrap();
    assert!(!pending.is_empty());
    assert_eq!(db.migrate().await.unwrap().len(), pending.len());
    assert_eq!(db.pending_migrations().await.unwrap(), Vec::<String>::new());
    assert_eq!(db.migrate().await.unwrap(), Vec::<String>::new(), "nothing is left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_says_what_is_pending_until_it_is_migrated() {
    let (_folder, path) = sqlite_file();
    std::fs::File::create(&path).unwrap();
    pending_until_migrated(&DbSettings::new(format!("sqlite:{path}"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_waits_longer_for_a_writer_than_a_request_does() {
    let (_folder, path) = sqlite_file();
    let mut settings = DbSettings::new(format!("sqlite:{path}"));
    settings.statement_timeout = Duration::from_millis(50);
    std::fs::File::create(&path).unwrap();
    let mut other = SqliteConnection::establish(&path).unwrap();
    other.batch_execute("pragma journal_mode = wal; begin immediate").unwrap();
    let db = Db::open(&settings, tokio::runtime::Handle::current()).unwrap();
    let migrating = tokio::spawn(async move { db.migrate().await });
    // Ten times what a request would wait.
    tokio::time::sleep(10 * settings.statement_timeout).await;
    assert!(!migrating.is_finished());
    other.batch_execute("commit").unwrap();
    assert!(!migrating.await.unwrap().unwrap().is_empty());
}

mod postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn a_statement_of_a_migration_may_take_longer_than_one_of_a_request() {
        let database = Database::create().await;
        let mut settings = DbSettings::new(database.url());
        settings.statement_timeout = Duration::from_millis(200);
        let db = Db::open(&settings, tokio::runtime::Handle::current()).unwrap();
        // Another portal that migrates.
        let mut other = AsyncPgConnection::establish(&database.url()).await.unwrap();
        let lock = format!("select pg_advisory_lock({})", 0x706f_7274_616c_i64);
        other.batch_execute(&lock).await.unwrap();
        let migrating = tokio::spawn(async move { db.migrate().await });
        tokio::time::sleep(5 * settings.statement_timeout).await;
        assert!(!migrating.is_finished());
        drop(other);
        assert!(!migrating.await.unwrap().unwrap().is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn postgres_migrates_up_down_and_up_again() {
        let database = Database::create().await;
        let mut harness = AsyncMigrationHarness::new(AsyncPgConnection::establish(&database.url()).await.unwrap());
        harness.run_pending_migrations(migrations("postgres")).unwrap();
        let first = tables::on_postgres(&database.url()).await;
        harness.revert_all_migrations(migrations("postgres")).unwrap();
        assert_eq!(tables::on_postgres(&database.url()).await, Tables::new(), "nothing is left behind");
        harness.run_pending_migrations(migrations("postgres")).unwrap();
        assert_eq!(tables::on_postgres(&database.url()).await, first);
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn both_databases_have_the_same_tables() {
        let database = Database::create().await;
        let mut harness = AsyncMigrationHarness::new(AsyncPgConnection::establish(&database.url()).await.unwrap());
        harness.run_pending_migrations(migrations("postgres")).unwrap();
        assert_eq!(tables::on_postgres(&database.url()).await, migrated_sqlite());
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn postgres_says_what_is_pending_until_it_is_migrated() {
        let database = Database::create().await;
        pending_until_migrated(&DbSettings::new(database.url())).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn portals_that_migrate_at_once_do_not_disturb_each_other() {
        let database = Database::create().await;
        let settings = DbSettings::new(database.url());
        let portals: Vec<Db> =
            (0..4).map(|_| Db::open(&settings, tokio::runtime::Handle::current()).unwrap()).collect();
        let ran = futures::future::join_all(portals.iter().map(Db::migrate)).await;
        let ran: Vec<usize> = ran.into_iter().map(|ran| ran.unwrap().len()).collect();
        assert_eq!(ran.iter().filter(|count| **count > 0).count(), 1, "{ran:?}");
    }
}
