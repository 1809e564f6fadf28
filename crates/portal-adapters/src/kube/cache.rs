//! Everything that the watches have told so far.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use portal_core::{BackendError, Clock, FriendId};
use portal_dns::{HostClaim, Hostname, ObservedRoute, RoutePlace, WorkQueue};
use portal_k8s::{Claim, Contents, Kind, Overview, Summary};
use tokio::sync::watch;
use tokio::time::timeout;

use super::claims::{ClaimIndex, Claimant};
use super::health::Health;
use super::observe::{Content, ObjectUpdate, RouteContent, Topic};
use super::strings::Strings;
use crate::ingress_route::{INGRESS_ROUTE, claim_kind};

/// Prefix of friends' namespaces; of all others only what claims hostnames is stored.
const FRIENDS: &str = "friend-";
/// Longest wait for the first list of each kind that claims hostnames.
const FIRST_LISTS_TIMEOUT: Duration = Duration::from_secs(2);
/// The topic of Traefik's current routes, the only ones that the portal writes.
const ROUTES: Topic = Topic::Objects(Kind::Route);

/// The state of the cluster, shared by the watches that write it and the ports that read it.
pub(super) struct Cache {
    clock: Arc<dyn Clock>,
    /// The state of the watches themselves.
    pub(super) health: Health,
    state: RwLock<ClusterState>,
    /// Counts changes of routes.
    changes: watch::Sender<u64>,
    /// Friends whose exposures may be concerned by what changed.
    pub(super) queue: Arc<WorkQueue>,
}

#[derive(Default)]
struct ClusterState {
    namespaces: HashMap<String, NamespaceState>,
    routes: HashMap<RoutePlace, ObservedRoute>,
    claims: ClaimIndex,
    strings: Strings,
}

#[derive(Default)]
struct NamespaceState {
    contents: Contents,
    /// Made when it is first asked for after a change.
    overview: Option<Arc<Overview>>,
    changed_at: DateTime<Utc>,
}

impl ClusterState {
    /// Everything, apart from the route at `place`, that claims one of the hostnames; each object once.
    fn claimants(&self, place: &RoutePlace, hosts: &[Hostname]) -> Vec<(&Claimant, Claim)> {
        let mut known = HashSet::new();
        let claimants = hosts.iter().flat_map(|host| self.claims.find(host));
        claimants
            .filter(|(claimant, _)| claimant.topic != ROUTES || claimant.place != *place)
            .filter(|(claimant, _)| known.insert(*claimant))
            .collect()
    }

    /// The route with an ownership marker that a claimant is.
    fn marked(&self, claimant: &Claimant) -> Option<&ObservedRoute> {
        let route = self.routes.get(&claimant.place).filter(|_| claimant.topic == ROUTES);
        route.filter(|route| route.marker.is_some())
    }
}

impl Cache {
    pub(super) fn new(clock: Arc<dyn Clock>, max_staleness: Duration) -> Self {
        Self {
            clock,
            health: Health::new(max_staleness),
            state: RwLock::default(),
            changes: watch::Sender::new(0),
            queue: Arc::default(),
        }
    }

    /// Tells whether everything that is shown is fresh enough to be shown. Kinds that only claim hostnames are left
    /// out: without them nothing can be exposed, but everything can be seen.
    pub(super) fn check_shown(&self) -> Result<(), BackendError> {
        Topic::SHOWN.into_iter().try_for_each(|topic| self.health.check(topic))
    }

    /// Tells whether it is known what claims hostnames. Just after the start it waits a moment for the first lists.
    pub(super) async fn check_claims(&self) -> Result<(), BackendError> {
        let first_lists = self.health.wait_until_known(|| Topic::claiming().collect());
        // What is missing then is named below.
        timeout(FIRST_LISTS_TIMEOUT, first_lists).await.ok();
        Topic::claiming().try_for_each(|topic| self.health.check(topic))
    }

    /// Returns the namespace as it was last told of; the same `Arc` until that changes.
    pub(super) fn overview(&self, namespace: &str) -> Option<Arc<Overview>> {
        if let Some(overview) = &self.read().namespaces.get(namespace)?.overview {
            return Some(overview.clone());
        }
        let mut state = self.write();
        let known = state.namespaces.get_mut(namespace)?;
        let made = || Arc::new(known.contents.overview(known.changed_at));
        Some(known.overview.get_or_insert_with(made).clone())
    }

    /// Reads the contents of a friend's namespace.
    pub(super) fn with_contents<T>(&self, namespace: &str, read: impl FnOnce(&Contents) -> T) -> T {
        match self.read().namespaces.get(namespace) {
            Some(known) => read(&known.contents),
            None => read(&Contents::default()),
        }
    }

    /// Reads all routes.
    pub(super) fn with_routes<T>(&self, read: impl FnOnce(&HashMap<RoutePlace, ObservedRoute>) -> T) -> T {
        read(&self.read().routes)
    }

    /// Returns the routes with an ownership marker, apart from the one at `place`, that claim one of the hostnames.
    pub(super) fn marked_routes(&self, place: &RoutePlace, hosts: &[Hostname]) -> Vec<ObservedRoute> {
        let state = self.read();
        let claimants = state.claimants(place, hosts);
        claimants.into_iter().filter_map(|(claimant, _)| state.marked(claimant).cloned()).collect()
    }

    /// Returns every other claim to one of the hostnames.
    pub(super) fn claims(&self, place: &RoutePlace, hosts: &[Hostname]) -> Vec<HostClaim> {
        let state = self.read();
        let unmarked =
            state.claimants(place, hosts).into_iter().filter(|(claimant, _)| state.marked(claimant).is_none());
        let claim = |(claimant, claim): (&Claimant, Claim)| HostClaim {
            kind: match claimant.topic {
                Topic::Claims(kind) => claim_kind(kind),
                Topic::Objects(_) | Topic::Namespaces => INGRESS_ROUTE.to_owned(),
            },
            place: claimant.place.clone(),
            priority: claim.priority,
            is_certain: claim.is_certain,
        };
        unmarked.map(claim).collect()
    }

    /// Waits until `is_there` holds for the routes.
    pub(super) async fn wait_for_routes(&self, is_there: impl Fn(&HashMap<RoutePlace, ObservedRoute>) -> bool) {
        let mut changes = self.changes.subscribe();
        // The sender lives as long as this cache does.
        while !self.with_routes(&is_there) && changes.changed().await.is_ok() {}
    }

    /// Stores an object that was added or changed.
    pub(super) fn put(&self, update: ObjectUpdate) {
        let ObjectUpdate { namespace, name, content } = update;
        let now = self.clock.now();
        match content {
            Content::Phase(phase) => {
                if self.change(&namespace, now, |contents, _| contents.set_phase(Some(phase))) {
                    self.enqueue(&namespace);
                }
            }
            Content::Shown(summary) => {
                let is_service = matches!(summary, Summary::Service(_));
                if self.show(&namespace, now, summary) && is_service {
                    self.enqueue(&namespace);
                }
            }
            Content::Route(route) => self.put_route(RoutePlace { namespace, name }, now, *route),
            // A claim concerns a friend's exposures only if it is new; the next pass finds that.
            Content::Claims(kind, claims) => {
                let claimant = Claimant { topic: Topic::Claims(kind), place: RoutePlace { namespace, name } };
                self.write().claims.put(claimant, claims);
            }
        }
    }

    fn put_route(&self, place: RoutePlace, now: DateTime<Utc>, route: RouteContent) {
        let RouteContent { summary, observed, claims } = route;
        let namespace = place.namespace.clone();
        {
            let mut state = self.write();
            // One lock for both: a route must not be seen without its claims.
            if let Some(observed) = observed {
                state.routes.insert(place.clone(), observed);
            }
            state.claims.put(Claimant { topic: ROUTES, place }, claims);
        }
        self.show(&namespace, now, Summary::Route(summary));
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        self.enqueue(&namespace);
    }

    /// Has the exposures of a namespace's friend checked. Before everything was listed there is nothing to compare
    /// them with; then all of them are checked.
    fn enqueue(&self, namespace: &str) {
        let friend = namespace.strip_prefix(FRIENDS).and_then(|friend| FriendId::parse(friend).ok());
        if let Some(friend) = friend
            && self.health.is_complete()
        {
            self.queue.add(friend);
        }
    }

    /// Removes an object.
    pub(super) fn remove(&self, topic: Topic, namespace: &str, name: &str) {
        let now = self.clock.now();
        let place = || RoutePlace { namespace: namespace.to_owned(), name: name.to_owned() };
        match topic {
            Topic::Namespaces => {
                self.change(namespace, now, |contents, _| contents.set_phase(None));
            }
            Topic::Objects(kind) => {
                self.change(namespace, now, |contents, _| contents.remove(kind, name));
            }
            Topic::Claims(_) => {}
        }
        if matches!(topic, ROUTES | Topic::Claims(_)) {
            self.write().claims.remove(&Claimant { topic, place: place() });
        }
        if topic == ROUTES {
            self.write().routes.remove(&place());
            self.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
        if matches!(topic, Topic::Namespaces | Topic::Objects(Kind::Service | Kind::Route)) {
            self.enqueue(namespace);
        }
    }

    /// Notes that `listed`, by namespace and name, is all there is of `topic`.
    pub(super) fn listed_all(&self, topic: Topic, listed: &HashSet<(String, String)>) {
        self.retain(topic, listed);
        self.health.heard(topic);
        // Exposures may have drifted while no portal was running.
        if self.health.becomes_complete() {
            self.queue.add_everything();
        }
    }

    /// Notes that the cluster has no such kind, and so no object of it.
    pub(super) fn not_served(&self, topic: Topic) {
        if self.health.not_served(topic) {
            self.retain(topic, &HashSet::new());
            tracing::info!(?topic, "the cluster does not serve this kind");
        }
    }

    fn retain(&self, topic: Topic, listed: &HashSet<(String, String)>) {
        for pair in self.known(topic) {
            if !listed.contains(&pair) {
                self.remove(topic, &pair.0, &pair.1);
            }
        }
    }

    fn known(&self, topic: Topic) -> Vec<(String, String)> {
        let state = self.read();
        match topic {
            Topic::Namespaces => {
                let existing = state.namespaces.iter().filter(|(_, known)| known.contents.phase().is_some());
                existing.map(|(name, _)| (name.clone(), name.clone())).collect()
            }
            // Routes are known in every namespace, not only in those that are shown.
            ROUTES | Topic::Claims(_) => {
                state.claims.of(topic).map(|place| (place.namespace.clone(), place.name.clone())).collect()
            }
            Topic::Objects(kind) => {
                let named = |(namespace, known): (&String, &NamespaceState)| {
                    let names = known.contents.names(kind);
                    names.into_iter().map(|name| (namespace.clone(), name.to_string())).collect::<Vec<_>>()
                };
                state.namespaces.iter().flat_map(named).collect()
            }
        }
    }

    fn show(&self, namespace: &str, now: DateTime<Utc>, mut summary: Summary) -> bool {
        self.change(namespace, now, |contents, strings| {
            summary.share_texts(|text| strings.share(text));
            contents.put(summary)
        })
    }

    /// Changes a friend's namespace; `work` tells whether anything shown has changed, and so does this.
    fn change(
        &self,
        namespace: &str,
        now: DateTime<Utc>,
        work: impl FnOnce(&mut Contents, &mut Strings) -> bool,
    ) -> bool {
        // Memory grows with what friends have, not with the rest of the cluster.
        if !namespace.starts_with(FRIENDS) {
            return false;
        }
        let mut state = self.write();
        let ClusterState { namespaces, strings, .. } = &mut *state;
        // Looked up before it is inserted: the name is copied once per namespace and not once per event.
        let known = match namespaces.get_mut(namespace) {
            Some(known) => known,
            None => namespaces.entry(namespace.to_owned()).or_default(),
        };
        let has_changed = work(&mut known.contents, strings);
        if has_changed {
            known.overview = None;
            known.changed_at = now;
        }
        if known.contents.is_empty() {
            namespaces.remove(namespace);
        }
        has_changed
    }

    fn read(&self) -> RwLockReadGuard<'_, ClusterState> {
        self.state.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, ClusterState> {
        self.state.write()
    }
}
