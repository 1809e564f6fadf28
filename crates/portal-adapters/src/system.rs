//! The machine's own clock and randomness.

use chrono::{DateTime, SubsecRound, Utc};
use portal_core::{Clock, Ids};
use rand::TryRngCore;

/// The machine's clock, to the millisecond.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(3)
    }
}

/// Random bits of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    #[expect(clippy::expect_used, reason = "a token that could be guessed is worse than a request that fails")]
    fn secret(&self) -> [u8; 32] {
        let mut bits = [0; 32];
        rand::rngs::OsRng.try_fill_bytes(&mut bits).expect("the operating system has randomness");
        bits
    }

    /// From a generator that the operating system seeds: every request has an id, and a call of the kernel for each
    /// would cost more than most of the rest of it.
    fn id(&self) -> String {
        format!("{:032x}", rand::random::<u128>())
    }
}

#[cfg(test)]
mod tests {
    use portal_core::{Clock, Ids};

    use super::{RandomIds, SystemClock};

    #[test]
    fn the_clock_keeps_no_finer_digits_than_a_database_does() {
        assert_eq!(SystemClock.now().timestamp_subsec_nanos() % 1_000_000, 0);
    }

    #[test]
    fn no_two_ids_are_the_same() {
        assert_ne!(RandomIds.id(), RandomIds.id());
        for _ in 0..1000 {
            let id = RandomIds.id();
            // One in sixteen begins with a zero.
            assert!(id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        }
    }
}
