//! Each friend's exposures, kept in memory for those who read them often.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::{Mutex, MutexGuard};
use portal_core::{BackendError, FriendId};
use tokio::time::Instant;

use crate::{Change, Exposure, ExposureStore};

/// How long after a poll everything in memory is believed. Polls come every second.
const POLL_VALIDITY: Duration = Duration::from_secs(5);
/// How long a friend's exposures are believed where nobody polls.
const READ_VALIDITY: Duration = Duration::from_secs(1);
/// How far before the newest known change a poll looks: changes become visible out of order, but not by more.
const OVERLAP: TimeDelta = TimeDelta::seconds(30);
/// How long a friend's exposures are kept up to date after they were last asked for.
const IDLE: Duration = Duration::from_mins(10);

/// The friends' exposures, in memory.
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
    is_doubted: bool,
}

impl Snapshots {
    pub(crate) fn new(store: Arc<dyn ExposureStore>) -> Self {
        Self { store, state: Mutex::default() }
    }

    /// The friend's exposures, sorted by name; the same `Arc` until they change.
    pub(crate) async fn get(&self, friend: &FriendId) -> Result<Arc<[Exposure]>, BackendError> {
        if let Some(exposures) = self.believed(friend) {
            return Ok(exposures);
        }
        self.read(friend).await
    }

    /// Reads a friend's exposures again, if they are kept at all.
    pub(crate) async fn refresh(&self, friend: &FriendId) {
        if !self.state().entries.contains_key(friend) {
            return;
        }
        if let Err(trouble) = self.read(friend).await {
            tracing::debug!(error = &trouble as &dyn std::error::Error, "exposures will be read when next asked for");
            self.doubt(friend);
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

    /// Which of the kept friends have changes that were not seen before; all of them on the first poll.
    fn changed_friends(&self, is_first: bool, changes: Vec<Change>) -> HashSet<FriendId> {
        let mut state = self.state();
        let newest = changes.iter().map(|change| change.at).max().unwrap_or(DateTime::UNIX_EPOCH);
        state.newest = state.newest.max(Some(newest));
        let friends = if is_first {
            state.entries.keys().cloned().collect()
        } else {
            let unseen = changes.iter().filter(|change| !state.known.contains(change));
            unseen.map(|change| change.friend.clone()).collect()
        };
        state.known = changes.into_iter().collect();
        friends
    }

    fn believed(&self, friend: &FriendId) -> Option<Arc<[Exposure]>> {
        let mut state = self.state();
        let is_polled = state.polled_at.is_some_and(|polled_at| polled_at.elapsed() < POLL_VALIDITY);
        let entry = state.entries.get_mut(friend)?;
        entry.asked_at = Instant::now();
        let is_believed = !entry.is_doubted && (is_polled || entry.read_at.elapsed() < READ_VALIDITY);
        is_believed.then(|| entry.exposures.clone())
    }

    async fn read(&self, friend: &FriendId) -> Result<Arc<[Exposure]>, BackendError> {
        let ticket = self.ticket();
        let read_at = Instant::now();
        let read = self.store.list(friend).await?;
        let mut state = self.state();
        let Some(entry) = state.entries.get_mut(friend) else {
            let exposures: Arc<[Exposure]> = read.into();
            let entry = Entry { exposures: exposures.clone(), ticket, read_at, asked_at: read_at, is_doubted: false };
            state.entries.insert(friend.clone(), entry);
            return Ok(exposures);
        };
        if entry.ticket < ticket {
            if *entry.exposures != *read {
                entry.exposures = read.into();
            }
            (entry.ticket, entry.read_at, entry.is_doubted) = (ticket, read_at, false);
        }
        Ok(entry.exposures.clone())
    }

    fn ticket(&self) -> u64 {
        let mut state = self.state();
        state.tickets += 1;
        state.tickets
    }

    fn doubt(&self, friend: &FriendId) {
        if let Some(entry) = self.state().entries.get_mut(friend) {
            entry.is_doubted = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
