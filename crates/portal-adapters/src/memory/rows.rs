//! Rows of the register that the memory stores share.

use chrono::{DateTime, Utc};
use portal_core::{Session, SessionState};
use portal_cron::Run;
use portal_workspace::{NewVersion, WriteIntent};

/// A session and its state.
pub(super) struct SessionRow {
    pub(super) session: Session,
    pub(super) state: SessionState,
}

/// A run and the id of its job.
pub(super) struct StoredRun {
    pub(super) run: Run,
    pub(super) job: String,
    /// Earliest moment of a claim, while the run is open.
    pub(super) claimable_at: DateTime<Utc>,
}

/// The row of a document, with its versions from old to new.
#[derive(Default)]
pub(super) struct StoredDocument {
    pub(super) lease: Option<DocumentLease>,
    pub(super) look_at: Option<DateTime<Utc>>,
    pub(super) pending: Option<WriteIntent>,
    pub(super) versions: Vec<StoredText>,
}

/// The writer that holds a document, and the end of its lease.
pub(super) struct DocumentLease {
    pub(super) write: String,
    pub(super) until: DateTime<Utc>,
}

/// A version; a write of a friend has its session and the time of the burst's first write.
pub(super) struct StoredText {
    pub(super) version: NewVersion,
    pub(super) burst: Option<(String, DateTime<Utc>)>,
}
