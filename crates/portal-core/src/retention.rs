//! Retention: the age at which rows that grow with use are deleted, and their deletion in batches.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use crate::{BackendError, CHANGE_RETENTION};

/// Most rows that one transaction deletes. SQLite has one writer: a larger batch would keep requests and runners waiting.
pub const SWEEP_BATCH: u32 = 1_000;
/// Pause after a full batch, in which other writers get their turn.
const SWEEP_PAUSE: Duration = Duration::from_millis(20);

const DAY: Duration = Duration::from_hours(24);

/// Retention of each kind of row that grows with use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Entries of the audit log, since they were written.
    pub audit: Duration,
    /// Finished runs, since they ended; those in agents' gateways, since they were asked for.
    pub runs: Duration,
    /// Most finished runs per job; older ones are deleted earlier than [`Retention::runs`] says.
    pub runs_per_job: u32,
    /// Disabled jobs for one moment, since that moment.
    pub spent_jobs: Duration,
    /// Sessions, since they expired.
    pub sessions: Duration,
    /// Codes of login links, since they expired.
    pub login_codes: Duration,
    /// Tombstones of hostnames, since they were freed.
    pub tombstones: Duration,
    /// Hints for event streams, since the change.
    pub changes: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            audit: 400 * DAY,
            runs: 30 * DAY,
            runs_per_job: 200,
            spent_jobs: 7 * DAY,
            sessions: 7 * DAY,
            login_codes: Duration::ZERO,
            tombstones: DAY,
            changes: CHANGE_RETENTION,
        }
    }
}

impl Retention {
    /// Returns what may be deleted at `now`.
    #[must_use]
    pub fn expired(&self, now: DateTime<Utc>) -> [Expired; 8] {
        let before = |age| now - TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
        [
            Expired::AuditEntries { before: before(self.audit) },
            Expired::Runs { before: before(self.runs) },
            Expired::RunsBeyond { newest: self.runs_per_job },
            Expired::SpentJobs { before: before(self.spent_jobs) },
            Expired::Sessions { before: before(self.sessions) },
            Expired::LoginCodes { before: before(self.login_codes) },
            Expired::Tombstones { before: before(self.tombstones) },
            Expired::Changes { before: before(self.changes) },
        ]
    }
}

/// Rows of one kind that may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// Entries of the audit log that were written before a time.
    AuditEntries {
        /// The time.
        before: DateTime<Utc>,
    },
    /// Runs that ended before a time, and runs in agents' gateways that were asked for before it.
    Runs {
        /// The time.
        before: DateTime<Utc>,
    },
    /// Finished runs of a job beyond its newest ones.
    RunsBeyond {
        /// The number of runs that stay.
        newest: u32,
    },
    /// Disabled jobs for one moment that was before a time.
    SpentJobs {
        /// The time.
        before: DateTime<Utc>,
    },
    /// Sessions that expired before a time.
    Sessions {
        /// The time.
        before: DateTime<Utc>,
    },
    /// Codes of login links that expired before a time.
    LoginCodes {
        /// The time.
        before: DateTime<Utc>,
    },
    /// Tombstones of hostnames that were freed before a time.
    Tombstones {
        /// The time.
        before: DateTime<Utc>,
    },
    /// Hints for event streams about changes before a time.
    Changes {
        /// The time.
        before: DateTime<Utc>,
    },
}

impl Expired {
    /// The kind of row, as commands and logs name it.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::AuditEntries { .. } => "audit entries",
            Self::Runs { .. } => "runs",
            Self::RunsBeyond { .. } => "runs beyond the newest of their job",
            Self::SpentJobs { .. } => "spent jobs",
            Self::Sessions { .. } => "sessions",
            Self::LoginCodes { .. } => "login codes",
            Self::Tombstones { .. } => "tombstones",
            Self::Changes { .. } => "logged changes",
        }
    }
}

/// Deletion of expired rows.
#[async_trait]
pub trait RetentionStore: Send + Sync {
    /// Counts the rows.
    async fn count(&self, expired: Expired) -> Result<u64, BackendError>;
    /// Deletes at most `limit` of the rows in one transaction; fewer than `limit` means that none is left.
    async fn delete(&self, expired: Expired, limit: u32) -> Result<u64, BackendError>;
}

/// Deletes all of the rows, [`SWEEP_BATCH`] per transaction with pauses for other writers; returns their number.
///
/// # Errors
/// The store cannot be reached. The batches before that stay deleted.
pub async fn sweep(store: &(impl RetentionStore + ?Sized), expired: Expired) -> Result<u64, BackendError> {
    let mut total = 0;
    loop {
        // Fewer than asked for is the only sign of the end; counting first would read every row twice.
        let deleted = store.delete(expired, SWEEP_BATCH).await?;
        total += deleted;
        if deleted < u64::from(SWEEP_BATCH) {
            return Ok(total);
        }
        tokio::time::sleep(SWEEP_PAUSE).await;
    }
}
