//! Routes of the ingress controller (Traefik's IngressRoute), as exposing a service needs them.

use async_trait::async_trait;
use portal_core::{BackendError, FriendId};

use crate::{ExposureName, Freshness, Hostname, OwnershipMarker, ServiceName, ServicePort, Tls};

/// The label of a route that holds its exposure's id.
pub const EXPOSURE_LABEL: &str = "friend-portal/exposure-id";
/// The label of a route that holds the instance of the portal that made it.
pub const INSTANCE_LABEL: &str = "friend-portal/instance";

/// Where an exposure's route stands: in its friend's namespace, as `expose-<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoutePlace {
    /// The namespace.
    pub namespace: String,
    /// The name there.
    pub name: String,
}

impl RoutePlace {
    /// The place of a friend's exposure.
    #[must_use]
    pub fn of(friend: &FriendId, name: &ExposureName) -> Self {
        Self { namespace: friend.namespace(), name: format!("expose-{name}") }
    }
}

/// What a route of ours says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// The hostnames it answers for, in one rule ``Host(`a`) || Host(`b`)``: one, or two and more while an exposure
    /// moves to another domain. Never empty.
    pub hosts: Vec<Hostname>,
    /// The Service in the same namespace that requests go to.
    pub service: ServiceName,
    /// The port of that Service.
    pub port: ServicePort,
    /// The ingress controller's entry points; empty means its default ones.
    pub entry_points: Vec<String>,
    /// How it ends TLS.
    pub tls: Tls,
    /// The ingress controller's priority; `None` leaves it to the length of the rule.
    pub priority: Option<i64>,
}

/// A version of one route, as a precondition: the object itself and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteVersion {
    /// Kubernetes' `metadata.uid`.
    pub uid: String,
    /// Kubernetes' `metadata.resourceVersion`.
    pub resource_version: String,
}

/// A route as it stands in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedRoute {
    /// Where it stands.
    pub place: RoutePlace,
    /// Which version of it was seen.
    pub version: RouteVersion,
    /// The marker in its labels; `None` if they hold no well-formed one.
    pub marker: Option<OwnershipMarker>,
    /// What it says, if that is something [`RouteSpec`] can say and nothing more; `None` for anything else, such as
    /// a rule or a middleware written by hand.
    pub spec: Option<RouteSpec>,
}

/// What was seen of the routes around an exposure. In a namespace that does not exist there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedRoutes {
    /// The route at the exposure's place, whatever it says.
    pub own: Option<ObservedRoute>,
    /// Every other route, in any namespace, that carries an ownership marker and could match one of the hostnames.
    pub others: Vec<ObservedRoute>,
}

/// Something else in the cluster that claims a hostname: a route without an ownership marker, or an object of any
/// other kind that an ingress controller reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostClaim {
    /// The kind of object with its API group, as `kubectl` takes it: `ingress.networking.k8s.io`.
    pub kind: String,
    /// Its namespace and name.
    pub place: RoutePlace,
    /// The ingress controller's priority of its rule.
    pub priority: i64,
    /// The claim was read. It is not certain where an object cannot be read and merely contains the domain's name.
    pub is_certain: bool,
}

/// What became of [`Routes::create`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteCreated {
    /// It stands now.
    Done,
    /// Something stood there already; nothing changed.
    Exists,
    /// The namespace does not exist or is being deleted; nothing changed.
    NamespaceGone,
}

/// What became of [`Routes::change`] and [`Routes::delete`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteChanged {
    /// It was done.
    Done,
    /// The route is not the version that was seen, or does not carry the marker; nothing changed.
    Stale,
    /// There is no such route.
    Absent,
}

/// The routes of the cluster.
#[async_trait]
pub trait Routes: Send + Sync {
    /// Returns the route at `place`, read live or as last watched, and other marked routes as last watched.
    async fn look(
        &self,
        place: &RoutePlace,
        hosts: &[Hostname],
        freshness: Freshness,
    ) -> Result<ObservedRoutes, BackendError>;

    /// Returns everything, as last watched, that claims one of `hosts`, apart from the route at `place` and routes with
    /// an ownership marker. A rule that cannot be read claims the domains whose text it contains; one that names no
    /// host in particular, such as `PathPrefix` alone or a pattern that accepts every host, claims nothing.
    ///
    /// # Errors
    /// A kind that the cluster serves but that could not be watched of late: no claim may be missing.
    async fn claims(&self, place: &RoutePlace, hosts: &[Hostname]) -> Result<Vec<HostClaim>, BackendError>;

    /// Every route of any namespace that carries a well-formed marker, as last watched.
    async fn list(&self) -> Result<Vec<ObservedRoute>, BackendError>;

    /// Creates a route with `marker` in its labels. What exists is never overwritten.
    async fn create(
        &self,
        place: &RoutePlace,
        spec: &RouteSpec,
        marker: &OwnershipMarker,
    ) -> Result<RouteCreated, BackendError>;

    /// Makes the route say `spec`, if it still is `version` and carries `marker`.
    async fn change(
        &self,
        place: &RoutePlace,
        spec: &RouteSpec,
        marker: &OwnershipMarker,
        version: &RouteVersion,
    ) -> Result<RouteChanged, BackendError>;

    /// Deletes the route, if it still is the object of `version` (its uid) and carries `marker`.
    async fn delete(
        &self,
        place: &RoutePlace,
        marker: &OwnershipMarker,
        version: &RouteVersion,
    ) -> Result<RouteChanged, BackendError>;
}

#[cfg(test)]
mod tests {
    use portal_core::FriendId;

    use super::RoutePlace;
    use crate::ExposureName;

    #[test]
    fn a_route_is_named_after_its_exposure() {
        let place = RoutePlace::of(&FriendId::parse("alice").unwrap(), &ExposureName::parse("my-app").unwrap());
        assert_eq!((place.namespace.as_str(), place.name.as_str()), ("friend-alice", "expose-my-app"));
    }
}
