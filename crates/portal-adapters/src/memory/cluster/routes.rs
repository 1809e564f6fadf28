//! Routes of the cluster in memory, as exposing a service needs them.

use async_trait::async_trait;
use portal_core::BackendError;
use portal_dns::{
    Freshness, Hostname, ObservedRoute, ObservedRoutes, OwnershipMarker, RouteChanged, RouteCreated, RoutePlace,
    RouteSpec, RouteVersion, Routes,
};
use portal_k8s::{IngressRoute, Kind};

use super::object::Object;
use super::{MemoryCluster, World};
use crate::ingress_route::{claims_any, marker as mark_of, object, seen};

#[async_trait]
impl Routes for MemoryCluster {
    async fn look(
        &self,
        place: &RoutePlace,
        hosts: &[Hostname],
        _freshness: Freshness,
    ) -> Result<ObservedRoutes, BackendError> {
        self.ask(|world| ObservedRoutes {
            own: world.at(place).and_then(seen),
            others: world
                .routes()
                .filter(|route| claims_any(&route.spec.routes, hosts))
                .filter_map(seen)
                .filter(|other| other.place != *place)
                .collect(),
        })
    }

    async fn list(&self) -> Result<Vec<ObservedRoute>, BackendError> {
        self.ask(|world| world.routes().filter_map(seen).filter(|route| route.marker.is_some()).collect())
    }

    async fn create(
        &self,
        place: &RoutePlace,
        spec: &RouteSpec,
        marker: &OwnershipMarker,
    ) -> Result<RouteCreated, BackendError> {
        let now = self.clock.now();
        self.ask(|world| {
            if world.at(place).is_some() {
                return RouteCreated::Exists;
            }
            if world.living(&place.namespace).is_none() {
                return RouteCreated::NamespaceGone;
            }
            world.put(&place.namespace, Object::Route(Box::new(object(place, spec, marker))), now);
            RouteCreated::Done
        })
    }

    async fn change(
        &self,
        place: &RoutePlace,
        spec: &RouteSpec,
        marker: &OwnershipMarker,
        version: &RouteVersion,
    ) -> Result<RouteChanged, BackendError> {
        let now = self.clock.now();
        self.ask(|world| {
            let Some(known) = world.at(place) else { return RouteChanged::Absent };
            let is_version = seen(known).is_some_and(|known| known.version == *version);
            if !is_version || mark_of(&known.metadata).as_ref() != Some(marker) {
                return RouteChanged::Stale;
            }
            // Labels and annotations of other people's making stay, as with server-side apply.
            let changed = IngressRoute::new(known.metadata.clone(), object(place, spec, marker).spec);
            world.put(&place.namespace, Object::Route(Box::new(changed)), now);
            RouteChanged::Done
        })
    }

    async fn delete(
        &self,
        place: &RoutePlace,
        marker: &OwnershipMarker,
        version: &RouteVersion,
    ) -> Result<RouteChanged, BackendError> {
        let now = self.clock.now();
        self.ask(|world| {
            let Some(known) = world.at(place) else { return RouteChanged::Absent };
            if known.metadata.uid.as_ref() != Some(&version.uid) || mark_of(&known.metadata).as_ref() != Some(marker) {
                return RouteChanged::Stale;
            }
            world.delete(Kind::Route, &place.namespace, &place.name, now);
            RouteChanged::Done
        })
    }
}

impl World {
    fn at(&self, place: &RoutePlace) -> Option<&IngressRoute> {
        self.namespaces.get(&place.namespace)?.routes.get(&place.name)
    }

    fn routes(&self) -> impl Iterator<Item = &IngressRoute> {
        self.namespaces.values().flat_map(|space| space.routes.values())
    }
}
