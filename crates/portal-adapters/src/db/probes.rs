//! Probes of the database: it answers, it takes writes, and its tables are this version's.

use async_trait::async_trait;
use portal_core::{Backend, BackendError, Probe};

use super::Db;

/// Checks that the database answers.
pub struct DbProbe(Db);

impl DbProbe {
    /// A probe of this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self(db)
    }
}

#[async_trait]
impl Probe for DbProbe {
    fn name(&self) -> &'static str {
        "database"
    }

    fn required(&self) -> bool {
        true
    }

    async fn probe(&self) -> Result<(), BackendError> {
        self.0.ping().await
    }
}

/// Checks that every migration of this version has run.
pub struct MigrationsProbe(Db);

impl MigrationsProbe {
    /// A probe of this database's tables.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self(db)
    }
}

#[async_trait]
impl Probe for MigrationsProbe {
    fn name(&self) -> &'static str {
        "migrations"
    }

    fn required(&self) -> bool {
        true
    }

    async fn probe(&self) -> Result<(), BackendError> {
        let pending = self.0.pending_migrations().await?;
        if pending.is_empty() {
            return Ok(());
        }
        Err(BackendError::unavailable(Backend::Database, format!("migrations have not run: {}", pending.join(", "))))
    }
}

/// Checks that the database takes writes. Not required: with a full disk the portal goes on reading.
pub struct WritesProbe(Db);

impl WritesProbe {
    /// A probe of this database's writes.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self(db)
    }
}

#[async_trait]
impl Probe for WritesProbe {
    fn name(&self) -> &'static str {
        "database-writes"
    }

    fn required(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<(), BackendError> {
        self.0.check_writes().await
    }
}
