//! A namespace with its exposures: pure.

use std::collections::BTreeMap;
use std::iter::repeat;

use portal_dns::{Exposure, Reachable, RoutePlace};
use portal_k8s::Overview;

use crate::body::namespace::{IngressRoute, Namespace};

/// The namespace's overview with the friend's exposures put beside the routes that carry them. An exposure that has no
/// route (yet, or any more) is shown under the name that its route would have.
pub(super) fn namespace(overview: &Overview, exposures: &[Exposure], reachable: &[Reachable]) -> Namespace {
    // What nothing is known about is shown as unknown.
    let known = exposures.iter().zip(reachable.iter().copied().chain(repeat(Reachable::default())));
    let mut by_route: BTreeMap<String, (&Exposure, Reachable)> =
        known.map(|known| (route_name(known.0), known)).collect();
    // Taken out one by one, so that those left over have no route.
    let mut routes: Vec<_> =
        overview.routes.iter().map(|route| IngressRoute::of_route(route, by_route.remove(&*route.name))).collect();
    routes.extend(
        by_route.into_iter().map(|(name, (exposure, known))| IngressRoute::without_route(name, exposure, known)),
    );
    routes.sort_by(|one, other| one.name.cmp(&other.name));
    Namespace::new(overview, routes)
}

fn route_name(exposure: &Exposure) -> String {
    RoutePlace::of(&exposure.friend, &exposure.name).name
}
