//! Empty stores, in each place where the portal can have them.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_adapters::db::{Db, DbSettings};
use portal_adapters::memory::{
    MemoryAgents, MemoryAuditLog, MemoryContacts, MemoryDocuments, MemoryExposures, MemoryFriends, MemoryFriendships,
    MemoryJobs, MemoryPeople, MemorySessions,
};
use portal_core::{BackendError, ChangeLog, FriendId, LoggedChange, RecentChanges, SeededIds};
use portal_testkit::{Fixture, Stores};

use crate::postgres::Database;

/// Creates a SQLite file of its own.
pub(crate) async fn on_sqlite() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("portal.db").display());
    in_database(&DbSettings::new(url), Box::new(folder)).await
}

/// Creates a PostgreSQL database of its own.
pub(crate) async fn on_postgres() -> Fixture {
    let database = Database::create().await;
    in_database(&DbSettings::new(database.url()), Box::new(database)).await
}

async fn in_database(settings: &DbSettings, guard: Box<dyn Any + Send + Sync>) -> Fixture {
    let db = Db::open(settings, tokio::runtime::Handle::current()).unwrap();
    db.migrate().await.unwrap();
    db.instance(&SeededIds::from_seed(2)).await.unwrap();
    let clock = Fixture::clock();
    let db = db.with_clock(clock.clone());
    let stores = Stores {
        friends: db.friends(),
        contacts: db.contacts(),
        friendships: db.friendships(),
        agents: db.agents(),
        sessions: db.sessions(),
        documents: db.documents(),
        versions: db.versions(),
        audit: db.audit_log(),
        jobs: db.jobs(),
        runs: db.runs(),
        messages: db.messages(),
        exposures: db.exposures(),
        changes: db.changes(),
    };
    Fixture::of(stores, clock, guard)
}

/// The log beside the stores in memory, which write none.
struct NoChanges;

#[async_trait]
impl ChangeLog for NoChanges {
    async fn recent(&self, _: Duration, _: u32) -> Result<RecentChanges, BackendError> {
        Ok(RecentChanges { read_at: Utc::now(), changes: Vec::new() })
    }

    async fn since(&self, _: &FriendId, _: DateTime<Utc>, _: u32) -> Result<Vec<LoggedChange>, BackendError> {
        Ok(Vec::new())
    }
}

/// Creates stores in memory.
#[expect(clippy::unused_async, reason = "a database has to be waited for")]
pub(crate) async fn in_memory() -> Fixture {
    let people = MemoryPeople::new();
    let clock = Fixture::clock();
    let documents = Arc::new(MemoryDocuments::new(&people, clock.clone()));
    let jobs = Arc::new(MemoryJobs::new(&people, clock.clone()));
    let stores = Stores {
        friends: Arc::new(MemoryFriends::new(&people)),
        contacts: Arc::new(MemoryContacts::new(&people)),
        friendships: Arc::new(MemoryFriendships::new(&people)),
        agents: Arc::new(MemoryAgents::new(&people)),
        sessions: Arc::new(MemorySessions::new(&people)),
        documents: documents.clone(),
        versions: documents,
        audit: Arc::new(MemoryAuditLog::new(&people)),
        jobs: jobs.clone(),
        messages: jobs.clone(),
        runs: jobs,
        exposures: Arc::new(MemoryExposures::new(&people)),
        changes: Arc::new(NoChanges),
    };
    Fixture::of(stores, clock, Box::new(()))
}
