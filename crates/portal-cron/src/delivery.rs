//! How a message reaches its receiver.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_core::{BackendError, FriendshipKey};

use crate::{SessionKey, Thinking, Trigger};

/// A job's message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledMessage {
    /// The run, and the key by which a receiver knows a message that it was sent before.
    pub run: String,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// The job's id.
    pub job: String,
    /// The job's name.
    pub name: String,
    /// Whose job it is.
    pub owner: FriendshipKey,
    /// The conversation in which it is said.
    pub session: SessionKey,
    /// What is said.
    pub text: String,
    /// Why.
    pub trigger: Trigger,
    /// The instant at which it was due.
    pub due_at: DateTime<Utc>,
    /// How hard the agent should think.
    pub thinking: Option<Thinking>,
    /// How long the agent may take, in seconds.
    pub timeout_seconds: Option<u16>,
}

/// What a receiver said to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// It has it, and answers for it from now on.
    Accepted,
    /// It does not want it, now or ever; why, as a clause fit for the friend.
    Refused(String),
}

/// The way to a receiver.
#[async_trait]
pub trait Delivery: Send + Sync {
    /// Hands over a message. An error means that the receiver may or may not have it, so it is handed over again under
    /// the same run; a way that can tells the receiver the run, so that it can leave out what it has.
    async fn deliver(&self, message: &ScheduledMessage) -> Result<Receipt, BackendError>;
}
