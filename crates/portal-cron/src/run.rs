//! The runs of a job.

use chrono::{DateTime, SecondsFormat, Utc};
portal_core::word_enum! {
    /// Reason of a run.
    pub enum Trigger: "trigger" {
        /// Its fire time came.
        Schedule = "schedule",
        /// Somebody asked for it.
        Manual = "manual",
    }
}

portal_core::word_enum! {
    /// State of a run. The first three are open: a job has at most one run in them.
    pub enum RunStatus: "status" {
        /// It was asked for and has not begun.
        Queued = "queued",
        /// Its message is on the way.
        Running = "running",
        /// An attempt failed, another one will follow.
        Retrying = "retrying",
        /// The receiver accepted the message.
        Delivered = "delivered",
        /// The message was refused, or not accepted in time.
        Failed = "failed",
        /// Its fire times passed without an attempt.
        Missed = "missed",
        /// The agent's gateway has no record of it any more: it may or may not have taken place.
        Unknown = "unknown",
    }
}

impl RunStatus {
    /// The states of a run that has ended.
    pub const ENDED: [Self; 4] = [Self::Delivered, Self::Failed, Self::Missed, Self::Unknown];
}

portal_core::word_enum! {
    /// Delivery of the agent's answer to the friend's chat. None of them says that anybody has read it.
    pub enum Sent: "sent" {
        /// The chat has it.
        Sent = "sent",
        /// The chat does not have it so far; the agent's gateway may still send it.
        Pending = "pending",
        /// The agent decided to say nothing.
        Silent = "silent",
        /// Nobody asked for it to be sent.
        Nowhere = "nowhere",
    }
}

/// Fire times in a row that passed without a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissedWindow {
    /// The first of them.
    pub from: DateTime<Utc>,
    /// The last of them.
    pub to: DateTime<Utc>,
    /// Their number, at least 1.
    pub count: u32,
}

impl MissedWindow {
    /// Returns number and times in words for the friend.
    #[must_use]
    pub fn explanation(&self) -> String {
        let [from, to] = [self.from, self.to].map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        match self.count {
            1 => format!("1 run, due at {to}, was missed"),
            count => format!("{count} runs, due from {from} to {to}, were missed"),
        }
    }
}

/// One execution of a job, or one window of fire times that it missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Also the idempotency key of its deliveries.
    pub id: String,
    /// Its reason.
    pub trigger: Trigger,
    /// The fire time, or the moment at which it was asked for; of a missed window the last fire time.
    pub due_at: DateTime<Utc>,
    /// Begin of the first attempt.
    pub started_at: Option<DateTime<Utc>>,
    /// End of the run.
    pub finished_at: Option<DateTime<Utc>>,
    /// Its state.
    pub status: RunStatus,
    /// The end of the agent's work: true if it finished, false if it failed. `None` while the run is open, and where
    /// nobody tells, such as the receiver of a webhook.
    pub finished: Option<bool>,
    /// Delivery of the agent's answer; `None` where it is not known.
    pub sent: Option<Sent>,
    /// The beginning of the agent's answer, where its gateway gives it. It is stored and logged nowhere.
    pub answer: Option<String>,
    /// Number of attempts that were begun.
    pub attempts: u32,
    /// The newest error, in words for the friend.
    pub error: Option<String>,
    /// The missed fire times, exactly if the status is [`RunStatus::Missed`].
    pub missed: Option<MissedWindow>,
}

impl Run {
    /// Returns whether the receiver took the message; `None` while the run is open, and where it is not known.
    #[must_use]
    pub fn accepted(&self) -> Option<bool> {
        match self.status {
            RunStatus::Delivered => Some(true),
            // An agent whose work failed had the message.
            RunStatus::Failed => Some(self.finished.is_some()),
            RunStatus::Missed => Some(false),
            RunStatus::Queued | RunStatus::Running | RunStatus::Retrying | RunStatus::Unknown => None,
        }
    }

    /// Returns the error, or number and times of the missed fire times, in words for the friend.
    #[must_use]
    pub fn explanation(&self) -> Option<String> {
        self.missed.as_ref().map(MissedWindow::explanation).or_else(|| self.error.clone())
    }
}
