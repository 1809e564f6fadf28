//! Cache of each friend's exposures for frequent readers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::{Mutex, MutexGuard};
use portal_core::{BackendError, FriendId};
use tokio::time::Instant;

use crate::exposure::Exposure;
use crate::store::{Change, ExposureStore};

/// Lifetime of all cached exposures after a poll. Polls come every second.
const POLL_VALIDITY: Duration = Duration::from_secs(5);
/// Lifetime of a friend's cached exposures where nobody polls.
const READ_VALIDITY: Duration = Duration::from_secs(1);
/// Overlap of a poll with the newest known change: changes become visible out of order, but not by more.
const OVERLAP: TimeDelta = TimeDelta::seconds(30);
/// Time for which a friend's exposures stay cached after they were last asked for.
const IDLE: Duration = Duration::from_mins(10);

/// The friends' cached exposures.
pub(crate) struct Snapshots {
    store: Arc<dyn ExposureStore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<FriendId, Entry>,
    tickets: u64,
    polled_at: Option<Instant>,
    newest: Option<DateTime<Utc>>,
    known: HashSet<Change>,
}

struct Entry {
    exposures: Arc<[Exposure]>,
    /// Grows with the moment at which the read began: a slow read never overwrites a later one.
    ticket: u64,
    read_at: Instant,
    asked_at: Instant,
    is_invalid: bool,
}

impl Snapshots {
    pub(crate) fn new(store: Arc<dyn ExposureStore>) -> Self {
        Self { store, state: Mutex::default() }
    }

    /// Returns the friend's exposures, sorted by name; the same `Arc` until they change.
    pub(crate) async fn get(&self, friend: &FriendId) -> Result<Arc<[Exposure]>, BackendError> {
        if let Some(exposures) = self.fresh(friend) {
            return Ok(exposures);
        }
        self.read(friend).await
    }

    /// Reads a friend's exposures again, if they are cached.
    pub(crate) async fn refresh(&self, friend: &FriendId) {
        if !self.state().entries.contains_key(friend) {
            return;
        }
        if let Err(error) = self.read(friend).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "exposures will be read when next asked for");
            self.invalidate(friend);
        }
    }

    /// Reads again what changed since the last poll, through whatever replica.
    pub(crate) async fn poll(&self) -> Result<(), BackendError> {
        let since = self.state().newest.map(|newest| newest - OVERLAP);
        let changes = self.store.changes(since).await?;
        for friend in self.changed_friends(since.is_none(), changes) {
            self.refresh(&friend).await;
        }
        let mut state = self.state();
        state.polled_at = Some(Instant::now());
        state.entries.retain(|_, entry| entry.asked_at.elapsed() < IDLE);
        Ok(())
    }

    /// Returns the cached friends with changes that were not seen before; all of them on the first poll.
    fn changed_friends(&self, is_first: bool, changes: Vec<Change>) -> HashSet<FriendId> {
        let mut state = self.state();
        let newest = changes.iter().map(|change| change.at).max().unwrap_or(DateTime::UNIX_EPOCH);
        state.newest = state.newest.max(Some(newest));
        // Before the first poll there is nothing to compare with.
        let friends = if is_first {
            state.entries.keys().cloned().collect()
        } else {
            let unseen = changes.iter().filter(|change| !state.known.contains(change));
            unseen.map(|change| change.friend.clone()).collect()
        };
        // Only the overlap can come again, so that older changes need not be remembered.
        state.known = changes.into_iter().collect();
        friends
    }

    fn fresh(&self, friend: &FriendId) -> Option<Arc<[Exposure]>> {
        let mut state = self.state();
        let is_polled = state.polled_at.is_some_and(|polled_at| polled_at.elapsed() < POLL_VALIDITY);
        let entry = state.entries.get_mut(friend)?;
        entry.asked_at = Instant::now();
        // Another replica's change shows through a poll only, so without one the copy is short-lived.
        let is_fresh = !entry.is_invalid && (is_polled || entry.read_at.elapsed() < READ_VALIDITY);
        is_fresh.then(|| entry.exposures.clone())
    }

    async fn read(&self, friend: &FriendId) -> Result<Arc<[Exposure]>, BackendError> {
        let ticket = self.ticket();
        let read_at = Instant::now();
        let read = self.store.list(friend).await?;
        let mut state = self.state();
        let Some(entry) = state.entries.get_mut(friend) else {
            let exposures: Arc<[Exposure]> = read.into();
            let entry = Entry { exposures: exposures.clone(), ticket, read_at, asked_at: read_at, is_invalid: false };
            state.entries.insert(friend.clone(), entry);
            return Ok(exposures);
        };
        // A slow read that began earlier must not bring back an older state.
        if entry.ticket < ticket {
            if *entry.exposures != *read {
                entry.exposures = read.into();
            }
            (entry.ticket, entry.read_at, entry.is_invalid) = (ticket, read_at, false);
        }
        Ok(entry.exposures.clone())
    }

    fn ticket(&self) -> u64 {
        let mut state = self.state();
        state.tickets += 1;
        state.tickets
    }

    fn invalidate(&self, friend: &FriendId) {
        if let Some(entry) = self.state().entries.get_mut(friend) {
            entry.is_invalid = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
