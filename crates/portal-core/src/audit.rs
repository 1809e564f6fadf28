//! The audit log: a line per change and login.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{AgentId, BackendError, FriendId, Invalid};

/// Originator of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A friend, with their session.
    Friend(FriendId),
    /// An agent, with its token.
    Agent(AgentId),
    /// A person at the operator's tools, by their login name there.
    Operator(String),
}

impl Actor {
    /// Reads an actor as [`fmt::Display`] writes it.
    ///
    /// # Errors
    /// Refuses a text that is not `friend:<id>`, `agent:<id>` or `operator:<name>`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        // At the first colon: the login name of an operator may hold others.
        match text.split_once(':') {
            Some(("friend", id)) => FriendId::parse(id).map(Self::Friend),
            Some(("agent", id)) => AgentId::parse(id).map(Self::Agent),
            Some(("operator", name)) => Ok(Self::Operator(name.to_owned())),
            _ => Err(Invalid::new("actor", "actor must be friend:<id>, agent:<id> or operator:<name>")),
        }
    }
}

impl Actor {
    /// Returns the actor as friends may see it: without the login name of an operator.
    #[must_use]
    pub fn without_login_name(&self) -> String {
        match self {
            Self::Operator(_) => "operator".to_owned(),
            Self::Friend(_) | Self::Agent(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Friend(id) => write!(formatter, "friend:{id}"),
            Self::Agent(id) => write!(formatter, "agent:{id}"),
            Self::Operator(name) => write!(formatter, "operator:{name}"),
        }
    }
}

crate::word_enum! {
    /// An audited act, `<noun>.<verb>`. The words are stable: operators search for them.
    #[non_exhaustive]
    pub enum Action: "action" {
        /// A friend was registered.
        FriendCreate = "friend.create",
        /// A friend's name, channel or time zone was changed.
        FriendUpdate = "friend.update",
        /// A friend was removed with all that belongs to them.
        FriendRemove = "friend.remove",
        /// A friend's namespace was provisioned.
        FriendProvision = "friend.provision",
        /// A contact was added.
        ContactAdd = "contact.add",
        /// A contact was removed.
        ContactRemove = "contact.remove",
        /// An agent was registered.
        AgentCreate = "agent.create",
        /// An agent got a new token; the old one is void.
        AgentRotate = "agent.rotate",
        /// An agent was removed.
        AgentRemove = "agent.remove",
        /// A friendship was made or changed.
        FriendshipSet = "friendship.set",
        /// A session was issued: a login.
        SessionIssue = "session.issue",
        /// A login link was made.
        SessionLink = "session.link",
        /// A session was revoked.
        SessionRevoke = "session.revoke",
        /// A service was put on the internet, or its exposure changed.
        ExposureOpen = "exposure.open",
        /// An exposure is to be removed.
        ExposureClose = "exposure.close",
        /// An operator asked for an exposure to be repaired now.
        ExposureRepair = "exposure.repair",
        /// An operator had expired rows deleted.
        PortalPrune = "portal.prune",
        /// An operator deleted a record of ours that no exposure knows.
        OrphanDelete = "orphan.delete",
        /// A document was written.
        DocumentReplace = "document.replace",
        /// An earlier version of a document was restored.
        DocumentRestore = "document.restore",
        /// A job was created.
        JobCreate = "job.create",
        /// A job was deleted.
        JobDelete = "job.delete",
        /// A job was run by hand.
        JobRun = "job.run",
        /// A message to the agent was asked for, to be sent now.
        MessageSend = "message.send",
        /// A job's message, timing or another part was changed.
        JobUpdate = "job.update",
        /// A job was enabled or disabled.
        JobToggle = "job.toggle",
    }
}

/// One line of the audit log, before it is stored: who did what to which thing, and when.
///
/// It is written in the same transaction as the change it tells of, so that neither is ever there without the other.
/// It holds no contents, tokens or messages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// Time of the change.
    pub at: DateTime<Utc>,
    /// Originator.
    pub actor: Actor,
    /// Kind of the change.
    pub action: Action,
    /// Owner of what was changed, if it belongs to one friend.
    pub friend: Option<FriendId>,
    /// Name of what was changed: an exposure's, a document's or a job's name, a session's id.
    pub subject: String,
    /// The change in a few words fit for a terminal; empty where action and subject say it all.
    pub detail: String,
}

impl AuditEntry {
    /// Creates an entry about nobody's things and nothing in particular.
    #[must_use]
    pub fn new(at: DateTime<Utc>, actor: Actor, action: Action) -> Self {
        Self { at, actor, action, friend: None, subject: String::new(), detail: String::new() }
    }

    /// Adds the owner of what was changed.
    #[must_use]
    pub fn with_friend(mut self, friend: impl Into<Option<FriendId>>) -> Self {
        self.friend = friend.into();
        self
    }

    /// Adds the name of what was changed.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// Adds the change in a few words.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// A stored line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place in the log; later lines have larger numbers.
    pub id: i64,
    /// Time of the change.
    pub at: DateTime<Utc>,
    /// Originator.
    pub actor: Actor,
    /// Kind of the change, as [`Action::as_str`] wrote it at the time.
    pub action: String,
    /// Owner of what was changed.
    pub friend: Option<FriendId>,
    /// Name of what was changed.
    pub subject: String,
    /// The change in a few words.
    pub detail: String,
}

/// Which lines of the audit log are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only lines about this friend.
    pub friend: Option<FriendId>,
    /// Only lines with this action's word, or whose word begins with this noun and a dot.
    pub action: Option<String>,
    /// Only lines before this place in the log.
    pub before: Option<i64>,
    /// Only lines since then.
    pub since: Option<DateTime<Utc>>,
    /// At most so many lines, the newest; 0 means none.
    pub limit: u32,
}

/// The audit log. Lines that go with a change are written by the store that makes the change.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Appends a line for a change that no store of ours holds, such as a provisioned namespace.
    async fn append(&self, entry: AuditEntry) -> Result<(), BackendError>;
    /// The lines that match, newest first.
    async fn list(&self, filter: AuditFilter) -> Result<Vec<AuditRecord>, BackendError>;
}
