//! Errors of commands, their output and exit codes.

use std::io::Write;
use std::process::ExitCode;

use portal_core::{AgentId, BackendError, BoxError, FriendId, Invalid, code, error_text};
use serde_json::json;

/// Error of a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Something about an argument is not as it would have to be; nothing was changed.
    #[error("{sentence}")]
    Refused {
        /// The argument, as the usage names it.
        argument: &'static str,
        /// The word that programs act on, from [`code`].
        code: &'static str,
        /// The rule that it breaks.
        sentence: String,
    },
    /// There is no portal as described.
    #[error(transparent)]
    Setup(BoxError),
    /// The database or the cluster could not be asked, or did not do what it was asked.
    #[error(transparent)]
    Port(#[from] BackendError),
    /// A zone could not be looked through, or a record not be deleted.
    #[error("{what}")]
    Zone {
        /// The action that failed, with the domain's name.
        what: String,
        /// Its cause.
        source: BackendError,
    },
    /// The answer could not be written.
    #[error("the answer could not be written")]
    Output(#[source] std::io::Error),
}

impl Failure {
    /// Refuses an argument.
    pub(crate) fn refused(argument: &'static str, sentence: impl Into<String>) -> Self {
        Self::coded(argument, code::VALUE_INVALID, sentence)
    }

    /// Refuses an argument with a code that says more than that.
    pub(crate) fn coded(argument: &'static str, code: &'static str, sentence: impl Into<String>) -> Self {
        Self::Refused { argument, code, sentence: sentence.into() }
    }

    /// There is no such friend.
    pub(crate) fn unknown_friend(id: &FriendId) -> Self {
        Self::coded("FRIEND", code::FRIEND_NOT_FOUND, format!("there is no friend {id}"))
    }

    /// There is no such agent.
    pub(crate) fn unknown_agent(id: &AgentId) -> Self {
        Self::coded("AGENT", code::AGENT_NOT_FOUND, format!("there is no agent {id}"))
    }

    /// A value that its rule refuses, given as this argument.
    pub(crate) fn invalid(argument: &'static str, invalid: Invalid) -> Self {
        Self::refused(argument, invalid.message)
    }

    /// Returns the word that programs act on, where the list has one.
    fn code(&self) -> Option<&'static str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Port(error) | Self::Zone { source: error, .. } => Some(error.code()),
            Self::Setup(_) | Self::Output(_) => None,
        }
    }

    /// Writes to standard error and picks the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let argument = match self {
            Self::Refused { argument, .. } => Some(*argument),
            Self::Setup(_) | Self::Port(_) | Self::Zone { .. } | Self::Output(_) => None,
        };
        let causes = error_text(self);
        let line = match (json, argument) {
            (true, _) => json!({"error": causes, "argument": argument, "code": self.code()}).to_string(),
            (false, Some(argument)) => format!("{argument}: {causes}"),
            (false, None) => causes,
        };
        // Nobody is left to tell if standard error is closed.
        writeln!(std::io::stderr(), "{line}").ok();
        // Scripts tell refusals (1) from failures (3) that may be tried again.
        ExitCode::from(match self {
            Self::Refused { .. } => 1,
            Self::Setup(_) => 2,
            Self::Port(_) | Self::Zone { .. } | Self::Output(_) => 3,
        })
    }
}
