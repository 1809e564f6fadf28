//! A portal on a database, a cluster, zones and files in memory with a few people in it, and a way to ask it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::{MessageBody, to_bytes};
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::test as http;
use actix_web::test::TestRequest;
use actix_web::{App, web};
use async_trait::async_trait;
use chrono::{DateTime, TimeZone, Utc};
use futures::future::poll_fn;
use portal_adapters::db::Db;
use portal_adapters::memory::{MemoryCluster, MemoryFiles, MemoryRecords};
use portal_api::{ApiState, Count, EventPorts, Events, Limits, NamespaceViews, Readiness, Settings};
use portal_core::{
    Action, Actor, Agent, AgentId, AuditEntry, AuditFilter, Backend, BackendError, ChannelId, Contact, FixedClock,
    Friend, FriendId, FriendSettings, Friendship, FriendshipKey, FriendshipStatus, Probe, SeededIds, Sessions, Token,
};
use portal_cron::{EmbeddedEngine, Engines, Jobs, Messages, SessionKeys, TimeZones};
use portal_dns::{DomainName, Exposures, Reachability};
use portal_testkit::{Outage, Stores};
use portal_workspace::{DocumentPorts, Documents};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::events::ScriptedLog;
use crate::exposing;

/// The word in every cause of a failure here: no answer may hold it.
pub(crate) const CAUSE: &str = "sesame";

/// Something that can be taken down.
#[derive(Default)]
pub(crate) struct Switch(AtomicBool);

impl Switch {
    pub(crate) fn go_down(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(crate) fn come_back(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    fn check(&self, backend: Backend) -> Result<(), BackendError> {
        if self.0.load(Ordering::SeqCst) { Err(BackendError::unavailable(backend, CAUSE)) } else { Ok(()) }
    }
}

/// A number that is counted, or a failure.
pub(crate) struct Counted {
    number: u64,
    backend: Backend,
    pub(crate) switch: Switch,
}

#[async_trait]
impl Count for Counted {
    async fn count(&self, _: &FriendshipKey) -> Result<Option<u64>, BackendError> {
        self.switch.check(self.backend)?;
        Ok(Some(self.number))
    }
}

/// A backend as readiness sees it.
pub(crate) struct Peer {
    name: &'static str,
    backend: Backend,
    pub(crate) switch: Switch,
}

#[async_trait]
impl Probe for Peer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn required(&self) -> bool {
        self.backend == Backend::Database
    }

    async fn probe(&self) -> Result<(), BackendError> {
        self.switch.check(self.backend)
    }
}

/// The portal and what it stands on.
///
/// Its people: `alice` (also `+15550100` on signal), `bob`, `al` (a prefix of alice), `alice-b` and `b`; each has an active
/// friendship with the agent `main`, alice a blocked one with `old` and an active one with `second`.
pub(crate) struct Fixture {
    /// The database, whose calls all fail while [`Fixture::outage`] says so.
    pub(crate) stores: Stores,
    pub(crate) outage: Arc<Outage>,
    pub(crate) files: MemoryFiles,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) logs: Arc<Counted>,
    pub(crate) secrets: Arc<Counted>,
    pub(crate) database: Arc<Peer>,
    pub(crate) cluster: Arc<Peer>,
    pub(crate) kubernetes: MemoryCluster,
    pub(crate) zones: [MemoryRecords; 2],
    pub(crate) changes: Arc<ScriptedLog>,
    pub(crate) state: web::Data<ApiState>,
    pub(crate) settings: Settings,
}

/// A reply of the portal.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: web::Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {:?}", self.bytes))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Checks that this is a whole problem document of that kind.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:?}", self.bytes);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("urn:friend-portal:problem:{code}"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["error"], problem["detail"]);
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        assert!(problem["title"].is_string() && problem["errors"].is_array(), "{problem}");
        assert!(!problem.to_string().contains(CAUSE), "{problem}");
        problem
    }
}

pub(crate) fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 10, 0, 0).unwrap()
}

pub(crate) fn friend_id(text: &str) -> FriendId {
    FriendId::parse(text).unwrap()
}

pub(crate) fn agent_id(text: &str) -> AgentId {
    AgentId::parse(text).unwrap()
}

pub(crate) fn audit(action: Action) -> AuditEntry {
    let actor = Actor::Operator("test".to_owned());
    AuditEntry::new(now(), actor, action)
}

/// Jobs of the embedded engine, and messages beside them; nothing runs them.
fn jobs(stores: &Stores, clock: &Arc<FixedClock>, ids: &Arc<SeededIds>) -> (Jobs, Messages) {
    let zones = TimeZones::bundled();
    let engine = EmbeddedEngine::new(stores.jobs.clone(), zones.clone(), clock.clone(), ids.clone());
    let channels = vec![ChannelId::parse("signal").unwrap()];
    let keys = Arc::new(SessionKeys::new(stores.contacts.clone(), stores.friends.clone(), channels));
    let messages = Messages::new(stores.messages.clone(), keys.clone(), clock.clone(), ids.clone());
    (Jobs::new(Engines::new(Arc::new(engine)), keys, zones, clock.clone()), messages)
}

fn events(
    log: Arc<ScriptedLog>,
    kubernetes: &MemoryCluster,
    exposures: Exposures,
    reachability: Reachability,
    documents: Documents,
) -> Events {
    Events::new(EventPorts { log, cluster: Arc::new(kubernetes.clone()), exposures, reachability, documents })
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A portal in which something is different.
    pub(crate) async fn with(change: impl FnOnce(&mut ApiState)) -> Self {
        let (clock, outage) = (Arc::new(FixedClock::new(now())), Outage::new());
        let db = Db::in_memory(Handle::current()).unwrap().with_clock(clock.clone());
        let stores = portal_testkit::stores!(db).intercepted(&outage);
        let ids = Arc::new(SeededIds::from_seed(1));
        let logs = Arc::new(Counted { number: 42, backend: Backend::Workspace, switch: Switch::default() });
        let secrets = Arc::new(Counted { number: 3, backend: Backend::Cluster, switch: Switch::default() });
        let files = MemoryFiles::new(clock.clone());
        let peer = |name, backend| Arc::new(Peer { name, backend, switch: Switch::default() });
        let (database, cluster) = (peer("database", Backend::Database), peer("cluster", Backend::Cluster));
        let kubernetes = MemoryCluster::new(clock.clone());
        let zones = exposing::zones();
        let (jobs, messages) = jobs(&stores, &clock, &ids);
        let exposures = exposing::exposures(stores.exposures.clone(), &kubernetes, &zones, clock.clone(), ids.clone());
        let reachability = Reachability::new(None, clock.clone(), Handle::current());
        let (documents, changes) = (documents(&stores, &files, &clock), Arc::new(ScriptedLog::default()));
        let (log, shown, documents_shown) = (changes.clone(), exposures.clone(), documents.clone());
        let events = events(log, &kubernetes, shown, reachability.clone(), documents_shown);
        let mut state = ApiState {
            logins: None,
            sessions: Arc::new(Sessions::new(stores.sessions.clone(), clock.clone(), ids.clone())),
            friendships: stores.friendships.clone(),
            domains: ["your-domain.net", "other.example"].map(|name| DomainName::parse(name).unwrap()).into(),
            events,
            exposures,
            reachability,
            cluster: Arc::new(kubernetes.clone()),
            namespaces: NamespaceViews::new(clock.clone()),
            settings: FriendSettings::new(stores.friends.clone(), clock.clone()),
            audit: stores.audit.clone(),
            jobs: Arc::new(jobs),
            messages: Arc::new(messages),
            documents,
            logs: logs.clone(),
            secrets: secrets.clone(),
            readiness: Readiness::new(vec![database.clone(), cluster.clone()]),
            clock: clock.clone(),
            ids,
        };
        change(&mut state);
        let (state, settings) = (web::Data::new(state), Settings::default().with_limits(Limits::off()));
        let fixture = Self {
            stores,
            outage,
            files,
            clock,
            logs,
            secrets,
            database,
            cluster,
            kubernetes,
            zones,
            changes,
            state,
            settings,
        };
        fixture.populate().await;
        fixture
    }

    async fn populate(&self) {
        for agent in ["main", "second", "old"] {
            let agent = Agent { id: agent_id(agent), created_at: now() };
            let token = Token::presented(format!("fpa_{}", agent.id)).hash();
            self.stores.agents.create(agent, token, audit(Action::AgentCreate)).await.unwrap();
        }
        for id in ["alice", "bob", "al", "alice-b", "b"] {
            let friend = Friend {
                id: friend_id(id),
                display_name: None,
                preferred_channel: (id == "alice").then(|| ChannelId::parse("signal").unwrap()),
                time_zone: None,
                created_at: now(),
            };
            self.stores.friends.create(friend, audit(Action::FriendCreate)).await.unwrap();
            self.befriend("main", id, FriendshipStatus::Active).await;
        }
        self.befriend("second", "alice", FriendshipStatus::Active).await;
        self.befriend("old", "alice", FriendshipStatus::Blocked).await;
        let contact = Contact::parse(friend_id("alice"), "signal", "+15550100").unwrap();
        self.stores.contacts.add(contact, audit(Action::ContactAdd)).await.unwrap();
    }

    pub(crate) async fn befriend(&self, agent: &str, friend: &str, status: FriendshipStatus) {
        let friendship = Friendship {
            agent: agent_id(agent),
            friend: friend_id(friend),
            status,
            heartbeat_writable: Some(true),
            created_at: now(),
        };
        self.stores.friendships.set(friendship, audit(Action::FriendshipSet)).await.unwrap();
    }

    /// Logs a friend in with `main` and hands over their token.
    pub(crate) async fn login(&self, friend: &str) -> String {
        let actor = Actor::Agent(agent_id("main"));
        let issued = self.state.sessions.issue(friend_id(friend), agent_id("main"), actor).await.unwrap();
        issued.expect("an active friendship").token.reveal().to_owned()
    }

    pub(crate) async fn friend(&self, id: &str) -> Friend {
        self.stores.friends.find(&friend_id(id)).await.unwrap().unwrap()
    }

    /// From now on what stands behind the portal there fails.
    pub(crate) fn stop_backend(&self, backend: Backend) {
        match backend {
            Backend::Workspace => {
                self.logs.switch.go_down();
                self.files.go_down(CAUSE);
            }
            Backend::Cluster => {
                self.secrets.switch.go_down();
                self.kubernetes.go_down(CAUSE);
            }
            Backend::Dns => self.zones.iter().for_each(|zone| zone.go_down(CAUSE)),
            other => panic!("nothing here stands for the {other}"),
        }
    }

    /// Everything the audit log holds about a friend, newest first, as `actor action subject`.
    pub(crate) async fn audit_of(&self, friend: &str) -> Vec<String> {
        let filter = AuditFilter { friend: Some(friend_id(friend)), limit: 100, ..AuditFilter::default() };
        let records = self.stores.audit.list(filter).await.unwrap();
        records.iter().map(|line| format!("{} {} {}", line.actor, line.action, line.subject)).collect()
    }

    /// Asks the portal, as a client would.
    pub(crate) async fn ask(&self, request: TestRequest) -> Reply {
        self.ask_all([request]).await.pop().expect("an answer")
    }

    /// Asks the portal one thing after the other.
    pub(crate) async fn ask_all(&self, requests: impl IntoIterator<Item = TestRequest>) -> Vec<Reply> {
        let app = App::new().configure(|config| portal_api::configure(config, &self.state, &self.settings));
        let app = http::init_service(app).await;
        let mut answers = Vec::new();
        for request in requests {
            // An error here is what actix-web answers with the response that the error brings.
            let response = match http::try_call_service(&app, request.to_request()).await {
                Ok(response) => response.into_parts().1.map_into_boxed_body(),
                Err(error) => error.error_response(),
            };
            let (status, headers) = (response.status(), response.headers().clone());
            let mut body = response.into_body();
            // A stream does not end; its beginning is all that a walk over the operations looks at.
            let is_stream = headers.get("content-type").is_some_and(|value| value == "text/event-stream");
            let bytes = if is_stream {
                poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await.transpose()
            } else {
                to_bytes(body).await.map(Some)
            };
            let bytes = bytes.unwrap_or_else(|error| panic!("{error}")).unwrap_or_default();
            answers.push(Reply { status, headers, bytes });
        }
        answers
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        self.ask(request(Method::GET, path, token)).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: serde_json::Value) -> Reply {
        self.ask(request(Method::POST, path, token).set_json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Reply {
        self.ask(request(Method::DELETE, path, token)).await
    }
}

fn documents(stores: &Stores, files: &MemoryFiles, clock: &Arc<FixedClock>) -> Documents {
    Documents::new(DocumentPorts {
        files: Arc::new(files.clone()),
        store: stores.documents.clone(),
        versions: stores.versions.clone(),
        friendships: stores.friendships.clone(),
        clock: clock.clone(),
        ids: Arc::new(SeededIds::from_seed(2)),
    })
}

/// A request with a session token.
pub(crate) fn request(method: Method, path: &str, token: &str) -> TestRequest {
    TestRequest::default().method(method).uri(path).insert_header(("authorization", format!("Bearer {token}")))
}
