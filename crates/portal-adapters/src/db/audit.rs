//! The audit log, in the database.

use async_trait::async_trait;
use portal_core::{AuditEntry, AuditFilter, AuditLog, AuditRecord, BackendError};

use super::Db;

/// The audit log, in the database.
#[derive(Clone)]
pub struct DbAuditLog(Db);

impl DbAuditLog {
    /// The store in this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self(db)
    }
}

#[async_trait]
impl AuditLog for DbAuditLog {
    async fn append(&self, entry: AuditEntry) -> Result<(), BackendError> {
        ask!(self.0, write, audit::insert(&entry))
    }

    async fn list(&self, filter: AuditFilter) -> Result<Vec<AuditRecord>, BackendError> {
        ask!(self.0, read, audit::list(&filter))
    }
}
