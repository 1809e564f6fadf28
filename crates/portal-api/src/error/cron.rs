//! Errors of job operations, for the person who asked.

use portal_cron::{CronError, EngineRefusal, MANUAL_RUNS_PER_MINUTE};

use super::{ApiError, codes};

impl From<CronError> for ApiError {
    fn from(error: CronError) -> Self {
        match error {
            CronError::Invalid(invalid) => invalid.into(),
            CronError::Unsupported(member) => {
                let refusal = member.refusal();
                Self::new(&codes::UNSUPPORTED, refusal.message).of_field(refusal.field)
            }
            CronError::NotOwned => {
                let detail = "session must be isolated or one of your own conversations with this agent, such as \
                    agent:main:direct:<your id> or agent:main:signal:direct:<your contact on signal>.";
                Self::new(&codes::SESSION_NOT_OWNED, detail).of_field("session")
            }
            CronError::NotFound => {
                let detail = "You have no job of this name or id with this agent; see /api/portal/workspace/crons.";
                Self::new(&codes::JOB_NOT_FOUND, detail)
            }
            CronError::FriendUnknown => Self::friend_unknown(),
            CronError::NameTaken => {
                let detail = "name must be another one: you have a job of this name with this agent.";
                Self::new(&codes::JOB_NAME_TAKEN, detail).of_field("name")
            }
            CronError::LimitReached { limit } => {
                let detail = format!("You have {limit} jobs, which is the limit; delete one first.");
                Self::new(&codes::JOB_LIMIT_REACHED, detail)
            }
            CronError::Changed { revision } => {
                let detail = "The job is not the one that If-Match names; read it again.";
                Self::new(&codes::JOB_CHANGED, detail).tagged(Some(&revision))
            }
            CronError::RunOpen => {
                let detail = "An earlier run of this job has not ended; see its runs.";
                Self::new(&codes::RUN_OPEN, detail)
            }
            CronError::TooManyRuns { retry_after } => {
                let detail = format!(
                    "You asked for {MANUAL_RUNS_PER_MINUTE} runs in the last minute, which is the limit; wait a moment."
                );
                Self::new(&codes::RATE_LIMITED, detail).with_retry_after(retry_after)
            }
            CronError::Refused(EngineRefusal::ReadOnly) => {
                let detail =
                    "The agent made this job for itself, and only the agent can change or run it; ask the agent.";
                Self::new(&codes::JOB_READ_ONLY, detail)
            }
            CronError::Refused(EngineRefusal::Busy) => {
                let detail = "Another change of this job is under way; try again in a moment.";
                Self::new(&codes::JOB_BUSY, detail)
            }
            CronError::Refused(EngineRefusal::GatewayTooOld) => {
                let detail =
                    "The agent's gateway is too old for this, and nothing was changed; ask the operator to update it.";
                Self::new(&codes::GATEWAY_TOO_OLD, detail)
            }
            CronError::Port(error) => error.into(),
        }
    }
}
