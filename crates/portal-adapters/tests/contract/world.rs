//! A world of stores for one promise, and the databases they live in.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use portal_adapters::db::{Db, DbSettings};
use portal_adapters::memory::{
    MemoryAgents, MemoryAuditLog, MemoryContacts, MemoryDocuments, MemoryExposures, MemoryFriends, MemoryFriendships,
    MemoryJobs, MemoryPeople, MemorySessions,
};
use portal_core::{
    Action, Actor, Agent, AgentId, AgentStore, AuditEntry, AuditFilter, AuditLog, Clock, ContactStore, FixedClock,
    Friend, FriendId, FriendStore, Friendship, FriendshipStatus, FriendshipStore, Ids, SESSION_LIFETIME, SeededIds,
    Session, SessionStore, Token,
};
use portal_cron::{JobStore, MessageStore, RunQueue};
use portal_dns::ExposureStore;
use portal_workspace::{DocumentStore, VersionStore};

use crate::postgres::Database;

/// Stores over one empty register, and what time it is there.
pub(crate) struct World {
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) ids: SeededIds,
    pub(crate) friends: Arc<dyn FriendStore>,
    pub(crate) contacts: Arc<dyn ContactStore>,
    pub(crate) friendships: Arc<dyn FriendshipStore>,
    pub(crate) agents: Arc<dyn AgentStore>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) documents: Arc<dyn DocumentStore>,
    pub(crate) versions: Arc<dyn VersionStore>,
    pub(crate) audit: Arc<dyn AuditLog>,
    pub(crate) jobs: Arc<dyn JobStore>,
    pub(crate) runs: Arc<dyn RunQueue>,
    pub(crate) messages: Arc<dyn MessageStore>,
    pub(crate) exposures: Arc<dyn ExposureStore>,
    /// What has to stay until the promise was tried: a folder, a database.
    _ground: Box<dyn Any + Send + Sync>,
}

impl World {
    /// In a SQLite file of its own.
    pub(crate) async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("portal.db").display());
        Self::in_database(&DbSettings::new(url), Box::new(folder)).await
    }

    /// In a PostgreSQL database of its own.
    pub(crate) async fn on_postgres() -> Self {
        let database = Database::create().await;
        Self::in_database(&DbSettings::new(database.url()), Box::new(database)).await
    }

    async fn in_database(settings: &DbSettings, ground: Box<dyn Any + Send + Sync>) -> Self {
        let db = Db::open(settings, tokio::runtime::Handle::current()).unwrap();
        db.migrate().await.unwrap();
        let clock = world_clock();
        let db = db.with_clock(clock.clone());
        Self {
            clock,
            ids: SeededIds::from_seed(1),
            documents: db.documents(),
            versions: db.versions(),
            friends: db.friends(),
            contacts: db.contacts(),
            friendships: db.friendships(),
            agents: db.agents(),
            sessions: db.sessions(),
            exposures: db.exposures(),
            audit: db.audit_log(),
            jobs: db.jobs(),
            runs: db.runs(),
            messages: db.messages(),
            _ground: ground,
        }
    }

    /// In memory.
    #[expect(clippy::unused_async, reason = "a database has to be waited for")]
    pub(crate) async fn in_memory() -> Self {
        let people = MemoryPeople::new();
        let clock = world_clock();
        let documents = Arc::new(MemoryDocuments::new(&people, clock.clone()));
        let jobs = Arc::new(MemoryJobs::new(&people, clock.clone()));
        let exposures = MemoryExposures::new(&people);
        Self {
            clock,
            ids: SeededIds::from_seed(1),
            documents: documents.clone(),
            versions: documents,
            friends: Arc::new(MemoryFriends::new(&people)),
            contacts: Arc::new(MemoryContacts::new(&people)),
            friendships: Arc::new(MemoryFriendships::new(&people)),
            agents: Arc::new(MemoryAgents::new(&people)),
            sessions: Arc::new(MemorySessions::new(&people)),
            audit: Arc::new(MemoryAuditLog::new(&people)),
            jobs: jobs.clone(),
            messages: jobs.clone(),
            runs: jobs,
            exposures: Arc::new(exposures),
            _ground: Box::new(()),
        }
    }

    /// A line for the audit log, by the operator, now.
    pub(crate) fn audit(&self, action: Action) -> AuditEntry {
        AuditEntry::new(self.clock.now(), Actor::Operator("root".to_owned()), action).with_subject("subject")
    }

    /// A friend with nothing but an id, registered.
    pub(crate) async fn friend(&self, id: &str) -> FriendId {
        let friend = Friend::new(friend_id(id), self.clock.now());
        self.friends.create(friend.clone(), self.audit(Action::FriendCreate)).await.unwrap();
        friend.id
    }

    /// An agent, registered.
    pub(crate) async fn agent(&self, id: &str) -> AgentId {
        let agent = Agent { id: AgentId::parse(id).unwrap(), created_at: self.clock.now() };
        self.agents.create(agent.clone(), self.token().hash(), self.audit(Action::AgentCreate)).await.unwrap();
        agent.id
    }

    /// Makes or changes the relationship of these two.
    pub(crate) async fn befriend(&self, agent: &AgentId, friend: &FriendId, status: FriendshipStatus) -> bool {
        let friendship = Friendship {
            agent: agent.clone(),
            friend: friend.clone(),
            status,
            heartbeat_writable: Some(true),
            created_at: self.clock.now(),
        };
        self.friendships.set(friendship, self.audit(Action::FriendshipSet)).await.unwrap()
    }

    /// A friend and an agent with an active friendship.
    pub(crate) async fn pair(&self, friend: &str, agent: &str) -> (FriendId, AgentId) {
        let (friend, agent) = (self.friend(friend).await, self.agent(agent).await);
        assert!(self.befriend(&agent, &friend, FriendshipStatus::Active).await);
        (friend, agent)
    }

    /// A session from now on, not stored yet.
    pub(crate) fn session(&self, friend: &FriendId, agent: &AgentId) -> Session {
        let created_at = self.clock.now();
        let expires_at = created_at + SESSION_LIFETIME;
        Session {
            id: self.ids.id(),
            friend: friend.clone(),
            agent: agent.clone(),
            created_at,
            expires_at,
            origin: None,
        }
    }

    /// A token that nobody else has.
    pub(crate) fn token(&self) -> Token {
        Token::presented(self.ids.id())
    }

    /// How many lines the audit log has about this action.
    pub(crate) async fn audited(&self, action: Action) -> usize {
        let filter = AuditFilter { action: Some(action.as_str().to_owned()), limit: 1000, ..AuditFilter::default() };
        self.audit.list(filter).await.unwrap().len()
    }
}

/// Some time with milliseconds, which no store may lose.
fn world_clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at(DateTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_120)))
}

/// A friend id that is known to be one.
pub(crate) fn friend_id(id: &str) -> FriendId {
    FriendId::parse(id).unwrap()
}
