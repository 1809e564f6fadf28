//! The operator's context: the portal's stores, and in whose name they are changed.

use std::cell::OnceCell;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use portal_core::{Action, Actor, AgentId, AuditEntry, FriendId};
use portal_runtime::admin::Admin;
use portal_runtime::config::{self, DatabaseSettings, Settings};

use crate::PortalLocation;
use crate::failure::Failure;

/// Longest login name that is written to the audit log, in characters.
const LOGIN_MAX: usize = 64;

/// The portal's stores, and in whose name they are changed.
pub(crate) struct AdminContext {
    admin: Admin,
    config: PathBuf,
    /// Read when the context was opened, unless the database was named instead.
    settings: OnceCell<Box<Settings>>,
    /// Actor of this command in the audit log.
    pub(crate) operator: Actor,
}

impl AdminContext {
    /// Opens the stores of the portal that `location` names, whose migrations must all have run.
    pub(crate) async fn open(location: PortalLocation) -> Result<Self, Failure> {
        let PortalLocation { config, database } = location;
        let settings = OnceCell::new();
        let database = if let Some(url) = database {
            // One command runs one query at a time.
            DatabaseSettings { url, url_file: None, max_connections: Some(1) }
        } else {
            let loaded = load(&config)?;
            settings.get_or_init(|| loaded).database.clone()
        };
        let admin = Admin::of_database(&database).map_err(|problem| Failure::Setup(Box::new(problem)))?;
        let pending = admin.pending_migrations().await?;
        // The queries of this version would fail half-way on older tables.
        if !pending.is_empty() {
            let lacking = format!("the database lacks {}; run portal-server migrate", pending.join(", "));
            return Err(Failure::Setup(lacking.into()));
        }
        Ok(Self { admin, config, settings, operator: Actor::Operator(login_name()) })
    }

    /// The portal's configuration, for commands that need more of it than the database.
    pub(crate) fn settings(&self) -> Result<&Settings, Failure> {
        match self.settings.get() {
            Some(settings) => Ok(settings),
            None => load(&self.config).map(|settings| &**self.settings.get_or_init(|| settings)),
        }
    }

    /// Returns the portal's configuration, unless the database was named instead of it.
    pub(crate) fn loaded_settings(&self) -> Option<&Settings> {
        self.settings.get().map(|settings| &**settings)
    }

    /// The line that goes with a change.
    pub(crate) fn audit(&self, action: Action, friend: Option<&FriendId>, subject: &str) -> AuditEntry {
        AuditEntry::new(self.clock.now(), self.operator.clone(), action)
            .with_friend(friend.cloned())
            .with_subject(subject)
    }

    /// Returns true if this agent is registered.
    pub(crate) async fn has_agent(&self, agent: &AgentId) -> Result<bool, Failure> {
        Ok(self.agents.list().await?.iter().any(|known| known.id == *agent))
    }

    /// Refuses a friend that nobody knows, for commands whose store would answer with an empty list.
    pub(crate) async fn known(&self, friend: &FriendId) -> Result<(), Failure> {
        match self.friends.find(friend).await? {
            Some(_) => Ok(()),
            None => Err(Failure::unknown_friend(friend)),
        }
    }
}

impl Deref for AdminContext {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        &self.admin
    }
}

fn load(config: &Path) -> Result<Box<Settings>, Failure> {
    config::load(config).map(Box::new).map_err(|problems| Failure::Setup(Box::new(problems)))
}

/// The name of whoever is logged in; the person's own where they became somebody else by sudo.
fn login_name() -> String {
    // Under sudo the others say root; the audit log wants the person.
    let name = ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(std::env::var_os);
    let name = name.map(|name| name.to_string_lossy().into_owned()).filter(|name| !name.is_empty());
    let printable = |letter: &char| !letter.is_control();
    name.map_or_else(|| "unknown".to_owned(), |name| name.chars().filter(printable).take(LOGIN_MAX).collect())
}
