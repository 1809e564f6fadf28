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
use portal_k8s::{Cluster, Contents, IngressRoute, Kind, Overview, Phase};

pub use manifest::{Loaded, ManifestError};
use object::Object;

/// A cluster in memory. It keeps what an API server keeps of routes (uid, resourceVersion) and shows namespaces with
/// the very functions that show a real one. Clones share one cluster.
#[derive(Clone)]
pub struct MemoryCluster {
    clock: Arc<dyn Clock>,
    world: Arc<Mutex<World>>,
}

/// Everything in the cluster.
struct World {
    namespaces: BTreeMap<String, Space>,
    /// The overview of every namespace that never was.
    nothing: Arc<Overview>,
    /// The last resourceVersion that was given out; uids are made from it as well.
    version: u64,
    trouble: Option<String>,
}

/// One namespace.
struct Space {
    contents: Contents,
    overview: Arc<Overview>,
    services: BTreeMap<String, Service>,
    routes: BTreeMap<String, IngressRoute>,
}

impl MemoryCluster {
    /// An empty cluster.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let nothing = Arc::new(Overview::absent(clock.now()));
        let world = World { namespaces: BTreeMap::new(), nothing, version: 0, trouble: None };
        Self { clock, world: Arc::new(Mutex::new(world)) }
    }

    /// Puts every object of a multi-document YAML text into the cluster, or none if one of them is wrong. An object
    /// without a namespace goes to `default_namespace`; an object that is there already is replaced. `source` names
    /// the text in errors.
    ///
    /// # Errors
    /// Text that is not YAML, and an object of a known kind that is not well-formed.
    pub fn load_yaml(&self, source: &str, text: &str, default_namespace: &str) -> Result<Loaded, ManifestError> {
        let manifest = manifest::read(source, text, default_namespace)?;
        Ok(self.load(manifest))
    }

    /// Puts the objects of a file, or of all `.yaml`, `.yml` and `.json` files of a folder, into the cluster, or none
    /// if one of them is wrong.
    ///
    /// # Errors
    /// What [`Self::load_yaml`] refuses, a file that cannot be read, and a folder without such files.
    pub fn load_path(&self, path: &Path, default_namespace: &str) -> Result<Loaded, ManifestError> {
        let manifest = manifest::read_path(path, default_namespace)?;
        Ok(self.load(manifest))
    }

    /// From now on every question is answered like that of an API server that is gone, with `cause` as the source.
    pub fn go_down(&self, cause: &str) {
        self.with(|world| world.trouble = Some(cause.to_owned()));
    }

    /// Ends the trouble; everything is as it was.
    pub fn come_back(&self) {
        self.with(|world| world.trouble = None);
    }

    /// Puts a route into the cluster as somebody with `kubectl` does, whoever made the one that stands there.
    pub fn put_route(&self, namespace: &str, route: IngressRoute) {
        let now = self.clock.now();
        self.with(|world| world.put(namespace, Object::Route(Box::new(route)), now));
    }

    /// The route of that name, as it stands.
    #[must_use]
    pub fn route(&self, namespace: &str, name: &str) -> Option<IngressRoute> {
        self.with(|world| world.namespaces.get(namespace)?.routes.get(name).cloned())
    }

    /// Deletes an object by hand; tells whether it was there.
    #[must_use]
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) -> bool {
        let now = self.clock.now();
        self.with(|world| world.delete(kind, namespace, name, now))
    }

    /// Lets a namespace begin (`Active`), begin to end (`Terminating`) or end (`None`, with all that is in it).
    pub fn set_phase(&self, namespace: &str, phase: Option<Phase>) {
        let now = self.clock.now();
        self.with(|world| world.set_phase(namespace, phase, now));
    }

    fn load(&self, manifest: manifest::Manifest) -> Loaded {
        let now = self.clock.now();
        let loaded = Loaded { objects: manifest.objects.len(), skipped: manifest.skipped };
        self.with(|world| {
            for (namespace, object) in manifest.objects {
                world.put(&namespace, object, now);
            }
        });
        loaded
    }

    /// Asks the API server, which may be gone.
    fn ask<T>(&self, question: impl FnOnce(&mut World) -> T) -> Result<T, BackendError> {
        self.with(|world| match &world.trouble {
            Some(cause) => Err(BackendError::unavailable(Backend::Cluster, cause.clone())),
            None => Ok(question(world)),
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.world.lock())
    }
}

#[async_trait]
impl Cluster for MemoryCluster {
    async fn namespace(&self, friend: &FriendId) -> Result<Arc<Overview>, BackendError> {
        self.ask(|world| {
            let space = world.namespaces.get(&friend.namespace());
            space.map_or_else(|| world.nothing.clone(), |space| space.overview.clone())
        })
    }
}

impl World {
    /// Creates or replaces an object, and its namespace with it.
    fn put(&mut self, namespace: &str, mut object: Object, now: DateTime<Utc>) {
        self.version = self.version.saturating_add(1);
        let version = self.version;
        let space = self.namespaces.entry(namespace.to_owned()).or_insert_with(|| Space::new(now));
        let known = match &object {
            Object::Route(route) => space.routes.get(route.metadata.name.as_deref().unwrap_or_default()),
            _ => None,
        };
        let known_uid = known.and_then(|route| route.metadata.uid.clone());
        object.admit(namespace, known_uid, version, now);
        let changed = space.put(object);
        space.refresh(changed, now);
    }

    fn delete(&mut self, kind: Kind, namespace: &str, name: &str, now: DateTime<Utc>) -> bool {
        let Some(space) = self.namespaces.get_mut(namespace) else { return false };
        match kind {
            Kind::Service => space.services.remove(name).is_some(),
            Kind::Route => space.routes.remove(name).is_some(),
            Kind::Pod | Kind::Deployment | Kind::Quota => false,
        };
        let there = space.contents.remove(kind, name);
        space.refresh(there, now);
        there
    }

    fn set_phase(&mut self, namespace: &str, phase: Option<Phase>, now: DateTime<Utc>) {
        let space = self.namespaces.entry(namespace.to_owned()).or_insert_with(|| Space::new(now));
        let changed = space.contents.set_phase(phase);
        if phase.is_none() {
            space.contents = Contents::default();
            space.services.clear();
            space.routes.clear();
        }
        space.refresh(changed, now);
    }

    /// The namespace, unless it does not exist or is being deleted.
    fn living(&mut self, namespace: &str) -> Option<&mut Space> {
        self.namespaces.get_mut(namespace).filter(|space| space.overview.phase == Some(Phase::Active))
    }
}

impl Space {
    fn new(now: DateTime<Utc>) -> Self {
        let mut contents = Contents::default();
        contents.set_phase(Some(Phase::Active));
        let overview = Arc::new(contents.overview(now));
        Self { contents, overview, services: BTreeMap::new(), routes: BTreeMap::new() }
    }

    /// Keeps an object; tells whether anything shown has changed.
    fn put(&mut self, object: Object) -> bool {
        let Some(summary) = object.summary() else {
            return self.contents.set_phase(object.phase());
        };
        match object {
            Object::Service(service) => {
                self.services.insert(service.metadata.name.clone().unwrap_or_default(), *service);
            }
            Object::Route(route) => {
                self.routes.insert(route.metadata.name.clone().unwrap_or_default(), *route);
            }
            Object::Namespace(_) | Object::Pod(_) | Object::Deployment(_) | Object::Quota(_) => {}
        }
        // A namespace that ended begins anew with its first object.
        let revived = self.overview.phase.is_none() && self.contents.set_phase(Some(Phase::Active));
        self.contents.put(summary) || revived
    }

    fn refresh(&mut self, changed: bool, now: DateTime<Utc>) {
        if changed {
            self.overview = Arc::new(self.contents.overview(now));
        }
    }
}

#[cfg(test)]
mod tests;
