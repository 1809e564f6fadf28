//! Friends with known tokens, and a portal for them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use portal_adapters::db::{Db, DbSettings};
use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_adapters::log::LogDelivery;
use portal_adapters::memory::MemoryCluster;
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{
    Action, Actor, Agent, AgentId, AuditEntry, BoxError, Clock, Friend, FriendId, Friendship, FriendshipStatus,
    Retention, SESSION_LIFETIME, Session, Token,
};
use portal_cron::{OneConversation, RunnerSettings, TimeZones};
use portal_dns::{ExposurePorts, Exposures, InstanceId, Zone};
use portal_k8s::Cluster;
use portal_runtime::compose::{self, LoginSettings, Parts};
use portal_runtime::config::{LimitsSettings, ServerSettings};
use portal_runtime::server::{self, Page, Serving};
use tokio::runtime::Handle;

pub(crate) const AGENT: &str = "main";

/// Opens the database in a folder and adds friends with sessions that are not there yet.
pub(crate) async fn seed(data: &Path, friends: u32) -> Result<Db, BoxError> {
    std::fs::create_dir_all(data.join("agents").join(AGENT))?;
    seed_at(&format!("sqlite:{}", data.join("portal.db").display()), friends).await
}

/// Opens the database at `url` and adds friends with sessions that are not there yet.
pub(crate) async fn seed_at(url: &str, friends: u32) -> Result<Db, BoxError> {
    let db = Db::open(&DbSettings::new(url), Handle::current())?;
    db.migrate().await?;
    let (agent, now) = (AgentId::parse(AGENT)?, SystemClock.now());
    let entry = |action: Action, friend: Option<&FriendId>| {
        AuditEntry::new(now, Actor::Operator("bench".to_owned()), action)
            .with_friend(friend.cloned())
            .with_subject(AGENT)
    };
    let registered = Agent { id: agent.clone(), created_at: now };
    db.agents().create(registered, Token::presented("measured").hash(), entry(Action::AgentCreate, None)).await?;
    for number in 0..friends {
        let id = FriendId::parse(&format!("f{number}"))?;
        let friend = Friend::new(id.clone(), now);
        db.friends().create(friend, entry(Action::FriendCreate, Some(&id))).await?;
        let friendship = Friendship {
            agent: agent.clone(),
            friend: id.clone(),
            status: FriendshipStatus::Active,
            heartbeat_writable: Some(true),
            created_at: now,
        };
        db.friendships().set(friendship, entry(Action::FriendshipSet, Some(&id))).await?;
        let sessions = db.sessions();
        let token = Token::presented(format!("measured-{id}"));
        if sessions.find(&token).await?.is_none() {
            let audit = entry(Action::SessionIssue, Some(&id));
            let (agent, expires_at) = (agent.clone(), now + SESSION_LIFETIME);
            let (id, friend) = (format!("measured-{id}"), id);
            let session = Session { id, friend, agent, created_at: now, expires_at, origin: None };
            sessions.issue(session, token.hash(), audit).await?;
        }
    }
    Ok(db)
}

/// Serves a portal that shows one cluster and exposes Services of one in memory, until it is killed.
pub(crate) async fn serve(
    address: SocketAddr,
    (data, db): (&Path, Db),
    shown: Arc<dyn Cluster>,
    (exposing, zones): (MemoryCluster, Vec<Zone>),
) -> Result<(), BoxError> {
    let (store, clock) = (db.exposures(), Arc::new(SystemClock));
    let ports = ExposurePorts::new(store, Arc::new(exposing.clone()), Arc::new(exposing), clock, Arc::new(RandomIds));
    let instance = InstanceId::parse(&db.instance(&RandomIds).await?)?;
    let exposures = Exposures::new(ports, instance, zones, Handle::current());
    let portal = compose::assemble(Parts {
        db,
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
        domains: exposures.domains().to_vec(),
        cluster: shown,
        work: None,
        exposures,
        reach: None,
        budgets: Vec::new(),
        require_if_match: false,
        heartbeat_readers: BTreeSet::new(),
        channels: Vec::new(),
        login: LoginSettings::default(),
        delivery: Arc::new(LogDelivery::new(data.join("deliveries.jsonl"))),
        gateway_jobs: None,
        scopes: Arc::new(OneConversation),
        time_zones: TimeZones::bundled(),
        files: Arc::new(DiskFiles::new(AgentRoots::under(data.join("agents")))),
        probes: Vec::new(),
        retention: Retention::default(),
        runner: RunnerSettings::default(),
    });
    let serving =
        Serving { server: ServerSettings::embedded(address), limits: LimitsSettings::default(), page: Page::Off };
    let listening = server::listen(&serving.server)?;
    Ok(server::run(listening, portal.state, portal.tasks, serving).await?)
}
