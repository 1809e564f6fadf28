//! The agents' folders, from the configuration.

use std::sync::Arc;

use async_trait::async_trait;
use portal_adapters::files::{AgentRoots, DiskFiles, WorkspaceReport};
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

/// Checks that each agent's folder can be written without losing what the agent writes, that agent and portal can
/// write each other's files, and names the friends who share a HEARTBEAT.md.
pub(crate) async fn check(agents: &[AgentSettings], friendships: Arc<dyn FriendshipStore>) -> Vec<Finding> {
    let files = files(agents);
    let mut findings = Vec::new();
    for AgentSettings { id, .. } in agents {
        findings.push(with_timeout(format!("workspace of {id}"), examined(&files, id)).await);
        findings.push(with_timeout(format!("friends of {id}"), shares(&*friendships, id)).await);
    }
    findings
}

async fn examined(files: &DiskFiles, agent: &AgentId) -> Result<CheckStatus, BackendError> {
    // Without the folder the second question has no answer.
    files.reach(agent).await?;
    let warnings = warnings(&files.examine(agent).await?);
    Ok(if warnings.is_empty() { CheckStatus::Ok } else { CheckStatus::Warning(warnings.join("; ")) })
}

fn warnings(report: &WorkspaceReport) -> Vec<String> {
    let mut warnings = Vec::new();
    if !report.exchanges {
        let text = "this file system cannot exchange two files in one step: what the agent writes in the instant in which \
                    a friend's text is installed is lost";
        warnings.push(text.to_owned());
    }
    let WorkspaceReport { portal_uid, agent_uid, .. } = report;
    // Root gives what it creates to the folder's owner.
    if portal_uid != agent_uid && *portal_uid != 0 {
        warnings.push(format!(
            "the portal runs as uid {portal_uid} and the folder belongs to uid {agent_uid}: the agent may be unable to \
             write what the portal creates; set runAsUser: {agent_uid}"
        ));
    }
    if let Some((first, others)) = report.mount_points.split_first() {
        let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        warnings.push(format!(
            "{first}{more} is a mount point and is overwritten in place: mount its folder instead, so that the agent never \
             reads half a text"
        ));
    }
    warnings
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

#[cfg(test)]
mod tests {
    use super::{WorkspaceReport, warnings};

    #[track_caller]
    fn check(report: &WorkspaceReport, expected: &[&str]) {
        let warnings = warnings(report);
        assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
        for (warning, part) in warnings.iter().zip(expected) {
            assert!(warning.contains(part), "{warning}");
        }
    }

    #[test]
    fn an_operator_hears_which_user_to_run_as_and_what_is_a_mount_point() {
        let fine = WorkspaceReport { exchanges: true, portal_uid: 1000, agent_uid: 1000, mount_points: Vec::new() };
        check(&fine, &[]);
        check(&WorkspaceReport { portal_uid: 0, ..fine.clone() }, &[]);
        check(&WorkspaceReport { agent_uid: 1001, ..fine.clone() }, &["runAsUser: 1001"]);
        let mount_points = vec!["HEARTBEAT.md".to_owned(), "friends/alice/MEMORY.md".to_owned()];
        check(
            &WorkspaceReport { exchanges: false, mount_points, ..fine },
            &["cannot exchange", "HEARTBEAT.md and 1 more is a mount point"],
        );
    }
}
