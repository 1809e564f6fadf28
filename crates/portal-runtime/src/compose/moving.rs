//! Moving an agent's jobs from the portal into its gateway, and back.
//!
//! 1. A job is made in the new place, disabled. One that is there already, the same in every part, is taken for it.
//! 2. The one in the old place is disabled.
//! 3. The one in the new place is enabled, if the one in the old place was.
//!
//! So a job is never due in both places. A command that was interrupted goes on where it stopped: the audit log says of a
//! job that is disabled in both places whether it was to be enabled.

mod back;
mod into;
mod mover;

use std::sync::Arc;

use portal_adapters::db::Db;
use portal_adapters::openclaw::{GatewayOf, GatewayScopes};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{Actor, AgentId, Clock, Ids, Invalid};
use portal_cron::{EmbeddedEngine, SessionKeys};

use self::mover::Mover;
pub use self::mover::{MoveJobs, MovedJob};
use super::engines::{self, EngineParts, GatewayJobs};
use super::gateways::Gateways;
use crate::command_error::CommandError;
use crate::config::{EngineKind, Settings};

/// Moves the agent's jobs in the name of `actor`, or only says which ones.
///
/// # Errors
/// An agent whose configuration is not that of the new place, settings that an adapter refuses, or a failure of the database
/// or the gateway.
pub(crate) async fn move_jobs(
    db: &Db,
    settings: &Settings,
    agent: &AgentId,
    actor: &Actor,
    command: MoveJobs,
) -> Result<Vec<MovedJob>, CommandError> {
    let configured = settings.agents.iter().find(|known| known.id == *agent);
    let (engine, name) =
        if command.back { (EngineKind::Embedded, "embedded") } else { (EngineKind::Openclaw, "openclaw") };
    if configured.is_none_or(|agent| agent.engine != engine || agent.gateway.is_none()) {
        let needs = format!("agent {agent} needs engine = \"{name}\" and agents.gateway in the configuration");
        return Err(Invalid::new("agents", needs).into());
    }
    let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::new(SystemClock), Arc::new(RandomIds));
    let gateways = Arc::new(Gateways::start(&settings.agents)?);
    let gateway_of: GatewayOf = Arc::new(move |agent| gateways.of(agent));
    let scopes = Arc::new(GatewayScopes::new(gateway_of.clone()));
    let keys = SessionKeys::new(db.contacts(), db.friends(), settings.jobs.channels.clone()).with_scopes(scopes);
    let keys = Arc::new(keys);
    let instance = db.instance(&*ids).await?;
    let jobs = GatewayJobs { agents: engines::in_gateway(&settings.agents), gateway_of, instance };
    let parts = EngineParts { db, keys: &keys, clock: &clock, ids: &ids };
    let mover = Mover {
        gateway: jobs.engine(agent.clone(), &parts),
        portal: EmbeddedEngine::new(db.jobs(), settings.time_zones.clone(), clock.clone(), ids.clone()),
        pauses: db.remote(),
        audit_log: db.audit_log(),
        zones: settings.time_zones.clone(),
        keys,
        clock,
        actor,
        command,
    };
    let mut jobs = Vec::new();
    for friendship in db.friendships().of_agent(agent).await? {
        jobs.extend(if command.back {
            mover.move_back(&friendship).await?
        } else {
            mover.move_into(&friendship).await?
        });
    }
    Ok(jobs)
}
