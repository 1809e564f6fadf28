//! Engines: where jobs are kept and by whom they are run.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use portal_core::{AgentId, AuditEntry, BackendError, Clock, FriendshipKey, Ids};

use crate::firing::all_missed;
use crate::{
    EngineRefusal, JOBS_PER_FRIEND, Job, JobCreated, JobSpec, JobState, JobStore, JobUpdate, JobUpdated, MessageQueued,
    RunRequested, RunsListed, Schedule, TimeZones,
};

/// Most runs of a job in one list.
const RUNS_LISTED: u32 = 100;

/// Outcome of removing a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobRemoved {
    /// It is gone.
    Done,
    /// The owner has no such job.
    Absent,
    /// It is still there.
    Refused(EngineRefusal),
}

/// Keeper and runner of jobs. A job is found by its exact name, else by its id.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Returns whether the agent's answers can be sent to a chat.
    async fn sends_answers(&self) -> Result<bool, BackendError> {
        Ok(true)
    }
    /// Returns the owner's jobs, disabled ones included, sorted by name.
    async fn list(&self, owner: &FriendshipKey) -> Result<Vec<Job>, BackendError>;
    /// Returns one of the owner's jobs.
    async fn find(&self, owner: &FriendshipKey, name: &str) -> Result<Option<Job>, BackendError>;
    /// Makes a job of a parsed specification whose session was found to be the owner's.
    async fn create(&self, owner: &FriendshipKey, spec: JobSpec, audit: AuditEntry)
    -> Result<JobCreated, BackendError>;
    /// Gives `job`, as it was found, another specification, and enables or disables it.
    async fn update(
        &self,
        job: Job,
        spec: JobSpec,
        enabled: bool,
        audit: AuditEntry,
    ) -> Result<JobUpdated, BackendError>;
    /// Removes a job.
    async fn remove(&self, owner: &FriendshipKey, name: &str, audit: AuditEntry) -> Result<JobRemoved, BackendError>;
    /// Runs a job as soon as possible, whether it is enabled or not.
    async fn run(&self, owner: &FriendshipKey, name: &str, audit: AuditEntry) -> Result<RunRequested, BackendError>;
    /// Sends the message of `spec` once and now, as the run `run`; `None` where the portal's own queue is to do so.
    async fn send(
        &self,
        owner: &FriendshipKey,
        spec: JobSpec,
        run: &str,
        audit: AuditEntry,
    ) -> Result<Option<MessageQueued>, BackendError> {
        let _ = (owner, spec, run, audit);
        Ok(None)
    }
    /// Lists the newest runs of a job, or those that come right after the run `before` in that list.
    async fn runs(&self, owner: &FriendshipKey, name: &str, before: Option<&str>) -> Result<RunsListed, BackendError>;
}

/// The engine of each agent.
#[derive(Clone)]
pub struct Engines {
    default: Arc<dyn Engine>,
    by_agent: HashMap<AgentId, Arc<dyn Engine>>,
}

impl Engines {
    /// One engine for all agents.
    pub fn new(default: Arc<dyn Engine>) -> Self {
        Self { default, by_agent: HashMap::new() }
    }

    /// The same, with another engine for `agent`.
    #[must_use]
    pub fn with(mut self, agent: AgentId, engine: Arc<dyn Engine>) -> Self {
        self.by_agent.insert(agent, engine);
        self
    }

    pub(crate) fn of(&self, agent: &AgentId) -> &dyn Engine {
        self.by_agent.get(agent).unwrap_or(&self.default).as_ref()
    }
}

/// The engine over the portal's own database; a [`crate::Runner`] delivers its messages.
pub struct EmbeddedEngine {
    store: Arc<dyn JobStore>,
    zones: TimeZones,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl EmbeddedEngine {
    /// An engine over this store.
    pub fn new(store: Arc<dyn JobStore>, zones: TimeZones, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { store, zones, clock, ids }
    }

    /// Stores a disabled job, which another engine has.
    ///
    /// # Errors
    /// The database failed.
    pub async fn import(
        &self,
        owner: &FriendshipKey,
        spec: JobSpec,
        audit: AuditEntry,
    ) -> Result<JobCreated, BackendError> {
        self.store.create(self.new_job(owner, spec, false), JOBS_PER_FRIEND, audit).await
    }

    fn new_job(&self, owner: &FriendshipKey, spec: JobSpec, enabled: bool) -> Job {
        let (id, created_at) = (self.ids.id(), self.clock.now());
        Job {
            id,
            owner: owner.clone(),
            spec,
            enabled,
            created_at,
            read_only: false,
            revision: 1,
            state: JobState::default(),
        }
    }

    fn schedule(&self, job: &Job) -> Result<Schedule, BackendError> {
        // Only a release that lost a time zone makes a stored timing unreadable.
        let unreadable = |invalid| BackendError::failed(portal_core::Backend::Database, invalid);
        Schedule::new(&job.spec.timing, job.created_at, &self.zones).map_err(unreadable)
    }
}

#[async_trait]
impl Engine for EmbeddedEngine {
    async fn list(&self, owner: &FriendshipKey) -> Result<Vec<Job>, BackendError> {
        self.store.list(owner).await
    }

    async fn find(&self, owner: &FriendshipKey, name: &str) -> Result<Option<Job>, BackendError> {
        self.store.find(owner, name).await
    }

    async fn create(
        &self,
        owner: &FriendshipKey,
        spec: JobSpec,
        audit: AuditEntry,
    ) -> Result<JobCreated, BackendError> {
        let mut job = self.new_job(owner, spec, true);
        job.state.next_run = self.schedule(&job)?.next_after(job.created_at);
        self.store.create(job, JOBS_PER_FRIEND, audit).await
    }

    async fn update(
        &self,
        job: Job,
        spec: JobSpec,
        enabled: bool,
        audit: AuditEntry,
    ) -> Result<JobUpdated, BackendError> {
        let (now, seen_revision, seen_next_run) = (self.clock.now(), job.revision, job.state.next_run);
        let stops_or_moves = job.enabled && (!enabled || spec.timing != job.spec.timing);
        // Time while a job is disabled is not missed, but what was due and had not begun will never run.
        let missed = match seen_next_run.filter(|_| stops_or_moves) {
            Some(since) => all_missed(&self.schedule(&job)?, since, now),
            None => None,
        };
        // A disabled job that is enabled looks ahead only.
        let goes_on = job.enabled && enabled && spec.timing == job.spec.timing;
        let mut job = Job { spec, enabled, revision: seen_revision.saturating_add(1), ..job };
        // What is due stays due unless the timing changed: a new message must not skip the next run.
        job.state.next_run = match (enabled, goes_on) {
            (false, _) => None,
            (true, true) => seen_next_run,
            (true, false) => self.schedule(&job)?.next_after(now),
        };
        let missed = missed.map(|window| (self.ids.id(), window));
        self.store.update(JobUpdate { job, seen_revision, seen_next_run, missed }, audit).await
    }

    async fn remove(&self, owner: &FriendshipKey, name: &str, audit: AuditEntry) -> Result<JobRemoved, BackendError> {
        let removed = self.store.remove(owner, name, audit).await?;
        Ok(if removed { JobRemoved::Done } else { JobRemoved::Absent })
    }

    async fn run(&self, owner: &FriendshipKey, name: &str, audit: AuditEntry) -> Result<RunRequested, BackendError> {
        self.store.request(owner, name, &self.ids.id(), audit).await
    }

    async fn runs(&self, owner: &FriendshipKey, name: &str, before: Option<&str>) -> Result<RunsListed, BackendError> {
        self.store.runs(owner, name, before, RUNS_LISTED).await
    }
}
