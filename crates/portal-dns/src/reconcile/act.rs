//! Carrying out one step of a plan.

use portal_core::{Backend, BackendError};

use super::Reconciler;
use super::observe::timely;
use crate::exposure::plan::{Step, place};
use crate::{
    Ensured, Hostname, Intent, Observed, ObservedRoute, OwnershipMarker, Priority, RecordState, Removed, RouteChanged,
    RouteCreated, RouteSpec,
};

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acted {
    /// What it was for is so.
    AsPlanned,
    /// Things were not as they were seen.
    Surprised,
}

impl Reconciler {
    /// Carries out a step; an error means that nothing is known of its effect.
    pub(crate) async fn act(&self, intent: &Intent, step: Step, caller: &Priority) -> Result<Acted, BackendError> {
        tracing::debug!(exposure.id = %intent.exposure.id, step = step.word(), "a step towards an exposure");
        match step {
            Step::CreateRoute(spec) => self.create_route(intent, &spec).await,
            Step::ChangeRoute(spec, seen) => self.change_route(intent, &spec, &seen).await,
            Step::DeleteRoute(seen, marker) => self.delete_route(&seen, &marker).await,
            Step::EnsureRecord(host, wanted, seen) => self.ensure_record(&host, &wanted, &seen, caller).await,
            Step::RemoveRecord(host, marker) => self.remove_record(&host, &marker, caller).await,
        }
    }

    async fn create_route(&self, intent: &Intent, spec: &RouteSpec) -> Result<Acted, BackendError> {
        let place = place(intent);
        let marker = self.marker(intent);
        Ok(match timely(Backend::Cluster, self.routes.create(&place, spec, &marker)).await? {
            RouteCreated::Done => Acted::AsPlanned,
            RouteCreated::Exists | RouteCreated::NamespaceGone => Acted::Surprised,
        })
    }

    async fn change_route(
        &self,
        intent: &Intent,
        spec: &RouteSpec,
        seen: &ObservedRoute,
    ) -> Result<Acted, BackendError> {
        let marker = self.marker(intent);
        let change = self.routes.change(&seen.place, spec, &marker, &seen.version);
        Ok(match timely(Backend::Cluster, change).await? {
            RouteChanged::Done => Acted::AsPlanned,
            RouteChanged::Stale | RouteChanged::Absent => Acted::Surprised,
        })
    }

    pub(crate) async fn delete_route(
        &self,
        seen: &ObservedRoute,
        marker: &OwnershipMarker,
    ) -> Result<Acted, BackendError> {
        let delete = self.routes.delete(&seen.place, marker, &seen.version);
        Ok(match timely(Backend::Cluster, delete).await? {
            RouteChanged::Done | RouteChanged::Absent => Acted::AsPlanned,
            RouteChanged::Stale => Acted::Surprised,
        })
    }

    async fn ensure_record(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        seen: &Observed,
        caller: &Priority,
    ) -> Result<Acted, BackendError> {
        let Some(zone) = self.zone_of(host) else { return Ok(Acted::Surprised) };
        Ok(match timely(Backend::Dns, zone.records.ensure(host, wanted, seen, caller)).await? {
            Ensured::Created | Ensured::Changed | Ensured::Same => Acted::AsPlanned,
            Ensured::Foreign => Acted::Surprised,
        })
    }

    pub(crate) async fn remove_record(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        caller: &Priority,
    ) -> Result<Acted, BackendError> {
        let Some(zone) = self.zone_of(host) else { return Ok(Acted::Surprised) };
        Ok(match timely(Backend::Dns, zone.records.remove(host, marker, caller)).await? {
            Removed::Done | Removed::Absent => Acted::AsPlanned,
            Removed::Foreign => Acted::Surprised,
        })
    }

    /// What an exposure's records and routes are marked with.
    pub(crate) fn marker(&self, intent: &Intent) -> OwnershipMarker {
        OwnershipMarker { instance: self.instance.clone(), exposure: intent.exposure.id.clone() }
    }
}
