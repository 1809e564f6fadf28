//! Guards against deleting by a clock that jumped ahead.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

/// A clock that gains more than this on the monotonic one between two looks has jumped. Correcting a clock that runs fast
/// or slow gains less.
const JUMP: TimeDelta = TimeDelta::minutes(10);

/// Compares the clock with the monotonic one, from one look to the next.
#[derive(Default)]
pub(super) struct JumpGuard(Mutex<Option<(DateTime<Utc>, Instant)>>);

impl JumpGuard {
    /// Returns whether the clock jumped ahead since the last look.
    pub(super) fn has_jumped(&self, now: DateTime<Utc>) -> bool {
        let instant = Instant::now();
        let mut last = self.0.lock();
        // Also after a jump: the next look begins at the new time, so that one jump is one pause.
        let before = last.replace((now, instant));
        before.is_some_and(|(then, at)| is_jump(now - then, instant.duration_since(at)))
    }
}

fn is_jump(clock: TimeDelta, monotonic: Duration) -> bool {
    clock - TimeDelta::from_std(monotonic).unwrap_or(TimeDelta::MAX) > JUMP
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::{Duration, JumpGuard, is_jump};

    #[test]
    fn only_a_clock_that_gains_on_the_monotonic_one_has_jumped() {
        let hour = Duration::from_hours(1);
        assert!(!is_jump(TimeDelta::hours(1), hour));
        assert!(!is_jump(TimeDelta::minutes(65), hour));
        assert!(is_jump(TimeDelta::days(3), hour));
        assert!(!is_jump(TimeDelta::days(-3), hour));
    }

    #[test]
    fn a_clock_that_stays_ahead_is_believed_at_the_next_look() {
        let (guard, start) = (JumpGuard::default(), DateTime::UNIX_EPOCH);
        let looks = [start, start + TimeDelta::days(3), start + TimeDelta::days(3)].map(|now| guard.has_jumped(now));
        assert_eq!(looks, [false, true, false]);
    }
}
