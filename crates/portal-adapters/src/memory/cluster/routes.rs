//! Routes of the cluster in memory, as exposing a service needs them.

use async_trait::async_trait;
use portal_core::BackendError;
use portal_dns::{
    Freshness, HostClaim, Hostname, ObservedRoute, ObservedRoutes, OwnershipMarker, RouteChanged, RouteCreated,
    RoutePlace, RouteSpec, RouteVersion, Routes,
};
use portal_k8s::{Claim, HostClaims, IngressRoute, Kind};

use super::object::Object;
use super::{ClusterState, MemoryCluster};
use crate::ingress_route::{INGRESS_ROUTE, claim_kind, marker as marker_of, object, observed};

#[async_trait]
impl Routes for MemoryCluster {
    async fn look(
        &self,
        place: &RoutePlace,
        hosts: &[Hostname],
        _freshness: Freshness,
    ) -> Result<ObservedRoutes, BackendError> {
        self.ask(|state| ObservedRoutes {
            own: state.route(place).and_then(observed),
            others: state
                .routes()
                .filter(|route| claim(&HostClaims::of_route(route), hosts).is_some())
                .filter_map(observed)
                .filter(|other| other.marker.is_some() && other.place != *place)
                .collect(),
        })
    }

    async fn claims(&self, place: &RoutePlace, hosts: &[Hostname]) -> Result<Vec<HostClaim>, BackendError> {
        self.ask(|state| {
            let routes = state.routes().filter(|route| marker_of(&route.metadata).is_none()).filter_map(|route| {
                let claim = claim(&HostClaims::of_route(route), hosts)?;
                Some((INGRESS_ROUTE.to_owned(), observed(route)?.place, claim))
            });
            let routes = routes.filter(|(_, other, _)| other != place);
            let others = state.namespaces.iter().flat_map(|(namespace, known)| {
                known.claims.iter().filter_map(move |((kind, name), claims)| {
                    let place = RoutePlace { namespace: namespace.clone(), name: name.clone() };
                    Some((claim_kind(*kind), place, claim(claims, hosts)?))
                })
            });
            let told = |(kind, place, Claim { is_certain, priority })| HostClaim { kind, place, priority, is_certain };
            routes.chain(others).map(told).collect()
        })
    }

    async fn list(&self) -> Result<Vec<ObservedRoute>, BackendError> {
        self.ask(|state| state.routes().filter_map(observed).filter(|route| route.marker.is_some()).collect())
    }

    async fn create(
        &self,
        place: &RoutePlace,
        spec: &RouteSpec,
        marker: &OwnershipMarker,
    ) -> Result<RouteCreated, BackendError> {
        let now = self.clock.now();
        self.ask(|state| {
            if state.route(place).is_some() {
                return RouteCreated::Exists;
            }
            if state.living(&place.namespace).is_none() {
                return RouteCreated::NamespaceGone;
            }
            state.put(&place.namespace, Object::Route(Box::new(object(place, spec, marker))), now);
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
        self.ask(|state| {
            let Some(known) = state.route(place) else { return RouteChanged::Absent };
            let is_version = observed(known).is_some_and(|known| known.version == *version);
            if !is_version || marker_of(&known.metadata).as_ref() != Some(marker) {
                return RouteChanged::Stale;
            }
            // Labels and annotations of other people's making stay, as with server-side apply.
            let changed = IngressRoute::new(known.metadata.clone(), object(place, spec, marker).spec);
            state.put(&place.namespace, Object::Route(Box::new(changed)), now);
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
        self.ask(|state| {
            let Some(known) = state.route(place) else { return RouteChanged::Absent };
            if known.metadata.uid.as_ref() != Some(&version.uid) || marker_of(&known.metadata).as_ref() != Some(marker)
            {
                return RouteChanged::Stale;
            }
            state.delete(Kind::Route, &place.namespace, &place.name, now);
            RouteChanged::Done
        })
    }
}

impl ClusterState {
    fn route(&self, place: &RoutePlace) -> Option<&IngressRoute> {
        self.namespaces.get(&place.namespace)?.routes.get(&place.name)
    }

    fn routes(&self) -> impl Iterator<Item = &IngressRoute> {
        self.namespaces.values().flat_map(|namespace_state| namespace_state.routes.values())
    }
}

fn claim(claims: &HostClaims, hosts: &[Hostname]) -> Option<Claim> {
    hosts.iter().find_map(|host| claims.claim(host.as_str()))
}
