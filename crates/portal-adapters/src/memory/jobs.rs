//! Jobs and their runs, in memory.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{AuditEntry, BackendError, Clock, FriendId, Friendship, FriendshipKey, FriendshipStatus};
use portal_cron::{
    AttemptOutcome, Backlog, CompletedAttempt, DueJob, Firing, FriendShares, Job, JobCreated, JobStore, JobUpdate,
    JobUpdated, LeasedRun, MANUAL_RUNS_PER_MINUTE, MessageQueued, MessageStore, MissedWindow, RecentRun, Release,
    ReleaseAnnounced, Run, RunLease, RunQueue, RunRequested, RunStatus, RunsListed, TimingKind, Trigger,
};

use super::MemoryPeople;
use super::people::Register;
use super::rows::StoredRun;

impl StoredRun {
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

    async fn find(&self, owner: &FriendshipKey, name: &str) -> Result<Option<Job>, BackendError> {
        self.people.transaction(|register| register.named(owner, name).cloned())
    }

    async fn create(&self, job: Job, limit: u32, audit: AuditEntry) -> Result<JobCreated, BackendError> {
        self.people.transaction(|register| {
            if register.friendship_of(&job.owner).is_none() {
                return JobCreated::NoFriendship;
            }
            let is_named = |stored: &Job| stored.owner == job.owner && stored.spec.name == job.spec.name;
            if register.jobs.values().any(is_named) {
                return JobCreated::NameTaken;
            }
            if !register.has_room(&job.owner.friend, limit) {
                return JobCreated::LimitReached;
            }
            register.jobs.insert(job.id.clone(), job.clone());
            register.record(audit);
            JobCreated::New(Box::new(job))
        })
    }

    async fn update(&self, update: JobUpdate, mut audit: AuditEntry) -> Result<JobUpdated, BackendError> {
        self.people.transaction(|register| {
            let JobUpdate { job, seen_revision, seen_next_run, missed } = update;
            let found = register.jobs.get_mut(&job.id).filter(|stored| stored.owner == job.owner);
            let Some(stored) = found else { return JobUpdated::Absent };
            if (stored.revision, stored.state.next_run) != (seen_revision, seen_next_run) {
                return JobUpdated::Stale;
            }
            (stored.spec, stored.enabled, stored.revision) = (job.spec, job.enabled, job.revision);
            stored.state.next_run = job.state.next_run;
            audit.subject = stored.spec.name.to_string();
            if let Some((run, window)) = missed {
                register.miss(&job.id, &run, window, audit.at);
            }
            register.record(audit);
            register.jobs.get(&job.id).map_or(JobUpdated::Absent, |job| JobUpdated::Done(Box::new(job.clone())))
        })
    }

    async fn remove(&self, owner: &FriendshipKey, name: &str, mut audit: AuditEntry) -> Result<bool, BackendError> {
        self.people.transaction(|register| {
            let Some(job) = register.named(owner, name).cloned() else { return false };
            register.retain_jobs(|stored| stored.id != job.id);
            audit.subject = job.spec.name.to_string();
            register.record(audit);
            true
        })
    }

    async fn request(
        &self,
        owner: &FriendshipKey,
        name: &str,
        run: &str,
        mut audit: AuditEntry,
    ) -> Result<RunRequested, BackendError> {
        self.people.transaction(|register| {
            let Some(job) = register.named(owner, name).cloned() else { return RunRequested::Absent };
            if register.has_open_run(&job.id) {
                return RunRequested::Open;
            }
            if let Some(retry_after) = register.manual_runs_wait(&owner.friend, audit.at) {
                return RunRequested::TooMany { retry_after };
            }
            register.insert_run(&job.id, queued(run, Trigger::Manual, audit.at), audit.at);
            audit.subject = job.spec.name.to_string();
            register.record(audit);
            RunRequested::Queued(run.to_owned())
        })
    }

    async fn runs(
        &self,
        owner: &FriendshipKey,
        name: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<RunsListed, BackendError> {
        self.people.transaction(|register| {
            let Some(job) = register.named(owner, name) else { return RunsListed::Absent };
            let mut runs: Vec<&Run> =
                register.runs.values().filter(|stored| stored.job == job.id).map(|stored| &stored.run).collect();
            runs.sort_by_key(|run| Reverse((run.due_at, &run.id)));
            let start = match before {
                None => Some(0),
                Some(before) => runs.iter().position(|run| run.id == before).map(|place| place + 1),
            };
            let Some(start) = start else { return RunsListed::RunUnknown };
            let page = runs.into_iter().skip(start).take(usize::try_from(limit).unwrap_or(usize::MAX));
            RunsListed::Page(page.cloned().collect())
        })
    }
}

#[async_trait]
impl MessageStore for MemoryJobs {
    async fn queue(&self, job: Job, run: &str, limit: u32, audit: AuditEntry) -> Result<MessageQueued, BackendError> {
        self.people.transaction(|register| {
            if register.friendship_of(&job.owner).is_none() {
                return MessageQueued::NoFriendship;
            }
            let friend = &job.owner.friend;
            if !register.has_room(friend, limit) {
                return MessageQueued::LimitReached;
            }
            if let Some(retry_after) = register.manual_runs_wait(friend, audit.at) {
                return MessageQueued::TooMany { retry_after };
            }
            register.insert_run(&job.id, queued(run, Trigger::Manual, audit.at), audit.at);
            register.jobs.insert(job.id.clone(), job);
            register.record(audit);
            MessageQueued::Done
        })
    }
}

#[async_trait]
impl RunQueue for MemoryJobs {
    async fn now(&self) -> Result<DateTime<Utc>, BackendError> {
        self.people.transaction(|_| self.clock.now())
    }

    async fn due(&self, now: DateTime<Utc>, limit: u32, shares: FriendShares) -> Result<Vec<DueJob>, BackendError> {
        self.people.transaction(|register| {
            let idle = register.jobs.values().filter(|job| !register.has_open_run(&job.id));
            let of_friend = |job: &Job| Some((job.owner.friend.to_string(), due_job(register, job, now)?));
            let mut due: Vec<(String, DueJob)> = idle.filter_map(of_friend).collect();
            due.sort_by(|(_, a), (_, b)| (a.due_since, &a.id).cmp(&(b.due_since, &b.id)));
            shares.choose(due, limit)
        })
    }

    async fn fire(&self, firings: Vec<Firing>, lease: RunLease) -> Result<Vec<LeasedRun>, BackendError> {
        self.people
            .transaction(|register| firings.into_iter().filter_map(|firing| register.fire(firing, lease)).collect())
    }

    async fn claim(&self, lease: RunLease, limit: u32, shares: FriendShares) -> Result<Vec<LeasedRun>, BackendError> {
        self.people.transaction(|register| {
            let free = |stored: &StoredRun| {
                let job = register.jobs.get(&stored.job).filter(|job| register.is_active(job))?;
                let is_free = stored.is_open() && stored.claimable_at <= lease.now;
                is_free.then(|| (stored.claimable_at, stored.run.id.clone(), job.owner.friend.to_string()))
            };
            let mut free: Vec<_> = register.runs.values().filter_map(free).collect();
            free.sort();
            let free = shares.choose(free.into_iter().map(|(_, id, friend)| (friend, id)), limit);
            free.into_iter().filter_map(|id| register.claim(&id, lease)).collect()
        })
    }

    async fn complete_attempts(&self, completed: Vec<CompletedAttempt>) -> Result<Vec<bool>, BackendError> {
        self.people
            .transaction(|register| completed.into_iter().map(|attempt| register.complete_attempt(attempt)).collect())
    }

    async fn park_inactive(&self, now: DateTime<Utc>) -> Result<u64, BackendError> {
        self.people.transaction(|register| {
            let due = register.jobs.values().filter(|job| job.state.next_run.is_some_and(|next| next <= now));
            let parked: Vec<String> = due.filter(|job| !register.is_active(job)).map(|job| job.id.clone()).collect();
            for job in &parked {
                register.jobs.entry(job.clone()).and_modify(|job| job.state.next_run = None);
            }
            u64::try_from(parked.len()).unwrap_or(u64::MAX)
        })
    }

    async fn replan(&self, now: DateTime<Utc>) -> Result<u64, BackendError> {
        self.people.transaction(|register| register.replan(now))
    }

    async fn announce_release(&self, release: &Release, now: DateTime<Utc>) -> Result<ReleaseAnnounced, BackendError> {
        self.people.transaction(|register| match &register.time_zone_release {
            Some(newest) if newest == release => ReleaseAnnounced::Current,
            Some(newest) if newest > release => ReleaseAnnounced::Outdated(newest.clone()),
            _ => {
                register.time_zone_release = Some(release.clone());
                ReleaseAnnounced::Adopted(register.replan(now))
            }
        })
    }

    async fn latest_start(&self) -> Result<Option<DateTime<Utc>>, BackendError> {
        self.people.transaction(|register| register.jobs.values().filter_map(|job| job.state.last_run).max())
    }

    async fn backlog(&self, now: DateTime<Utc>) -> Result<Backlog, BackendError> {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.people.transaction(|register| {
            let idle = register.jobs.values().filter(|job| !register.has_open_run(&job.id));
            let due = count(idle.filter_map(|job| due_job(register, job, now)).count());
            Backlog { due, open: count(register.runs.values().filter(|stored| stored.is_open()).count()) }
        })
    }
}

fn due_job(register: &Register, job: &Job, now: DateTime<Utc>) -> Option<DueJob> {
    let due_since = job.state.next_run.filter(|next| job.enabled && *next <= now)?;
    let (id, timing, is_active) = (job.id.clone(), job.spec.timing.clone(), register.is_active(job));
    Some(DueJob { id, timing, created_at: job.created_at, due_since, is_active })
}

fn queued(id: &str, trigger: Trigger, due_at: DateTime<Utc>) -> Run {
    Run {
        id: id.to_owned(),
        trigger,
        due_at,
        started_at: None,
        finished_at: None,
        status: RunStatus::Queued,
        attempts: 0,
        error: None,
        missed: None,
    }
}

impl Register {
    /// Puts the jobs of a friendship that became active at `at` back into the queue.
    pub(super) fn resume_jobs(&mut self, of: &Friendship, at: DateTime<Utc>) {
        let own = |job: &&mut Job| job.owner.friend == of.friend && job.owner.agent == of.agent && job.enabled;
        for job in self.jobs.values_mut().filter(own) {
            job.state.next_run = Some(job.state.next_run.unwrap_or(at).max(at));
        }
    }

    fn replan(&mut self, now: DateTime<Utc>) -> u64 {
        // No pause lasts a day: this one was computed by the later time.
        let late = self.runs.values_mut().filter(|stored| stored.claimable_at > now + TimeDelta::days(1));
        late.for_each(|stored| stored.claimable_at = now);
        let later = self.jobs.values_mut().filter(|job| job.state.next_run > Some(now));
        later.map(|job| job.state.next_run = Some(now)).count().try_into().unwrap_or(u64::MAX)
    }

    fn complete_attempt(&mut self, completed: CompletedAttempt) -> bool {
        let CompletedAttempt { run, attempt, at, outcome } = completed;
        let current = |stored: &&mut StoredRun| stored.is_open() && stored.run.attempts == attempt;
        let Some(stored) = self.runs.get_mut(&run).filter(current) else { return false };
        let (status, error) = match outcome {
            AttemptOutcome::Delivered => (RunStatus::Delivered, None),
            AttemptOutcome::Failed(error) => (RunStatus::Failed, Some(error)),
            AttemptOutcome::Retry { at, error } => {
                stored.run.status = RunStatus::Retrying;
                stored.run.error = Some(error);
                stored.claimable_at = at;
                return true;
            }
        };
        stored.run.status = status;
        stored.run.finished_at = Some(at);
        stored.run.error.clone_from(&error);
        let (job, run) = (stored.job.clone(), RecentRun { status, due_at: stored.run.due_at });
        self.record_end(&job, run, error);
        true
    }

    fn friendship_of(&self, owner: &FriendshipKey) -> Option<FriendshipStatus> {
        self.friendships.get(owner).map(|friendship| friendship.status)
    }

    fn is_active(&self, job: &Job) -> bool {
        self.friendship_of(&job.owner) == Some(FriendshipStatus::Active)
    }

    /// The owner's job of this exact name, else of this id.
    fn named(&self, owner: &FriendshipKey, name: &str) -> Option<&Job> {
        let own = || self.jobs.values().filter(|job| job.owner == *owner);
        own().find(|job| job.spec.name.as_str() == name).or_else(|| own().find(|job| job.id == name))
    }

    fn has_open_run(&self, job: &str) -> bool {
        self.runs.values().any(|stored| stored.job == job && stored.is_open())
    }

    fn has_room(&self, friend: &FriendId, limit: u32) -> bool {
        let count = self.jobs.values().filter(|stored| stored.owner.friend == *friend).count();
        u32::try_from(count).is_ok_and(|count| count < limit)
    }

    fn manual_runs_wait(&self, friend: &FriendId, now: DateTime<Utc>) -> Option<Duration> {
        let minute = TimeDelta::minutes(1);
        let is_theirs = |stored: &&StoredRun| self.jobs.get(&stored.job).is_some_and(|job| job.owner.friend == *friend);
        let manual = self.runs.values().filter(|stored| stored.run.trigger == Trigger::Manual).filter(is_theirs);
        let mut recent: Vec<_> = manual.map(|stored| stored.run.due_at).filter(|at| *at > now - minute).collect();
        recent.sort_by_key(|at| Reverse(*at));
        let oldest = recent.get(usize::try_from(MANUAL_RUNS_PER_MINUTE).ok()?.checked_sub(1)?)?;
        Some((*oldest + minute - now).to_std().unwrap_or_default())
    }

    /// Stores a run; `false` if its fire time has one.
    fn insert_run(&mut self, job: &str, run: Run, claimable_at: DateTime<Utc>) -> bool {
        let is_same = |stored: &StoredRun| {
            stored.job == job && stored.run.trigger == run.trigger && stored.run.due_at == run.due_at
        };
        if run.trigger == Trigger::Schedule && self.runs.values().any(is_same) {
            return false;
        }
        let Entry::Vacant(place) = self.runs.entry(run.id.clone()) else { return false };
        place.insert(StoredRun { run, job: job.to_owned(), claimable_at });
        true
    }

    fn miss(&mut self, job: &str, id: &str, window: MissedWindow, at: DateTime<Utc>) {
        let missed = Run {
            finished_at: Some(at),
            status: RunStatus::Missed,
            missed: Some(window),
            ..queued(id, Trigger::Schedule, window.to)
        };
        if self.insert_run(job, missed, at) {
            let run = RecentRun { status: RunStatus::Missed, due_at: window.to };
            self.record_end(job, run, Some(window.explanation()));
        }
    }

    fn record_end(&mut self, job: &str, run: RecentRun, error: Option<String>) {
        let Some(job) = self.jobs.get_mut(job) else { return };
        job.state.push_recent(run);
        job.state.last_status = Some(run.status);
        job.state.last_error = error;
        match run.status {
            RunStatus::Delivered => job.state.consecutive_errors = 0,
            RunStatus::Failed => job.state.consecutive_errors = job.state.consecutive_errors.saturating_add(1),
            _ => {}
        }
        disable_spent(job);
    }

    fn fire(&mut self, firing: Firing, lease: RunLease) -> Option<LeasedRun> {
        let Firing { job: id, due_since, missed, run, next_due } = firing;
        let is_busy = self.has_open_run(&id);
        let due = |job: &&mut Job| job.enabled && job.state.next_run == Some(due_since) && !is_busy;
        self.jobs.get_mut(&id).filter(due)?.state.next_run = next_due;
        if let Some((missed, window)) = missed {
            self.miss(&id, &missed, window, lease.now);
        }
        let Some((run, due_at)) = run else {
            self.jobs.get_mut(&id).map(disable_spent);
            return None;
        };
        let is_new = self.insert_run(&id, queued(&run, Trigger::Schedule, due_at), lease.now);
        if is_new { self.claim(&run, lease) } else { None }
    }

    fn claim(&mut self, id: &str, lease: RunLease) -> Option<LeasedRun> {
        let stored = self.runs.get_mut(id)?;
        let job = self.jobs.get_mut(&stored.job)?;
        let is_first = stored.run.started_at.is_none();
        stored.run.status = RunStatus::Running;
        stored.run.attempts += 1;
        stored.run.started_at.get_or_insert(lease.now);
        stored.claimable_at = lease.until;
        if is_first {
            job.state.last_run = Some(lease.now);
        }
        let Run { id, attempts, trigger, due_at, .. } = &stored.run;
        Some(LeasedRun { id: id.clone(), attempt: *attempts, trigger: *trigger, due_at: *due_at, job: job.clone() })
    }
}

/// Disables a job for one moment that is over.
fn disable_spent(job: &mut Job) {
    job.enabled &= !matches!(job.spec.timing.kind, TimingKind::At(_)) || job.state.next_run.is_some();
}
