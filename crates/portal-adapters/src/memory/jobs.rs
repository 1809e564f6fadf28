//! Jobs and their runs, in memory.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_core::{AuditEntry, BackendError, Clock, FriendshipKey, FriendshipStatus};
use portal_cron::{
    DueJob, Firing, Job, JobCreated, JobStore, Lease, LeasedRun, Run, RunQueue, RunRequested, RunStatus, Settled,
    Settlement, Stretch, Switch, Switched, Trigger, Verdict,
};

use super::MemoryPeople;
use super::people::Register;

/// A run as it is kept.
pub(super) struct KeptRun {
    pub(super) run: Run,
    pub(super) job: String,
    /// While the run is open: when anybody may take it.
    claimable_at: DateTime<Utc>,
}

impl KeptRun {
    fn is_open(&self) -> bool {
        self.run.finished_at.is_none()
    }
}

/// The stored jobs and the queue of their runs, in memory.
#[derive(Clone)]
pub struct MemoryJobs {
    people: MemoryPeople,
    clock: Arc<dyn Clock>,
}

impl MemoryJobs {
    /// The jobs of this register; its runners share this clock.
    pub fn new(people: &MemoryPeople, clock: Arc<dyn Clock>) -> Self {
        Self { people: people.clone(), clock }
    }
}

#[async_trait]
impl JobStore for MemoryJobs {
    async fn list(&self, owner: &FriendshipKey) -> Result<Vec<Job>, BackendError> {
        self.people.transaction(|register| {
            let mut jobs: Vec<Job> = register.jobs.values().filter(|job| job.owner == *owner).cloned().collect();
            jobs.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
            jobs
        })
    }

    async fn create(&self, job: Job, limit: u32, audit: AuditEntry) -> Result<JobCreated, BackendError> {
        self.people.transaction(|register| {
            if register.standing(&job.owner).is_none() {
                return JobCreated::NoFriendship;
            }
            let named = |kept: &Job| kept.owner == job.owner && kept.spec.name == job.spec.name;
            if register.jobs.values().any(named) {
                return JobCreated::NameTaken;
            }
            let count = register.jobs.values().filter(|kept| kept.owner.friend == job.owner.friend).count();
            if u32::try_from(count).is_ok_and(|count| count >= limit) {
                return JobCreated::LimitReached;
            }
            register.jobs.insert(job.id.clone(), job);
            register.record(audit);
            JobCreated::New
        })
    }

    async fn switch(
        &self,
        owner: &FriendshipKey,
        id: &str,
        switch: Switch,
        audit: AuditEntry,
    ) -> Result<Switched, BackendError> {
        self.people.transaction(|register| {
            let Some(job) = register.job_of(owner, id) else { return Switched::Absent };
            if job.state.next_run != switch.seen {
                return Switched::Stale;
            }
            job.enabled = switch.enabled;
            job.state.next_run = switch.next_run;
            if let Some((run, stretch)) = switch.missed {
                register.miss(id, run, stretch, audit.at);
            }
            register.record(audit);
            Switched::Done
        })
    }

    async fn remove(&self, owner: &FriendshipKey, id: &str, audit: AuditEntry) -> Result<bool, BackendError> {
        self.people.transaction(|register| {
            let found = register.job_of(owner, id).is_some();
            if found {
                register.retain_jobs(|job| job.id != id);
                register.record(audit);
            }
            found
        })
    }

    async fn request(
        &self,
        owner: &FriendshipKey,
        id: &str,
        run: &str,
        audit: AuditEntry,
    ) -> Result<RunRequested, BackendError> {
        self.people.transaction(|register| {
            if register.job_of(owner, id).is_none() {
                return RunRequested::Absent;
            }
            if register.has_open_run(id) {
                return RunRequested::Open;
            }
            let queued = Run {
                id: run.to_owned(),
                trigger: Trigger::Manual,
                due_at: audit.at,
                started_at: None,
                finished_at: None,
                status: RunStatus::Queued,
                attempts: 0,
                error: None,
                missed: None,
            };
            register.insert_run(id, queued, audit.at);
            register.record(audit);
            RunRequested::Queued
        })
    }

    async fn runs(&self, owner: &FriendshipKey, id: &str, limit: u32) -> Result<Option<Vec<Run>>, BackendError> {
        self.people.transaction(|register| {
            register.job_of(owner, id)?;
            let mut runs: Vec<&Run> =
                register.runs.values().filter(|kept| kept.job == id).map(|kept| &kept.run).collect();
            runs.sort_by_key(|run| Reverse((run.due_at, &run.id)));
            Some(runs.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect())
        })
    }
}

#[async_trait]
impl RunQueue for MemoryJobs {
    async fn now(&self) -> Result<DateTime<Utc>, BackendError> {
        self.people.transaction(|_| self.clock.now())
    }

    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<DueJob>, BackendError> {
        self.people.transaction(|register| {
            let idle = register.jobs.values().filter(|job| !register.has_open_run(&job.id));
            let mut due: Vec<DueJob> = idle.filter_map(|job| due_job(register, job, now)).collect();
            due.sort_by(|a, b| (a.due_since, &a.id).cmp(&(b.due_since, &b.id)));
            due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            due
        })
    }

    async fn fire(&self, firings: Vec<Firing>, lease: Lease) -> Result<Vec<LeasedRun>, BackendError> {
        self.people
            .transaction(|register| firings.into_iter().filter_map(|firing| register.fire(firing, lease)).collect())
    }

    async fn take(&self, lease: Lease, limit: u32) -> Result<Vec<LeasedRun>, BackendError> {
        self.people.transaction(|register| {
            let free = |kept: &&KeptRun| {
                let job = register.jobs.get(&kept.job);
                kept.is_open() && kept.claimable_at <= lease.now && job.is_some_and(|job| register.is_active(job))
            };
            let mut free: Vec<_> =
                register.runs.values().filter(free).map(|kept| (kept.claimable_at, kept.run.id.clone())).collect();
            free.sort();
            free.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            free.into_iter().filter_map(|(_, id)| register.take(&id, lease)).collect()
        })
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, BackendError> {
        self.people.transaction(|register| {
            let Settlement { run, attempt, at, verdict } = settlement;
            let current = |kept: &&mut KeptRun| kept.is_open() && kept.run.attempts == attempt;
            let Some(kept) = register.runs.get_mut(&run).filter(current) else { return Settled::Superseded };
            let ended = match verdict {
                Verdict::Delivered => {
                    kept.run.error = None;
                    RunStatus::Delivered
                }
                Verdict::Failed(error) => {
                    kept.run.error = Some(error);
                    RunStatus::Failed
                }
                Verdict::Retry { at, error } => {
                    (kept.run.status, kept.run.error, kept.claimable_at) = (RunStatus::Retrying, Some(error), at);
                    return Settled::Done;
                }
            };
            (kept.run.status, kept.run.finished_at) = (ended, Some(at));
            if let Some(job) = register.jobs.get_mut(&kept.job) {
                job.state.last_status = Some(ended);
                let errors = job.state.consecutive_errors;
                job.state.consecutive_errors = if ended == RunStatus::Failed { errors.saturating_add(1) } else { 0 };
            }
            Settled::Done
        })
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError> {
        self.people.transaction(|register| {
            let count = register.runs.len();
            register.runs.retain(|_, kept| kept.run.finished_at.is_none_or(|at| at >= before));
            u64::try_from(count - register.runs.len()).unwrap_or(u64::MAX)
        })
    }
}

fn due_job(register: &Register, job: &Job, now: DateTime<Utc>) -> Option<DueJob> {
    let due_since = job.state.next_run.filter(|next| job.enabled && *next <= now)?;
    let is_active = register.is_active(job);
    Some(DueJob { id: job.id.clone(), schedule: job.spec.schedule.clone(), due_since, is_active })
}

impl Register {
    fn standing(&self, owner: &FriendshipKey) -> Option<FriendshipStatus> {
        self.friendships.get(owner).map(|friendship| friendship.status)
    }

    fn is_active(&self, job: &Job) -> bool {
        self.standing(&job.owner) == Some(FriendshipStatus::Active)
    }

    fn job_of(&mut self, owner: &FriendshipKey, id: &str) -> Option<&mut Job> {
        self.jobs.get_mut(id).filter(|job| job.owner == *owner)
    }

    fn has_open_run(&self, job: &str) -> bool {
        self.runs.values().any(|kept| kept.job == job && kept.is_open())
    }

    /// Stores a run; `false` if its instant has one.
    fn insert_run(&mut self, job: &str, run: Run, claimable_at: DateTime<Utc>) -> bool {
        let instant =
            |kept: &KeptRun| kept.job == job && kept.run.trigger == run.trigger && kept.run.due_at == run.due_at;
        if run.trigger == Trigger::Schedule && self.runs.values().any(instant) {
            return false;
        }
        let Entry::Vacant(place) = self.runs.entry(run.id.clone()) else { return false };
        place.insert(KeptRun { run, job: job.to_owned(), claimable_at });
        true
    }

    fn miss(&mut self, job: &str, id: String, stretch: Stretch, at: DateTime<Utc>) {
        let missed = Run {
            id,
            trigger: Trigger::Schedule,
            due_at: stretch.to,
            started_at: None,
            finished_at: Some(at),
            status: RunStatus::Missed,
            attempts: 0,
            error: None,
            missed: Some(stretch),
        };
        if self.insert_run(job, missed, at)
            && let Some(job) = self.jobs.get_mut(job)
        {
            job.state.last_status = Some(RunStatus::Missed);
        }
    }

    fn fire(&mut self, firing: Firing, lease: Lease) -> Option<LeasedRun> {
        let Firing { job: id, due_since, missed, run, next_due } = firing;
        let is_busy = self.has_open_run(&id);
        let due = |job: &&mut Job| job.enabled && job.state.next_run == Some(due_since) && !is_busy;
        self.jobs.get_mut(&id).filter(due)?.state.next_run = next_due;
        if let Some((missed, stretch)) = missed {
            self.miss(&id, missed, stretch, lease.now);
        }
        let (run, due_at) = run?;
        let queued = Run {
            id: run.clone(),
            trigger: Trigger::Schedule,
            due_at,
            started_at: None,
            finished_at: None,
            status: RunStatus::Queued,
            attempts: 0,
            error: None,
            missed: None,
        };
        if self.insert_run(&id, queued, lease.now) { self.take(&run, lease) } else { None }
    }

    fn take(&mut self, id: &str, lease: Lease) -> Option<LeasedRun> {
        let kept = self.runs.get_mut(id)?;
        let job = self.jobs.get_mut(&kept.job)?;
        let first = kept.run.started_at.is_none();
        kept.run.status = RunStatus::Running;
        kept.run.attempts += 1;
        kept.run.started_at.get_or_insert(lease.now);
        kept.claimable_at = lease.until;
        if first {
            job.state.last_run = Some(lease.now);
        }
        let Run { id, attempts, trigger, due_at, .. } = &kept.run;
        Some(LeasedRun { id: id.clone(), attempt: *attempts, trigger: *trigger, due_at: *due_at, job: job.clone() })
    }
}
