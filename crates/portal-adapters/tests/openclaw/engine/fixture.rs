//! Alice and bob, friends of agent `main`, whose jobs a gateway in this process keeps.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use portal_adapters::RandomIds;
use portal_adapters::db::{Db, DbSettings};
use portal_adapters::openclaw::{GatewayClient, GatewayEngine, GatewayEnginePorts};
use portal_core::{
    Action, Actor, AuditEntry, AuditFilter, ChannelId, Clock, Contact, FixedClock, Friendship, FriendshipKey,
    FriendshipStatus,
};
use portal_cron::{
    CronError, EmbeddedEngine, Engine as _, Engines, Job, JobDraft, Jobs, Messages, Run, RunRequested, RunsListed,
    SessionKeys, TimeZones, TimingDraft,
};

use crate::fake::{Fake, Version};
pub(crate) use crate::people::owner;
use crate::people::register;

pub(crate) const INSTANCE: &str = "0123456789abcdef0123456789abcdef";

/// A portal whose agent `main` has this gateway, and the friends alice and bob.
pub(crate) struct Portal {
    pub(crate) client: Arc<GatewayClient>,
    pub(crate) engine: GatewayEngine,
    pub(crate) jobs: Jobs,
    pub(crate) messages: Messages,
    pub(crate) db: Db,
    clock: Arc<dyn Clock>,
    keys: Arc<SessionKeys>,
    _folder: tempfile::TempDir,
}

/// Such a portal with a gateway in this process, at a time that stands still.
pub(crate) struct Fixture {
    pub(crate) fake: Fake,
    portal: Portal,
    clock: Arc<FixedClock>,
}

impl Deref for Fixture {
    type Target = Portal;

    fn deref(&self) -> &Portal {
        &self.portal
    }
}

pub(crate) fn actor(friend: &str) -> Actor {
    Actor::Friend(owner(friend).friend)
}

pub(crate) fn draft(name: &str) -> JobDraft {
    let timing = TimingDraft { cron: Some("0 9 * * *".to_owned()), ..TimingDraft::default() };
    let tz = Some("Europe/Berlin".to_owned());
    JobDraft { name: name.to_owned(), message: "Water the roses".to_owned(), timing, tz, ..JobDraft::default() }
}

impl Fixture {
    pub(crate) async fn new(version: Version) -> Self {
        let fake = Fake::start(version).await;
        let clock = Arc::new(FixedClock::new(DateTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_120)));
        let portal = Portal::new(fake.client(), clock.clone()).await;
        Self { fake, portal, clock }
    }

    /// Ends the gateway; the portal stays.
    pub(crate) fn end_gateway(self) -> Portal {
        self.fake.disconnect();
        self.portal
    }

    /// Another replica, with a connection of its own.
    pub(crate) fn replica(&self) -> Jobs {
        let Portal { keys, db, clock, .. } = &self.portal;
        jobs(&engine(&self.fake.client(), keys, db, clock), keys, db, clock)
    }

    /// Lets time pass for the portal and the gateway.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.fake.with(|gateway| gateway.now += i64::try_from(time.as_millis()).unwrap());
    }
}

impl Portal {
    pub(crate) async fn new(client: Arc<GatewayClient>, clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("portal.db").display());
        let db = Db::open(&DbSettings::new(url), tokio::runtime::Handle::current()).unwrap();
        db.migrate().await.unwrap();
        let db = db.with_clock(clock.clone());
        register(&db, clock.now()).await;
        let channels = vec![ChannelId::parse("signal").unwrap()];
        let keys = Arc::new(SessionKeys::new(db.contacts(), db.friends(), channels));
        let engine = engine(&client, &keys, &db, &clock);
        let jobs = jobs(&engine, &keys, &db, &clock);
        let messages = Messages::new(db.messages(), keys.clone(), clock.clone(), Arc::new(RandomIds))
            .with_engines(engines(&engine, &db, &clock));
        Self { client, engine, jobs, messages, db, clock, keys, _folder: folder }
    }

    pub(crate) async fn add_contact(&self, friend: &str, channel: &str, address: &str) {
        let contact = Contact::parse(owner(friend).friend, channel, address).unwrap();
        self.db.contacts().add(contact, self.audit(Action::ContactAdd)).await.unwrap();
    }

    pub(crate) async fn befriend(&self, friend: &str, status: FriendshipStatus) {
        let FriendshipKey { friend, agent } = owner(friend);
        let created_at = self.clock.now();
        let friendship = Friendship { agent, friend, status, heartbeat_writable: None, created_at };
        self.db.friendships().set(friendship, self.audit(Action::FriendshipSet)).await.unwrap();
    }

    pub(crate) fn audit(&self, action: Action) -> AuditEntry {
        AuditEntry::new(self.clock.now(), Actor::Operator("root".to_owned()), action)
    }

    /// Returns the audit log's lines of an action, as subject and detail.
    pub(crate) async fn audited(&self, action: Action) -> Vec<(String, String)> {
        let filter = AuditFilter { action: Some(action.as_str().to_owned()), limit: 100, ..AuditFilter::default() };
        let lines = self.db.audit_log().list(filter).await.unwrap();
        lines.into_iter().map(|line| (line.subject, line.detail)).collect()
    }

    pub(crate) async fn create(&self, friend: &str, name: &str) -> Result<Job, CronError> {
        self.jobs.create(&owner(friend), draft(name), actor(friend)).await
    }

    pub(crate) async fn list(&self, friend: &str) -> Vec<Job> {
        self.jobs.list(&owner(friend)).await.unwrap()
    }

    pub(crate) async fn names(&self, friend: &str) -> Vec<String> {
        self.list(friend).await.into_iter().map(|job| job.spec.name.to_string()).collect()
    }

    pub(crate) async fn run(&self, friend: &str, name: &str) -> Result<String, CronError> {
        self.jobs.run(&owner(friend), name, actor(friend)).await
    }

    pub(crate) async fn runs(&self, friend: &str, name: &str) -> Vec<Run> {
        self.jobs.runs(&owner(friend), name, None).await.unwrap()
    }

    pub(crate) async fn requested(&self, friend: &str, name: &str) -> RunRequested {
        let audit = self.audit(Action::JobRun);
        self.engine.run(&owner(friend), name, audit).await.unwrap()
    }

    pub(crate) async fn listed(&self, friend: &str, name: &str, before: Option<&str>) -> RunsListed {
        self.engine.runs(&owner(friend), name, before).await.unwrap()
    }
}

fn engine(client: &Arc<GatewayClient>, keys: &Arc<SessionKeys>, db: &Db, clock: &Arc<dyn Clock>) -> GatewayEngine {
    let client = client.clone();
    let ports = GatewayEnginePorts {
        gateway_of: Arc::new(move |_| Some(client.clone())),
        keys: keys.clone(),
        store: db.remote(),
        friendships: db.friendships(),
        clock: clock.clone(),
        ids: Arc::new(RandomIds),
        instance: INSTANCE.to_owned(),
    };
    GatewayEngine::new(owner("alice").agent, ports)
}

fn engines(engine: &GatewayEngine, db: &Db, clock: &Arc<dyn Clock>) -> Engines {
    let embedded = EmbeddedEngine::new(db.jobs(), TimeZones::bundled(), clock.clone(), Arc::new(RandomIds));
    Engines::new(Arc::new(embedded)).with(owner("alice").agent, Arc::new(engine.clone()))
}

fn jobs(engine: &GatewayEngine, keys: &Arc<SessionKeys>, db: &Db, clock: &Arc<dyn Clock>) -> Jobs {
    Jobs::new(engines(engine, db, clock), keys.clone(), TimeZones::bundled(), clock.clone())
}
