//! Limits per friend: how often they ask, how many requests they have in flight, and how much body they send at once.
//!
//! Counted by friend and never by address, because many friends may share one; and in memory, for this replica alone:
//! N replicas allow up to N times as much. A friend who exceeds a limit gets 429 and takes nothing from the others.
//!
//! Wrong login codes and agent tokens are nobody's and are counted by address, where that is known (`guesses.rs`).

mod guesses;

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;
use portal_core::{FriendId, PruneThreshold};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use self::guesses::Guesses;
use crate::error::{ApiError, Exceeded};

/// Time after its last request after which a friend's state may be dropped. Every bucket is full again by then.
const RETENTION: Duration = Duration::from_mins(1);
/// Friends whose states are kept without looking for old ones.
const PRUNE_FROM: usize = 1024;

/// A token bucket: `burst` requests at once, and `per_second` more with every second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second.
    pub per_second: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

impl Rate {
    const fn new(per_second: u32, burst: u32) -> Self {
        match (NonZeroU32::new(per_second), NonZeroU32::new(burst)) {
            (Some(per_second), Some(burst)) => Self { per_second, burst },
            // Not reached: the defaults below are not zero.
            _ => Self { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN },
        }
    }

    fn bucket(self) -> DefaultDirectRateLimiter {
        RateLimiter::direct(Quota::per_second(self.per_second).allow_burst(self.burst))
    }

    /// Seconds in which an empty bucket fills up, at least one.
    fn window(self) -> u32 {
        self.burst.get().div_ceil(self.per_second.get())
    }
}

/// Limits of a friend, and of all of them together for bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Requests that change nothing.
    pub reads: Rate,
    /// All other requests.
    pub writes: Rate,
    /// Requests in flight.
    pub in_flight: NonZeroU32,
    /// Time that a further request waits for one of these to end.
    pub wait: Duration,
    /// Bytes of bodies in flight.
    pub body_bytes: usize,
    /// Bytes of bodies in flight of all friends.
    pub all_body_bytes: usize,
    /// Wrong login codes and agent tokens per minute of an address, where that is known.
    pub guesses_per_minute: NonZeroU32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            reads: Rate::new(50, 200),
            writes: Rate::new(5, 50),
            in_flight: NonZeroU32::MIN.saturating_add(7),
            wait: Duration::from_secs(1),
            body_bytes: 4 * 1024 * 1024,
            all_body_bytes: 64 * 1024 * 1024,
            guesses_per_minute: NonZeroU32::MIN.saturating_add(9),
        }
    }
}

/// The limits of all friends. Clones are one.
#[derive(Clone)]
pub struct Limits(Option<Arc<Shared>>);

struct Shared {
    settings: LimitSettings,
    friends: Mutex<HashMap<FriendId, Arc<FriendState>>>,
    prune: PruneThreshold,
    body_bytes: AtomicUsize,
    guesses: Guesses,
}

struct FriendState {
    reads: DefaultDirectRateLimiter,
    writes: DefaultDirectRateLimiter,
    in_flight: Arc<Semaphore>,
    body_bytes: AtomicUsize,
    last_used: Mutex<Instant>,
}

impl Limits {
    /// Creates limits that nobody has used yet.
    #[must_use]
    pub fn new(settings: LimitSettings) -> Self {
        let (friends, guesses) = (Mutex::default(), Guesses::new(settings.guesses_per_minute));
        let (prune, body_bytes) = (PruneThreshold::new(PRUNE_FROM), AtomicUsize::new(0));
        Self(Some(Arc::new(Shared { settings, friends, prune, body_bytes, guesses })))
    }

    /// Creates no limits at all, for measurements.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Admits a request of a friend, at once or after a short wait for one of their others.
    pub(crate) async fn admit(&self, friend: &FriendId, is_read: bool) -> Result<Admitted, ApiError> {
        let Some(shared) = &self.0 else { return Ok(Admitted(None)) };
        let (settings, state) = (&shared.settings, shared.state(friend));
        let (policy, rate, bucket) =
            if is_read { ("reads", settings.reads, &state.reads) } else { ("writes", settings.writes, &state.writes) };
        // The rate first: whoever asks too often is refused at once instead of waiting for a place.
        bucket.check().map_err(|until| {
            let retry_after = until.wait_time_from(DefaultClock::default().now());
            Exceeded { policy, quota: rate.burst.get(), window: Some(rate.window()), retry_after }
        })?;
        let permit = timeout(settings.wait, state.in_flight.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            let quota = settings.in_flight.get();
            return Err(Exceeded { policy: "in-flight", quota, window: None, retry_after: settings.wait }.into());
        };
        Ok(Admitted(Some(Arc::new(InFlight { shared: shared.clone(), state, _permit: permit }))))
    }

    /// Waits until a login code or an agent token may be looked up: strangers send them in any number.
    pub(crate) async fn lookup(&self) -> Option<SemaphorePermit<'_>> {
        match &self.0 {
            Some(shared) => shared.guesses.turn().await,
            None => None,
        }
    }

    /// Counts a login code or an agent token that turned out to be wrong.
    pub(crate) fn count_guess(&self, address: Option<IpAddr>) -> Result<(), ApiError> {
        match (&self.0, address) {
            (Some(shared), Some(address)) => shared.guesses.count(address),
            _ => Ok(()),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(LimitSettings::default())
    }
}

impl Shared {
    fn state(&self, friend: &FriendId) -> Arc<FriendState> {
        let now = Instant::now();
        let mut friends = self.friends.lock();
        if let Some(state) = friends.get(friend) {
            *state.last_used.lock() = now;
            return state.clone();
        }
        if self.prune.is_reached(friends.len()) {
            friends.retain(|_, state| {
                let last_used = *state.last_used.lock();
                // A state in use stays: a second one would give its friend every limit twice.
                Arc::strong_count(state) > 1 || now.saturating_duration_since(last_used) < RETENTION
            });
            self.prune.pruned(friends.len());
        }
        let settings = &self.settings;
        let state = Arc::new(FriendState {
            reads: settings.reads.bucket(),
            writes: settings.writes.bucket(),
            in_flight: Arc::new(Semaphore::new(settings.in_flight.get() as usize)),
            body_bytes: AtomicUsize::new(0),
            last_used: Mutex::new(now),
        });
        friends.insert(friend.clone(), state.clone());
        state
    }
}

/// An admitted request, in flight until the last clone is dropped.
#[derive(Clone, Default)]
pub(crate) struct Admitted(Option<Arc<InFlight>>);

struct InFlight {
    shared: Arc<Shared>,
    state: Arc<FriendState>,
    _permit: OwnedSemaphorePermit,
}

impl Admitted {
    /// Returns `true` if the request counts against limits.
    pub(crate) fn is_counted(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the share of the request's body in what may be in flight, nothing so far.
    pub(crate) fn body(&self) -> BodyBytes {
        BodyBytes { in_flight: self.0.clone(), held: 0 }
    }
}

/// Bytes of a body that were received and count until they are dropped.
pub(crate) struct BodyBytes {
    in_flight: Option<Arc<InFlight>>,
    held: usize,
}

impl BodyBytes {
    /// Counts bytes before they are stored.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), ApiError> {
        let Some(in_flight) = &self.in_flight else { return Ok(()) };
        let InFlight { shared, state, .. } = &**in_flight;
        // Counted first and compared afterwards, so that two bodies cannot both see the last free bytes.
        self.held += bytes;
        let own = state.body_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let all = shared.body_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if all > shared.settings.all_body_bytes {
            return Err(ApiError::overloaded());
        }
        if own > shared.settings.body_bytes {
            let quota = u32::try_from(shared.settings.body_bytes).unwrap_or(u32::MAX);
            let retry_after = Duration::from_secs(1);
            return Err(Exceeded { policy: "body-bytes", quota, window: None, retry_after }.into());
        }
        Ok(())
    }
}

impl Drop for BodyBytes {
    fn drop(&mut self) {
        if let Some(in_flight) = &self.in_flight {
            // With the bytes that were refused: they were counted before they were compared.
            in_flight.state.body_bytes.fetch_sub(self.held, Ordering::Relaxed);
            in_flight.shared.body_bytes.fetch_sub(self.held, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
