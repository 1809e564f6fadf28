//! Agents, in memory.

use async_trait::async_trait;
use portal_core::{Agent, AgentId, AgentStore, AuditEntry, BackendError, TokenHash};

use super::MemoryPeople;

/// The register of agents, in memory.
#[derive(Clone)]
pub struct MemoryAgents(MemoryPeople);

impl MemoryAgents {
    /// The agents of this register.
    #[must_use]
    pub fn new(people: &MemoryPeople) -> Self {
        Self(people.clone())
    }
}

#[async_trait]
impl AgentStore for MemoryAgents {
    async fn list(&self) -> Result<Vec<Agent>, BackendError> {
        self.0.transaction(|register| register.agents.values().map(|(agent, _)| agent.clone()).collect())
    }

    async fn find_by_token(&self, token: &TokenHash) -> Result<Option<Agent>, BackendError> {
        self.0.transaction(|register| {
            register.agents.values().find(|(_, kept)| kept == token).map(|(agent, _)| agent.clone())
        })
    }

    async fn create(&self, agent: Agent, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError> {
        self.0.transaction(|register| {
            if register.agents.contains_key(&agent.id) {
                return false;
            }
            register.agents.insert(agent.id.clone(), (agent, token));
            register.record(audit);
            true
        })
    }

    async fn rotate(&self, id: &AgentId, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError> {
        self.0.transaction(|register| {
            let Some((_, kept)) = register.agents.get_mut(id) else { return false };
            *kept = token;
            register.record(audit);
            true
        })
    }

    async fn remove(&self, id: &AgentId, audit: AuditEntry) -> Result<bool, BackendError> {
        self.0.transaction(|register| {
            if register.agents.remove(id).is_none() {
                return false;
            }
            register.friendships.retain(|key, _| key.agent != *id);
            register.sessions.retain(|_, (_, kept)| kept.session.agent != *id);
            register.retain_jobs(|job| job.owner.agent != *id);
            register.documents.retain(|path, _| path.agent() != id);
            register.record(audit);
            true
        })
    }
}
