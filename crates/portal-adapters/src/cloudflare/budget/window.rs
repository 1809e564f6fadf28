//! The calls of the last five minutes.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use portal_core::FriendId;
use tokio::time::Instant;

/// The period that Cloudflare counts calls in.
const PERIOD: Duration = Duration::from_mins(5);

/// The calls of the last five minutes, and their limit.
///
/// The last ones are reserved: a quarter for friends, and a tenth for friends who did not use a quarter themselves.
pub(super) struct Window {
    calls: usize,
    spent: VecDeque<(Instant, Option<FriendId>)>,
    by_friend: HashMap<FriendId, usize>,
}

impl Window {
    /// Makes an empty window of so many calls.
    pub(super) fn new(calls: usize) -> Self {
        Self { calls, spent: VecDeque::new(), by_friend: HashMap::new() }
    }

    /// Returns the number of calls that are left.
    pub(super) fn left(&mut self, now: Instant) -> usize {
        self.forget(now);
        self.calls.saturating_sub(self.spent.len())
    }

    /// True if a friend, or background work (`None`), may call now.
    pub(super) fn admits(&self, friend: Option<&FriendId>, now: Instant) -> bool {
        self.opens_at(friend, now) <= now
    }

    /// Returns the time of the next call of a friend, or of background work (`None`), if nobody else calls; never in
    /// the past.
    pub(super) fn opens_at(&self, friend: Option<&FriendId>, now: Instant) -> Instant {
        let allowed = self.calls.saturating_sub(self.reserved_from(friend)).max(1);
        let Some(in_the_way) = self.spent.len().checked_sub(allowed) else { return now };
        self.spent.get(in_the_way).map_or(now, |(at, _)| (*at + PERIOD).max(now))
    }

    /// Counts a call.
    pub(super) fn spend(&mut self, friend: Option<&FriendId>, now: Instant) {
        self.forget(now);
        if let Some(friend) = friend {
            *self.by_friend.entry(friend.clone()).or_default() += 1;
        }
        self.spent.push_back((now, friend.cloned()));
    }

    fn reserved_from(&self, friend: Option<&FriendId>) -> usize {
        let Some(friend) = friend else { return self.calls / 4 };
        let used = self.by_friend.get(friend).copied().unwrap_or_default();
        if used * 4 > self.calls { self.calls / 10 } else { 0 }
    }

    fn forget(&mut self, now: Instant) {
        while let Some((_, friend)) = self.spent.pop_front_if(|(at, _)| *at + PERIOD <= now) {
            let Some(friend) = friend else { continue };
            if let Some(used) = self.by_friend.get_mut(&friend) {
                *used = used.saturating_sub(1);
                if *used == 0 {
                    self.by_friend.remove(&friend);
                }
            }
        }
    }
}
