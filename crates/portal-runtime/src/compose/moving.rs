//! Moving an agent's jobs from the portal into its gateway.
//!
//! 1. A job is made in the gateway, disabled. One that is there already, the same in every part, is taken for it.
//! 2. The portal's own is disabled.
//! 3. The gateway's is enabled, if the portal's was and the friendship is active.
//!
//! So a job is never due in both places, and a command that was interrupted goes on where it stopped.

use std::sync::Arc;

use portal_adapters::db::Db;
use portal_adapters::openclaw::{GatewayEngine, GatewayOf};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{
    Action, Actor, AgentId, AuditEntry, Backend, BackendError, Clock, FriendId, Friendship, FriendshipKey,
    FriendshipStatus, Ids, Invalid,
};
use portal_cron::{
    EmbeddedEngine, Engine, EngineRefusal, JOBS_PER_FRIEND, Job, JobCreated, JobSpec, JobUpdated, SessionKeys,
    TimingKind,
};

use super::engines::{self, EngineParts, GatewayJobs};
use super::gateways::Gateways;
use crate::command_error::CommandError;
use crate::config::{EngineKind, Settings};

/// A job that was moved, or is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedJob {
    /// Its owner.
    pub friend: FriendId,
    /// Its name.
    pub name: String,
    /// What became of it, in words.
    pub outcome: String,
}

/// Moves the agent's jobs into its gateway, in the name of `actor`; without `apply` only says which ones.
///
/// # Errors
/// An agent whose engine is another one, settings that an adapter refuses, or a failure of the database.
pub(crate) async fn move_jobs(
    db: &Db,
    settings: &Settings,
    agent: &AgentId,
    actor: &Actor,
    apply: bool,
) -> Result<Vec<MovedJob>, CommandError> {
    let configured = settings.agents.iter().find(|known| known.id == *agent);
    if configured.is_none_or(|agent| agent.engine != EngineKind::Openclaw) {
        return Err(
            Invalid::new("agents", format!("agent {agent} needs engine = \"openclaw\" in the configuration")).into()
        );
    }
    let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::new(SystemClock), Arc::new(RandomIds));
    let gateways = Arc::new(Gateways::start(&settings.agents)?);
    let gateway_of: GatewayOf = Arc::new(move |agent| gateways.of(agent));
    let scopes = Arc::new(portal_adapters::openclaw::GatewayScopes::new(gateway_of.clone()));
    let keys = SessionKeys::new(db.contacts(), db.friends(), settings.jobs.channels.clone()).with_scopes(scopes);
    let instance = db.instance(&*ids).await?;
    let jobs = GatewayJobs { agents: engines::in_gateway(&settings.agents), gateway_of, instance };
    let parts = EngineParts { db, keys: &Arc::new(keys), clock: &clock, ids: &ids };
    let to = jobs.engine(agent.clone(), &parts);
    let from = EmbeddedEngine::new(db.jobs(), settings.time_zones.clone(), clock.clone(), ids.clone());
    let mover = Mover { from, to, clock, actor, apply };
    let mut jobs = Vec::new();
    for friendship in db.friendships().of_agent(agent).await? {
        jobs.extend(mover.move_all(&friendship).await?);
    }
    Ok(jobs)
}

struct Mover<'a> {
    from: EmbeddedEngine,
    to: GatewayEngine,
    clock: Arc<dyn Clock>,
    actor: &'a Actor,
    apply: bool,
}

impl Mover<'_> {
    async fn move_all(&self, friendship: &Friendship) -> Result<Vec<MovedJob>, BackendError> {
        let owner = FriendshipKey { friend: friendship.friend.clone(), agent: friendship.agent.clone() };
        let mut moved = Vec::new();
        for job in self.from.list(&owner).await? {
            // A message that was sent, or a moment that has passed.
            if !job.enabled && matches!(job.spec.timing.kind, TimingKind::At(_)) {
                continue;
            }
            let (friend, name) = (owner.friend.clone(), job.spec.name.to_string());
            let outcome = if self.apply {
                match self.move_one(job, friendship.status).await {
                    Ok(outcome) => outcome,
                    // The others go on; the command can be repeated.
                    Err(error) => format!("not moved: {error}: {}", error.source),
                }
            } else {
                "would be moved".to_owned()
            };
            moved.push(MovedJob { friend, name, outcome });
        }
        Ok(moved)
    }

    async fn move_one(&self, job: Job, status: FriendshipStatus) -> Result<String, BackendError> {
        let (owner, spec, enabled) = (job.owner.clone(), job.spec.clone(), job.enabled);
        let made = match self.to.import(&owner, spec.clone(), self.audit(&job, Action::JobCreate)).await? {
            JobCreated::New(made) => made,
            refused => return Ok(format!("not moved: {}", why(&refused))),
        };
        if enabled {
            let audit = self.audit(&job, Action::JobToggle);
            match self.from.update(job.clone(), spec, false, audit).await? {
                JobUpdated::Done(_) | JobUpdated::Absent => {}
                JobUpdated::Stale | JobUpdated::Refused(_) => {
                    return Ok("made, and left disabled: it is being changed here; repeat the command".to_owned());
                }
            }
        }
        if !enabled || made.enabled {
            return Ok("moved".to_owned());
        }
        if status != FriendshipStatus::Active {
            return Ok("moved, and left disabled: the friendship is not active".to_owned());
        }
        self.enable(&owner, &made.spec, &job).await
    }

    async fn enable(&self, owner: &FriendshipKey, spec: &JobSpec, job: &Job) -> Result<String, BackendError> {
        let found = self.to.find(owner, spec.name.as_str()).await?;
        let found = found.ok_or_else(|| BackendError::failed(Backend::Gateway, "the new job is gone"))?;
        let spec = found.spec.clone();
        Ok(match self.to.update(found, spec, true, self.audit(job, Action::JobToggle)).await? {
            JobUpdated::Done(_) => "moved".to_owned(),
            _ => "moved, and left disabled: it is being changed there".to_owned(),
        })
    }

    fn audit(&self, job: &Job, action: Action) -> AuditEntry {
        AuditEntry::new(self.clock.now(), self.actor.clone(), action)
            .with_friend(job.owner.friend.clone())
            .with_subject(job.spec.name.as_str())
            .with_detail(format!("agent {}, moved into its gateway", job.owner.agent))
    }
}

fn why(refused: &JobCreated) -> String {
    match refused {
        JobCreated::NameTaken => "the gateway has another job of this name".to_owned(),
        JobCreated::LimitReached => format!("the friend has {JOBS_PER_FRIEND} jobs there"),
        JobCreated::Refused(EngineRefusal::GatewayTooOld) => "the gateway is too old".to_owned(),
        _ => "the friendship has ended".to_owned(),
    }
}
