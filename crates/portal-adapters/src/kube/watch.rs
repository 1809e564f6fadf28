//! One endless watch.
//!
//! 1. Everything is listed: as a stream, else in pages. What was known and is not listed is gone.
//! 2. Changes are followed from the version of the list, in watches of 15 seconds each.
//! 3. A watch that is lost goes on at the version that it had reached, after a pause that grows to 8 seconds.
//! 4. Where the API server has forgotten that version (410), step 1 begins anew. What is known stays until then.
//! 5. A kind that the cluster does not serve (404) is looked for in its older versions. If there is none, no such
//!    object exists, and 60 seconds later step 1 begins with the newest version. This holds for optional kinds only.
//! 6. A kind that may not be listed (403) is a failure until it may.

use std::collections::HashSet;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Status;
use kube::{Api, Error, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use super::cache::Cache;
use super::call::{call, retry_after, status};
use super::observe::{Content, ObjectUpdate, Topic};

/// Seconds for which the API server keeps one watch open: so often a silent one is proven to be alive.
const WATCH_SECONDS: u32 = 15;
/// Seconds that one streamed list may take.
const LIST_SECONDS: u32 = 120;
/// Longest silence of an open watch; after it the watch counts as lost.
const SILENCE: Duration = Duration::from_secs(20);
/// Objects per page of a plain list.
const PAGE: u32 = 500;
/// First and longest pause after a failure: short enough to be back before what is known is too old.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));
/// Pause before a kind that is not served is looked for again.
const NOT_SERVED_PAUSE: Duration = Duration::from_mins(1);
/// Annotation of the bookmark at the end of a streamed list.
const LIST_END: &str = "k8s.io/initial-events-end";

/// The end of a watch.
enum Lost {
    /// The API server has forgotten the version that comes next: everything is to be listed again.
    Version(Error),
    /// The API server does not stream lists.
    Streaming,
    /// The API server does not serve this version of the kind.
    NotServed(Error),
    /// The API server refuses to list the kind.
    Denied(Error),
    /// Anything else; the watch goes on where it was.
    Failed(Error),
}

/// An object that can be watched.
pub(super) trait Watched: Resource + Clone + Debug + DeserializeOwned + Send + 'static {}

impl<K: Resource + Clone + Debug + DeserializeOwned + Send + 'static> Watched for K {}

/// The objects of one kind.
pub(super) struct Source<K, R> {
    /// The kind.
    pub(super) topic: Topic,
    /// The versions in which it may be served, the newest first.
    pub(super) versions: Vec<Api<K>>,
    /// The part of an object that is stored.
    pub(super) read: R,
}

/// Watches all objects of a kind, for ever.
pub(super) async fn watch<K: Watched, R: Fn(&K) -> Content>(source: Source<K, R>, cache: Arc<Cache>) {
    let topic = source.topic;
    let mut watch = Watch { source, cache, used: 0, version: None, streams: true };
    let mut pause = PAUSES.0;
    loop {
        let is_list = watch.version.is_none();
        let error = match watch.go_on().await {
            // A list alone is no progress: what comes next may be forgotten already.
            Ok(()) if is_list => continue,
            Ok(()) => {
                pause = PAUSES.0;
                continue;
            }
            Err(Lost::Streaming) => {
                watch.streams = false;
                continue;
            }
            Err(Lost::NotServed(error)) if topic.is_optional() => {
                tracing::debug!(?topic, error = &error as &dyn std::error::Error, "a version of a kind is not served");
                (watch.version, watch.streams) = (None, true);
                if !watch.use_next_version() {
                    watch.cache.not_served(topic);
                    sleep(jittered(NOT_SERVED_PAUSE)).await;
                }
                continue;
            }
            Err(Lost::Version(error)) => {
                tracing::info!(
                    ?topic,
                    error = &error as &dyn std::error::Error,
                    "the API server has forgotten a watch's version; everything is listed again"
                );
                // Another API server may answer now, one that streams.
                (watch.version, watch.streams) = (None, true);
                error
            }
            Err(Lost::Denied(error)) => {
                watch.cache.health.denied(topic, &error);
                error
            }
            Err(Lost::NotServed(error) | Lost::Failed(error)) => {
                watch.cache.health.lost(topic, &error);
                error
            }
        };
        let asked = retry_after(&error).unwrap_or_default();
        sleep(jittered(pause).max(asked)).await;
        pause = pause.saturating_mul(2).min(PAUSES.1);
    }
}

struct Watch<K, R> {
    source: Source<K, R>,
    cache: Arc<Cache>,
    /// The index of the version of the kind in use.
    used: usize,
    /// The last version that was told of; none before everything was listed.
    version: Option<String>,
    /// The API server may be asked to stream lists.
    streams: bool,
}

impl<K: Watched, R: Fn(&K) -> Content> Watch<K, R> {
    /// Lists everything if need be, else follows changes until the watch ends.
    async fn go_on(&mut self) -> Result<(), Lost> {
        let Some(api) = self.source.versions.get(self.used).cloned() else { return Err(Lost::Streaming) };
        match self.version.clone() {
            Some(version) => self.follow(&api, &version).await,
            None if self.streams => self.list_streaming(&api).await,
            None => self.list(&api).await,
        }
    }

    /// Goes on to the next older version of the kind; `false` if that was the oldest, and the newest is next.
    fn use_next_version(&mut self) -> bool {
        let next = self.used.saturating_add(1);
        let is_there = next < self.source.versions.len();
        self.used = if is_there { next } else { 0 };
        is_there
    }

    async fn follow(&mut self, api: &Api<K>, version: &str) -> Result<(), Lost> {
        let topic = self.source.topic;
        let params = WatchParams::default().timeout(WATCH_SECONDS);
        let mut events = pin!(call(api.watch(&params, version)).await.map_err(lost)?);
        // An open watch is an answer: nothing has happened since the version is news as well.
        self.cache.health.heard(topic);
        while let Some(event) = next(&mut events).await? {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.version.clone_from(&object.meta().resource_version);
                    self.cache.put(self.observe(&object));
                }
                WatchEvent::Deleted(object) => {
                    // A deletion has a version of its own, newer than the object's last one.
                    self.version.clone_from(&object.meta().resource_version);
                    let (namespace, name) = names(&object);
                    self.cache.remove(topic, &namespace, &name);
                }
                WatchEvent::Bookmark(bookmark) => self.version = Some(bookmark.metadata.resource_version),
                WatchEvent::Error(status) => return Err(refused(status)),
            }
            self.cache.health.heard(topic);
        }
        Ok(())
    }

    /// Lists by a watch that begins with everything there is: the API server need not hold the whole list at once.
    async fn list_streaming(&mut self, api: &Api<K>) -> Result<(), Lost> {
        let params = WatchParams { send_initial_events: true, ..WatchParams::default().timeout(LIST_SECONDS) };
        let opened = call(api.watch(&params, "")).await.map_err(|error| match status(&error) {
            Some(status) if [400, 422].contains(&status.code) => Lost::Streaming,
            _ => lost(error),
        });
        let mut events = pin!(opened?);
        let mut listed = HashSet::new();
        while let Some(event) = next(&mut events).await? {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => self.put_listed(&object, &mut listed),
                WatchEvent::Bookmark(bookmark) if bookmark.metadata.annotations.contains_key(LIST_END) => {
                    self.cache.listed_all(self.source.topic, &listed);
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

    async fn list(&mut self, api: &Api<K>) -> Result<(), Lost> {
        let mut params = ListParams::default().limit(PAGE);
        let mut listed = HashSet::new();
        loop {
            let page = call(api.list(&params)).await.map_err(lost)?;
            for object in &page.items {
                self.put_listed(object, &mut listed);
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                self.cache.listed_all(self.source.topic, &listed);
                self.version = page.metadata.resource_version;
                return Ok(());
            }
        }
    }

    fn put_listed(&self, object: &K, listed: &mut HashSet<(String, String)>) {
        listed.insert(names(object));
        self.cache.put(self.observe(object));
    }

    fn observe(&self, object: &K) -> ObjectUpdate {
        let (namespace, name) = names(object);
        ObjectUpdate { namespace, name, content: (self.source.read)(object) }
    }
}

/// An object's namespace and name; of a namespace, its own name twice.
fn names(object: &impl Resource) -> (String, String) {
    let name = object.name_any();
    (object.namespace().unwrap_or_else(|| name.clone()), name)
}

/// The next event; `None` where the API server ended the watch as agreed.
async fn next<K>(
    events: &mut (impl Stream<Item = kube::Result<WatchEvent<K>>> + Unpin),
) -> Result<Option<WatchEvent<K>>, Lost> {
    match timeout(SILENCE, events.next()).await {
        Ok(event) => event.transpose().map_err(lost),
        Err(silent) => Err(Lost::Failed(Error::Service(silent.into()))),
    }
}

fn refused(status: Box<Status>) -> Lost {
    lost(Error::Api(status))
}

fn lost(error: Error) -> Lost {
    match status(&error).map(|status| status.code) {
        Some(403) => Lost::Denied(error),
        Some(404) => Lost::NotServed(error),
        Some(410) => Lost::Version(error),
        _ => Lost::Failed(error),
    }
}

/// Between half of a pause and all of it, so that watches that were lost together do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..1.0))
}

#[cfg(test)]
mod tests;
