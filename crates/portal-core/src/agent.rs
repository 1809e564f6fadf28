//! The agents that work for friends.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{AgentId, AuditEntry, BackendError, TokenHash};

/// An agent known to the portal. Its token is stored only as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Id, unique in this portal.
    pub id: AgentId,
    /// Time of registration.
    pub created_at: DateTime<Utc>,
}

/// The register of agents.
#[async_trait]
pub trait AgentStore: Send + Sync {
    /// Every agent, sorted by id.
    async fn list(&self) -> Result<Vec<Agent>, BackendError>;
    /// The agent whose token has this hash.
    async fn find_by_token(&self, token: &TokenHash) -> Result<Option<Agent>, BackendError>;
    /// Registers an agent with its token's hash; `false` if there is one of that id, which stays as it was.
    async fn create(&self, agent: Agent, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError>;
    /// Gives an agent another token, which voids the one before; `false` if there is no such agent.
    async fn rotate(&self, id: &AgentId, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError>;
    /// Removes an agent with its friendships, sessions and jobs; `false` if there is no such agent.
    async fn remove(&self, id: &AgentId, audit: AuditEntry) -> Result<bool, BackendError>;
}
