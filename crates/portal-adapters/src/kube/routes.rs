//! Routes, with the API server's own preconditions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Error};
use portal_core::{Backend, BackendError};
use portal_dns::{
    Freshness, HostClaim, Hostname, ObservedRoute, ObservedRoutes, OwnershipMarker, RouteChanged, RouteCreated,
    RoutePlace, RouteSpec, RouteVersion, Routes,
};
use portal_k8s::{IngressRoute, Kind};
use serde_json::json;
use tokio::time::timeout;

use super::KubeCluster;
use super::call::{backend_error, call, status};
use super::observe::Topic;
use super::undo::undo;
use crate::ingress_route::{object, observed};

/// Manager of the fields that are set.
const MANAGER: &str = "friend-portal";
/// Longest wait for a change to come back through the watch.
const ECHO_TIMEOUT: Duration = Duration::from_secs(1);
/// The topic of the routes that the portal writes.
const ROUTES: Topic = Topic::Objects(Kind::Route);

/// The routes of a Kubernetes cluster.
pub struct KubeRoutes {
    client: Client,
    cluster: Arc<KubeCluster>,
}

impl KubeRoutes {
    /// The routes of the cluster that `client` talks to and `cluster` watches.
    #[must_use]
    pub fn new(client: Client, cluster: Arc<KubeCluster>) -> Self {
        Self { client, cluster }
    }

    fn of(&self, namespace: &str) -> Api<IngressRoute> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Reads the route at a place, live.
    async fn get(&self, place: &RoutePlace) -> Result<Option<ObservedRoute>, BackendError> {
        let found = call(self.of(&place.namespace).get_opt(&place.name)).await.map_err(backend_error)?;
        found.map(|route| observed(&route).ok_or_else(nameless)).transpose()
    }

    /// Sets the fields of ours and takes back what others added; `None` if the route changed in between.
    async fn apply(&self, place: &RoutePlace, wanted: &IngressRoute) -> Result<Option<IngressRoute>, BackendError> {
        let api = self.of(&place.namespace);
        let params = PatchParams::apply(MANAGER).force();
        let applied = call(api.patch(&place.name, &params, &Patch::Apply(wanted))).await;
        let Some(applied) = unless_conflict(applied)? else { return Ok(None) };
        // The usual case: nobody else has a hand in our routes.
        if applied.spec == wanted.spec {
            return Ok(Some(applied));
        }
        // Members that another manager owns survive an apply; the route would go on saying what we did not ask for.
        let to_value = |spec| serde_json::to_value(spec).map_err(|error| BackendError::failed(Backend::Cluster, error));
        let spec = undo(&to_value(&applied.spec)?, &to_value(&wanted.spec)?);
        let patch = json!({"metadata": {"resourceVersion": applied.metadata.resource_version}, "spec": spec});
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        unless_conflict(call(api.patch(&place.name, &params, &Patch::Merge(patch))).await)
    }

    /// Waits until the watch has brought the route as it was just written, so that its writer sees it at once.
    async fn echo(&self, written: &IngressRoute) {
        let Some(written) = observed(written) else { return };
        let is_there = self.cluster.cache.wait_for_routes(|routes| {
            let known = routes.get(&written.place).map(|known| &known.version);
            known.is_some_and(|known| known.uid == written.version.uid && !is_older(known, &written.version))
        });
        wait_for_echo(is_there).await;
    }

    /// Waits until the watch has brought that the route is gone.
    async fn echo_gone(&self, place: &RoutePlace, uid: &str) {
        let is_gone =
            self.cluster.cache.wait_for_routes(|routes| routes.get(place).is_none_or(|known| known.version.uid != uid));
        wait_for_echo(is_gone).await;
    }
}

#[async_trait]
impl Routes for KubeRoutes {
    async fn look(
        &self,
        place: &RoutePlace,
        hosts: &[Hostname],
        freshness: Freshness,
    ) -> Result<ObservedRoutes, BackendError> {
        let cache = &self.cluster.cache;
        cache.health.check(ROUTES)?;
        let own = match freshness {
            Freshness::Live => self.get(place).await?,
            Freshness::Watched => cache.with_routes(|routes| routes.get(place).cloned()),
        };
        // Never listed live: that would cost each request as much as there are routes in the whole cluster.
        Ok(ObservedRoutes { own, others: cache.marked_routes(place, hosts) })
    }

    async fn claims(&self, place: &RoutePlace, hosts: &[Hostname]) -> Result<Vec<HostClaim>, BackendError> {
        self.cluster.cache.check_claims().await?;
        Ok(self.cluster.cache.claims(place, hosts))
    }

    async fn list(&self) -> Result<Vec<ObservedRoute>, BackendError> {
        self.cluster.cache.health.check(ROUTES)?;
        Ok(self
            .cluster
            .cache
            .with_routes(|routes| routes.values().filter(|route| route.marker.is_some()).cloned().collect()))
    }

    async fn create(
        &self,
        place: &RoutePlace,
        spec: &RouteSpec,
        marker: &OwnershipMarker,
    ) -> Result<RouteCreated, BackendError> {
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        match call(self.of(&place.namespace).create(&params, &object(place, spec, marker))).await {
            Ok(created) => {
                self.echo(&created).await;
                Ok(RouteCreated::Done)
            }
            Err(error) if status(&error).is_some_and(kube::core::Status::is_already_exists) => Ok(RouteCreated::Exists),
            Err(error) if is_namespace_gone(&error) => Ok(RouteCreated::NamespaceGone),
            Err(error) => Err(backend_error(error)),
        }
    }

    async fn change(
        &self,
        place: &RoutePlace,
        spec: &RouteSpec,
        marker: &OwnershipMarker,
        version: &RouteVersion,
    ) -> Result<RouteChanged, BackendError> {
        let Some(current) = self.get(place).await? else { return Ok(RouteChanged::Absent) };
        if current.version != *version || current.marker.as_ref() != Some(marker) {
            return Ok(RouteChanged::Stale);
        }
        let mut wanted = object(place, spec, marker);
        // Both as preconditions: a forced apply would otherwise create what is gone and overwrite what changed.
        wanted.metadata.uid = Some(version.uid.clone());
        wanted.metadata.resource_version = Some(version.resource_version.clone());
        let Some(changed) = self.apply(place, &wanted).await? else { return Ok(RouteChanged::Stale) };
        self.echo(&changed).await;
        Ok(RouteChanged::Done)
    }

    async fn delete(
        &self,
        place: &RoutePlace,
        marker: &OwnershipMarker,
        version: &RouteVersion,
    ) -> Result<RouteChanged, BackendError> {
        let Some(current) = self.get(place).await? else { return Ok(RouteChanged::Absent) };
        if current.version.uid != version.uid || current.marker.as_ref() != Some(marker) {
            return Ok(RouteChanged::Stale);
        }
        // The version too: a route that lost its marker since it was looked at is not deleted.
        let preconditions =
            Preconditions { uid: Some(current.version.uid), resource_version: Some(current.version.resource_version) };
        let params = DeleteParams::default().preconditions(preconditions);
        match call(self.of(&place.namespace).delete(&place.name, &params)).await {
            Ok(_) => {
                self.echo_gone(place, &version.uid).await;
                Ok(RouteChanged::Done)
            }
            Err(error) if status(&error).is_some_and(kube::core::Status::is_not_found) => Ok(RouteChanged::Absent),
            Err(error) => unless_conflict::<()>(Err(error)).map(|_| RouteChanged::Stale),
        }
    }
}

/// Waits for a change to come back. The change was made either way, so a late echo is no error.
async fn wait_for_echo(echo: impl Future<Output = ()>) {
    if timeout(ECHO_TIMEOUT, echo).await.is_err() {
        tracing::debug!("a change of a route has not come back through the watch yet");
    }
}

/// `None` where a precondition did not hold, or the object is gone.
fn unless_conflict<T>(answer: Result<T, Error>) -> Result<Option<T>, BackendError> {
    match answer {
        Ok(done) => Ok(Some(done)),
        Err(error) if status(&error).is_some_and(|it| it.is_conflict() || it.is_not_found()) => Ok(None),
        Err(error) => Err(backend_error(error)),
    }
}

/// Tells whether an object could not be created because its namespace does not exist or is being deleted.
fn is_namespace_gone(error: &Error) -> bool {
    let Some(status) = status(error) else { return false };
    let is_terminating = |details: &kube::core::response::StatusDetails| {
        details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
    };
    status.is_not_found() || (status.is_forbidden() && status.details.as_ref().is_some_and(is_terminating))
}

/// Tells whether a version of an object came before another; versions of one kind are numbers that grow.
fn is_older(version: &RouteVersion, other: &RouteVersion) -> bool {
    let number = |version: &RouteVersion| version.resource_version.parse::<u64>().ok();
    match (number(version), number(other)) {
        (Some(version), Some(other)) => version < other,
        // An API server of another make: any difference is taken for a version that is still to come.
        _ => version != other,
    }
}

fn nameless() -> BackendError {
    BackendError::failed(Backend::Cluster, "the API server told of a route without name, uid or version")
}

#[cfg(test)]
mod tests;
