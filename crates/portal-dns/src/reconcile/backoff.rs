//! Pauses between the attempts of an exposure that fails.

use std::time::Duration;

use chrono::TimeDelta;

/// Longest pause between two attempts in the background.
const MAX_BACKOFF: Duration = Duration::from_mins(5);

/// Returns the pause after so many failures in a row: 1 second, doubled each time, at most [`MAX_BACKOFF`].
pub(super) fn backoff(attempts: u32) -> TimeDelta {
    // The first attempt is made at once.
    let Some(doublings) = attempts.checked_sub(1) else { return TimeDelta::zero() };
    let seconds = 2_i64.saturating_pow(doublings);
    TimeDelta::seconds(seconds.min(i64::try_from(MAX_BACKOFF.as_secs()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::backoff;

    #[test]
    fn the_pause_doubles_up_to_five_minutes() {
        let pauses = [0, 1, 2, 5, 9, 10, u32::MAX].map(|attempts| backoff(attempts).num_seconds());
        assert_eq!(pauses, [0, 1, 2, 16, 256, 300, 300]);
    }
}
