//! Exposures, hostnames and tombstones, in the database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_core::{AuditEntry, BackendError, FriendId};
use portal_dns::{
    Before, Change, Claimed, Exposure, ExposureId, ExposureName, ExposureStore, Fence, Intent, IntentStore, Lease,
    Reservation, Reserved, Settled, Settlement, Tombstone,
};

use super::Db;

/// Exposures, hostnames and tombstones, in the database.
#[derive(Clone)]
pub struct DbExposures(Db);

impl DbExposures {
    /// The store in this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self(db)
    }
}

#[async_trait]
impl ExposureStore for DbExposures {
    async fn reserve(&self, wanted: Reservation, audit: AuditEntry) -> Result<Reserved, BackendError> {
        ask!(self.0, write, exposures::reserve(&wanted, &audit))
    }

    async fn close(
        &self,
        friend: &FriendId,
        name: &ExposureName,
        audit: AuditEntry,
    ) -> Result<Option<Intent>, BackendError> {
        let (friend, name) = (friend.clone(), name.clone());
        ask!(self.0, write, exposures::close(&friend, &name, &audit))
    }

    async fn withdraw(
        &self,
        id: &ExposureId,
        generation: i64,
        before: Option<Before>,
        audit: AuditEntry,
    ) -> Result<bool, BackendError> {
        let id = id.clone();
        ask!(self.0, write, exposures::withdraw(&id, generation, before.as_ref(), &audit))
    }

    async fn find(&self, friend: &FriendId, name: &ExposureName) -> Result<Option<Exposure>, BackendError> {
        let (friend, name) = (friend.clone(), name.clone());
        ask!(self.0, read, exposures::find(&friend, &name))
    }

    async fn list(&self, friend: &FriendId) -> Result<Vec<Exposure>, BackendError> {
        let friend = friend.clone();
        ask!(self.0, read, exposures::list(&friend))
    }

    async fn changes(&self, since: Option<DateTime<Utc>>) -> Result<Vec<Change>, BackendError> {
        ask!(self.0, read, exposures::changes(since))
    }
}

#[async_trait]
impl IntentStore for DbExposures {
    async fn claim(&self, id: &ExposureId, lease: Lease) -> Result<Claimed, BackendError> {
        let id = id.clone();
        ask!(self.0, write, intents::claim(&id, &lease))
    }

    async fn settle(&self, fence: Fence, settlement: Settlement, now: DateTime<Utc>) -> Result<Settled, BackendError> {
        ask!(self.0, write, intents::settle(&fence, settlement, now))
    }

    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<ExposureId>, BackendError> {
        ask!(self.0, read, intents::due(now, limit))
    }

    async fn page(&self, after: Option<&ExposureId>, limit: u32) -> Result<Vec<Intent>, BackendError> {
        let after = after.cloned();
        ask!(self.0, read, intents::page(after.as_ref(), limit))
    }

    async fn tombstones(&self) -> Result<Vec<Tombstone>, BackendError> {
        ask!(self.0, read, intents::tombstones())
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError> {
        ask!(self.0, write, intents::sweep(before))
    }

    async fn hurry(&self, id: &ExposureId, audit: AuditEntry) -> Result<bool, BackendError> {
        let id = id.clone();
        ask!(self.0, write, intents::hurry(&id, &audit))
    }
}
