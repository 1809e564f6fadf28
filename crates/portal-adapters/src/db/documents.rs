//! The rows beside the documents, in the database.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use portal_core::{BackendError, Clock, FriendId};
use portal_workspace::{Begin, DocumentPath, DocumentStore, Ended, Held, NewVersion, Version, VersionStore};

use super::Db;

/// The rows beside the documents, in the database.
#[derive(Clone)]
pub struct DbDocuments {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl DbDocuments {
    /// The stores in this database; leases are granted by `clock` where the database has none that machines share.
    #[must_use]
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }
}

#[async_trait]
impl DocumentStore for DbDocuments {
    async fn claim(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<Option<Held>, BackendError> {
        let (path, write, now) = (path.clone(), write.to_owned(), self.clock.now());
        ask!(self.db, write, documents::claim(&path, &write, lease, now))
    }

    async fn renew(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<bool, BackendError> {
        let (path, write, now) = (path.clone(), write.to_owned(), self.clock.now());
        ask!(self.db, write, documents::renew(&path, &write, lease, now))
    }

    async fn begin(&self, path: &DocumentPath, begin: Begin) -> Result<bool, BackendError> {
        let path = path.clone();
        ask!(self.db, write, documents::begin(&path, &begin))
    }

    async fn keep(&self, path: &DocumentPath, found: NewVersion) -> Result<(), BackendError> {
        let path = path.clone();
        ask!(self.db, write, documents::keep(&path, &found))
    }

    async fn end(&self, path: &DocumentPath, write: &str, ended: Ended) -> Result<bool, BackendError> {
        let (path, write) = (path.clone(), write.to_owned());
        ask!(self.db, write, documents::end(&path, &write, ended))
    }

    async fn abandoned(&self) -> Result<Vec<DocumentPath>, BackendError> {
        let now = self.clock.now();
        ask!(self.db, read, documents::abandoned(now))
    }
}

#[async_trait]
impl VersionStore for DbDocuments {
    async fn list(&self, path: &DocumentPath, friend: Option<&FriendId>) -> Result<Vec<Version>, BackendError> {
        let (path, friend) = (path.clone(), friend.cloned());
        ask!(self.db, read, versions::list(&path, friend.as_ref()))
    }

    async fn find(
        &self,
        path: &DocumentPath,
        friend: Option<&FriendId>,
        id: &str,
    ) -> Result<Option<(Version, Vec<u8>)>, BackendError> {
        let (path, friend, id) = (path.clone(), friend.cloned(), id.to_owned());
        ask!(self.db, read, versions::find(&path, friend.as_ref(), &id))
    }

    async fn forget(&self, path: &DocumentPath, ids: &[String]) -> Result<(), BackendError> {
        let (path, ids) = (path.clone(), ids.to_vec());
        ask!(self.db, write, versions::forget(&path, &ids))
    }
}
