//! The engine that keeps its jobs in the portal's own database.

use std::sync::Arc;

use async_trait::async_trait;
use portal_core::{AuditEntry, Backend, BackendError, Clock, FriendshipKey, Ids};

use crate::firing::all_missed;
use crate::{
    Created, Engine, Job, JobCreated, JobSpec, JobState, JobStore, Run, RunRequested, Started, Switch, Switched,
};

/// How many jobs a friend may have, with all agents together.
pub const JOBS_PER_FRIEND: u32 = 50;
/// How many runs of a job are told.
const RUNS_TOLD: u32 = 100;
/// How often a switch is tried while the runner moves the job on; it does so once a second at most.
const SWITCH_TRIES: usize = 5;

/// An engine over the portal's own database; a [`crate::Runner`] delivers its messages.
pub struct EmbeddedEngine {
    store: Arc<dyn JobStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl EmbeddedEngine {
    /// An engine over this store.
    pub fn new(store: Arc<dyn JobStore>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { store, clock, ids }
    }

    /// The switch that puts `job` on or off now.
    ///
    /// Time while it is off is not missed, so switching on looks ahead only; what was due and not begun when it is
    /// switched off will never run, and is said to be missed.
    fn switch(&self, job: &Job, enabled: bool) -> Switch {
        let (now, schedule) = (self.clock.now(), &job.spec.schedule);
        let overdue = job.state.next_run.filter(|_| !enabled).and_then(|since| all_missed(schedule, since, now));
        Switch {
            enabled,
            seen: job.state.next_run,
            next_run: if enabled { schedule.next_after(now) } else { None },
            missed: overdue.map(|stretch| (self.ids.id(), stretch)),
        }
    }
}

#[async_trait]
impl Engine for EmbeddedEngine {
    async fn list(&self, owner: &FriendshipKey) -> Result<Vec<Job>, BackendError> {
        self.store.list(owner).await
    }

    async fn create(&self, owner: &FriendshipKey, spec: JobSpec, audit: AuditEntry) -> Result<Created, BackendError> {
        let created_at = self.clock.now();
        let state = JobState { next_run: spec.schedule.next_after(created_at), ..JobState::default() };
        let job = Job { id: self.ids.id(), owner: owner.clone(), spec, enabled: true, created_at, state };
        Ok(match self.store.create(job.clone(), JOBS_PER_FRIEND, audit).await? {
            JobCreated::New => Created::New(Box::new(job)),
            JobCreated::NameTaken => Created::NameTaken,
            JobCreated::LimitReached => Created::LimitReached(JOBS_PER_FRIEND),
            JobCreated::NoFriendship => Created::NoFriendship,
        })
    }

    async fn set_enabled(
        &self,
        owner: &FriendshipKey,
        id: &str,
        enabled: bool,
        audit: AuditEntry,
    ) -> Result<bool, BackendError> {
        for _ in 0..SWITCH_TRIES {
            let jobs = self.store.list(owner).await?;
            let Some(job) = jobs.iter().find(|job| job.id == id) else { return Ok(false) };
            if job.enabled == enabled {
                return Ok(true);
            }
            match self.store.switch(owner, id, self.switch(job, enabled), audit.clone()).await? {
                Switched::Done => return Ok(true),
                Switched::Absent => return Ok(false),
                Switched::Stale => {}
            }
        }
        Err(BackendError::unavailable(Backend::Database, format!("job {id} moved on {SWITCH_TRIES} times in a row")))
    }

    async fn remove(&self, owner: &FriendshipKey, id: &str, audit: AuditEntry) -> Result<bool, BackendError> {
        self.store.remove(owner, id, audit).await
    }

    async fn run(&self, owner: &FriendshipKey, id: &str, audit: AuditEntry) -> Result<Started, BackendError> {
        let run = self.ids.id();
        Ok(match self.store.request(owner, id, &run, audit).await? {
            RunRequested::Queued => Started::Run(run),
            RunRequested::Open => Started::Open,
            RunRequested::Absent => Started::Absent,
        })
    }

    async fn runs(&self, owner: &FriendshipKey, id: &str) -> Result<Option<Vec<Run>>, BackendError> {
        self.store.runs(owner, id, RUNS_TOLD).await
    }
}
