//! Why a job is not done to.

use portal_core::{BackendError, Invalid, code};

/// A member that other schedulers know and this one does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsupported {
    /// An interval.
    Every,
    /// A single moment.
    At,
    /// Announcing the agent's answer.
    Announce,
    /// The receiver of an announcement.
    To,
    /// The channel of an announcement.
    Channel,
    /// The model to be used.
    Model,
}

impl Unsupported {
    /// The member's name.
    #[must_use]
    pub fn member(self) -> &'static str {
        match self {
            Self::Every => "every",
            Self::At => "at",
            Self::Announce => "announce",
            Self::To => "to",
            Self::Channel => "channel",
            Self::Model => "model",
        }
    }

    /// What to do instead, as the rest of a sentence.
    fn way_out(self) -> &'static str {
        match self {
            Self::Every => "give the interval as cron, such as */15 * * * * for every 15 minutes",
            Self::At => "give day and time as cron, such as 30 14 24 12 *, and delete the job after it ran",
            Self::Announce => "the agent answers in the job's session; tell it in message whom else to tell",
            Self::To | Self::Channel => {
                "name the conversation in session, such as agent:main:signal:direct:+15550100 for your own contact"
            }
            Self::Model => "the agent's own model is used; thinking says how hard it should think",
        }
    }

    /// The refusal, naming the member and the way out.
    #[must_use]
    pub fn refusal(self) -> Invalid {
        let member = self.member();
        Invalid::new(member, format!("{member} is not supported: {}", self.way_out()))
    }
}

/// Why nothing was done to a job.
#[derive(Debug, thiserror::Error)]
pub enum CronError {
    /// A value breaks its rule.
    #[error("a value was refused")]
    Invalid(#[from] Invalid),
    /// A member that only other schedulers have.
    #[error("the member {} is not supported", .0.member())]
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
    /// The friend has as many jobs as anybody may have.
    #[error("the friend has {limit} jobs")]
    LimitReached {
        /// How many that is.
        limit: u32,
    },
    /// An earlier run has not ended.
    #[error("a run of the job is open")]
    RunOpen,
    /// Trouble behind a port.
    #[error("the jobs could not be asked")]
    Port(#[from] BackendError),
}

impl CronError {
    /// The error's stable word.
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
            Self::RunOpen => code::RUN_OPEN,
            Self::Port(trouble) => trouble.code(),
        }
    }
}
