//! The queue's clock, watched for jumps.

use std::time::Duration;

use chrono::TimeDelta;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{PassTime, span};

/// Smallest step back of the queue's clock that counts as a jump. Time synchronisation moves a clock by less.
const JUMP: TimeDelta = TimeDelta::minutes(1);

/// The queue's clock as earlier passes read it.
#[derive(Default)]
pub(super) struct QueueClock {
    last: Mutex<Option<PassTime>>,
    parked_at: Mutex<Option<Instant>>,
}

impl QueueClock {
    /// Returns whether no pass has read the clock yet.
    pub(super) fn is_new(&self) -> bool {
        self.last.lock().is_none()
    }

    /// Returns by how much the clock is behind the time that the last pass and the steady clock lead to expect, if that
    /// is more than a minute.
    pub(super) fn jumped_back(&self, time: PassTime) -> Option<TimeDelta> {
        let last = (*self.last.lock())?;
        let expected = last.now.checked_add_signed(span(time.read_at.saturating_duration_since(last.read_at)))?;
        Some(expected - time.now).filter(|jump| *jump > JUMP)
    }

    /// Remembers what a pass read.
    pub(super) fn remember(&self, time: PassTime) {
        *self.last.lock() = Some(time);
    }

    /// Returns whether `interval` has passed since this last returned true.
    pub(super) fn is_time_to_park(&self, now: Instant, interval: Duration) -> bool {
        let mut parked_at = self.parked_at.lock();
        let is_time = parked_at.is_none_or(|at| now.saturating_duration_since(at) >= interval);
        if is_time {
            *parked_at = Some(now);
        }
        is_time
    }
}
