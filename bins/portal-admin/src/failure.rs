//! Why a command did not do what it was asked, and how it says so.

use std::io::Write;
use std::process::ExitCode;

use portal_core::{AgentId, BackendError, BoxError, FriendId, Invalid};
use serde_json::json;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Something about an argument is not as it would have to be; nothing was changed.
    #[error("{sentence}")]
    Refused {
        /// The argument, as the usage names it.
        argument: &'static str,
        /// What is wrong with it.
        sentence: String,
    },
    /// There is no portal as described.
    #[error("{0}")]
    Setup(#[source] BoxError),
    /// The database or the cluster could not be asked, or did not do what it was asked.
    #[error("{0}")]
    Port(#[from] BackendError),
    /// A zone could not be looked through, or a record not be deleted.
    #[error("{what}")]
    Zone {
        /// What was not done, with the domain's name.
        what: String,
        /// Why.
        source: BackendError,
    },
    /// The answer could not be written.
    #[error("the answer could not be written")]
    Output(#[source] std::io::Error),
}

impl Failure {
    /// An argument is refused.
    pub(crate) fn refused(argument: &'static str, sentence: impl Into<String>) -> Self {
        Self::Refused { argument, sentence: sentence.into() }
    }

    /// There is no such friend.
    pub(crate) fn unknown_friend(id: &FriendId) -> Self {
        Self::refused("FRIEND", format!("there is no friend {id}"))
    }

    /// There is no such agent.
    pub(crate) fn unknown_agent(id: &AgentId) -> Self {
        Self::refused("AGENT", format!("there is no agent {id}"))
    }

    /// A value that its rule refuses, given as this argument.
    pub(crate) fn invalid(argument: &'static str, invalid: Invalid) -> Self {
        Self::refused(argument, invalid.message)
    }

    /// Tells standard error and picks the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let argument = match self {
            Self::Refused { argument, .. } => Some(*argument),
            Self::Setup(_) | Self::Port(_) | Self::Zone { .. } | Self::Output(_) => None,
        };
        let causes = self.causes();
        let line = match (json, argument) {
            (true, _) => json!({"error": causes, "argument": argument}).to_string(),
            (false, Some(argument)) => format!("{argument}: {causes}"),
            (false, None) => causes,
        };
        // Nobody is left to tell if standard error is closed.
        writeln!(std::io::stderr(), "{line}").ok();
        ExitCode::from(match self {
            Self::Refused { .. } => 1,
            Self::Setup(_) => 2,
            Self::Port(_) | Self::Zone { .. } | Self::Output(_) => 3,
        })
    }

    /// What happened and why: the operator sees the chain that clients of the portal never do.
    fn causes(&self) -> String {
        let mut text = self.to_string();
        let mut next = match self {
            Self::Setup(source) => source.source(),
            Self::Port(source) => std::error::Error::source(source),
            Self::Refused { .. } | Self::Zone { .. } | Self::Output(_) => std::error::Error::source(self),
        };
        while let Some(cause) = next {
            text = format!("{text}: {cause}");
            next = cause.source();
        }
        text
    }
}
