//! The state of the watches: when each was last heard of, and what the log is told of it.
//!
//! A cluster that does not answer loses a dozen watches, again and again; the log gets one line when that begins and
//! one when it is over.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use portal_core::{Backend, BackendError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::observe::Topic;

/// The state of all watches.
pub(super) struct Health {
    max_staleness: Duration,
    state: Mutex<State>,
    /// Counts topics that became known for the first time.
    known: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    topics: HashMap<Topic, TopicState>,
    /// Topics whose watch was lost and has not come back.
    lost: HashSet<Topic>,
    is_complete: bool,
}

/// The state of one watch. A topic without one was never listed.
#[derive(Debug, Clone)]
enum TopicState {
    /// Known whole, as of then.
    Heard(Instant),
    /// The cluster has no such kind, so there are no objects of it.
    NotServed,
    /// The API server refuses to list it.
    Denied(String),
}

impl Health {
    /// No topic is known yet.
    pub(super) fn new(max_staleness: Duration) -> Self {
        Self { max_staleness, state: Mutex::default(), known: watch::Sender::new(0) }
    }

    /// Notes that the API server just spoke about a topic that is known whole.
    pub(super) fn heard(&self, topic: Topic) {
        self.set(topic, TopicState::Heard(Instant::now()));
    }

    /// Notes that the cluster does not serve a kind; tells whether that is new.
    pub(super) fn not_served(&self, topic: Topic) -> bool {
        !matches!(self.set(topic, TopicState::NotServed), Some(TopicState::NotServed))
    }

    /// Notes that the API server refuses to list a kind.
    pub(super) fn denied(&self, topic: Topic, error: &kube::Error) {
        let before = self.set(topic, TopicState::Denied(error.to_string()));
        if !matches!(before, Some(TopicState::Denied(_))) {
            let error = error as &dyn std::error::Error;
            tracing::warn!(?topic, error, "the API server does not let the portal list this kind");
        }
    }

    /// Notes that a watch was lost.
    pub(super) fn lost(&self, topic: Topic, error: &kube::Error) {
        // The first one of all topics speaks for the others, whose watches end with the same connection.
        let is_first = self.with(|state| state.lost.insert(topic) && state.lost.len() == 1);
        let error = error as &dyn std::error::Error;
        if is_first {
            tracing::warn!(?topic, error, "the cluster cannot be watched; what is known of it grows old");
        } else {
            tracing::debug!(?topic, error, "a watch was lost");
        }
    }

    /// Tells whether what is known of a topic is fresh enough.
    pub(super) fn check(&self, topic: Topic) -> Result<(), BackendError> {
        match self.with(|state| state.topics.get(&topic).cloned()) {
            None => Err(BackendError::unavailable(Backend::Cluster, format!("{topic:?} were not listed yet"))),
            Some(TopicState::Denied(error)) => {
                Err(BackendError::denied(Backend::Cluster, format!("{topic:?}: {error}")))
            }
            Some(TopicState::Heard(at)) if at.elapsed() > self.max_staleness => {
                let age = at.elapsed().as_secs();
                let message = format!("{topic:?} were last heard of {age} s ago");
                Err(BackendError::unavailable(Backend::Cluster, message))
            }
            Some(TopicState::Heard(_) | TopicState::NotServed) => Ok(()),
        }
    }

    /// Tells whether every topic that is shown has just become known for the first time.
    pub(super) fn becomes_complete(&self) -> bool {
        self.with(|state| {
            let is_known = |topic: &Topic| matches!(state.topics.get(topic), Some(TopicState::Heard(_)));
            let is_complete = Topic::SHOWN.iter().all(is_known);
            is_complete && !std::mem::replace(&mut state.is_complete, true)
        })
    }

    /// Tells whether [`Self::becomes_complete`] has been true.
    pub(super) fn is_complete(&self) -> bool {
        self.with(|state| state.is_complete)
    }

    /// Waits until something is known of each of the topics, however old it may be.
    pub(super) async fn wait_until_known(&self, topics: impl Fn() -> Vec<Topic>) {
        let mut known = self.known.subscribe();
        let is_missing = || topics().iter().any(|topic| self.with(|state| !state.topics.contains_key(topic)));
        // The sender lives as long as this does.
        while is_missing() && known.changed().await.is_ok() {}
    }

    /// Stores a topic's state; returns the one before.
    fn set(&self, topic: Topic, now: TopicState) -> Option<TopicState> {
        let (before, is_over) = self.with(|state| (state.topics.insert(topic, now), state.found(topic)));
        if before.is_none() {
            self.known.send_modify(|count| *count = count.saturating_add(1));
        }
        if is_over {
            tracing::info!("the cluster is watched again");
        }
        before
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock())
    }
}

impl State {
    /// Notes that a watch is back; tells whether it was the last one that was missing.
    fn found(&mut self, topic: Topic) -> bool {
        self.lost.remove(&topic) && self.lost.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portal_core::{BackendError, BackendErrorKind};
    use portal_k8s::{ClaimKind, Kind};

    use super::{Health, Topic};

    const PODS: Topic = Topic::Objects(Kind::Pod);
    const INGRESSES: Topic = Topic::Claims(ClaimKind::Ingress);

    fn error() -> kube::Error {
        kube::Error::LinesCodecMaxLineLengthExceeded
    }

    fn health() -> Health {
        Health::new(Duration::from_secs(30))
    }

    #[tokio::test(start_paused = true)]
    async fn a_topic_is_fresh_for_so_long_after_it_was_heard_of() {
        let health = health();
        assert!(health.check(PODS).is_err());
        health.heard(PODS);
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(health.check(PODS).is_ok() && health.check(INGRESSES).is_err());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(health.check(PODS).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_is_not_served_is_empty_and_one_that_is_denied_is_a_failure() {
        let health = health();
        assert!(health.not_served(INGRESSES) && !health.not_served(INGRESSES));
        tokio::time::advance(Duration::from_hours(1)).await;
        assert!(health.check(INGRESSES).is_ok());
        health.denied(INGRESSES, &error());
        assert!(matches!(health.check(INGRESSES), Err(BackendError { kind: BackendErrorKind::Denied, .. })));
        health.heard(INGRESSES);
        assert!(health.check(INGRESSES).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn everything_shown_is_complete_once() {
        let health = health();
        for topic in Topic::SHOWN {
            assert!(!health.becomes_complete());
            health.heard(topic);
        }
        assert!(health.becomes_complete() && !health.becomes_complete() && health.is_complete());
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_begins_and_ends_once() {
        let health = health();
        let lost = |topic| health.with(|state| state.lost.insert(topic) && state.lost.len() == 1);
        assert_eq!([lost(PODS), lost(INGRESSES), lost(PODS)], [true, false, false]);
        let found = |topic| health.with(|state| state.found(topic));
        assert_eq!([found(PODS), found(PODS), found(INGRESSES), found(INGRESSES)], [false, false, true, false]);
    }
}
