//! Lookups of tokens for which no session is known: they take nothing from those of friends.

use std::time::Duration;

use moka::future::Cache;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::TokenHash;

/// Lookups of unknown tokens that run at a time; further ones wait for their turn.
const LOOKUPS: usize = 16;
/// Time for which a token that the store does not know is refused without asking again. Tokens have 256 random bits,
/// so none is presented before it was issued.
const ABSENT_LIFETIME: Duration = Duration::from_mins(1);
/// Time for which a token that opened a session is looked up without waiting for a turn.
const KNOWN_LIFETIME: Duration = Duration::from_hours(1);
/// Tokens that are remembered at most, of either kind.
const CAPACITY: u64 = 100_000;

/// The tokens that were looked up of late, by result.
pub(super) struct UnknownTokens {
    absent: Cache<TokenHash, ()>,
    known: Cache<TokenHash, ()>,
    lookups: Semaphore,
}

impl UnknownTokens {
    pub(super) fn new() -> Self {
        let cache = |lifetime| Cache::builder().max_capacity(CAPACITY).time_to_live(lifetime).build();
        Self { absent: cache(ABSENT_LIFETIME), known: cache(KNOWN_LIFETIME), lookups: Semaphore::new(LOOKUPS) }
    }

    /// Returns `true` if the store said of late that there is no such token.
    pub(super) fn is_absent(&self, token: &TokenHash) -> bool {
        self.absent.contains_key(token)
    }

    /// Waits until the token may be looked up: at once if it is known.
    pub(super) async fn turn(&self, token: &TokenHash) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed; if it were, lookups would go on without turns.
        if self.known.contains_key(token) { None } else { self.lookups.acquire().await.ok() }
    }

    /// Remembers the result of a lookup.
    pub(super) async fn record(&self, token: TokenHash, is_known: bool) {
        if is_known {
            self.known.insert(token, ()).await;
        } else {
            // A session that is gone: guessing with its token must not skip the turns any more.
            self.known.invalidate(&token).await;
            self.absent.insert(token, ()).await;
        }
    }
}
