//! Whether the database answers, and whether it is this version's.

use async_trait::async_trait;
use portal_core::{Backend, BackendError, Probe};

use super::Db;

/// Asks whether the database answers.
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

/// Asks whether every migration of this version has run.
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
