//! A cluster in memory, filled from ordinary Kubernetes YAML.

mod manifest;
mod object;
mod routes;
mod services;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Service;
use parking_lot::Mutex;
use portal_core::{Backend, BackendError, Clock, FriendId};
use portal_k8s::{ClaimKind, Cluster, Contents, HostClaims, IngressRoute, Kind, Overview, Phase};

pub use manifest::{Loaded, ManifestError};
use object::Object;

/// A cluster in memory. It gives routes uid and resourceVersion as an API server does, and shows namespaces with the
/// very functions that show a real one. Clones share one cluster.
#[derive(Clone)]
pub struct MemoryCluster {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<ClusterState>>,
}

/// Everything in the cluster.
struct ClusterState {
    namespaces: BTreeMap<String, NamespaceState>,
    /// The overview of every namespace that never was.
    nothing: Arc<Overview>,
    /// The last resourceVersion that was given out; uids are made from it as well.
    version: u64,
    outage: Option<String>,
}

/// One namespace.
struct NamespaceState {
    contents: Contents,
    overview: Arc<Overview>,
    services: BTreeMap<String, Service>,
    routes: BTreeMap<String, IngressRoute>,
    /// Everything else that claims hostnames.
    claims: BTreeMap<(ClaimKind, String), HostClaims>,
}

impl MemoryCluster {
    /// An empty cluster.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let nothing = Arc::new(Overview::absent(clock.now()));
        let state = ClusterState { namespaces: BTreeMap::new(), nothing, version: 0, outage: None };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    /// Puts every object of a YAML text, or of a stream of JSON objects, into the cluster, or none if one of them is
    /// wrong. An object without a namespace goes to `default_namespace`; an object that is there already is replaced.
    /// `source` names the text in errors.
    ///
    /// # Errors
    /// The first document that cannot be read.
    pub fn load_yaml(&self, source: &str, text: &str, default_namespace: &str) -> Result<Loaded, ManifestError> {
        let mut manifest = manifest::read(source, text, default_namespace);
        if manifest.errors.is_empty() { Ok(self.load(manifest)) } else { Err(manifest.errors.swap_remove(0)) }
    }

    /// Puts the objects of a file, or of all `.yaml`, `.yml` and `.json` files of a folder, into the cluster. What
    /// cannot be read is left out, with a line about it.
    ///
    /// # Errors
    /// A file or folder that cannot be opened, and a folder without such files.
    pub fn load_path(&self, path: &Path, default_namespace: &str) -> Result<Loaded, ManifestError> {
        Ok(self.load(manifest::read_path(path, default_namespace)?))
    }

    /// Makes every later call fail as if the API server were gone, with `cause` as the source.
    pub fn go_down(&self, cause: &str) {
        self.with(|state| state.outage = Some(cause.to_owned()));
    }

    /// Ends the outage; everything is as it was before.
    pub fn come_back(&self) {
        self.with(|state| state.outage = None);
    }

    /// Puts a route into the cluster as somebody with `kubectl` does, whoever made the one that stands there.
    pub fn put_route(&self, namespace: &str, route: IngressRoute) {
        let now = self.clock.now();
        self.with(|state| state.put(namespace, Object::Route(Box::new(route)), now));
    }

    /// The route of that name, as it stands.
    #[must_use]
    pub fn route(&self, namespace: &str, name: &str) -> Option<IngressRoute> {
        self.with(|state| state.namespaces.get(namespace)?.routes.get(name).cloned())
    }

    /// Deletes an object by hand; tells whether it was there.
    #[must_use]
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        let now = self.clock.now();
        self.with(|state| state.delete(kind, namespace, name, now))
    }

    /// Creates a namespace (`Active`), begins to delete it (`Terminating`) or deletes it (`None`, with all that is in it).
    pub fn set_phase(&self, namespace: &str, phase: Option<Phase>) {
        let now = self.clock.now();
        self.with(|state| state.set_phase(namespace, phase, now));
    }

    fn load(&self, manifest: manifest::Manifest) -> Loaded {
        let now = self.clock.now();
        let loaded = Loaded { objects: manifest.objects.len(), skipped: manifest.skipped };
        self.with(|state| {
            for (namespace, object) in manifest.objects {
                state.put(&namespace, object, now);
            }
        });
        loaded
    }

    /// Asks the API server, which may be gone.
    fn ask<T>(&self, question: impl FnOnce(&mut ClusterState) -> T) -> Result<T, BackendError> {
        self.with(|state| match &state.outage {
            Some(cause) => Err(BackendError::unavailable(Backend::Cluster, cause.clone())),
            None => Ok(question(state)),
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut ClusterState) -> T) -> T {
        work(&mut self.state.lock())
    }
}

#[async_trait]
impl Cluster for MemoryCluster {
    async fn overview(&self, friend: &FriendId) -> Result<Arc<Overview>, BackendError> {
        self.ask(|state| {
            let namespace_state = state.namespaces.get(&friend.namespace());
            namespace_state.map_or_else(|| state.nothing.clone(), |namespace_state| namespace_state.overview.clone())
        })
    }
}

impl ClusterState {
    /// Creates or replaces an object, and its namespace with it.
    fn put(&mut self, namespace: &str, mut object: Object, now: DateTime<Utc>) {
        self.version = self.version.saturating_add(1);
        let version = self.version;
        let namespace_state = self.namespaces.entry(namespace.to_owned()).or_insert_with(|| NamespaceState::new(now));
        let known = match &object {
            Object::Route(route) => namespace_state.routes.get(route.metadata.name.as_deref().unwrap_or_default()),
            _ => None,
        };
        // An object that is replaced keeps its uid, as in a cluster.
        let known_uid = known.and_then(|route| route.metadata.uid.clone());
        object.admit(namespace, known_uid, version, now);
        let changed = namespace_state.put(object);
        namespace_state.refresh(changed, now);
    }

    fn delete(&mut self, kind: Kind, namespace: &str, name: &str, now: DateTime<Utc>) -> bool {
        let Some(namespace_state) = self.namespaces.get_mut(namespace) else { return false };
        match kind {
            Kind::Service => namespace_state.services.remove(name).is_some(),
            Kind::Route => namespace_state.routes.remove(name).is_some(),
            Kind::Pod | Kind::Deployment | Kind::Quota => false,
        };
        let there = namespace_state.contents.remove(kind, name);
        namespace_state.refresh(there, now);
        there
    }

    fn set_phase(&mut self, namespace: &str, phase: Option<Phase>, now: DateTime<Utc>) {
        let namespace_state = self.namespaces.entry(namespace.to_owned()).or_insert_with(|| NamespaceState::new(now));
        let changed = namespace_state.contents.set_phase(phase);
        // Only when it is gone: what is in a namespace that ends is still shown.
        if phase.is_none() {
            namespace_state.contents = Contents::default();
            namespace_state.services.clear();
            namespace_state.routes.clear();
            namespace_state.claims.clear();
        }
        namespace_state.refresh(changed, now);
    }

    /// The namespace, unless it does not exist or is being deleted.
    fn living(&mut self, namespace: &str) -> Option<&mut NamespaceState> {
        self.namespaces
            .get_mut(namespace)
            .filter(|namespace_state| namespace_state.overview.phase == Some(Phase::Active))
    }
}

impl NamespaceState {
    fn new(now: DateTime<Utc>) -> Self {
        let mut contents = Contents::default();
        contents.set_phase(Some(Phase::Active));
        let overview = Arc::new(contents.overview(now));
        Self { contents, overview, services: BTreeMap::new(), routes: BTreeMap::new(), claims: BTreeMap::new() }
    }

    /// Stores an object; tells whether anything shown has changed.
    fn put(&mut self, object: Object) -> bool {
        // A namespace that ended begins anew with its first object.
        let revived = self.overview.phase.is_none() && self.contents.set_phase(Some(Phase::Active));
        let changed = match object.summary() {
            Some(summary) => self.contents.put(summary),
            None => object.phase().is_some_and(|phase| self.contents.set_phase(Some(phase))),
        };
        let name = object.name().to_owned();
        match object {
            Object::Service(service) => {
                self.services.insert(name, *service);
            }
            Object::Route(route) => {
                self.routes.insert(name, *route);
            }
            Object::Claimant(claimant) => {
                self.claims.insert((claimant.kind, name), claimant.claims);
            }
            Object::Namespace(_) | Object::Pod(_) | Object::Deployment(_) | Object::Quota(_) => {}
        }
        changed || revived
    }

    fn refresh(&mut self, changed: bool, now: DateTime<Utc>) {
        if changed {
            self.overview = Arc::new(self.contents.overview(now));
        }
    }
}

#[cfg(test)]
mod tests;
