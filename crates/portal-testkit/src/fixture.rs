//! Empty implementations of the ports, and people and others who work on the same backends.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use portal_core::{
    Action, Actor, Agent, AgentId, AgentStore, AuditEntry, AuditFilter, AuditLog, ChangeLog, Clock, Contact,
    ContactStore, FixedClock, Friend, FriendId, FriendStore, Friendship, FriendshipStatus, FriendshipStore, Ids,
    LoginStore, Probe, RetentionStore, SESSION_LIFETIME, SeededIds, Session, SessionStore, Token,
};
use portal_cron::{ConversationScopes, DefaultConversation, Delivery, JobStore, MessageStore, RunQueue};
use portal_dns::{
    DomainName, Exposure, ExposureId, ExposureSpec, ExposureStore, Hostname, OpenExposure, Progress, Reach, Records,
    RoutePlace, Routes, Services, Status,
};
use portal_k8s::{Cluster, Namespaces};
use portal_workspace::{DocumentFiles, DocumentStore, VersionStore};

use crate::intercepted::{Intercepted, Interceptor};

/// Every store of a portal, over one database. A suite calls those of its own ports and, to prepare a test, `friends`,
/// `agents`, `friendships` and `audit`.
#[expect(missing_docs, reason = "each field is named for its port")]
#[derive(Clone)]
pub struct Stores {
    pub friends: Arc<dyn FriendStore>,
    pub contacts: Arc<dyn ContactStore>,
    pub friendships: Arc<dyn FriendshipStore>,
    pub agents: Arc<dyn AgentStore>,
    pub sessions: Arc<dyn SessionStore>,
    pub logins: Arc<dyn LoginStore>,
    pub documents: Arc<dyn DocumentStore>,
    pub versions: Arc<dyn VersionStore>,
    pub audit: Arc<dyn AuditLog>,
    pub jobs: Arc<dyn JobStore>,
    pub runs: Arc<dyn RunQueue>,
    /// Messages that are sent now.
    pub messages: Arc<dyn MessageStore>,
    pub exposures: Arc<dyn ExposureStore>,
    pub changes: Arc<dyn ChangeLog>,
    pub retention: Arc<dyn RetentionStore>,
}

impl Stores {
    /// Puts an interceptor before every store.
    #[must_use]
    pub fn intercepted(self, interceptor: &Arc<impl Interceptor + 'static>) -> Self {
        Self {
            friends: Intercepted::<dyn FriendStore>::new(self.friends, interceptor.clone()),
            contacts: Intercepted::<dyn ContactStore>::new(self.contacts, interceptor.clone()),
            friendships: Intercepted::<dyn FriendshipStore>::new(self.friendships, interceptor.clone()),
            agents: Intercepted::<dyn AgentStore>::new(self.agents, interceptor.clone()),
            sessions: Intercepted::<dyn SessionStore>::new(self.sessions, interceptor.clone()),
            logins: Intercepted::<dyn LoginStore>::new(self.logins, interceptor.clone()),
            documents: Intercepted::<dyn DocumentStore>::new(self.documents, interceptor.clone()),
            versions: Intercepted::<dyn VersionStore>::new(self.versions, interceptor.clone()),
            audit: Intercepted::<dyn AuditLog>::new(self.audit, interceptor.clone()),
            jobs: Intercepted::<dyn JobStore>::new(self.jobs, interceptor.clone()),
            runs: Intercepted::<dyn RunQueue>::new(self.runs, interceptor.clone()),
            messages: Intercepted::<dyn MessageStore>::new(self.messages, interceptor.clone()),
            exposures: Intercepted::<dyn ExposureStore>::new(self.exposures, interceptor.clone()),
            retention: Intercepted::<dyn RetentionStore>::new(self.retention, interceptor.clone()),
            changes: Intercepted::<dyn ChangeLog>::new(self.changes, interceptor.clone()),
        }
    }
}

/// Collects the stores of a database that has a method for each, such as `Db` of portal-adapters.
#[macro_export]
macro_rules! stores {
    ($db:expr) => {{
        let db = &$db;
        $crate::Stores {
            friends: db.friends(),
            contacts: db.contacts(),
            friendships: db.friendships(),
            agents: db.agents(),
            sessions: db.sessions(),
            logins: db.logins(),
            documents: db.documents(),
            versions: db.versions(),
            audit: db.audit_log(),
            jobs: db.jobs(),
            runs: db.runs(),
            messages: db.messages(),
            exposures: db.exposures(),
            retention: db.retention(),
            changes: db.changes(),
        }
    }};
}

/// Empty stores with a clock that stands still and ids that repeat from run to run. It dereferences to its stores.
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
    /// Returns the clock by which the stores of a fixture have to grant leases. It stands at a time with milliseconds,
    /// which no store may lose.
    #[must_use]
    pub fn clock() -> Arc<FixedClock> {
        Arc::new(FixedClock::new(DateTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_120)))
    }

    /// Makes a fixture of stores, which must be empty, and of their [`Fixture::clock`]. `guard` is dropped with it.
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
            heartbeat_writable: Some(true),
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
        Session {
            id: self.ids.id(),
            friend: friend.clone(),
            agent: agent.clone(),
            created_at,
            expires_at,
            origin: None,
        }
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

/// Parses a friend's id.
pub(crate) fn friend_id(id: &str) -> FriendId {
    FriendId::parse(id).unwrap()
}

/// The folder of the agent `main`, with no document of the friend `alice` in it.
pub struct FilesFixture {
    /// The port that is tested.
    pub files: Arc<dyn DocumentFiles>,
    /// A folder that lives as long as the fixture.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// A zone with nothing of ours in it, and somebody else at work there.
pub struct ZoneFixture {
    /// The domain, below which every name is free.
    pub domain: DomainName,
    /// The port that is tested.
    pub records: Arc<dyn Records>,
    /// Access to the same zone past the port.
    pub editor: Box<dyn ZoneEditor>,
}

/// Somebody else who changes a zone, by other means than the port.
#[async_trait]
pub trait ZoneEditor: Send + Sync {
    /// Adds a record: a name, a type and a content that suits it.
    async fn insert(&self, name: &str, kind: &str, content: &str);
    /// Points the record of ours at `host` elsewhere and leaves its marker.
    async fn edit(&self, host: &Hostname, content: &str);
    /// Takes the marker off the record of ours at `host`.
    async fn unmark(&self, host: &Hostname);
    /// Returns the records of the domain that neither carry nor are a marker, each as a line that changes with it.
    async fn unmarked(&self) -> Vec<String>;
    /// Returns the type and the content of each record at a name, sorted.
    async fn records_at(&self, host: &Hostname) -> Vec<(String, String)>;
}

/// A cluster with the empty namespaces `friend-alice` and `friend-bob`, and somebody else at work there.
pub struct ClusterFixture {
    /// One of the ports that are tested.
    pub routes: Arc<dyn Routes>,
    /// The other one, over the same cluster.
    pub services: Arc<dyn Services>,
    /// Access to the same cluster past the ports.
    pub editor: Box<dyn ClusterEditor>,
}

/// Somebody else who changes a cluster, by other means than the ports.
#[async_trait]
pub trait ClusterEditor: Send + Sync {
    /// Creates or replaces the objects of a YAML text.
    async fn apply(&self, namespace: &str, yaml: &str);
    /// Writes a rule into a route, and changes nothing else.
    async fn set_rule(&self, place: &RoutePlace, rule: &str);
    /// Takes all labels off a route.
    async fn remove_labels(&self, place: &RoutePlace);
    /// Returns a text that changes when anything of the route does; `None` if there is no such route.
    async fn route(&self, place: &RoutePlace) -> Option<String>;
    /// Begins to delete a namespace with all that is in it.
    async fn end_namespace(&self, namespace: &str);
}

/// A cluster as friends see it, two friends without a namespace, and somebody else at work there.
pub struct NamespaceFixture {
    /// The port that is tested.
    pub cluster: Arc<dyn Cluster>,
    /// A friend.
    pub friend: FriendId,
    /// Another friend.
    pub other: FriendId,
    /// Access to the same cluster past the port.
    pub editor: Box<dyn NamespaceEditor>,
}

/// Somebody else who changes namespaces and what is in them.
#[async_trait]
pub trait NamespaceEditor: Send + Sync {
    /// Creates a namespace.
    async fn create_namespace(&self, namespace: &str);
    /// Begins to delete a namespace with all that is in it.
    async fn end_namespace(&self, namespace: &str);
    /// Creates or changes the object of a YAML text in a namespace.
    async fn apply(&self, namespace: &str, yaml: &str);
    /// Deletes a Service.
    async fn delete_service(&self, namespace: &str, name: &str);
}

/// The means to make namespaces, a friend without one, and somebody else at work there.
pub struct ProvisioningFixture {
    /// The port that is tested.
    pub namespaces: Arc<dyn Namespaces>,
    /// A friend.
    pub friend: FriendId,
    /// Access to the same cluster past the port.
    pub editor: Box<dyn ProvisioningEditor>,
}

/// Somebody else who looks into namespaces and changes them.
#[async_trait]
pub trait ProvisioningEditor: Send + Sync {
    /// Creates a namespace that is not a friend's.
    async fn create_namespace(&self, namespace: &str);
    /// Begins to delete a namespace, which stays as long as the fixture needs it.
    async fn begin_deletion(&self, namespace: &str);
    /// Creates a binding of the agents' name that is not the portal's.
    async fn create_binding(&self, namespace: &str);
    /// Replaces the binding of agents by one to nobody, of this `ClusterRole` and with the same labels.
    async fn edit_binding(&self, namespace: &str, role: &str);
    /// Returns the namespace and the quotas, limits, network policies and role bindings in it: a sorted line each, which
    /// begins with the kind and changes with what the object declares.
    async fn objects(&self, namespace: &str) -> Vec<String>;
    /// Returns the limits that the quota of a namespace declares, by resource.
    async fn quota(&self, namespace: &str) -> BTreeMap<String, String>;
}

/// A way to a receiver that accepts messages and has none yet.
pub struct DeliveryFixture {
    /// The port that is tested.
    pub delivery: Arc<dyn Delivery>,
    /// The receiver at its end.
    pub receiver: Box<dyn DeliveryReceiver>,
    /// Credentials, of which neither an error nor a refusal may hold any.
    pub secrets: Vec<String>,
}

/// A receiver of messages.
#[async_trait]
pub trait DeliveryReceiver: Send + Sync {
    /// Changes what the receiver does from now on; `false` if it is not able to.
    async fn set_mode(&self, mode: ReceiverMode) -> bool;
    /// Returns the messages that it accepted, oldest first.
    async fn messages(&self) -> Vec<ReceivedMessage>;
}

/// Answers of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiverMode {
    /// It accepts messages.
    Accepts,
    /// It wants none, now or ever.
    Refuses,
    /// It fails, and may accept the same message later.
    Fails,
}

/// A message as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Id of its run.
    pub run: String,
    /// Key of the conversation that it is to be said in.
    pub session: String,
    /// Its text.
    pub text: String,
}

/// A probe, and the backend that it asks, which answers.
pub struct ProbeFixture {
    /// The port that is tested.
    pub probe: Arc<dyn Probe>,
    /// The backend.
    pub backend: Box<dyn ProbedBackend>,
}

/// A backend that can be taken away.
#[async_trait]
pub trait ProbedBackend: Send + Sync {
    /// Makes it unreachable.
    async fn stop(&self);
    /// Makes it answer again.
    async fn start(&self);
}

/// Requests to two active exposures of alice's, neither of which answers yet.
pub struct ReachFixture {
    /// The port that is tested.
    pub reach: Arc<dyn Reach>,
    /// The exposure of the Service `web`, under `web-alice.your-domain.net`.
    pub exposure: Exposure,
    /// That of the Service `other`, under `other-alice.your-domain.net`, which never answers.
    pub other: Exposure,
    /// The app behind the first one.
    pub app: Box<dyn ReachedApp>,
}

impl ReachFixture {
    /// Asks by `reach`, with this app behind the first exposure.
    pub fn new(reach: Arc<dyn Reach>, app: Box<dyn ReachedApp>) -> Self {
        Self { reach, exposure: active_exposure("web"), other: active_exposure("other"), app }
    }
}

/// An exposure of alice's Service of that name.
fn active_exposure(name: &str) -> Exposure {
    let wanted = OpenExposure::parse(name, name, Some(80), Some("your-domain.net")).unwrap();
    let (friend, domain) = (friend_id("alice"), wanted.domain.unwrap());
    let hostname = Hostname::of(&wanted.name, &friend, &domain).unwrap();
    Exposure {
        id: ExposureId::parse(&"a".repeat(32)).unwrap(),
        friend,
        name: wanted.name,
        spec: ExposureSpec { service: wanted.service, port: wanted.port.unwrap(), domain, hostname },
        status: Status::Active,
        reason: None,
        progress: Progress { route: true, record: true },
        created_at: DateTime::UNIX_EPOCH,
    }
}

/// An app behind an exposure.
#[async_trait]
pub trait ReachedApp: Send + Sync {
    /// Makes it answer.
    async fn start(&self);
    /// Ends it; its address stays.
    async fn stop(&self);
}

/// Conversations of an agent whose gateway answers.
pub struct ScopesFixture {
    /// The port that is tested.
    pub scopes: Arc<dyn ConversationScopes>,
    /// The agent with the gateway.
    pub agent: AgentId,
    /// An agent without one.
    pub other: AgentId,
    /// The gateway.
    pub gateway: Box<dyn ScopedGateway>,
}

/// A gateway that keeps conversations apart as it is told. Each method returns `false` if it is not able to.
#[async_trait]
pub trait ScopedGateway: Send + Sync {
    /// Puts what comes from the contact into such a conversation.
    async fn configure(&self, conversation: DefaultConversation, contact: &Contact) -> bool;
    /// Makes it unreachable.
    async fn stop(&self) -> bool;
}
