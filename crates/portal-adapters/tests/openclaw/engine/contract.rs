//! The contract of engines: the portal's own, and a gateway of each version that can keep jobs.

use std::sync::Arc;

use portal_adapters::RandomIds;
use portal_adapters::db::{Db, DbSettings};
use portal_adapters::openclaw::{GatewayEngine, GatewayEnginePorts};
use portal_core::{AgentId, SeededIds};
use portal_cron::{EmbeddedEngine, SessionKeys, TimeZones};
use portal_testkit::{EngineFixture, Fixture};

use crate::fake::{Fake, Version};

async fn database() -> (Db, Fixture) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("portal.db").display());
    let db = Db::open(&DbSettings::new(url), tokio::runtime::Handle::current()).unwrap();
    db.migrate().await.unwrap();
    db.instance(&SeededIds::from_seed(2)).await.unwrap();
    let clock = Fixture::clock();
    let db = db.with_clock(clock.clone());
    let stores = Fixture::of(portal_testkit::stores!(db), clock, Box::new(folder));
    (db, stores)
}

async fn embedded() -> EngineFixture {
    let (db, stores) = database().await;
    let engine = EmbeddedEngine::new(db.jobs(), TimeZones::bundled(), stores.clock.clone(), Arc::new(RandomIds));
    EngineFixture { stores, engine: Arc::new(engine) }
}

async fn gateway(version: Version) -> EngineFixture {
    let (db, stores) = database().await;
    let fake = Arc::new(Fake::start(version).await);
    let client = fake.client();
    let ports = GatewayEnginePorts {
        gateway_of: Arc::new(move |_| {
            // The gateway lives as long as its engine.
            let _ = &fake;
            Some(client.clone())
        }),
        keys: Arc::new(SessionKeys::new(db.contacts(), db.friends(), Vec::new())),
        store: db.remote(),
        friendships: db.friendships(),
        clock: stores.clock.clone(),
        ids: Arc::new(RandomIds),
        instance: super::fixture::INSTANCE.to_owned(),
    };
    let engine = GatewayEngine::new(AgentId::parse("main").unwrap(), ports);
    EngineFixture { stores, engine: Arc::new(engine) }
}

mod of_the_portal {
    portal_testkit::engines_contract!(super::embedded());
}

mod of_2026_9_6 {
    portal_testkit::engines_contract!(super::gateway(super::Version::New));
}

mod of_2026_7_1 {
    portal_testkit::engines_contract!(super::gateway(super::Version::Mid));
}

mod of_2026_3_24 {
    portal_testkit::engines_contract!(super::gateway(super::Version::Old));
}
