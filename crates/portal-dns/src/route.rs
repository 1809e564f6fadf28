//! Routes of the ingress controller (Traefik's IngressRoute).

use async_trait::async_trait;
use portal_core::{BackendError, FriendId};

use crate::hostname::{ExposureName, Hostname};
use crate::marker::OwnershipMarker;
use crate::service::{Freshness, ServiceName, ServicePort};

/// Label of a route that holds its exposure's id.
pub const EXPOSURE_LABEL: &str = "friend-portal/exposure-id";
/// Label of a route that holds the instance of the portal that made it.
pub const INSTANCE_LABEL: &str = "friend-portal/instance";

/// Place of an exposure's route: its friend's namespace, and `expose-<name>` there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoutePlace {
    /// The namespace.
    pub namespace: String,
    /// The name in it.
    pub name: String,
}

impl RoutePlace {
    /// Returns the place of a friend's exposure.
    #[must_use]
    pub fn of(friend: &FriendId, name: &ExposureName) -> Self {
        Self { namespace: friend.namespace(), name: format!("expose-{name}") }
    }
}

/// TLS termination of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tls {
    /// None; something in front of the ingress controller terminates TLS, or nothing does.
    Off,
    /// The ingress controller's default certificate.
    Default,
    /// The certificate in this Secret of the friend's namespace.
    Secret(String),
    /// A certificate that this resolver of the ingress controller obtains.
    Resolver(String),
}

/// Content of a route of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// Hostnames of its one rule ``Host(`a`) || Host(`b`)``: one, or two and more while an exposure moves to another
    /// domain. Never empty.
    pub hosts: Vec<Hostname>,
    /// The Service in the same namespace that receives the requests.
    pub service: ServiceName,
    /// The port of that Service.
    pub port: ServicePort,
    /// The ingress controller's entry points; empty means its default ones.
    pub entry_points: Vec<String>,
    /// TLS termination.
    pub tls: Tls,
    /// The ingress controller's priority; `None` leaves it to the length of the rule.
    pub priority: Option<i64>,
}

/// Version of one route, as a precondition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteVersion {
    /// Kubernetes' `metadata.uid`.
    pub uid: String,
    /// Kubernetes' `metadata.resourceVersion`.
    pub resource_version: String,
}

/// A route as read from the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedRoute {
    /// Its place.
    pub place: RoutePlace,
    /// The version that was read.
    pub version: RouteVersion,
    /// The marker in its labels; `None` if they hold no well-formed one.
    pub marker: Option<OwnershipMarker>,
    /// Its content, if [`RouteSpec`] can express all of it; `None` otherwise, as for a rule or a middleware written by
    /// hand.
    pub spec: Option<RouteSpec>,
}

/// Observed routes around an exposure; none in a namespace that does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedRoutes {
    /// The route at the exposure's place, whatever its content.
    pub own: Option<ObservedRoute>,
    /// Every other route, in any namespace, that carries an ownership marker and can match one of the hostnames.
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

/// Result of [`Routes::create`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteCreated {
    /// It was created.
    Done,
    /// There was something already; nothing changed.
    Exists,
    /// The namespace does not exist or is being deleted; nothing changed.
    NamespaceGone,
}

/// Result of [`Routes::change`] and [`Routes::delete`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteChanged {
    /// It was done.
    Done,
    /// The route is not the version that was read, or does not carry the marker; nothing changed.
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

    /// Lists every route of any namespace that carries a well-formed marker, as last watched.
    async fn list(&self) -> Result<Vec<ObservedRoute>, BackendError>;

    /// Creates a route with `marker` in its labels; never overwrites an existing one.
    async fn create(
        &self,
        place: &RoutePlace,
        spec: &RouteSpec,
        marker: &OwnershipMarker,
    ) -> Result<RouteCreated, BackendError>;

    /// Changes the route to `spec`, if it still is `version` and carries `marker`.
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
    use crate::hostname::ExposureName;

    #[test]
    fn a_route_is_named_after_its_exposure() {
        let place = RoutePlace::of(&FriendId::parse("alice").unwrap(), &ExposureName::parse("my-app").unwrap());
        assert_eq!((place.namespace.as_str(), place.name.as_str()), ("friend-alice", "expose-my-app"));
    }
}
