//! What a friend can do with their jobs.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use portal_core::{Action, Actor, AgentId, AuditEntry, BackendError, Clock, FriendStore, FriendshipKey, Invalid};

use crate::{CronError, Job, JobDraft, JobName, JobSpec, Run, SessionKeys};

/// The time zone of a friend who chose none.
const FALLBACK_TZ: &str = "UTC";

/// What became of asking an engine for a new job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// Here it is.
    New(Box<Job>),
    /// The owner has a job of that name; nothing changed.
    NameTaken,
    /// The friend has as many jobs as they may have, which is so many; nothing changed.
    LimitReached(u32),
    /// The friend and the agent have no relationship any more; nothing changed.
    NoFriendship,
}

/// What became of asking an engine to run a job now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// The run of this id is stored and will be begun.
    Run(String),
    /// An earlier run has not ended; nothing changed.
    Open,
    /// The owner has no such job.
    Absent,
}

/// What keeps jobs and runs them when they are due.
#[async_trait]
pub trait Engine: Send + Sync {
    /// The owner's jobs, disabled ones included, sorted by name.
    async fn list(&self, owner: &FriendshipKey) -> Result<Vec<Job>, BackendError>;
    /// Makes a job of a parsed specification whose session was found to be the owner's.
    async fn create(&self, owner: &FriendshipKey, spec: JobSpec, audit: AuditEntry) -> Result<Created, BackendError>;
    /// Enables or disables a job; as it is already is success. `false` if the owner has no such job.
    async fn set_enabled(
        &self,
        owner: &FriendshipKey,
        id: &str,
        enabled: bool,
        audit: AuditEntry,
    ) -> Result<bool, BackendError>;
    /// Removes a job; `false` if the owner has no such job.
    async fn remove(&self, owner: &FriendshipKey, id: &str, audit: AuditEntry) -> Result<bool, BackendError>;
    /// Runs a job as soon as may be, whether it is enabled or not.
    async fn run(&self, owner: &FriendshipKey, id: &str, audit: AuditEntry) -> Result<Started, BackendError>;
    /// The newest runs of a job, newest first; `None` if the owner has no such job.
    async fn runs(&self, owner: &FriendshipKey, id: &str) -> Result<Option<Vec<Run>>, BackendError>;
}

/// Which engine keeps the jobs of which agent.
#[derive(Clone)]
pub struct Engines {
    usual: Arc<dyn Engine>,
    by_agent: HashMap<AgentId, Arc<dyn Engine>>,
}

impl Engines {
    /// One engine for all agents.
    pub fn new(usual: Arc<dyn Engine>) -> Self {
        Self { usual, by_agent: HashMap::new() }
    }

    /// The same, with another engine for `agent`.
    #[must_use]
    pub fn with(mut self, agent: AgentId, engine: Arc<dyn Engine>) -> Self {
        self.by_agent.insert(agent, engine);
        self
    }

    fn of(&self, agent: &AgentId) -> &dyn Engine {
        self.by_agent.get(agent).unwrap_or(&self.usual).as_ref()
    }
}

/// The friends' jobs: everything a friend can do with theirs, and nothing with anybody else's.
pub struct Jobs {
    engines: Engines,
    keys: Arc<SessionKeys>,
    friends: Arc<dyn FriendStore>,
    clock: Arc<dyn Clock>,
}

impl Jobs {
    /// Jobs in these engines.
    pub fn new(engines: Engines, keys: Arc<SessionKeys>, friends: Arc<dyn FriendStore>, clock: Arc<dyn Clock>) -> Self {
        Self { engines, keys, friends, clock }
    }

    /// The owner's jobs, disabled ones included, sorted by name.
    ///
    /// # Errors
    /// Trouble with the engine.
    pub async fn list(&self, owner: &FriendshipKey) -> Result<Vec<Job>, CronError> {
        Ok(self.engines.of(&owner.agent).list(owner).await?)
    }

    /// Makes a job of a draft.
    ///
    /// # Errors
    /// [`CronError::Invalid`] for a value that breaks its rule, [`CronError::NotOwned`] for a session that is not the
    /// owner's own, [`CronError::NameTaken`], [`CronError::LimitReached`], [`CronError::NotFound`] if the friendship
    /// has ended meanwhile, or trouble behind a port.
    pub async fn create(&self, owner: &FriendshipKey, draft: JobDraft, actor: Actor) -> Result<Job, CronError> {
        let own_tz = if draft.tz.is_some() { None } else { self.own_tz(owner).await? };
        let spec = draft.parse(own_tz.as_deref().unwrap_or(FALLBACK_TZ), self.clock.now())?;
        if self.keys.own(&owner.agent, &owner.friend, &spec.session).await?.is_none() {
            return Err(CronError::NotOwned);
        }
        let audit = self.audit(owner, Action::JobCreate, actor, &spec.name);
        match self.engines.of(&owner.agent).create(owner, spec, audit).await? {
            Created::New(job) => Ok(*job),
            Created::NameTaken => Err(CronError::NameTaken),
            Created::LimitReached(limit) => Err(CronError::LimitReached { limit }),
            Created::NoFriendship => Err(CronError::NotFound),
        }
    }

    async fn own_tz(&self, owner: &FriendshipKey) -> Result<Option<String>, BackendError> {
        Ok(self.friends.find(&owner.friend).await?.and_then(|friend| friend.time_zone))
    }

    /// Deletes the job of this name, else of this id.
    ///
    /// # Errors
    /// [`CronError::NotFound`], or trouble with the engine.
    pub async fn remove(&self, owner: &FriendshipKey, name: &str, actor: Actor) -> Result<(), CronError> {
        let job = self.find(owner, name).await?;
        let audit = self.audit(owner, Action::JobDelete, actor, &job.spec.name);
        let removed = self.engines.of(&owner.agent).remove(owner, &job.id, audit).await?;
        if removed { Ok(()) } else { Err(CronError::NotFound) }
    }

    /// Enables or disables the job of this name, else of this id; as it is already is success.
    ///
    /// # Errors
    /// [`CronError::NotFound`], or trouble with the engine.
    pub async fn toggle(
        &self,
        owner: &FriendshipKey,
        name: &str,
        enabled: bool,
        actor: Actor,
    ) -> Result<(), CronError> {
        let job = self.find(owner, name).await?;
        let mut audit = self.audit(owner, Action::JobToggle, actor, &job.spec.name);
        audit.detail = format!("{}, {}", audit.detail, if enabled { "enabled" } else { "disabled" });
        let found = self.engines.of(&owner.agent).set_enabled(owner, &job.id, enabled, audit).await?;
        if found { Ok(()) } else { Err(CronError::NotFound) }
    }

    /// Runs the job of this name, else of this id, as soon as may be, whether it is enabled or not; gives the id under
    /// which [`Jobs::runs`] tells of the run.
    ///
    /// # Errors
    /// [`CronError::NotFound`], [`CronError::RunOpen`] while an earlier run has not ended, or trouble with the engine.
    pub async fn run(&self, owner: &FriendshipKey, name: &str, actor: Actor) -> Result<String, CronError> {
        let job = self.find(owner, name).await?;
        let audit = self.audit(owner, Action::JobRun, actor, &job.spec.name);
        match self.engines.of(&owner.agent).run(owner, &job.id, audit).await? {
            Started::Run(run) => Ok(run),
            Started::Open => Err(CronError::RunOpen),
            Started::Absent => Err(CronError::NotFound),
        }
    }

    /// The newest runs of the job of this name, else of this id, newest first.
    ///
    /// # Errors
    /// [`CronError::NotFound`], or trouble with the engine.
    pub async fn runs(&self, owner: &FriendshipKey, name: &str) -> Result<Vec<Run>, CronError> {
        let job = self.find(owner, name).await?;
        self.engines.of(&owner.agent).runs(owner, &job.id).await?.ok_or(CronError::NotFound)
    }

    async fn find(&self, owner: &FriendshipKey, name: &str) -> Result<Job, CronError> {
        let mut jobs = self.engines.of(&owner.agent).list(owner).await?;
        let by_name = jobs.iter().position(|job| job.spec.name.as_str() == name);
        let place = by_name.or_else(|| jobs.iter().position(|job| job.id == name));
        place.map(|place| jobs.swap_remove(place)).ok_or(CronError::NotFound)
    }

    fn audit(&self, owner: &FriendshipKey, action: Action, actor: Actor, name: &JobName) -> AuditEntry {
        AuditEntry::new(self.clock.now(), actor, action)
            .with_friend(owner.friend.clone())
            .with_subject(name.to_string())
            .with_detail(format!("agent {}", owner.agent))
    }
}

/// Refuses a friend's own time zone before it is stored, as a job that relies on it would be.
///
/// # Errors
/// What is not the exact name of an IANA time zone.
pub fn check_time_zone(tz: &str) -> Result<(), Invalid> {
    crate::schedule::parse_zone(tz).map(|_| ())
}
