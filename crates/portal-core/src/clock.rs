//! Time and randomness, as ports: no other crate asks the machine for either.

use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

/// The time of day.
pub trait Clock: Send + Sync {
    /// Now, to the millisecond: finer digits do not survive every database.
    fn now(&self) -> DateTime<Utc>;
}

/// Random bits, from which ids and tokens are made.
pub trait Ids: Send + Sync {
    /// 256 random bits, unpredictable to anybody outside.
    fn secret(&self) -> [u8; 32];

    /// A new id: 128 random bits as 32 lower-case hexadecimal digits.
    fn id(&self) -> String {
        // The first half of the bits: this pattern always matches, where a slice could be too short.
        let [bits @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.secret();
        let bits: [u8; 16] = bits;
        hex::encode(bits)
    }
}

/// A clock that stands still until it is told to move: for tests and examples.
#[derive(Debug)]
pub struct FixedClock(Mutex<DateTime<Utc>>);

impl FixedClock {
    /// Creates a clock that stands at `now`.
    #[must_use]
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(Mutex::new(now))
    }

    /// Moves the clock on; saturates at the end of time.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock();
        // A test may ask for the end of time, and a clock must not panic there.
        let by = chrono::TimeDelta::from_std(by).unwrap_or(chrono::TimeDelta::MAX);
        *now = now.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC);
    }

    /// Puts the clock to `now`, forwards or backwards.
    pub fn set(&self, now: DateTime<Utc>) {
        *self.0.lock() = now;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock()
    }
}

/// Ids that come in the same order from the same seed: for tests and examples, never for tokens that matter.
#[derive(Debug)]
pub struct SeededIds(Mutex<rand::rngs::StdRng>);

impl SeededIds {
    /// The sequence of `seed`.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(rand::SeedableRng::seed_from_u64(seed)))
    }
}

impl Ids for SeededIds {
    fn secret(&self) -> [u8; 32] {
        rand::Rng::random(&mut *self.0.lock())
    }
}
