//! The stores in memory.

use std::sync::Arc;

use portal_adapters::memory::{
    MemoryAgents, MemoryAuditLog, MemoryContacts, MemoryDocuments, MemoryExposures, MemoryFriends, MemoryFriendships,
    MemoryJobs, MemoryPeople, MemorySessions,
};
use portal_testkit::{Fixture, Stores, fixture_clock};

/// Empty stores.
#[expect(clippy::unused_async, reason = "a database has to be waited for")]
pub(crate) async fn fixture() -> Fixture {
    let (people, clock) = (MemoryPeople::new(), fixture_clock());
    let documents = Arc::new(MemoryDocuments::new(&people, clock.clone()));
    let jobs = Arc::new(MemoryJobs::new(&people, clock.clone()));
    let exposures = Arc::new(MemoryExposures::new(&people));
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
        runs: jobs,
        exposures: exposures.clone(),
        intents: exposures,
    };
    Fixture::of(stores, clock, Box::new(()))
}
