//! What the embedded engine and the runner ask of a database: two ports over the same tables.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_core::{AuditEntry, BackendError, FriendshipKey};

use crate::{Job, Run, Schedule, Stretch, Trigger};

/// What became of storing a new job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobCreated {
    /// It is stored.
    New,
    /// Its owner has a job of that name; nothing changed.
    NameTaken,
    /// The friend has as many jobs as they may have, with whichever agents; nothing changed.
    LimitReached,
    /// The friend and the agent have no relationship any more; nothing changed.
    NoFriendship,
}

/// A job's schedule switched on or off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// Whether the schedule counts from now on.
    pub enabled: bool,
    /// The job's `next_run` from which the rest was computed; another one in the store makes the switch stale.
    pub seen: Option<DateTime<Utc>>,
    /// The instant that is due next; `None` when switched off.
    pub next_run: Option<DateTime<Utc>>,
    /// What was due before the switch and is missed thereby, under the id of its row.
    pub missed: Option<(String, Stretch)>,
}

/// What became of a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switched {
    /// It is done.
    Done,
    /// The job's `next_run` is another one by now; nothing changed.
    Stale,
    /// The owner has no such job.
    Absent,
}

/// What became of asking for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunRequested {
    /// It is stored, and will be begun.
    Queued,
    /// A run of the job is open; nothing changed.
    Open,
    /// The owner has no such job.
    Absent,
}

/// The stored jobs, as the embedded engine keeps them.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// The owner's jobs, sorted by name.
    async fn list(&self, owner: &FriendshipKey) -> Result<Vec<Job>, BackendError>;
    /// Stores a new job unless its friend has `limit` jobs.
    async fn create(&self, job: Job, limit: u32, audit: AuditEntry) -> Result<JobCreated, BackendError>;
    /// Switches a job on or off.
    async fn switch(
        &self,
        owner: &FriendshipKey,
        id: &str,
        switch: Switch,
        audit: AuditEntry,
    ) -> Result<Switched, BackendError>;
    /// Removes a job with its runs; `false` if the owner has no such job.
    async fn remove(&self, owner: &FriendshipKey, id: &str, audit: AuditEntry) -> Result<bool, BackendError>;
    /// Stores a run that was asked for at `audit.at`, whether the job is enabled or not.
    async fn request(
        &self,
        owner: &FriendshipKey,
        id: &str,
        run: &str,
        audit: AuditEntry,
    ) -> Result<RunRequested, BackendError>;
    /// The newest `limit` runs of a job, newest first; `None` if the owner has no such job.
    async fn runs(&self, owner: &FriendshipKey, id: &str, limit: u32) -> Result<Option<Vec<Run>>, BackendError>;
}

/// A job whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueJob {
    /// Which job.
    pub id: String,
    /// Its schedule.
    pub schedule: Schedule,
    /// Since when it is due: everything before is settled.
    pub due_since: DateTime<Utc>,
    /// Whether its friend and its agent have an active friendship; its instants pass unheeded otherwise.
    pub is_active: bool,
}

/// What is to be stored about a job whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// Which job.
    pub job: String,
    /// The instant since which it was due; another one in the store makes the firing stale.
    pub due_since: DateTime<Utc>,
    /// The instants that are missed, under the id of their row.
    pub missed: Option<(String, Stretch)>,
    /// The instant that runs now, under the id of its run.
    pub run: Option<(String, DateTime<Utc>)>,
    /// The instant that is due next.
    pub next_due: Option<DateTime<Utc>>,
}

/// How long a run that is taken belongs to who took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// When it is taken.
    pub now: DateTime<Utc>,
    /// When others may take it over.
    pub until: DateTime<Utc>,
}

/// A run that belongs to its taker until the lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedRun {
    /// Its id.
    pub id: String,
    /// The number of this attempt, from 1: whoever takes the run over gets a higher one.
    pub attempt: u32,
    /// Why there is this run.
    pub trigger: Trigger,
    /// Its instant.
    pub due_at: DateTime<Utc>,
    /// Its job, as it is now.
    pub job: Job,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver accepted the message.
    Delivered,
    /// The run has failed, for this reason.
    Failed(String),
    /// It is to be tried again.
    Retry {
        /// Not before then.
        at: DateTime<Utc>,
        /// What went wrong this time.
        error: String,
    },
}

/// The end of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Which run.
    pub run: String,
    /// Which attempt of it.
    pub attempt: u32,
    /// When it ended.
    pub at: DateTime<Utc>,
    /// How it ended.
    pub verdict: Verdict,
}

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is stored.
    Done,
    /// A later attempt was begun, or the run has ended or is gone; nothing changed.
    Superseded,
}

/// The runs, as any number of runners share them.
///
/// There is one run for each instant of a job, one open run of a job at most, and only the newest attempt of a run may
/// settle it: a store keeps these three promises by constraints, whoever calls.
#[async_trait]
pub trait RunQueue: Send + Sync {
    /// The time, by the clock that all runners of this queue share.
    async fn now(&self) -> Result<DateTime<Utc>, BackendError>;
    /// Up to `limit` jobs that are due at `now` and have no open run, the longest due first.
    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<DueJob>, BackendError>;
    /// Stores the firings that are not stale, of jobs that have no open run; gives the runs thereby leased.
    async fn fire(&self, firings: Vec<Firing>, lease: Lease) -> Result<Vec<LeasedRun>, BackendError>;
    /// Takes up to `limit` open runs that nobody holds: queued ones, those to be tried again, those whose lease has
    /// ended. Runs of friendships that are not active are left.
    async fn take(&self, lease: Lease, limit: u32) -> Result<Vec<LeasedRun>, BackendError>;
    /// Ends an attempt.
    async fn settle(&self, settlement: Settlement) -> Result<Settled, BackendError>;
    /// Forgets runs that ended before `before`; tells how many.
    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError>;
}
