//! Ports with something between their callers and them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use portal_core::{
    Agent, AgentId, AgentStore, AuditEntry, AuditFilter, AuditLog, AuditRecord, Backend, BackendError, ChangeLog,
    Contact, ContactAdded, ContactStore, Expired, Friend, FriendCreated, FriendId, FriendPatch, FriendRemoved,
    FriendStore, Friendship, FriendshipKey, FriendshipStore, LoggedChange, LoginCode, LoginStore, NewSession,
    RecentChanges, Recipient, RetentionStore, Session, SessionStore, StoredSession, Token, TokenHash,
};
use portal_cron::{
    Backlog, ChangeBegun, ChangeEnd, CompletedAttempt, ConversationScopes, DefaultConversation, Delivery, DueJob,
    Engine, Firing, FriendShares, Job, JobCreated, JobRemoved, JobSpec, JobStore, JobUpdate, JobUpdated, LeasedRun,
    MessageQueued, MessageStore, NewChange, Receipt, Release, ReleaseAnnounced, RemoteRun, RemoteRunEnd, RemoteStore,
    RunLease, RunQueue, RunRequested, RunsListed, SessionKey,
};
use portal_dns::{
    Change, Claimed, Ensured, Exposure, ExposureId, ExposureName, ExposureStore, Fence, Freshness, HostClaim, Hostname,
    Intent, IntentStore, Lease, Observed, ObservedRoute, ObservedRoutes, Outcome, OwnershipMarker, Previous, Priority,
    RecordState, Recorded, Records, Refusal, Removed, Reservation, Reserved, RouteChanged, RouteCreated, RoutePlace,
    RouteSpec, RouteVersion, Routes, ServiceName, ServiceState, Services, Tombstone,
};
use portal_k8s::{Cluster, NamespaceManifests, Namespaces, Overview, Provisioned};
use portal_workspace::{
    DisplacedFile, DocumentFiles, DocumentPath, DocumentState, DocumentStore, Entry, FileInfo, InstallMode, Installed,
    LatestVersion, NewVersion, NextLook, ReadReceipt, StagedFile, Tag, Version, VersionStore, WriteIntent,
    WriteOutcome,
};

/// A call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// Name of the port, as its trait is called.
    pub port: &'static str,
    /// Name of the method.
    pub method: &'static str,
    /// The backend behind the port.
    pub backend: Backend,
}

/// The effect of a call, which takes place when this is awaited. Its error is the port's own.
pub type Effect<'a> = BoxFuture<'a, Result<(), BackendError>>;

/// Stands between a caller and a port: lets calls through, delays them, refuses them, or loses their answers.
#[async_trait]
pub trait Interceptor: Send + Sync {
    /// Decides about a call. The caller gets the port's answer if this returns `Ok` after it awaited `effect`, else the
    /// error.
    async fn intercept(&self, call: Call, effect: Effect<'_>) -> Result<(), BackendError>;
}

/// A port whose calls go through an [`Interceptor`]: `Intercepted<dyn Records>` is a `Records`.
pub struct Intercepted<P: ?Sized> {
    port: Arc<P>,
    interceptor: Arc<dyn Interceptor>,
}

impl<P: ?Sized> Intercepted<P> {
    /// Puts the interceptor before the port.
    pub fn new(port: Arc<P>, interceptor: Arc<dyn Interceptor>) -> Arc<Self> {
        Arc::new(Self { port, interceptor })
    }

    async fn call<T: Send>(
        &self,
        call: Call,
        effect: impl Future<Output = Result<T, BackendError>> + Send,
    ) -> Result<T, BackendError> {
        let mut answer = None;
        let effect = async {
            answer = Some(effect.await?);
            Ok(())
        };
        self.interceptor.intercept(call, Box::pin(effect)).await?;
        answer.ok_or_else(|| {
            BackendError::failed(call.backend, "the interceptor let the call through without its effect")
        })
    }
}

/// Implements ports for [`Intercepted`], a signature per method.
macro_rules! intercepted {
    ($($wrapped:ident $port:ident ($backend:ident) {
        $(fn $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+
    })+) => {$(
        #[async_trait]
        impl $port for Intercepted<dyn $wrapped> {
            $(async fn $method(&self, $($argument: $type),*) -> Result<$answer, BackendError> {
                let call = Call { port: stringify!($port), method: stringify!($method), backend: Backend::$backend };
                self.call(call, $port::$method(&*self.port, $($argument),*)).await
            })+
        }
    )+};
}

intercepted! {
    FriendStore FriendStore (Database) {
        fn find(id: &FriendId) -> Option<Friend>;
        fn list() -> Vec<Friend>;
        fn create(friend: Friend, audit: AuditEntry) -> FriendCreated;
        fn update(friend: Friend, audit: AuditEntry) -> bool;
        fn patch(id: &FriendId, patch: FriendPatch, audit: AuditEntry) -> Option<Friend>;
        fn remove(id: &FriendId, audit: AuditEntry) -> FriendRemoved;
    }

    ContactStore ContactStore (Database) {
        fn list(friend: &FriendId) -> Vec<Contact>;
        fn add(contact: Contact, audit: AuditEntry) -> ContactAdded;
        fn remove(contact: &Contact, audit: AuditEntry) -> bool;
    }

    AgentStore AgentStore (Database) {
        fn list() -> Vec<Agent>;
        fn find_by_token(token: &TokenHash) -> Option<Agent>;
        fn create(agent: Agent, token: TokenHash, audit: AuditEntry) -> bool;
        fn rotate(id: &AgentId, token: TokenHash, audit: AuditEntry) -> bool;
        fn remove(id: &AgentId, audit: AuditEntry) -> bool;
    }

    FriendshipStore FriendshipStore (Database) {
        fn find(key: &FriendshipKey) -> Option<Friendship>;
        fn of_friend(friend: &FriendId) -> Vec<Friendship>;
        fn count_others(key: &FriendshipKey, most: u32) -> u32;
        fn of_agent(agent: &AgentId) -> Vec<Friendship>;
        fn set(friendship: Friendship, audit: AuditEntry) -> bool;
    }

    SessionStore SessionStore (Database) {
        fn issue(session: Session, token: TokenHash, audit: AuditEntry) -> bool;
        fn find(token: &Token) -> Option<StoredSession>;
        fn extend(id: &str, expires_at: DateTime<Utc>) -> ();
        fn list(friend: &FriendId, now: DateTime<Utc>) -> Vec<Session>;
        fn revoke(friend: &FriendId, id: &str, audit: AuditEntry) -> bool;
        fn revoke_all(friend: &FriendId, audit: AuditEntry) -> u64;
        fn sweep(before: DateTime<Utc>) -> u64;
    }

    AuditLog AuditLog (Database) {
        fn append(entry: AuditEntry) -> ();
        fn list(filter: AuditFilter) -> Vec<AuditRecord>;
    }

    JobStore JobStore (Database) {
        fn list(owner: &FriendshipKey) -> Vec<Job>;
        fn find(owner: &FriendshipKey, name: &str) -> Option<Job>;
        fn create(job: Job, limit: u32, audit: AuditEntry) -> JobCreated;
        fn update(update: JobUpdate, audit: AuditEntry) -> JobUpdated;
        fn remove(owner: &FriendshipKey, name: &str, audit: AuditEntry) -> bool;
        fn request(owner: &FriendshipKey, name: &str, run: &str, audit: AuditEntry) -> RunRequested;
        fn runs(owner: &FriendshipKey, name: &str, before: Option<&str>, limit: u32) -> RunsListed;
    }

    ExposureStore ExposureStore (Database) {
        fn reserve(wanted: Reservation, audit: AuditEntry) -> Reserved;
        fn check_reservation(wanted: &Reservation) -> Option<Refusal>;
        fn close(friend: &FriendId, name: &ExposureName, audit: AuditEntry) -> Option<Intent>;
        fn withdraw(id: &ExposureId, generation: i64, previous: Option<Previous>, audit: AuditEntry) -> bool;
        fn find(friend: &FriendId, name: &ExposureName) -> Option<Exposure>;
        fn list(friend: &FriendId) -> Vec<Exposure>;
        fn changes(since: Option<DateTime<Utc>>) -> Vec<Change>;
    }

    ExposureStore IntentStore (Database) {
        fn claim(id: &ExposureId, lease: Lease) -> Claimed;
        fn record_outcome(fence: Fence, outcome: Outcome, now: DateTime<Utc>) -> Recorded;
        fn due(now: DateTime<Utc>, limit: u32) -> Vec<ExposureId>;
        fn page(after: Option<&ExposureId>, limit: u32) -> Vec<Intent>;
        fn tombstones() -> Vec<Tombstone>;
        fn requeue_now(id: &ExposureId, audit: AuditEntry) -> bool;
    }

    Records Records (Dns) {
        fn look(host: &Hostname, priority: &Priority) -> Observed;
        fn ensure(host: &Hostname, wanted: &RecordState, observed: &Observed, priority: &Priority) -> Ensured;
        fn remove(host: &Hostname, marker: &OwnershipMarker, priority: &Priority) -> Removed;
        fn list() -> Vec<(Hostname, Observed)>;
    }

    Routes Routes (Cluster) {
        fn look(place: &RoutePlace, hosts: &[Hostname], freshness: Freshness) -> ObservedRoutes;
        fn claims(place: &RoutePlace, hosts: &[Hostname]) -> Vec<HostClaim>;
        fn list() -> Vec<ObservedRoute>;
        fn create(place: &RoutePlace, spec: &RouteSpec, marker: &OwnershipMarker) -> RouteCreated;
        fn change(
            place: &RoutePlace,
            spec: &RouteSpec,
            marker: &OwnershipMarker,
            version: &RouteVersion
        ) -> RouteChanged;
        fn delete(place: &RoutePlace, marker: &OwnershipMarker, version: &RouteVersion) -> RouteChanged;
    }

    Services Services (Cluster) {
        fn look(friend: &FriendId, service: &ServiceName, freshness: Freshness) -> ServiceState;
    }

    DocumentFiles DocumentFiles (Workspace) {
        fn read(path: &DocumentPath) -> Entry;
        fn inspect(path: &DocumentPath) -> FileInfo;
        fn stage(path: &DocumentPath, write: &str, bytes: Vec<u8>) -> ();
        fn install(path: &DocumentPath, write: &str, mode: InstallMode) -> Installed;
        fn staged(path: &DocumentPath) -> Vec<StagedFile>;
        fn discard(path: &DocumentPath, write: &str, bytes: Option<&[u8]>) -> bool;
        fn retain(path: &DocumentPath, file: &DisplacedFile) -> ();
        fn displaced(path: &DocumentPath) -> Vec<DisplacedFile>;
        fn read_displaced(path: &DocumentPath, file: &DisplacedFile) -> Option<Vec<u8>>;
        fn relabel(path: &DocumentPath, file: &DisplacedFile, known: &Tag) -> ();
        fn release(path: &DocumentPath, file: &DisplacedFile) -> bool;
        fn read_receipt(key: &FriendshipKey) -> Option<ReadReceipt>;
        fn count_logs(key: &FriendshipKey) -> u64;
    }

    DocumentStore DocumentStore (Database) {
        fn claim(path: &DocumentPath, write: &str, lease: TimeDelta) -> Option<DocumentState>;
        fn renew(path: &DocumentPath, write: &str, lease: TimeDelta) -> bool;
        fn begin(path: &DocumentPath, intent: WriteIntent) -> bool;
        fn add_version(path: &DocumentPath, found: NewVersion) -> ();
        fn finish(path: &DocumentPath, write: &str, outcome: WriteOutcome, next_look: NextLook) -> bool;
        fn unfinished(at_start: bool) -> Vec<DocumentPath>;
    }

    VersionStore VersionStore (Database) {
        fn list(path: &DocumentPath, friend: Option<&FriendId>) -> Vec<Version>;
        fn find(path: &DocumentPath, friend: Option<&FriendId>, id: &str) -> Option<(Version, Vec<u8>)>;
        fn find_by_tag(path: &DocumentPath, tag: &Tag) -> Option<Vec<u8>>;
        fn latest(paths: &[DocumentPath]) -> Vec<Option<LatestVersion>>;
        fn forget(path: &DocumentPath, ids: &[String]) -> ();
    }

    LoginStore LoginStore (Database) {
        fn create(recipient: Recipient, code: LoginCode, audit: AuditEntry) -> Option<FriendId>;
        fn exchange(code: TokenHash, session: NewSession) -> Option<(Session, Option<String>)>;
    }

    RetentionStore RetentionStore (Database) {
        fn count(expired: Expired) -> u64;
        fn delete(expired: Expired, limit: u32) -> u64;
    }

    ChangeLog ChangeLog (Database) {
        fn recent(age: Duration, limit: u32) -> RecentChanges;
        fn since(friend: &FriendId, at: DateTime<Utc>, limit: u32) -> Vec<LoggedChange>;
    }

    MessageStore MessageStore (Database) {
        fn queue(job: Job, run: &str, limit: u32, audit: AuditEntry) -> MessageQueued;
    }

    RunQueue RunQueue (Database) {
        fn now() -> DateTime<Utc>;
        fn due(now: DateTime<Utc>, limit: u32, shares: FriendShares) -> Vec<DueJob>;
        fn fire(firings: Vec<Firing>, lease: RunLease) -> Vec<LeasedRun>;
        fn claim(lease: RunLease, limit: u32, shares: FriendShares) -> Vec<LeasedRun>;
        fn complete_attempts(completed: Vec<CompletedAttempt>) -> Vec<bool>;
        fn park_inactive(now: DateTime<Utc>) -> u64;
        fn replan(now: DateTime<Utc>) -> u64;
        fn announce_release(release: &Release, now: DateTime<Utc>) -> ReleaseAnnounced;
        fn latest_start() -> Option<DateTime<Utc>>;
        fn backlog(now: DateTime<Utc>) -> Backlog;
    }

    RemoteStore RemoteStore (Database) {
        fn begin(change: NewChange) -> ChangeBegun;
        fn end(change: &str, end: ChangeEnd) -> ();
        fn recover_changes() -> u64;
        fn open_runs(agent: &AgentId, limit: u32) -> Vec<RemoteRun>;
        fn requested_runs(owner: &FriendshipKey, job: &str, limit: u32) -> Vec<RemoteRun>;
        fn end_run(run: &str, end: RemoteRunEnd) -> bool;
        fn pause(owner: &FriendshipKey, job: &str) -> ();
        fn resume(owner: &FriendshipKey, job: &str) -> ();
        fn paused(agent: &AgentId) -> Vec<(FriendshipKey, String)>;
    }

    Engine Engine (Gateway) {
        fn sends_answers() -> bool;
        fn list(owner: &FriendshipKey) -> Vec<Job>;
        fn find(owner: &FriendshipKey, name: &str) -> Option<Job>;
        fn create(owner: &FriendshipKey, spec: JobSpec, audit: AuditEntry) -> JobCreated;
        fn update(job: Job, spec: JobSpec, enabled: bool, audit: AuditEntry) -> JobUpdated;
        fn remove(owner: &FriendshipKey, name: &str, audit: AuditEntry) -> JobRemoved;
        fn run(owner: &FriendshipKey, name: &str, audit: AuditEntry) -> RunRequested;
        fn send(owner: &FriendshipKey, spec: JobSpec, run: &str, audit: AuditEntry) -> Option<MessageQueued>;
        fn runs(owner: &FriendshipKey, name: &str, before: Option<&str>) -> RunsListed;
    }

    Cluster Cluster (Cluster) {
        fn overview(friend: &FriendId) -> Arc<Overview>;
    }

    Namespaces Namespaces (Cluster) {
        fn provision(manifests: &NamespaceManifests) -> Provisioned;
    }
    Delivery Delivery (Delivery) {
        fn deliver(run: &LeasedRun, session: &SessionKey, answer: Option<&Contact>) -> Receipt;
    }

    ConversationScopes ConversationScopes (Gateway) {
        fn conversation(agent: &AgentId, contact: &Contact) -> DefaultConversation;
    }
}
