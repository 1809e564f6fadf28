//! Reports of a runner, for metrics.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::Backlog;

/// Outcome of an attempt, as reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptEnd {
    /// The receiver accepted the message.
    Delivered,
    /// The run failed.
    Failed,
    /// The run will be tried again.
    Retried,
}

impl AttemptEnd {
    /// Returns the outcome as a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Retried => "retried",
        }
    }
}

/// Receives what a runner does, to count it. Every method returns at once.
pub trait RunnerObserver: Send + Sync {
    /// A pass ended at `now` by the queue's clock, with so many deliveries in flight of so many slots.
    fn pass_ended(&self, now: DateTime<Utc>, slots: u32, in_flight: usize);
    /// A run was claimed this long after it was due.
    fn claimed(&self, lateness: TimeDelta);
    /// An attempt ended after this time; the outcome is about to be recorded.
    fn attempt_ended(&self, end: AttemptEnd, took: Duration);
    /// A missed window was recorded with so many fire times.
    fn missed(&self, count: u32);
    /// So many jobs are due and so many runs open.
    fn backlog(&self, backlog: Backlog);
}

/// Ignores every report.
#[derive(Debug, Clone, Copy)]
pub struct NoObserver;

impl RunnerObserver for NoObserver {
    fn pass_ended(&self, _: DateTime<Utc>, _: u32, _: usize) {}
    fn claimed(&self, _: TimeDelta) {}
    fn attempt_ended(&self, _: AttemptEnd, _: Duration) {}
    fn missed(&self, _: u32) {}
    fn backlog(&self, _: Backlog) {}
}
