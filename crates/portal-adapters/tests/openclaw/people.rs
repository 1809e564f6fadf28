//! Alice and bob, friends of agent `main`, and a runner that delivers their jobs.

use std::sync::Arc;

use portal_adapters::db::Db;
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{
    Action, Actor, Agent, AgentId, AuditEntry, BackendError, Clock, Contact, Friend, FriendId, Friendship,
    FriendshipKey, FriendshipStatus, Token,
};
use portal_cron::{
    Delivery, EmbeddedEngine, Engines, JobDraft, Jobs, LeasedRun, NoObserver, Receipt, RunStatus, Runner, RunnerPorts,
    RunnerSettings, SessionKey, SessionKeys, TimeZones, TimingDraft,
};
use tokio::runtime::Handle;

pub(crate) struct People {
    db: Db,
    jobs: Jobs,
    runner: Runner,
}

pub(crate) fn owner(friend: &str) -> FriendshipKey {
    FriendshipKey { friend: FriendId::parse(friend).unwrap(), agent: AgentId::parse("main").unwrap() }
}

impl People {
    pub(crate) async fn new(delivery: Arc<dyn Delivery>) -> Self {
        let (db, clock) = (Db::in_memory(Handle::current()).unwrap(), Arc::new(SystemClock));
        db.instance(&RandomIds).await.unwrap();
        register(&db, clock.now()).await;
        let zones = TimeZones::bundled();
        let keys = Arc::new(SessionKeys::new(db.contacts(), db.friends(), Vec::new()));
        let ids = Arc::new(RandomIds);
        let engine = EmbeddedEngine::new(db.jobs(), zones.clone(), clock.clone(), ids.clone());
        let jobs = Jobs::new(Engines::new(Arc::new(engine)), keys.clone(), zones.clone(), clock);
        let ports = RunnerPorts { queue: db.runs(), keys, delivery, ids, zones, observer: Arc::new(NoObserver) };
        Self { db, jobs, runner: Runner::new(ports, RunnerSettings::default()) }
    }

    pub(crate) async fn add_contact(&self, friend: &str, channel: &str, address: &str) {
        let contact = Contact::parse(owner(friend).friend, channel, address).unwrap();
        let audit = AuditEntry::new(SystemClock.now(), Actor::Operator("test".to_owned()), Action::ContactAdd);
        self.db.contacts().add(contact, audit).await.unwrap();
    }

    /// Creates a job of this message that is run by hand, once; returns the end of the run.
    pub(crate) async fn say(&self, friend: &str, name: &str, message: &str) -> (RunStatus, Option<String>) {
        let (owner, actor) = (owner(friend), Actor::Friend(owner(friend).friend));
        let timing = TimingDraft { cron: Some("0 0 29 2 *".to_owned()), ..TimingDraft::default() };
        let draft = JobDraft { name: name.to_owned(), message: message.to_owned(), timing, ..JobDraft::default() };
        self.jobs.create(&owner, draft, actor.clone()).await.unwrap();
        self.jobs.run(&owner, name, actor).await.unwrap();
        self.runner.tick().await.unwrap();
        self.runner.idle().await;
        let run = self.jobs.runs(&owner, name, None).await.unwrap().remove(0);
        (run.status, run.error)
    }
}

/// Registers the agent and its two friends.
pub(crate) async fn register(db: &Db, created_at: chrono::DateTime<chrono::Utc>) {
    let audit = |action| AuditEntry::new(created_at, Actor::Operator("test".to_owned()), action);
    let id = AgentId::parse("main").unwrap();
    let token = Token::presented("fpa_test").hash();
    let agent = Agent { id: id.clone(), created_at };
    db.agents().create(agent, token, audit(Action::AgentCreate)).await.unwrap();
    for name in ["alice", "bob"] {
        let friend = Friend::new(owner(name).friend, created_at);
        db.friends().create(friend.clone(), audit(Action::FriendCreate)).await.unwrap();
        let status = FriendshipStatus::Active;
        let friendship =
            Friendship { agent: id.clone(), friend: friend.id, status, heartbeat_writable: None, created_at };
        db.friendships().set(friendship, audit(Action::FriendshipSet)).await.unwrap();
    }
}

/// A way that hands each message over twice, as a runner does that could not store the end of its first attempt.
pub(crate) struct Twice(pub(crate) Arc<dyn Delivery>);

#[async_trait::async_trait]
impl Delivery for Twice {
    async fn deliver(
        &self,
        run: &LeasedRun,
        session: &SessionKey,
        answer: Option<&Contact>,
    ) -> Result<Receipt, BackendError> {
        self.0.deliver(run, session, answer).await?;
        self.0.deliver(run, session, answer).await
    }
}
