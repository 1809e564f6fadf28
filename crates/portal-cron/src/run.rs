//! What became of a job's instants.

use chrono::{DateTime, SecondsFormat, Utc};

portal_core::word_enum! {
    /// Why there is a run.
    pub enum Trigger: "trigger" {
        /// Its instant came.
        Schedule = "schedule",
        /// Somebody asked for it.
        Manual = "manual",
    }
}

portal_core::word_enum! {
    /// Where a run stands. The first three are open: a job has at most one run in them.
    pub enum RunStatus: "status" {
        /// It was asked for and has not been begun.
        Queued = "queued",
        /// Its message is on the way.
        Running = "running",
        /// It will be tried again.
        Retrying = "retrying",
        /// The receiver accepted the message.
        Delivered = "delivered",
        /// The message was refused, or not accepted in time.
        Failed = "failed",
        /// Its instants passed without an attempt.
        Missed = "missed",
    }
}

/// Instants in a row that passed without a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The first of them.
    pub from: DateTime<Utc>,
    /// The last of them.
    pub to: DateTime<Utc>,
    /// How many there were, at least 1.
    pub count: u32,
}

/// One firing of a job, or one stretch of instants that it missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id, which is also the idempotency key of its deliveries.
    pub id: String,
    /// Why there is this run.
    pub trigger: Trigger,
    /// Its instant: of the schedule, or when it was asked for; of a missed stretch the last one.
    pub due_at: DateTime<Utc>,
    /// When the first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Where it stands.
    pub status: RunStatus,
    /// How many attempts were begun.
    pub attempts: u32,
    /// What went wrong last, in words fit for the friend.
    pub error: Option<String>,
    /// What was missed, exactly if the status is [`RunStatus::Missed`].
    pub missed: Option<Stretch>,
}

impl Run {
    /// What went wrong, as a friend is told; for a missed stretch how many instants it has, from when to when.
    #[must_use]
    pub fn explanation(&self) -> Option<String> {
        let Some(Stretch { from, to, count }) = self.missed else { return self.error.clone() };
        let [from, to] = [from, to].map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        Some(match count {
            1 => format!("1 run, due at {to}, was missed"),
            _ => format!("{count} runs, due from {from} to {to}, were missed"),
        })
    }
}
