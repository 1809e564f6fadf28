//! Errors of job operations.

use std::time::Duration;

use portal_core::{BackendError, Invalid, code};

use crate::EngineRefusal;

portal_core::word_enum! {
    /// A member that other schedulers know and this one does not.
    pub enum Unsupported: "member" {
        /// Announcing the agent's answer.
        Announce = "announce",
        /// The receiver of an announcement.
        To = "to",
        /// The channel of an announcement.
        Channel = "channel",
        /// The model to use.
        Model = "model",
    }
}

impl Unsupported {
    /// Returns the refusal, which names the member and what to do instead.
    #[must_use]
    pub fn refusal(self) -> Invalid {
        let instead = match self {
            Self::Announce | Self::To | Self::Channel => {
                "use answer_to, chat for your own address or nowhere; name the conversation in session, such as \
                 agent:main:signal:direct:+15550100 for your own contact"
            }
            Self::Model => "the agent's own model is used; thinking says how hard it should think",
        };
        Invalid::new(self.as_str(), format!("{} is not supported: {instead}", self.as_str()))
    }
}

/// Error of a job operation.
#[derive(Debug, thiserror::Error)]
pub enum CronError {
    /// A value breaks its rule.
    #[error("a value was refused")]
    Invalid(#[from] Invalid),
    /// A member that only other schedulers have.
    #[error("the member {} is not supported", .0.as_str())]
    Unsupported(Unsupported),
    /// The session is not the caller's own.
    #[error("the session is not the caller's own")]
    NotOwned,
    /// The owner has no such job.
    #[error("no such job")]
    NotFound,
    /// The store knows no such friend, or no friendship of theirs with the agent.
    #[error("the friend is not known with this agent")]
    FriendUnknown,
    /// The owner has a job of that name.
    #[error("the name is taken")]
    NameTaken,
    /// The friend has the most jobs that anybody may have.
    #[error("the friend has {limit} jobs")]
    LimitReached {
        /// That number.
        limit: u32,
    },
    /// The job was changed since the caller read it.
    #[error("the job has revision {revision}")]
    Changed {
        /// The job's revision now.
        revision: u32,
    },
    /// An earlier run has not ended.
    #[error("a run of the job is open")]
    RunOpen,
    /// The friend asked for too many runs in the last minute.
    #[error("too many runs were asked for")]
    TooManyRuns {
        /// Time until the next one is allowed.
        retry_after: Duration,
    },
    /// The engine leaves the job as it is.
    #[error("the engine leaves the job as it is: {0:?}")]
    Refused(EngineRefusal),
    /// A port failed.
    #[error("the jobs could not be read or changed")]
    Port(#[from] BackendError),
}

impl CronError {
    /// Returns the error's stable word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => code::VALUE_INVALID,
            Self::Unsupported(_) => code::UNSUPPORTED,
            Self::NotOwned => code::SESSION_NOT_OWNED,
            Self::NotFound => code::JOB_NOT_FOUND,
            Self::FriendUnknown => code::FRIEND_UNKNOWN,
            Self::NameTaken => code::JOB_NAME_TAKEN,
            Self::LimitReached { .. } => code::JOB_LIMIT_REACHED,
            Self::Changed { .. } => code::JOB_CHANGED,
            Self::RunOpen => code::RUN_OPEN,
            Self::TooManyRuns { .. } => code::RATE_LIMITED,
            Self::Refused(EngineRefusal::ReadOnly) => code::JOB_READ_ONLY,
            Self::Refused(EngineRefusal::Busy) => code::JOB_BUSY,
            Self::Refused(EngineRefusal::GatewayTooOld) => code::GATEWAY_TOO_OLD,
            Self::Port(error) => error.code(),
        }
    }
}
