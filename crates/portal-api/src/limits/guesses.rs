//! Wrong login codes and agent tokens.
//!
//! A code or token is looked up before it is counted, so that a right one is never refused because others guessed. Both
//! have 256 random bits: the limit keeps guesses from filling the log and the database's time, not from being right.

use std::net::IpAddr;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use portal_core::PruneThreshold;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Exceeded, NonZeroU32};
use crate::error::ApiError;

/// Lookups of codes and agent tokens that run at a time; further ones wait for their turn.
const LOOKUPS: usize = 16;
/// Addresses that are remembered without looking for those whose guesses are a minute old.
const PRUNE_FROM: usize = 1024;
const MINUTE: Duration = Duration::from_mins(1);

/// Wrong codes and tokens, by address.
pub(super) struct Guesses {
    per_minute: NonZeroU32,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    prune: PruneThreshold,
    lookups: Semaphore,
}

impl Guesses {
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        let addresses = RateLimiter::keyed(Quota::per_minute(per_minute));
        Self { per_minute, addresses, prune: PruneThreshold::new(PRUNE_FROM), lookups: Semaphore::new(LOOKUPS) }
    }

    /// Waits until a code or token may be looked up.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.lookups.acquire().await.ok()
    }

    /// Counts a wrong code or token of this address.
    pub(super) fn count(&self, address: IpAddr) -> Result<(), ApiError> {
        if self.prune.is_reached(self.addresses.len()) {
            // Only addresses whose bucket is full again go, so nobody gains a guess by it.
            self.addresses.retain_recent();
            self.prune.pruned(self.addresses.len());
        }
        self.addresses.check_key(&address).map_err(|until| {
            let retry_after = until.wait_time_from(DefaultClock::default().now());
            let window = u32::try_from(MINUTE.as_secs()).ok();
            Exceeded { policy: "guesses", quota: self.per_minute.get(), window, retry_after }.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{Guesses, NonZeroU32, PRUNE_FROM};

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn an_address_guesses_ten_times_and_takes_nothing_from_others() {
        let guesses = Guesses::new(NonZeroU32::new(10).unwrap());
        for _ in 0..10 {
            guesses.count(address(1)).unwrap();
        }
        let refused = guesses.count(address(1)).unwrap_err().respond("id");
        assert_eq!(refused.status().as_u16(), 429);
        let header = |name: &str| refused.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!(header("ratelimit-policy"), "\"guesses\";q=10;w=60");
        assert!((1..=7).contains(&header("retry-after").parse::<u64>().unwrap()), "one in six seconds");
        guesses.count(address(2)).unwrap();
    }

    #[test]
    fn addresses_that_stopped_guessing_are_forgotten() {
        // So many that each one's bucket is full again at once.
        let guesses = Guesses::new(NonZeroU32::MAX);
        for number in 0..=u32::try_from(PRUNE_FROM).unwrap() {
            guesses.count(address(number)).unwrap();
        }
        assert!(guesses.addresses.len() < PRUNE_FROM, "{}", guesses.addresses.len());
    }
}
