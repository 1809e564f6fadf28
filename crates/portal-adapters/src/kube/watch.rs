//! One endless watch: lists everything once, then follows every change, and starts over where it lost the thread.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Status;
use kube::{Api, Error};
use tokio::time::{sleep, timeout};

use super::cache::Cache;
use super::call::{call, retry_after, status};
use super::observe::{Observe, Topic};

/// How long the API server keeps one watch open, in seconds: so often a silent one is proven to be alive.
const WATCH_SECONDS: u32 = 15;
/// How long one streamed list may take, in seconds.
const LIST_SECONDS: u32 = 120;
/// How long an open watch may stay silent before it counts as lost.
const SILENCE: Duration = Duration::from_secs(20);
/// Objects per page of a plain list.
const PAGE: u32 = 500;
/// The first wait after trouble, and the longest: short enough to be back before what is known is too old.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));
/// What marks the bookmark at the end of a streamed list.
const LIST_END: &str = "k8s.io/initial-events-end";

/// What is logged when a watch cannot go on where it was.
const LISTS_AGAIN: &str = "the API server forgot where a watch was; everything is listed again";

/// Why a watch ended.
enum Lost {
    /// What came next has been forgotten by the API server: everything is to be listed again.
    Thread(Error),
    /// The API server does not stream lists.
    Streaming,
    /// Anything else; the watch goes on where it was.
    Trouble(Error),
}

/// Watches all objects of a kind, for ever.
pub(super) async fn watch<K: Observe>(api: Api<K>, cache: Arc<Cache>) {
    let mut watch = Watch { api, cache, version: None, streams: true };
    let mut wait = WAITS.0;
    loop {
        let is_list = watch.version.is_none();
        let error = match watch.go_on().await {
            // A list alone is no progress: what comes next may be forgotten already.
            Ok(()) if is_list => continue,
            Ok(()) => {
                wait = WAITS.0;
                continue;
            }
            Err(Lost::Streaming) => {
                watch.streams = false;
                continue;
            }
            Err(Lost::Thread(error)) => {
                tracing::info!(topic = ?K::TOPIC, error = &error as &dyn std::error::Error, "{LISTS_AGAIN}");
                // Whoever answers now may be newer than whoever did not stream.
                (watch.version, watch.streams) = (None, true);
                error
            }
            Err(Lost::Trouble(error)) => {
                tracing::warn!(topic = ?K::TOPIC, error = &error as &dyn std::error::Error, "a watch was lost");
                error
            }
        };
        let asked = retry_after(&error).unwrap_or_default();
        sleep(jittered(wait).max(asked)).await;
        wait = wait.saturating_mul(2).min(WAITS.1);
    }
}

struct Watch<K> {
    api: Api<K>,
    cache: Arc<Cache>,
    /// The last version that was told of; none before everything was listed.
    version: Option<String>,
    /// Whether the API server may be asked to stream lists.
    streams: bool,
}

impl<K: Observe> Watch<K> {
    const TOPIC: Topic = K::TOPIC;

    /// Lists everything if need be, else follows changes until the watch ends.
    async fn go_on(&mut self) -> Result<(), Lost> {
        match self.version.clone() {
            Some(version) => self.follow(&version).await,
            None if self.streams => self.list_streaming().await,
            None => self.list().await,
        }
    }

    async fn follow(&mut self, version: &str) -> Result<(), Lost> {
        let params = WatchParams::default().timeout(WATCH_SECONDS);
        let mut events = pin!(call(self.api.watch(&params, version)).await.map_err(lost)?);
        self.cache.heard(Self::TOPIC);
        while let Some(event) = next(&mut events).await? {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.version.clone_from(&object.meta().resource_version);
                    self.cache.put(object.observe());
                }
                WatchEvent::Deleted(object) => {
                    self.version.clone_from(&object.meta().resource_version);
                    let gone = object.observe();
                    self.cache.remove(Self::TOPIC, &gone.namespace, &gone.name);
                }
                WatchEvent::Bookmark(bookmark) => self.version = Some(bookmark.metadata.resource_version),
                WatchEvent::Error(status) => return Err(refused(status)),
            }
            self.cache.heard(Self::TOPIC);
        }
        Ok(())
    }

    /// Lists by a watch that begins with everything there is: the API server need not hold the whole list at once.
    async fn list_streaming(&mut self) -> Result<(), Lost> {
        let params = WatchParams { send_initial_events: true, ..WatchParams::default().timeout(LIST_SECONDS) };
        let opened = call(self.api.watch(&params, "")).await.map_err(|error| match status(&error) {
            Some(status) if [400, 422].contains(&status.code) => Lost::Streaming,
            _ => lost(error),
        });
        let mut events = pin!(opened?);
        let mut listed = HashSet::new();
        while let Some(event) = next(&mut events).await? {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => self.take_listed(&object, &mut listed),
                WatchEvent::Bookmark(bookmark) if bookmark.metadata.annotations.contains_key(LIST_END) => {
                    self.cache.settle(Self::TOPIC, &listed);
                    self.version = Some(bookmark.metadata.resource_version);
                    return Ok(());
                }
                // Nothing is deleted from a list that is still being made.
                WatchEvent::Bookmark(_) | WatchEvent::Deleted(_) => {}
                WatchEvent::Error(status) => return Err(refused(status)),
            }
        }
        // A server that does not know the parameter never says where the list ends.
        Err(Lost::Streaming)
    }

    async fn list(&mut self) -> Result<(), Lost> {
        let mut params = ListParams::default().limit(PAGE);
        let mut listed = HashSet::new();
        loop {
            let page = call(self.api.list(&params)).await.map_err(lost)?;
            for object in &page.items {
                self.take_listed(object, &mut listed);
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                self.cache.settle(Self::TOPIC, &listed);
                self.version = page.metadata.resource_version;
                return Ok(());
            }
        }
    }

    fn take_listed(&self, object: &K, listed: &mut HashSet<(String, String)>) {
        let observed = object.observe();
        listed.insert((observed.namespace.clone(), observed.name.clone()));
        self.cache.put(observed);
    }
}

/// The next event; `None` where the API server ended the watch as agreed.
async fn next<K>(
    events: &mut (impl Stream<Item = kube::Result<WatchEvent<K>>> + Unpin),
) -> Result<Option<WatchEvent<K>>, Lost> {
    match timeout(SILENCE, events.next()).await {
        Ok(event) => event.transpose().map_err(lost),
        Err(silent) => Err(Lost::Trouble(Error::Service(silent.into()))),
    }
}

fn refused(status: Box<Status>) -> Lost {
    lost(Error::Api(status))
}

fn lost(error: Error) -> Lost {
    match status(&error) {
        Some(status) if status.code == 410 => Lost::Thread(error),
        _ => Lost::Trouble(error),
    }
}

/// Between half of a wait and all of it, so that watches that were lost together do not come back together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.5..1.0))
}

#[cfg(test)]
mod tests;
