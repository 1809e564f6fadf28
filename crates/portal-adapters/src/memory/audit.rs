//! The audit log, in memory.

use async_trait::async_trait;
use portal_core::{AuditEntry, AuditFilter, AuditLog, AuditRecord, BackendError};

use super::MemoryPeople;

/// The audit log, in memory.
#[derive(Clone)]
pub struct MemoryAuditLog(MemoryPeople);

impl MemoryAuditLog {
    /// The audit log of this register.
    #[must_use]
    pub fn new(people: &MemoryPeople) -> Self {
        Self(people.clone())
    }

    /// Appends an entry, for another store in memory that makes a change. It fails exactly while the register is down, so
    /// such a store calls this before it changes anything.
    ///
    /// # Errors
    /// The register is down.
    pub fn record(&self, entry: AuditEntry) -> Result<(), BackendError> {
        self.0.transaction(|register| register.record(entry))
    }

    /// Says whether the register is up, for another store in memory that only reads.
    ///
    /// # Errors
    /// The register is down.
    pub fn ping(&self) -> Result<(), BackendError> {
        self.0.transaction(|_| ())
    }
}

#[async_trait]
impl AuditLog for MemoryAuditLog {
    async fn append(&self, entry: AuditEntry) -> Result<(), BackendError> {
        self.record(entry)
    }

    async fn list(&self, filter: AuditFilter) -> Result<Vec<AuditRecord>, BackendError> {
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        self.0.transaction(|register| {
            let matching = register.audit.iter().rev().filter(|record| matches(record, &filter));
            matching.take(limit).cloned().collect()
        })
    }
}

fn matches(record: &AuditRecord, filter: &AuditFilter) -> bool {
    let noun = record.action.split_once('.').map(|(noun, _)| noun);
    filter.friend.as_ref().is_none_or(|friend| record.friend.as_ref() == Some(friend))
        && filter.action.as_deref().is_none_or(|wanted| record.action == wanted || noun == Some(wanted))
        && filter.before.is_none_or(|before| record.id < before)
        && filter.since.is_none_or(|since| record.at >= since)
}
