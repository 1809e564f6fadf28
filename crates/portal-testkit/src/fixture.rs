//! Stores with a clock and ids of their own, and the people that most tests begin with.

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use portal_adapters::db::{Db, DbSettings};
use portal_core::{
    Action, Actor, Agent, AgentId, AgentStore, AuditEntry, AuditFilter, AuditLog, Clock, ContactStore, FixedClock,
    Friend, FriendId, FriendStore, Friendship, FriendshipStatus, FriendshipStore, Ids, SESSION_LIFETIME, SeededIds,
    Session, SessionStore, Token,
};
use portal_cron::{JobStore, RunQueue};
use portal_dns::{ExposureStore, IntentStore};
use portal_workspace::{DocumentStore, VersionStore};

/// Every store of a portal, over one database.
#[expect(missing_docs, reason = "each field is named for its port")]
#[derive(Clone)]
pub struct Stores {
    pub friends: Arc<dyn FriendStore>,
    pub contacts: Arc<dyn ContactStore>,
    pub friendships: Arc<dyn FriendshipStore>,
    pub agents: Arc<dyn AgentStore>,
    pub sessions: Arc<dyn SessionStore>,
    pub documents: Arc<dyn DocumentStore>,
    pub versions: Arc<dyn VersionStore>,
    pub audit: Arc<dyn AuditLog>,
    pub jobs: Arc<dyn JobStore>,
    pub runs: Arc<dyn RunQueue>,
    pub exposures: Arc<dyn ExposureStore>,
    pub intents: Arc<dyn IntentStore>,
}

impl From<&Db> for Stores {
    fn from(db: &Db) -> Self {
        Self {
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
            exposures: db.exposures(),
            intents: db.intents(),
        }
    }
}

/// Empty stores with a clock that stands still and ids that repeat from run to run.
pub struct Fixture {
    /// The clock by which leases are granted, where the database has none of its own.
    pub clock: Arc<FixedClock>,
    /// Ids of what the tests create.
    pub ids: SeededIds,
    stores: Stores,
    /// A folder or a database that lives as long as the stores.
    _guard: Box<dyn Any + Send + Sync>,
}

impl Deref for Fixture {
    type Target = Stores;

    fn deref(&self) -> &Stores {
        &self.stores
    }
}

impl Fixture {
    /// Creates a SQLite file of its own, which goes with the fixture.
    pub async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("portal.db").display());
        Self::in_database(&DbSettings::new(url), Box::new(folder)).await
    }

    /// Migrates an empty database; `guard` is dropped with the fixture.
    pub async fn in_database(settings: &DbSettings, guard: Box<dyn Any + Send + Sync>) -> Self {
        let clock = fixture_clock();
        let db = Db::open(settings, tokio::runtime::Handle::current()).unwrap().with_clock(clock.clone());
        db.migrate().await.unwrap();
        Self::of(Stores::from(&db), clock, guard)
    }

    /// A fixture of any stores, which must be empty and grant leases by `clock`.
    #[must_use]
    pub fn of(stores: Stores, clock: Arc<FixedClock>, guard: Box<dyn Any + Send + Sync>) -> Self {
        Self { clock, ids: SeededIds::from_seed(1), stores, _guard: guard }
    }

    /// Returns an audit entry of the operator's, as of now.
    pub fn audit(&self, action: Action) -> AuditEntry {
        AuditEntry::new(self.clock.now(), Actor::Operator("root".to_owned()), action).with_subject("subject")
    }

    /// Registers a friend with nothing but an id.
    pub async fn friend(&self, id: &str) -> FriendId {
        let friend = Friend::new(friend_id(id), self.clock.now());
        self.friends.create(friend.clone(), self.audit(Action::FriendCreate)).await.unwrap();
        friend.id
    }

    /// Registers an agent.
    pub async fn agent(&self, id: &str) -> AgentId {
        let agent = Agent { id: AgentId::parse(id).unwrap(), created_at: self.clock.now() };
        self.agents.create(agent.clone(), self.token().hash(), self.audit(Action::AgentCreate)).await.unwrap();
        agent.id
    }

    /// Creates or changes a friendship; `false` if the friend or the agent is unknown.
    pub async fn befriend(&self, agent: &AgentId, friend: &FriendId, status: FriendshipStatus) -> bool {
        let friendship = Friendship {
            agent: agent.clone(),
            friend: friend.clone(),
            status,
            heartbeat_writable: true,
            created_at: self.clock.now(),
        };
        self.friendships.set(friendship, self.audit(Action::FriendshipSet)).await.unwrap()
    }

    /// Registers a friend and an agent with an active friendship.
    pub async fn pair(&self, friend: &str, agent: &str) -> (FriendId, AgentId) {
        let (friend, agent) = (self.friend(friend).await, self.agent(agent).await);
        assert!(self.befriend(&agent, &friend, FriendshipStatus::Active).await);
        (friend, agent)
    }

    /// Returns a session that begins now and is not stored.
    pub fn session(&self, friend: &FriendId, agent: &AgentId) -> Session {
        let created_at = self.clock.now();
        let expires_at = created_at + SESSION_LIFETIME;
        Session { id: self.ids.id(), friend: friend.clone(), agent: agent.clone(), created_at, expires_at }
    }

    /// Returns a new token.
    pub fn token(&self) -> Token {
        Token::presented(self.ids.id())
    }

    /// Counts the audit entries of an action.
    pub async fn audited(&self, action: Action) -> usize {
        let filter = AuditFilter { action: Some(action.as_str().to_owned()), limit: 1000, ..AuditFilter::default() };
        self.audit.list(filter).await.unwrap().len()
    }
}

/// A time with milliseconds, which no store may lose.
#[must_use]
pub fn fixture_clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at(DateTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_120)))
}

/// Parses a friend's id.
pub fn friend_id(id: &str) -> FriendId {
    FriendId::parse(id).unwrap()
}
