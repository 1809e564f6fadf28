//! The portal's stores for the operator's commands, whether or not a portal is running.

use std::path::Path;
use std::sync::Arc;

use portal_adapters::db::Db;
use portal_adapters::kube::{KubeNamespaces, connect};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{
    Actor, AgentId, AgentStore, AuditLog, BackendError, Clock, ContactStore, FriendStore, FriendshipStore, Ids,
    Invalid, Logins, RetentionStore, Sessions,
};
use portal_dns::{ExposureStore, InstanceId, OrphanPorts, Orphans};
use portal_k8s::Namespaces;

use crate::check::{CheckStatus, Finding};
use crate::command_error::CommandError;
use crate::compose;
pub use crate::compose::{MoveJobs, MovedJob};
use crate::config::{DatabaseSettings, Settings};
pub use crate::signing::DeviceKey;

/// The stores of one portal.
pub struct Admin {
    /// The register of friends.
    pub friends: Arc<dyn FriendStore>,
    /// The friends' addresses on channels.
    pub contacts: Arc<dyn ContactStore>,
    /// The register of agents.
    pub agents: Arc<dyn AgentStore>,
    /// Which agent works for which friend.
    pub friendships: Arc<dyn FriendshipStore>,
    /// Logins.
    pub sessions: Sessions,
    /// Login links.
    pub logins: Logins,
    /// Exposures.
    pub exposures: Arc<dyn ExposureStore>,
    /// The audit log.
    pub audit_log: Arc<dyn AuditLog>,
    /// Deletion of expired rows.
    pub retention: Arc<dyn RetentionStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub ids: Arc<dyn Ids>,
    db: Db,
}

impl Admin {
    /// The stores in this database; connects to nothing yet. To be called on a multi-thread runtime.
    ///
    /// # Errors
    /// Refuses a url that names no database.
    pub fn of_database(settings: &DatabaseSettings) -> Result<Self, Invalid> {
        let db = compose::database(settings)?;
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::new(SystemClock), Arc::new(RandomIds));
        Ok(Self {
            friends: db.friends(),
            contacts: db.contacts(),
            agents: db.agents(),
            friendships: db.friendships(),
            sessions: Sessions::new(db.sessions(), clock.clone(), ids.clone()),
            logins: Logins::new(db.logins(), clock.clone(), ids.clone()),
            exposures: db.exposures(),
            audit_log: db.audit_log(),
            retention: db.retention(),
            clock,
            ids,
            db,
        })
    }

    /// The migrations that the database still lacks; nothing may be done before they ran.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, BackendError> {
        self.db.pending_migrations().await
    }

    /// Asks the gateway of a configured agent; returns what has to be done there, in words.
    pub async fn gateway_problems(&self, settings: &Settings, agent: &AgentId) -> Vec<String> {
        let agents: Vec<_> = settings.agents.iter().filter(|known| known.id == *agent).cloned().collect();
        let findings = compose::check_gateways(&agents, &self.db).await;
        let problem = |finding: Finding| match finding.status {
            CheckStatus::Ok => None,
            CheckStatus::Warning(why) | CheckStatus::Failed(why) => Some(format!("{}: {why}", finding.name)),
        };
        findings.into_iter().filter_map(problem).collect()
    }

    /// Moves an agent's jobs from the portal into its gateway or back, in the name of `actor`. May be repeated.
    ///
    /// # Errors
    /// An agent whose engine is not the one of the new place, settings that an adapter refuses, or a failure of the database
    /// or the gateway.
    pub async fn move_jobs(
        &self,
        settings: &Settings,
        agent: &AgentId,
        actor: &Actor,
        command: MoveJobs,
    ) -> Result<Vec<MovedJob>, CommandError> {
        compose::move_jobs(&self.db, settings, agent, actor, command).await
    }

    /// The records in the configured zones that carry this portal's marker and that the database does not know. The
    /// calls that are made count beside those of a running portal.
    ///
    /// # Errors
    /// Settings that a provider refuses, or a failure of the database.
    pub async fn orphans(&self, settings: &Settings) -> Result<Orphans, CommandError> {
        let zones = compose::zones(settings, &self.clock)?;
        let instance = InstanceId::parse(&self.db.instance(&*self.ids).await?)?;
        let ports = OrphanPorts {
            store: self.exposures.clone(),
            audit_log: self.audit_log.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        };
        Ok(Orphans::new(ports, instance, zones))
    }
}

/// The namespaces of the cluster of a kubeconfig; without one, of the operator's usual one. Nothing is asked of the
/// cluster yet. Whoever signs in by it needs the role of `deploy/provisioner`.
///
/// # Errors
/// A kubeconfig that cannot be used.
pub async fn namespaces(kubeconfig: Option<&Path>) -> Result<Arc<dyn Namespaces>, BackendError> {
    Ok(Arc::new(KubeNamespaces::new(connect(kubeconfig).await?)))
}
