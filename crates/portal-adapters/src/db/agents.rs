//! The register of agents, in the database.

use async_trait::async_trait;
use portal_core::{Agent, AgentId, AgentStore, AuditEntry, BackendError, TokenHash};

use super::Db;

/// The register of agents, in the database.
#[derive(Clone)]
pub struct DbAgents(Db);

impl DbAgents {
    /// The store in this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self(db)
    }
}

#[async_trait]
impl AgentStore for DbAgents {
    async fn list(&self) -> Result<Vec<Agent>, BackendError> {
        ask!(self.0, read, agents::list())
    }

    async fn find_by_token(&self, token: &TokenHash) -> Result<Option<Agent>, BackendError> {
        let token = *token;
        ask!(self.0, read, agents::find_by_token(&token))
    }

    async fn create(&self, agent: Agent, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError> {
        ask!(self.0, write, agents::create(&agent, &token, &audit))
    }

    async fn rotate(&self, id: &AgentId, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError> {
        let id = id.clone();
        ask!(self.0, write, agents::rotate(&id, &token, &audit))
    }

    async fn remove(&self, id: &AgentId, audit: AuditEntry) -> Result<bool, BackendError> {
        let id = id.clone();
        ask!(self.0, write, agents::remove(&id, &audit))
    }
}
