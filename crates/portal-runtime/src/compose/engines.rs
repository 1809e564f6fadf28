//! The agents whose jobs are kept by their gateways.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portal_adapters::db::Db;
use portal_adapters::openclaw::{GatewayEngine, GatewayEnginePorts, GatewayOf};
use portal_core::{AgentId, BackendError, Clock, Ids};
use portal_cron::{Engines, SessionKeys};

use crate::background::BackgroundTasks;
use crate::check::CheckStatus;
use crate::config::{AgentSettings, EngineKind};

/// Period at which the ends of runs are looked for while some are open.
const FOLLOW_TICK: Duration = Duration::from_secs(2);

/// Period at which jobs are paused whose friendship is not active any more.
const PAUSE_TICK: Duration = Duration::from_secs(30);

/// Agents whose jobs are kept by their gateways.
pub struct GatewayJobs {
    /// The agents.
    pub agents: BTreeSet<AgentId>,
    /// Their gateways.
    pub gateway_of: GatewayOf,
    /// The portal's instance, by which it knows the jobs that it made.
    pub instance: String,
}

/// Parts of a portal with which its engines work.
pub(super) struct EngineParts<'a> {
    pub(super) db: &'a Db,
    pub(super) keys: &'a Arc<SessionKeys>,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) ids: &'a Arc<dyn Ids>,
}

impl GatewayJobs {
    /// Returns the engine of an agent.
    pub(super) fn engine(&self, agent: AgentId, parts: &EngineParts<'_>) -> GatewayEngine {
        let needed = GatewayEnginePorts {
            gateway_of: self.gateway_of.clone(),
            keys: parts.keys.clone(),
            store: parts.db.remote(),
            friendships: parts.db.friendships(),
            clock: parts.clock.clone(),
            ids: parts.ids.clone(),
            instance: self.instance.clone(),
        };
        GatewayEngine::new(agent, needed)
    }

    /// Returns `engines` with one for each agent, whose runs are followed from now on.
    pub(super) fn engines(self, engines: Engines, tasks: &mut BackgroundTasks, parts: &EngineParts<'_>) -> Engines {
        self.agents.iter().fold(engines, |engines, agent| {
            let engine = self.engine(agent.clone(), parts);
            let follower = engine.clone();
            tasks.repeat("runs in gateways", FOLLOW_TICK, None, move || {
                let follower = follower.clone();
                async move { follower.follow_runs().await }
            });
            let pauser = engine.clone();
            tasks.repeat("pauses in gateways", PAUSE_TICK, None, move || {
                let pauser = pauser.clone();
                async move { pauser.pause_jobs().await }
            });
            engines.with(agent.clone(), Arc::new(engine))
        })
    }
}

/// Returns the agents whose jobs are kept by their gateways.
pub(super) fn in_gateway(agents: &[AgentSettings]) -> BTreeSet<AgentId> {
    agents.iter().filter(|agent| agent.engine == EngineKind::Openclaw).map(|agent| agent.id.clone()).collect()
}

/// Fails if jobs of these agents are still kept and run by the portal: nobody would see them, and they would go on.
pub(super) async fn left_behind(db: &Db, agents: &BTreeSet<AgentId>) -> Result<CheckStatus, BackendError> {
    for agent in agents {
        let count = db.enabled_jobs(agent).await?;
        if count > 0 {
            return Ok(CheckStatus::Failed(format!(
                "{count} enabled job(s) of agent {agent} are kept by the portal, and its engine is openclaw now: move them \
                 by `portal-admin jobs move {agent}`, or set its engine to embedded"
            )));
        }
    }
    Ok(CheckStatus::Ok)
}
