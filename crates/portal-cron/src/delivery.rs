//! The way of a message to its receiver.

use async_trait::async_trait;
use portal_core::{BackendError, Contact};

use crate::{LeasedRun, SessionKey};

/// A receiver's answer to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// The receiver has the message and is responsible for it from now on.
    Accepted,
    /// The receiver does not want it, now or ever; the reason, as a clause for the friend.
    Refused(String),
}

/// A way to a receiver.
#[async_trait]
pub trait Delivery: Send + Sync {
    /// Hands over the message of `run`, to be said in the conversation `session`; the agent's answer goes to `answer`,
    /// or nowhere.
    ///
    /// # Errors
    /// The receiver may or may not have the message, so it is handed over again under the same run id; a way that can
    /// tells the receiver that id, so that it can leave out what it has.
    async fn deliver(
        &self,
        run: &LeasedRun,
        session: &SessionKey,
        answer: Option<&Contact>,
    ) -> Result<Receipt, BackendError>;
}
