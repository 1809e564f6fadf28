//! Routes, with the API server's own preconditions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Error};
use portal_core::{Backend, BackendError};
use portal_dns::{
    Freshness, Hostname, ObservedRoute, ObservedRoutes, OwnershipMarker, RouteChanged, RouteCreated, RoutePlace,
    RouteSpec, RouteVersion, Routes,
};
use portal_k8s::{IngressRoute, Kind};
use serde_json::json;
use tokio::time::timeout;

use super::KubeCluster;
use super::call::{call, status, trouble};
use super::observe::Topic;
use super::undo::undo;
use crate::ingress_route::{claims_any, object, seen};

/// In whose name fields are set.
const MANAGER: &str = "friend-portal";
/// How long a change may take to come back through the watch before it is answered all the same.
const ECHO: Duration = Duration::from_secs(1);
/// Routes per page of a list.
const PAGE: u32 = 500;

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

    async fn ask(&self, place: &RoutePlace, hosts: &[Hostname]) -> Result<ObservedRoutes, BackendError> {
        let all: Api<IngressRoute> = Api::all(self.client.clone());
        let mut found = ObservedRoutes::default();
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = call(all.list(&params)).await.map_err(trouble)?;
            for route in &page.items {
                let standing = seen(route).ok_or_else(nameless)?;
                if standing.place == *place {
                    found.own = Some(standing);
                } else if claims_any(&route.spec.routes, hosts) {
                    found.others.push(standing);
                }
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(found);
            }
        }
    }

    fn remember(&self, place: &RoutePlace, hosts: &[Hostname]) -> Result<ObservedRoutes, BackendError> {
        self.cluster.cache.check(Topic::Objects(Kind::Route))?;
        Ok(self.cluster.cache.with_routes(|routes| ObservedRoutes {
            own: routes.get(place).map(|standing| standing.seen.clone()),
            others: routes
                .values()
                .filter(|standing| standing.seen.place != *place && claims_any(&standing.rules, hosts))
                .map(|standing| standing.seen.clone())
                .collect(),
        }))
    }

    /// What stands at a place now.
    async fn standing(&self, place: &RoutePlace) -> Result<Option<ObservedRoute>, BackendError> {
        let found = call(self.of(&place.namespace).get_opt(&place.name)).await.map_err(trouble)?;
        found.map(|route| seen(&route).ok_or_else(nameless)).transpose()
    }

    /// Sets the fields of ours and takes back what others added; `None` if the route changed in between.
    async fn apply(&self, place: &RoutePlace, wanted: &IngressRoute) -> Result<Option<IngressRoute>, BackendError> {
        let api = self.of(&place.namespace);
        let params = PatchParams::apply(MANAGER).force();
        let applied = call(api.patch(&place.name, &params, &Patch::Apply(wanted))).await;
        let Some(applied) = unless_conflict(applied)? else { return Ok(None) };
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
        let Some(written) = seen(written) else { return };
        let is_there = self.cluster.cache.wait_for_routes(|routes| {
            let known = routes.get(&written.place).map(|known| &known.seen.version);
            known.is_some_and(|known| known.uid == written.version.uid && !is_older(known, &written.version))
        });
        self.patiently(is_there).await;
    }

    /// Waits until the watch has brought that the route is gone.
    async fn echo_gone(&self, place: &RoutePlace, uid: &str) {
        let is_gone = self
            .cluster
            .cache
            .wait_for_routes(|routes| routes.get(place).is_none_or(|known| known.seen.version.uid != uid));
        self.patiently(is_gone).await;
    }

    async fn patiently(&self, echo: impl Future<Output = ()>) {
        if timeout(ECHO, echo).await.is_err() {
            tracing::debug!("a change of a route has not come back through the watch yet");
        }
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
        match freshness {
            Freshness::Live => self.ask(place, hosts).await,
            Freshness::Watched => self.remember(place, hosts),
        }
    }

    async fn list(&self) -> Result<Vec<ObservedRoute>, BackendError> {
        self.cluster.cache.check(Topic::Objects(Kind::Route))?;
        Ok(self.cluster.cache.with_routes(|routes| {
            let marked = routes.values().filter(|standing| standing.seen.marker.is_some());
            marked.map(|standing| standing.seen.clone()).collect()
        }))
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
            Err(error) => Err(trouble(error)),
        }
    }

    async fn change(
        &self,
        place: &RoutePlace,
        spec: &RouteSpec,
        marker: &OwnershipMarker,
        version: &RouteVersion,
    ) -> Result<RouteChanged, BackendError> {
        let Some(standing) = self.standing(place).await? else { return Ok(RouteChanged::Absent) };
        if standing.version != *version || standing.marker.as_ref() != Some(marker) {
            return Ok(RouteChanged::Stale);
        }
        let mut wanted = object(place, spec, marker);
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
        let Some(standing) = self.standing(place).await? else { return Ok(RouteChanged::Absent) };
        if standing.version.uid != version.uid || standing.marker.as_ref() != Some(marker) {
            return Ok(RouteChanged::Stale);
        }
        // The version too: a route that lost its marker since it was looked at is not deleted.
        let preconditions = Preconditions {
            uid: Some(standing.version.uid),
            resource_version: Some(standing.version.resource_version),
        };
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

/// `None` where a precondition did not hold, or the object is gone.
fn unless_conflict<T>(answer: Result<T, Error>) -> Result<Option<T>, BackendError> {
    match answer {
        Ok(done) => Ok(Some(done)),
        Err(error) if status(&error).is_some_and(|it| it.is_conflict() || it.is_not_found()) => Ok(None),
        Err(error) => Err(trouble(error)),
    }
}

/// Whether an object could not be created because there is no namespace for it, or one that is being deleted.
fn is_namespace_gone(error: &Error) -> bool {
    let Some(status) = status(error) else { return false };
    let is_terminating = |details: &kube::core::response::StatusDetails| {
        details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
    };
    status.is_not_found() || (status.is_forbidden() && status.details.as_ref().is_some_and(is_terminating))
}

/// Whether a version of an object came before another; versions of one kind are numbers that grow.
fn is_older(version: &RouteVersion, other: &RouteVersion) -> bool {
    let number = |version: &RouteVersion| version.resource_version.parse::<u64>().ok();
    match (number(version), number(other)) {
        (Some(version), Some(other)) => version < other,
        _ => version != other,
    }
}

fn nameless() -> BackendError {
    BackendError::failed(Backend::Cluster, "the API server told of a route without name, uid or version")
}

#[cfg(test)]
mod tests;
