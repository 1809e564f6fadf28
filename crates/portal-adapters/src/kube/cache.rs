//! What the watches have told so far.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use portal_core::{Backend, BackendError, Clock, FriendId};
use portal_dns::{RoutePlace, WorkQueue};
use portal_k8s::{Contents, Kind, Overview, Summary};
use tokio::sync::watch;
use tokio::time::Instant;

use super::observe::{ObjectUpdate, StandingRoute, Topic, What};
use super::strings::Strings;

/// What namespaces of friends begin with; of all others only the routes are kept.
const FRIENDS: &str = "friend-";

/// What is known of the cluster, shared by the watches that write it and the ports that read it.
pub(super) struct Cache {
    clock: Arc<dyn Clock>,
    max_staleness: Duration,
    started: Instant,
    /// When each topic was last heard of, in milliseconds after the start, plus one; 0 until it was listed whole.
    heard: [AtomicU64; Topic::ALL.len()],
    world: RwLock<World>,
    /// Counts changes of routes.
    changes: watch::Sender<u64>,
    /// Whether every topic was listed once.
    complete: AtomicBool,
    /// Whose exposures may be concerned by what changed.
    pub(super) queue: Arc<WorkQueue>,
}

#[derive(Default)]
struct World {
    spaces: HashMap<String, Space>,
    routes: HashMap<RoutePlace, StandingRoute>,
    strings: Strings,
}

#[derive(Default)]
struct Space {
    contents: Contents,
    /// Made when it is first asked for after a change.
    overview: Option<Arc<Overview>>,
    changed_at: DateTime<Utc>,
}

impl Cache {
    pub(super) fn new(clock: Arc<dyn Clock>, max_staleness: Duration) -> Self {
        Self {
            clock,
            max_staleness,
            started: Instant::now(),
            heard: Default::default(),
            world: RwLock::default(),
            changes: watch::Sender::new(0),
            complete: AtomicBool::new(false),
            queue: Arc::default(),
        }
    }

    /// Notes that the API server just spoke about `topic`, which is known whole.
    pub(super) fn heard(&self, topic: Topic) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(heard) = self.heard.get(topic.index()) {
            heard.store(now.saturating_add(1), Ordering::Release);
        }
    }

    /// Whether everything that is shown is fresh enough to be shown.
    pub(super) fn check_all(&self) -> Result<(), BackendError> {
        Topic::ALL.into_iter().try_for_each(|topic| self.check(topic))
    }

    /// Whether what is known of `topic` is fresh enough.
    pub(super) fn check(&self, topic: Topic) -> Result<(), BackendError> {
        let heard = self.heard.get(topic.index()).map_or(0, |heard| heard.load(Ordering::Acquire));
        let Some(heard) = heard.checked_sub(1) else {
            return Err(stale(format!("{topic:?} were not listed yet")));
        };
        let age = self.started.elapsed().saturating_sub(Duration::from_millis(heard));
        if age > self.max_staleness {
            return Err(stale(format!("{topic:?} were last heard of {} s ago", age.as_secs())));
        }
        Ok(())
    }

    /// The namespace as it was last told of; the same `Arc` until that changes.
    pub(super) fn overview(&self, namespace: &str) -> Option<Arc<Overview>> {
        if let Some(overview) = &self.read().spaces.get(namespace)?.overview {
            return Some(overview.clone());
        }
        let mut world = self.write();
        let space = world.spaces.get_mut(namespace)?;
        let made = || Arc::new(space.contents.overview(space.changed_at));
        Some(space.overview.get_or_insert_with(made).clone())
    }

    /// Reads what is known of a friend's namespace.
    pub(super) fn with_contents<T>(&self, namespace: &str, read: impl FnOnce(&Contents) -> T) -> T {
        match self.read().spaces.get(namespace) {
            Some(space) => read(&space.contents),
            None => read(&Contents::default()),
        }
    }

    /// Reads all routes.
    pub(super) fn with_routes<T>(&self, read: impl FnOnce(&HashMap<RoutePlace, StandingRoute>) -> T) -> T {
        read(&self.read().routes)
    }

    /// Waits until `is_there` holds for the routes.
    pub(super) async fn wait_for_routes(&self, is_there: impl Fn(&HashMap<RoutePlace, StandingRoute>) -> bool) {
        let mut changes = self.changes.subscribe();
        // The sender lives as long as this cache does.
        while !self.with_routes(&is_there) && changes.changed().await.is_ok() {}
    }

    /// Takes in an object that was added or changed.
    pub(super) fn put(&self, observed: ObjectUpdate) {
        let ObjectUpdate { namespace, name, what } = observed;
        let now = self.clock.now();
        match what {
            What::Phase(phase) => {
                if self.change(&namespace, now, |contents, _| contents.set_phase(Some(phase))) {
                    self.enqueue(&namespace);
                }
            }
            What::Shown(summary) => {
                let is_service = matches!(summary, Summary::Service(_));
                if self.show(&namespace, now, summary) && is_service {
                    self.enqueue(&namespace);
                }
            }
            What::Route(summary, standing) => {
                let place = RoutePlace { namespace: namespace.clone(), name };
                if let Some(standing) = standing {
                    self.write().routes.insert(place, *standing);
                }
                self.show(&namespace, now, Summary::Route(summary));
                self.changes.send_modify(|count| *count = count.wrapping_add(1));
                self.enqueue(&namespace);
            }
        }
    }

    /// Has the exposures of a namespace's friend looked at. Before everything was listed there is nothing to compare
    /// them with; then all of them are looked at.
    fn enqueue(&self, namespace: &str) {
        let friend = namespace.strip_prefix(FRIENDS).and_then(|friend| FriendId::parse(friend).ok());
        if let Some(friend) = friend
            && self.complete.load(Ordering::Acquire)
        {
            self.queue.add(friend);
        }
    }

    /// Takes in that an object is gone.
    pub(super) fn remove(&self, topic: Topic, namespace: &str, name: &str) {
        let now = self.clock.now();
        match topic {
            Topic::Namespaces => self.change(namespace, now, |contents, _| contents.set_phase(None)),
            Topic::Objects(kind) => self.change(namespace, now, |contents, _| contents.remove(kind, name)),
        };
        if topic == Topic::Objects(Kind::Route) {
            self.write().routes.remove(&RoutePlace { namespace: namespace.to_owned(), name: name.to_owned() });
            self.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
        if matches!(topic, Topic::Namespaces | Topic::Objects(Kind::Service | Kind::Route)) {
            self.enqueue(namespace);
        }
    }

    /// Takes in that `listed` is all there is of `topic`, by namespace and name.
    pub(super) fn settle(&self, topic: Topic, listed: &HashSet<(String, String)>) {
        for (namespace, name) in self.known(topic) {
            let pair = (namespace, name);
            if !listed.contains(&pair) {
                self.remove(topic, &pair.0, &pair.1);
            }
        }
        self.heard(topic);
        let is_complete = self.heard.iter().all(|heard| heard.load(Ordering::Acquire) != 0);
        if is_complete && !self.complete.swap(true, Ordering::AcqRel) {
            self.queue.add_everything();
        }
    }

    fn known(&self, topic: Topic) -> Vec<(String, String)> {
        let world = self.read();
        match topic {
            Topic::Namespaces => {
                let existing = world.spaces.iter().filter(|(_, space)| space.contents.phase().is_some());
                existing.map(|(name, _)| (name.clone(), name.clone())).collect()
            }
            Topic::Objects(Kind::Route) => {
                world.routes.keys().map(|place| (place.namespace.clone(), place.name.clone())).collect()
            }
            Topic::Objects(kind) => {
                let named = |(namespace, space): (&String, &Space)| {
                    let names = space.contents.names(kind);
                    names.into_iter().map(|name| (namespace.clone(), name.to_string())).collect::<Vec<_>>()
                };
                world.spaces.iter().flat_map(named).collect()
            }
        }
    }

    fn show(&self, namespace: &str, now: DateTime<Utc>, mut summary: Summary) -> bool {
        self.change(namespace, now, |contents, strings| {
            summary.share_texts(|text| strings.share(text));
            contents.put(summary)
        })
    }

    /// Changes what is known of a friend's namespace; `work` tells whether anything shown has changed, and so does
    /// this.
    fn change(
        &self,
        namespace: &str,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut Contents, &mut Strings) -> bool,
    ) -> bool {
        if !namespace.starts_with(FRIENDS) {
            return false;
        }
        let mut world = self.write();
        let World { spaces, strings, .. } = &mut *world;
        let space = match spaces.get_mut(namespace) {
            Some(space) => space,
            None => spaces.entry(namespace.to_owned()).or_default(),
        };
        let has_changed = work(&mut space.contents, strings);
        if has_changed {
            space.overview = None;
            space.changed_at = now;
        }
        if space.contents.is_empty() {
            spaces.remove(namespace);
        }
        has_changed
    }

    fn read(&self) -> RwLockReadGuard<'_, World> {
        self.world.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, World> {
        self.world.write()
    }
}

fn stale(why: String) -> BackendError {
    BackendError::unavailable(Backend::Cluster, why)
}
