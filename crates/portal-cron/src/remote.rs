//! Port to the database for an engine whose jobs are kept elsewhere, such as in the agent's gateway: the changes that are
//! under way there, and the runs that friends asked for.
//!
//! 1. A change begins here: it excludes other changes of the same job, by any replica, until it ends or its time is over.
//! 2. The engine changes the job where it is kept. No transaction is open meanwhile.
//! 3. The change ends here, and its audit entry is written. One whose process died is entered as of unknown outcome.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_core::{AgentId, AuditEntry, BackendError, FriendshipKey};

use crate::{RunStatus, Sent};

/// Longest time of a change; a process that died while it made one keeps others away no longer.
pub const REMOTE_CHANGE_TIMEOUT: Duration = Duration::from_secs(45);

/// A change of a job that is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChange {
    /// A new random id.
    pub id: String,
    /// Owner of the job.
    pub owner: FriendshipKey,
    /// The job's id, or the name of one that is to be made: at most one change of each is under way.
    pub job: String,
    /// The entry for the audit log.
    pub audit: AuditEntry,
}

/// A change that is under way and excludes others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldChange {
    /// The change's id.
    pub id: String,
    /// True if the change before this one, of the same job, was asked for and its outcome is not known.
    pub follows_lost: bool,
    /// Jobs of the friend that count against their limit and are not where the engine keeps them: those with other agents in
    /// this database, and those that are being made.
    pub other_jobs: u32,
}

/// Outcome of beginning a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeBegun {
    /// It may be made.
    Held(HeldChange),
    /// Another one of the same job is under way.
    Busy,
    /// The friend asked for as many runs in the last minute as they may.
    TooMany {
        /// Time until the next one is allowed.
        retry_after: Duration,
    },
    /// The friend and the agent have no relationship any more.
    NoFriendship,
}

/// End of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeEnd {
    /// It was made, to this job; the run, if one was asked for.
    Done {
        /// For the audit log.
        name: String,
        /// The job's id, for the hint to whoever looks at it.
        id: String,
        /// Stored as queued.
        run: Option<Box<RemoteRun>>,
    },
    /// Nothing was changed.
    Nothing,
    /// It was asked for, and no answer came.
    Lost {
        /// For the audit log.
        name: String,
    },
}

/// A run that a friend asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRun {
    /// Its id for the friend.
    pub id: String,
    /// Owner of the job at that time.
    pub owner: FriendshipKey,
    /// The job's id.
    pub job: String,
    /// Its id where it takes place, once that is known.
    pub remote_id: Option<String>,
    /// Moment at which it was asked for.
    pub requested_at: DateTime<Utc>,
    /// Latest moment at which it should have ended.
    pub expected_by: DateTime<Utc>,
    /// Its end; `None` while it is open.
    pub end: Option<RemoteRunEnd>,
}

/// End of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteRunEnd {
    /// One of [`RunStatus::ENDED`].
    pub status: RunStatus,
    /// Begin of the run, where it is known.
    pub started_at: Option<DateTime<Utc>>,
    /// Moment of the end.
    pub finished_at: DateTime<Utc>,
    /// See [`crate::Run::finished`].
    pub finished: Option<bool>,
    /// See [`crate::Run::sent`].
    pub sent: Option<Sent>,
    /// The error, in words for the friend.
    pub error: Option<String>,
}

/// Changes, runs and pauses of jobs that are kept elsewhere.
#[async_trait]
pub trait RemoteStore: Send + Sync {
    /// Begins a change, for [`REMOTE_CHANGE_TIMEOUT`] at most. One with the action `job.run` or `message.send` counts
    /// against the runs that the friend may ask for.
    async fn begin(&self, change: NewChange) -> Result<ChangeBegun, BackendError>;
    /// Ends a change and writes its audit entry unless nothing was changed. A change whose time was over, and which was
    /// entered as of unknown outcome meanwhile, leaves no second entry.
    async fn end(&self, change: &str, end: ChangeEnd) -> Result<(), BackendError>;
    /// Enters changes whose time is over as of unknown outcome, and forgets those that were entered so a while ago; returns
    /// the number of the first.
    async fn recover_changes(&self) -> Result<u64, BackendError>;
    /// Returns the open runs of an agent's jobs, the oldest first, at most `limit`.
    async fn open_runs(&self, agent: &AgentId, limit: u32) -> Result<Vec<RemoteRun>, BackendError>;
    /// Returns the newest `limit` runs that the owner asked for of a job, newest first.
    async fn requested_runs(
        &self,
        owner: &FriendshipKey,
        job: &str,
        limit: u32,
    ) -> Result<Vec<RemoteRun>, BackendError>;
    /// Stores the end of a run that is open; `false` if it is not.
    async fn end_run(&self, run: &str, end: RemoteRunEnd) -> Result<bool, BackendError>;
    /// Stores that a job is disabled for as long as its friendship is not active.
    async fn pause(&self, owner: &FriendshipKey, job: &str) -> Result<(), BackendError>;
    /// Forgets that a job is disabled for that reason.
    async fn resume(&self, owner: &FriendshipKey, job: &str) -> Result<(), BackendError>;
    /// Returns the jobs of an agent's friends that are disabled for that reason, with their owners.
    async fn paused(&self, agent: &AgentId) -> Result<Vec<(FriendshipKey, String)>, BackendError>;
}
