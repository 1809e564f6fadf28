//! Whether exposures answer: asked by a request to their own address, rarely, and only while somebody looks at them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use portal_core::{Clock, PruneThreshold};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::exposure::{Exposure, ExposureSpec, Status};
use crate::hostname::Hostname;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after an answer.
const AFTER_YES: Duration = Duration::from_mins(10);
/// Pause after a failure, which somebody may be mending: the shortest pause between two requests to one address.
const AFTER_NO: Duration = Duration::from_mins(1);
/// Most requests at a time.
const CONCURRENCY: usize = 8;
/// Addresses that are remembered without looking for those that nobody looks at.
const PRUNE_FROM: usize = 4096;
/// Time for which an address is remembered after somebody looked at it.
const IDLE: Duration = Duration::from_mins(30);

portal_core::word_enum! {
    /// Likely cause of an address that does not answer.
    pub enum ReachHint: "hint" {
        /// The name does not resolve.
        NotResolved = "not-resolved",
        /// There is no certificate for the name, or one that is not trusted.
        Certificate = "certificate",
        /// Nothing listens, or nothing answered in time.
        NoAnswer = "no-answer",
        /// 404: no route leads to the app, or not at this entry point.
        NotFound = "not-found",
        /// 502, 503 or 504: the app is not there, or not at this port.
        AppUnavailable = "app-unavailable",
        /// 530: the tunnel to the cluster is down.
        Tunnel = "tunnel",
        /// Another status of 500 and above.
        ServerError = "server-error",
    }
}

/// Result of asking an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It answers.
    Yes,
    /// It does not.
    No(ReachHint),
}

impl Reached {
    /// Judges the status of an answer. A page that wants a login is there; a redirect is an answer.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            404 => Self::No(ReachHint::NotFound),
            502..=504 => Self::No(ReachHint::AppUnavailable),
            530 => Self::No(ReachHint::Tunnel),
            500 | 501 | 505..=529 | 531.. => Self::No(ReachHint::ServerError),
            _ => Self::Yes,
        }
    }
}

/// Asks addresses from where their visitors ask.
#[async_trait]
pub trait Reach: Send + Sync {
    /// Sends one request to the exposure's own address, follows no redirect and reads nothing but the status. The caller
    /// bounds the time.
    async fn ask(&self, exposure: &Exposure) -> Reached;
}

/// What is known about an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reachable {
    /// The newest result; `None` where it was not asked yet, or is not to be.
    pub reached: Option<Reached>,
    /// Time of that result.
    pub checked_at: Option<DateTime<Utc>>,
}

/// The newest results, in memory; cheap to clone.
#[derive(Clone)]
pub struct Reachability(Arc<Inner>);

struct Inner {
    reach: Option<Arc<dyn Reach>>,
    clock: Arc<dyn Clock>,
    handle: Handle,
    addresses: Mutex<Addresses>,
    prune: PruneThreshold,
    permits: Semaphore,
}

#[derive(Default)]
struct Addresses {
    entries: HashMap<Hostname, Entry>,
    /// Addresses with a request under way. They outlive their entries: a friend who changes an exposure over and over
    /// would else queue a request for each change before those of others.
    asking: HashSet<Hostname>,
}

struct Entry {
    /// State that the result is about.
    spec: ExposureSpec,
    known: Reachable,
    due: Instant,
    shown: Instant,
}

impl Reachability {
    /// Asks by `reach`, as tasks of `handle`'s runtime; nothing is asked without one.
    #[must_use]
    pub fn new(reach: Option<Arc<dyn Reach>>, clock: Arc<dyn Clock>, handle: Handle) -> Self {
        let (prune, permits) = (PruneThreshold::new(PRUNE_FROM), Semaphore::new(CONCURRENCY));
        Self(Arc::new(Inner { reach, clock, handle, addresses: Mutex::default(), prune, permits }))
    }

    /// Returns what is known about these exposures, in their order, and has those asked whose result is due.
    #[must_use]
    pub fn of(&self, exposures: &[Exposure]) -> Vec<Reachable> {
        exposures.iter().map(|exposure| self.look(exposure)).collect()
    }

    fn look(&self, exposure: &Exposure) -> Reachable {
        let host = &exposure.spec.hostname;
        let mut addresses = self.0.addresses.lock();
        let Addresses { entries, asking } = &mut *addresses;
        // After a change the old result says nothing about the new address.
        let is_current = |entry: &Entry| entry.spec == exposure.spec && exposure.status == Status::Active;
        if entries.get(host).is_some_and(|entry| !is_current(entry)) {
            entries.remove(host);
        }
        if exposure.status != Status::Active {
            return Reachable::default();
        }
        let Some(reach) = &self.0.reach else { return Reachable::default() };
        let now = Instant::now();
        if self.0.prune.is_reached(entries.len()) {
            entries.retain(|_, entry| now.duration_since(entry.shown) < IDLE);
            self.0.prune.pruned(entries.len());
        }
        let entry = match entries.get_mut(host) {
            Some(entry) => entry,
            None => entries.entry(host.clone()).or_insert_with(|| Entry {
                spec: exposure.spec.clone(),
                known: Reachable::default(),
                due: now,
                shown: now,
            }),
        };
        entry.shown = now;
        if entry.due <= now && asking.insert(host.clone()) {
            self.spawn(reach.clone(), exposure.clone());
        }
        entry.known
    }

    fn spawn(&self, reach: Arc<dyn Reach>, exposure: Exposure) {
        let inner = self.0.clone();
        self.0.handle.spawn(async move {
            let permit = inner.permits.acquire().await;
            let reached = timeout(TIMEOUT, reach.ask(&exposure)).await.unwrap_or(Reached::No(ReachHint::NoAnswer));
            drop(permit);
            let pause = if reached == Reached::Yes { AFTER_YES } else { AFTER_NO };
            let (host, mut addresses) = (&exposure.spec.hostname, inner.addresses.lock());
            addresses.asking.remove(host);
            // Another entry, or none, if the exposure changed meanwhile: then the result is about an older state.
            if let Some(entry) = addresses.entries.get_mut(host).filter(|entry| entry.spec == exposure.spec) {
                entry.known = Reachable { reached: Some(reached), checked_at: Some(inner.clock.now()) };
                entry.due = Instant::now() + pause;
            }
        });
    }
}

#[cfg(test)]
mod tests;
