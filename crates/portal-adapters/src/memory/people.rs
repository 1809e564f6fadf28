//! The one register that the memory stores of people share, as a database's tables do.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portal_core::{
    Agent, AgentId, AuditEntry, AuditRecord, Backend, BackendError, Contact, Friend, FriendId, Friendship,
    FriendshipKey, TokenHash,
};
use portal_cron::{Job, Release};
use portal_workspace::DocumentPath;

use super::rows::{SessionRow, StoredDocument, StoredRun};

/// Says whether a friend has something that keeps them from being removed.
type Guard = Box<dyn Fn(&FriendId) -> bool + Send + Sync>;

/// People, agents, sessions and the audit log, in memory. Clones share one register.
#[derive(Clone, Default)]
pub struct MemoryPeople(Arc<Mutex<Register>>);

/// All tables under one lock, so that each store method is one transaction.
#[derive(Default)]
pub(super) struct Register {
    pub(super) friends: BTreeMap<FriendId, Friend>,
    pub(super) contacts: Vec<Contact>,
    pub(super) agents: BTreeMap<AgentId, (Agent, TokenHash)>,
    pub(super) friendships: BTreeMap<FriendshipKey, Friendship>,
    pub(super) sessions: BTreeMap<String, (TokenHash, SessionRow)>,
    pub(super) jobs: BTreeMap<String, Job>,
    pub(super) runs: BTreeMap<String, StoredRun>,
    /// The newest release of the time zone rules that jobs were planned by.
    pub(super) time_zone_release: Option<Release>,
    pub(super) documents: BTreeMap<DocumentPath, StoredDocument>,
    pub(super) audit: Vec<AuditRecord>,
    guards: Vec<Guard>,
    failure: Option<String>,
}

impl MemoryPeople {
    /// An empty register.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on every store of this register fails like a database that is gone, with `cause` as the source.
    pub fn go_down(&self, cause: &str) {
        self.register(|register| register.failure = Some(cause.to_owned()));
    }

    /// Ends the outage; nothing is lost.
    pub fn come_back(&self) {
        self.register(|register| register.failure = None);
    }

    /// Keeps every friend for whom `guard` is true from being removed. It must not call a store of this register.
    pub fn guard_removal(&self, guard: impl Fn(&FriendId) -> bool + Send + Sync + 'static) {
        self.register(|register| register.guards.push(Box::new(guard)));
    }

    /// Does `work` as one transaction; `work` does nothing before it knows that it will succeed.
    pub(super) fn transaction<T>(&self, work: impl FnOnce(&mut Register) -> T) -> Result<T, BackendError> {
        self.register(|register| match &register.failure {
            Some(cause) => Err(BackendError::unavailable(Backend::Database, cause.clone())),
            None => Ok(work(register)),
        })
    }

    fn register<T>(&self, work: impl FnOnce(&mut Register) -> T) -> T {
        work(&mut self.0.lock())
    }
}

impl Register {
    pub(super) fn record(&mut self, entry: AuditEntry) {
        let id = self.audit.last().map_or(1, |record| record.id + 1);
        let AuditEntry { at, actor, action, friend, subject, detail, .. } = entry;
        self.audit.push(AuditRecord { id, at, actor, action: action.as_str().to_owned(), friend, subject, detail });
    }

    /// Removes the jobs that are no longer wanted, with their runs.
    pub(super) fn retain_jobs(&mut self, wanted: impl Fn(&Job) -> bool) {
        self.jobs.retain(|_, job| wanted(job));
        self.runs.retain(|_, run| self.jobs.contains_key(&run.job));
    }

    pub(super) fn is_guarded(&self, friend: &FriendId) -> bool {
        self.guards.iter().any(|guard| guard(friend))
    }
}
