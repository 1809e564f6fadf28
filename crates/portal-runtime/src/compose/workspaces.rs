//! The agents' folders, from the configuration.

use std::sync::Arc;

use async_trait::async_trait;
use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_core::{AgentId, BackendError, FriendshipStatus, FriendshipStore, Probe};

use crate::check::{CheckStatus, Finding, with_timeout};
use crate::config::AgentSettings;

/// The folders of these agents.
pub(crate) fn files(agents: &[AgentSettings]) -> DiskFiles {
    let roots =
        agents.iter().fold(AgentRoots::default(), |roots, agent| roots.with(agent.id.clone(), &agent.workspace));
    DiskFiles::new(roots)
}

/// Probe of the agents' folders.
pub(crate) struct WorkspacesProbe {
    pub(crate) files: DiskFiles,
    pub(crate) agents: Vec<AgentId>,
}

#[async_trait]
impl Probe for WorkspacesProbe {
    fn name(&self) -> &'static str {
        "workspaces"
    }

    fn required(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<(), BackendError> {
        for agent in &self.agents {
            self.files.reach(agent).await?;
        }
        Ok(())
    }
}

/// Checks that each agent's folder can be written without losing the agent's own writes, and which friends share a
/// HEARTBEAT.md.
pub(crate) async fn check(agents: &[AgentSettings], friendships: Arc<dyn FriendshipStore>) -> Vec<Finding> {
    let files = files(agents);
    let mut findings = Vec::new();
    for AgentSettings { id, .. } in agents {
        findings.push(with_timeout(format!("workspace of {id}"), exchanges(&files, id)).await);
        findings.push(with_timeout(format!("friends of {id}"), shares(&*friendships, id)).await);
    }
    findings
}

async fn exchanges(files: &DiskFiles, agent: &AgentId) -> Result<CheckStatus, BackendError> {
    // Without the folder the second question has no answer.
    files.reach(agent).await?;
    if files.exchanges(agent).await? {
        return Ok(CheckStatus::Ok);
    }
    let why = "this file system cannot exchange two files in one step: what the agent writes in the instant in which a \
               friend's text is put in place is lost";
    Ok(CheckStatus::Warning(why.to_owned()))
}

async fn shares(friendships: &dyn FriendshipStore, agent: &AgentId) -> Result<CheckStatus, BackendError> {
    let friendships = friendships.of_agent(agent).await?;
    let active = friendships.iter().filter(|friendship| friendship.status == FriendshipStatus::Active);
    let sharing: Vec<_> = active.map(|friendship| friendship.friend.as_str()).collect();
    // One friend may share with nobody, whoever else is inactive.
    if sharing.len() < 2 {
        return Ok(CheckStatus::Ok);
    }
    Ok(CheckStatus::Warning(format!("{} share one HEARTBEAT.md", sharing.join(", "))))
}
