//! Ports to the database: the jobs as their owners change them, and the queue of runs that runners share. Both are over
//! the same tables.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_core::{AuditEntry, BackendError, FriendshipKey};

use crate::{FriendShares, Job, MissedWindow, Release, Run, Timing, Trigger};

/// Most jobs of a friend, with all agents together.
pub const JOBS_PER_FRIEND: u32 = 50;
/// Most runs that a friend may ask for in a minute, with all agents together.
pub const MANUAL_RUNS_PER_MINUTE: u32 = 10;

/// Reason for which an engine leaves a job as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineRefusal {
    /// The agent made the job for itself, in a way that friends cannot change.
    ReadOnly,
    /// Another change of the job is under way.
    Busy,
    /// The agent's gateway is too old to do as it was asked.
    GatewayTooOld,
}

/// Outcome of asking for a new job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobCreated {
    /// The job is stored.
    New(Box<Job>),
    /// Its owner has a job of that name; nothing changed.
    NameTaken,
    /// The friend has [`JOBS_PER_FRIEND`] jobs; nothing changed.
    LimitReached,
    /// The friend and the agent have no relationship any more; nothing changed.
    NoFriendship,
    /// The engine does not make it; nothing changed.
    Refused(EngineRefusal),
}

/// A change of a job by its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobUpdate {
    /// The job as it is to be, under the next revision.
    pub job: Job,
    /// `revision` of the job from which the change was computed; another one in the store makes the change stale.
    pub seen_revision: u32,
    /// `next_run` of that job, which makes it stale in the same way.
    pub seen_next_run: Option<DateTime<Utc>>,
    /// Fire times that were due before the change and are missed thereby, under the id of their row.
    pub missed: Option<(String, MissedWindow)>,
}

/// Outcome of changing a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobUpdated {
    /// The job as it is now.
    Done(Box<Job>),
    /// Somebody else or the runner changed the job; nothing was stored.
    Stale,
    /// The owner has no such job.
    Absent,
    /// The engine does not change it; nothing was stored.
    Refused(EngineRefusal),
}

/// Outcome of asking for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunRequested {
    /// The run of this id is stored and will begin.
    Queued(String),
    /// A run of the job is open; nothing changed.
    Open,
    /// The friend has asked for [`MANUAL_RUNS_PER_MINUTE`] runs in the last minute; nothing changed.
    TooMany {
        /// Time until the next one is allowed.
        retry_after: Duration,
    },
    /// The owner has no such job.
    Absent,
    /// The engine does not run it; nothing changed.
    Refused(EngineRefusal),
}

/// Outcome of storing a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageQueued {
    /// It is stored, and a runner will begin it.
    Done,
    /// The friend has the most jobs that anybody may have; nothing changed.
    LimitReached,
    /// The friend asked for too many runs in the last minute; nothing changed.
    TooMany {
        /// Time until the next one is allowed.
        retry_after: Duration,
    },
    /// The friend and the agent have no relationship any more; nothing changed.
    NoFriendship,
    /// The engine does not send it; nothing changed.
    Refused(EngineRefusal),
}

/// The jobs of the portal's own database. A job is found by its exact name, else by its id.
///
/// The store writes the name of the job that it found into the subject of the audit entry.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Returns the owner's jobs, sorted by name.
    async fn list(&self, owner: &FriendshipKey) -> Result<Vec<Job>, BackendError>;
    /// Returns one of the owner's jobs.
    async fn find(&self, owner: &FriendshipKey, name: &str) -> Result<Option<Job>, BackendError>;
    /// Stores a new job unless its friend has `limit` jobs.
    async fn create(&self, job: Job, limit: u32, audit: AuditEntry) -> Result<JobCreated, BackendError>;
    /// Stores a change that is not stale.
    async fn update(&self, update: JobUpdate, audit: AuditEntry) -> Result<JobUpdated, BackendError>;
    /// Removes a job with its runs; `false` if the owner has no such job.
    async fn remove(&self, owner: &FriendshipKey, name: &str, audit: AuditEntry) -> Result<bool, BackendError>;
    /// Stores a run under the id `run` that was asked for at `audit.at`, whether the job is enabled or not.
    async fn request(
        &self,
        owner: &FriendshipKey,
        name: &str,
        run: &str,
        audit: AuditEntry,
    ) -> Result<RunRequested, BackendError>;
    /// Lists the newest `limit` runs of a job, or those that come right after the run `before` in that list.
    async fn runs(
        &self,
        owner: &FriendshipKey,
        name: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<RunsListed, BackendError>;
}

/// Outcome of listing the runs of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunsListed {
    /// The runs, newest first.
    Page(Vec<Run>),
    /// The job has no run of the id at which the page was to begin.
    RunUnknown,
    /// The owner has no such job.
    Absent,
}

/// A job whose fire time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueJob {
    /// The job's id.
    pub id: String,
    /// Its fire times.
    pub timing: Timing,
    /// The job's creation, from which intervals are counted.
    pub created_at: DateTime<Utc>,
    /// The oldest fire time that has no row yet.
    pub due_since: DateTime<Utc>,
    /// Whether its friend and its agent have an active friendship; otherwise it is to be parked.
    pub is_active: bool,
}

/// A decision about a due job, to be stored in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The job's id.
    pub job: String,
    /// The fire time since which the job was due; another one in the store makes the firing stale.
    pub due_since: DateTime<Utc>,
    /// The fire times that are missed, under the id of their row.
    pub missed: Option<(String, MissedWindow)>,
    /// The fire time that runs now, under the id of its run.
    pub run: Option<(String, DateTime<Utc>)>,
    /// The next fire time.
    pub next_due: Option<DateTime<Utc>>,
    /// The moment of a job that fires once, if newer time zone rules moved it.
    pub moved_to: Option<DateTime<Utc>>,
}

/// Time during which a claimed run belongs to its runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLease {
    /// Moment of the claim.
    pub now: DateTime<Utc>,
    /// Moment from which others may claim the run.
    pub until: DateTime<Utc>,
}

/// A run that belongs to the runner that claimed it until the lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedRun {
    /// The run's id.
    pub id: String,
    /// Number of this attempt, from 1: whoever claims the run next gets a higher one.
    pub attempt: u32,
    /// The run's reason.
    pub trigger: Trigger,
    /// Its fire time.
    pub due_at: DateTime<Utc>,
    /// Its job, as it is now.
    pub job: Job,
}

/// End of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The receiver accepted the message.
    Delivered,
    /// The run has failed, for this reason.
    Failed(String),
    /// Another attempt follows.
    Retry {
        /// Earliest moment of that attempt.
        at: DateTime<Utc>,
        /// The error of this one.
        error: String,
    },
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedAttempt {
    /// The run's id.
    pub run: String,
    /// The attempt's number.
    pub attempt: u32,
    /// Moment of the end.
    pub at: DateTime<Utc>,
    /// The end.
    pub outcome: AttemptOutcome,
}

/// Work that waits in the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Jobs that are due and have no open run.
    pub due: u64,
    /// Runs that are open: queued, running or to be tried again.
    pub open: u64,
}

/// Outcome of announcing the release of the time zone rules by which a process plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseAnnounced {
    /// The newest release so far is the same; nothing changed.
    Current,
    /// The newest release so far was older, or none was stored: this number of jobs is planned anew.
    Adopted(u64),
    /// The newest release so far is newer than the announced one; nothing changed.
    Outdated(Release),
}

/// The queue of runs, shared by any number of runners.
///
/// There is at most one run for each fire time and at most one open run of a job, and only the newest attempt of a run
/// may complete it: a store keeps these three promises by constraints, whoever calls.
#[async_trait]
pub trait RunQueue: Send + Sync {
    /// Returns the time by the clock that all runners of this queue share.
    async fn now(&self) -> Result<DateTime<Utc>, BackendError>;
    /// Returns up to `limit` jobs that are due at `now` and have no open run, friends in turn, the longest due first.
    /// Jobs whose friendship is not active may be among them; they are to be parked.
    async fn due(&self, now: DateTime<Utc>, limit: u32, shares: FriendShares) -> Result<Vec<DueJob>, BackendError>;
    /// Stores the firings that are not stale, of jobs that have no open run; returns the runs thereby claimed.
    async fn fire(&self, firings: Vec<Firing>, lease: RunLease) -> Result<Vec<LeasedRun>, BackendError>;
    /// Claims up to `limit` open runs that nobody holds, friends in turn: queued ones, those to be tried again, those
    /// whose lease has ended. Runs of friendships that are not active are left.
    async fn claim(&self, lease: RunLease, limit: u32, shares: FriendShares) -> Result<Vec<LeasedRun>, BackendError>;
    /// Stores the ends of attempts in one transaction; for each, in their order: `false`, and nothing changed, if a
    /// later attempt has begun or the run has ended or is gone.
    async fn complete_attempts(&self, completed: Vec<CompletedAttempt>) -> Result<Vec<bool>, BackendError>;
    /// Takes the jobs and open runs of friendships that are not active out of the queue, as far as they are due at
    /// `now`; returns their number. A friendship that becomes active again puts them back: the jobs are planned from
    /// that moment on.
    async fn park_inactive(&self, now: DateTime<Utc>) -> Result<u64, BackendError>;
    /// Makes every job due at `now` whose next fire time is later, so that it is planned anew, and lets open runs be
    /// claimed at `now` that wait for more than a day; returns the number of jobs.
    async fn replan(&self, now: DateTime<Utc>) -> Result<u64, BackendError>;
    /// Stores `release` if it is the newest one that jobs were ever planned by. In the same transaction all jobs are
    /// then made due, as [`RunQueue::replan`] does: their next fire times were found by older rules.
    async fn announce_release(&self, release: &Release, now: DateTime<Utc>) -> Result<ReleaseAnnounced, BackendError>;
    /// Returns the latest time at which a run of any job started.
    async fn latest_start(&self) -> Result<Option<DateTime<Utc>>, BackendError>;
    /// Counts what waits in the queue at `now`.
    async fn backlog(&self, now: DateTime<Utc>) -> Result<Backlog, BackendError>;
}
