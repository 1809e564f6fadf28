//! Jobs and their runs, in the database.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_core::{AuditEntry, BackendError, Clock, FriendshipKey};
use portal_cron::{
    DueJob, Firing, Job, JobCreated, JobStore, Lease, LeasedRun, Run, RunQueue, RunRequested, Settled, Settlement,
    Switch, Switched,
};

use super::Db;

/// The stored jobs and the queue of their runs, in the database.
#[derive(Clone)]
pub struct DbJobs {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl DbJobs {
    /// The jobs in this database; runners share PostgreSQL's clock, or `clock` on SQLite.
    #[must_use]
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }
}

#[async_trait]
impl JobStore for DbJobs {
    async fn list(&self, owner: &FriendshipKey) -> Result<Vec<Job>, BackendError> {
        let owner = owner.clone();
        ask!(self.db, read, jobs::list(&owner))
    }

    async fn create(&self, job: Job, limit: u32, audit: AuditEntry) -> Result<JobCreated, BackendError> {
        ask!(self.db, write, jobs::create(&job, limit, &audit))
    }

    async fn switch(
        &self,
        owner: &FriendshipKey,
        id: &str,
        switch: Switch,
        audit: AuditEntry,
    ) -> Result<Switched, BackendError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        ask!(self.db, write, jobs::switch(&owner, &id, &switch, &audit))
    }

    async fn remove(&self, owner: &FriendshipKey, id: &str, audit: AuditEntry) -> Result<bool, BackendError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        ask!(self.db, write, jobs::remove(&owner, &id, &audit))
    }

    async fn request(
        &self,
        owner: &FriendshipKey,
        id: &str,
        run: &str,
        audit: AuditEntry,
    ) -> Result<RunRequested, BackendError> {
        let (owner, id, run) = (owner.clone(), id.to_owned(), run.to_owned());
        ask!(self.db, write, runs::request(&owner, &id, &run, &audit))
    }

    async fn runs(&self, owner: &FriendshipKey, id: &str, limit: u32) -> Result<Option<Vec<Run>>, BackendError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        ask!(self.db, read, runs::list(&owner, &id, limit))
    }
}

#[async_trait]
impl RunQueue for DbJobs {
    async fn now(&self) -> Result<DateTime<Utc>, BackendError> {
        self.db.now(&*self.clock).await
    }

    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<DueJob>, BackendError> {
        ask!(self.db, read, runs::due(now, limit))
    }

    async fn fire(&self, firings: Vec<Firing>, lease: Lease) -> Result<Vec<LeasedRun>, BackendError> {
        ask!(self.db, write, runs::fire(&firings, lease))
    }

    async fn take(&self, lease: Lease, limit: u32) -> Result<Vec<LeasedRun>, BackendError> {
        ask!(self.db, write, runs::take(lease, limit))
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, BackendError> {
        ask!(self.db, write, runs::settle(&settlement))
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError> {
        ask!(self.db, write, runs::sweep(before))
    }
}
