//! The reconcile pass: everything that is stored against everything that exists.
//!
//! 1. The zones and the routes are listed, and only then the rows are read: an exposure that is made in between is
//!    missed by this pass, and one that goes in between has left a tombstone.
//! 2. Every exposure is planned from the lists and the watched cluster. One that is not as planned is reconciled, which
//!    observes it anew: nothing is changed because of a list.
//! 3. Records and routes that were written after a lease had expired are removed: a tombstone proves that they were
//!    ours. A late removal shows as drift in 2.
//! 4. Tombstones that are older than a day prove nothing any more; they are deleted with other expired rows.

use std::collections::{HashMap, HashSet};
use std::slice;
use std::time::Duration;

use portal_core::{Backend, BackendError};

use crate::exposure::{Exposure, Reason, Status};
use crate::hostname::{DomainName, Hostname};
use crate::intent::{Desired, Intent};
use crate::marker::{ExposureId, OwnershipMarker};
use crate::owners::{Owners, Ownership};
use crate::reconcile::{Context, ObservedState, Plan, PlanResult, Reconciler, StepResult, plan};
use crate::record::{Observed, Priority};
use crate::route::ObservedRoute;
use crate::service::Freshness;
use crate::store::{all_intents, valid_tombstones};
use crate::timeout::with_timeout;
use crate::tombstone::Tombstone;

/// Number of exposures that are compared or reconciled at once in the background.
const CONCURRENCY: usize = 8;
/// Time limit of listing a zone, page by page.
const LIST_TIMEOUT: Duration = Duration::from_mins(2);
/// Limit of unfinished exposures per tick.
const DUE_LIMIT: u32 = 50;

/// Report of a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassReport {
    /// Number of exposures by status when the pass began.
    pub statuses: HashMap<Status, usize>,
    /// Number of exposures that were compared.
    pub checked: usize,
    /// Number of exposures that were not as desired and were reconciled.
    pub repaired: usize,
    /// Number of failures; what could not be compared or reconciled counts.
    pub errors: usize,
    /// Domains whose zone could not be listed.
    pub unlisted: Vec<DomainName>,
    /// Number of removed records and routes of former exposures.
    pub swept: usize,
    /// Records with our marker of which no row and no tombstone knows. They are left alone.
    pub orphans: Vec<(Hostname, OwnershipMarker)>,
}

/// Result of comparing one exposure.
enum Compared {
    AsDesired,
    /// It is not as desired and waits for its next attempt.
    Waiting,
    Repaired,
    Failed,
}

/// The rows of one pass.
struct Rows {
    intents: Vec<Intent>,
    tombstones: Vec<Tombstone>,
}

/// The listed zones.
struct Listed {
    records: HashMap<Hostname, Observed>,
    /// Domains whose zone could not be listed: their records are unknown.
    unknown: Vec<DomainName>,
}

impl Listed {
    /// Returns the listed records of `host`; `None` if they are unknown.
    fn observed(&self, host: &Hostname) -> Option<Observed> {
        if self.unknown.iter().any(|domain| host.is_in(domain)) {
            return None;
        }
        Some(self.records.get(host).cloned().unwrap_or(Observed::Absent))
    }
}

impl Reconciler {
    /// Reconciles what is unfinished and due.
    pub(crate) async fn finish_due(&self) -> Result<(), BackendError> {
        let due = self.store.due(self.clock.now(), DUE_LIMIT).await?;
        for batch in due.chunks(CONCURRENCY) {
            futures::future::join_all(batch.iter().map(|id| self.reconcile_or_log(id))).await;
        }
        Ok(())
    }

    /// Runs a pass; see [`crate::Exposures::pass`].
    pub(crate) async fn pass(&self) -> Result<PassReport, BackendError> {
        let listed = self.list_zones().await;
        let routes = with_timeout(Backend::Cluster, self.routes.list()).await;
        let intents = all_intents(&*self.store).await?;
        let rows = Rows { intents, tombstones: valid_tombstones(&*self.store, self.clock.now()).await? };
        let mut report = PassReport::default();
        for intent in &rows.intents {
            *report.statuses.entry(intent.exposure.status).or_default() += 1;
        }
        match routes {
            Ok(routes) => {
                self.compare_all(&rows, &listed, &mut report).await;
                self.sweep_routes(routes, &rows, &mut report).await;
            }
            // Without the cluster no exposure can be compared; one line says so for all of them.
            Err(error) => {
                warn(&error);
                report.errors += 1;
            }
        }
        self.sweep_records(&listed, &rows, &mut report).await;
        report.unlisted = listed.unknown;
        Ok(report)
    }

    /// Checks a friend's exposures after a watched change; see [`crate::Exposures::reconcile_friend`].
    pub(crate) async fn check_friend(&self, exposures: &[Exposure]) -> Result<(), BackendError> {
        for exposure in exposures {
            if exposure.status == Status::Active && self.is_active_as_watched(exposure).await? {
                continue;
            }
            self.reconcile_in_background(&exposure.id).await?;
        }
        Ok(())
    }

    /// A change in the cluster says nothing about the zone, so the record is taken to be as it was left.
    async fn is_active_as_watched(&self, exposure: &Exposure) -> Result<bool, BackendError> {
        let Some(zone) = self.zones.get(&exposure.spec.domain) else { return Ok(false) };
        let intent = as_established(exposure);
        let record = Observed::Marked(zone.domain.record(self.marker(&intent)));
        self.is_as_desired(&intent, record, Vec::new(), &[]).await
    }

    async fn compare_all(&self, rows: &Rows, listed: &Listed, report: &mut PassReport) {
        for batch in rows.intents.chunks(CONCURRENCY) {
            let comparisons = batch.iter().map(|intent| self.compare(intent, listed, &rows.tombstones));
            for compared in futures::future::join_all(comparisons).await {
                report.checked += 1;
                match compared {
                    Compared::AsDesired | Compared::Waiting => {}
                    Compared::Repaired => report.repaired += 1,
                    Compared::Failed => report.errors += 1,
                }
            }
        }
    }

    async fn compare(&self, intent: &Intent, listed: &Listed, tombstones: &[Tombstone]) -> Compared {
        match self.is_as_listed(intent, listed, tombstones).await {
            Ok(Some(true)) => return Compared::AsDesired,
            // A failed attempt is not repeated before its pause is over.
            Ok(Some(false)) if intent.attempts > 0 && self.clock.now() < intent.next_attempt_at => {
                return Compared::Waiting;
            }
            Ok(Some(false)) => {}
            Ok(None) => return Compared::Failed,
            Err(error) => {
                warn(&error);
                return Compared::Failed;
            }
        }
        if self.reconcile_or_log(&intent.exposure.id).await { Compared::Repaired } else { Compared::Failed }
    }

    /// True if an exposure is as desired by the lists and the watched cluster; `None` if its zone was not listed.
    async fn is_as_listed(
        &self,
        intent: &Intent,
        listed: &Listed,
        tombstones: &[Tombstone],
    ) -> Result<Option<bool>, BackendError> {
        let Some(record) = listed.observed(&intent.exposure.spec.hostname) else { return Ok(None) };
        let observed = |host: &Hostname| Some((host.clone(), listed.observed(host)?));
        let Some(leaving) = intent.leaving.iter().map(observed).collect() else { return Ok(None) };
        self.is_as_desired(intent, record, leaving, tombstones).await.map(Some)
    }

    async fn is_as_desired(
        &self,
        intent: &Intent,
        record: Observed,
        leaving: Vec<(Hostname, Observed)>,
        tombstones: &[Tombstone],
    ) -> Result<bool, BackendError> {
        let (friend, spec) = (&intent.exposure.friend, &intent.exposure.spec);
        let Some(zone) = self.zones.get(&spec.domain) else {
            return Ok(is_recorded(intent, PlanResult::Failed(Reason::DomainUnknown)));
        };
        let service = self.look_at_service(friend, &spec.service, Freshness::Watched).await?;
        let (place, hosts) = (intent.route_place(), slice::from_ref(&spec.hostname));
        let routes = with_timeout(Backend::Cluster, self.routes.look(&place, hosts, Freshness::Watched)).await?;
        let context = Context { instance: &self.instance, domain: &zone.domain, tombstones };
        let claims = self.claims(intent).await?;
        let observed = ObservedState { record, leaving, routes, service, claims };
        let Plan { steps, result, .. } = plan(intent, &observed, context);
        Ok(steps.is_empty() && is_recorded(intent, result))
    }

    /// Reconciles an exposure in the background; `false` if the store could not be asked.
    async fn reconcile_or_log(&self, id: &ExposureId) -> bool {
        self.reconcile_in_background(id).await.inspect_err(warn).is_ok()
    }

    async fn list_zones(&self) -> Listed {
        let mut listed = Listed { records: HashMap::new(), unknown: Vec::new() };
        for zone in self.zones.values() {
            let list = tokio::time::timeout(LIST_TIMEOUT, zone.records.list()).await;
            match list.unwrap_or_else(|elapsed| Err(BackendError::unavailable(Backend::Dns, elapsed))) {
                Ok(records) => listed.records.extend(records),
                Err(error) => {
                    warn(&error);
                    listed.unknown.push(zone.domain.name.clone());
                }
            }
        }
        listed
    }

    /// Removes records with our marker at hostnames that their exposure has released.
    async fn sweep_records(&self, listed: &Listed, rows: &Rows, report: &mut PassReport) {
        let owners = Owners::of(&self.instance, &rows.intents, &rows.tombstones);
        for (host, observed) in &listed.records {
            for marker in observed.marked().iter().map(|record| record.marker.clone()) {
                match owners.ownership(host, &marker) {
                    Ownership::OtherPortal | Ownership::Owned => {}
                    Ownership::Orphaned => report.orphans.push((host.clone(), marker)),
                    Ownership::Released => count(self.sweep_record(host, &marker, &owners).await, report),
                }
            }
        }
    }

    async fn sweep_record(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        owners: &Owners<'_>,
    ) -> Result<StepResult, BackendError> {
        // An exposure that lives on elsewhere can be on its way back to this hostname, so its lease is needed.
        if owners.is_alive(&marker.exposure) {
            return self.remove_released_record(&marker.exposure, host).await;
        }
        // No row has this id, but the name can be exposed again at any moment and take it. Should the removal then hit
        // the new record, the next pass puts it back, as after any late removal.
        let removed = self.remove_record(host, marker, &Priority::Background).await?;
        tracing::warn!(%host, exposure.id = %marker.exposure, "removed a record that had come back");
        Ok(removed)
    }

    /// Removes routes of former exposures from the places where these had them.
    async fn sweep_routes(&self, routes: Vec<ObservedRoute>, rows: &Rows, report: &mut PassReport) {
        let owners = Owners::of(&self.instance, &rows.intents, &rows.tombstones);
        let former = rows.tombstones.iter().filter_map(|tombstone| Some((&tombstone.exposure, tombstone.route()?)));
        let released: HashSet<_> = former.collect();
        for route in routes {
            let Some(marker) = &route.marker else { continue };
            let is_former = released.contains(&(&marker.exposure, route.place.clone()));
            if marker.instance == self.instance && is_former && !owners.is_alive(&marker.exposure) {
                let swept = self.delete_route(&route, marker).await;
                tracing::warn!(route = ?route.place, exposure.id = %marker.exposure, "removed a route that had come back");
                count(swept, report);
            }
        }
    }
}

/// True if the result of a plan without steps is what is recorded.
fn is_recorded(intent: &Intent, result: PlanResult) -> bool {
    let Exposure { status, reason, .. } = &intent.exposure;
    match result {
        // One that is not established still has to be seen alone at its name.
        PlanResult::Active => *status == Status::Active && intent.leaving.is_empty() && intent.established,
        PlanResult::Failed(failure) => *status == Status::Failed && *reason == Some(failure),
        PlanResult::Gone | PlanResult::Requeue => false,
    }
}

/// Returns an active exposure as its intent, which has no hostname to give up.
fn as_established(exposure: &Exposure) -> Intent {
    Intent {
        exposure: exposure.clone(),
        desired: Desired::Present,
        generation: 0,
        established: true,
        leaving: Vec::new(),
        attempts: 0,
        next_attempt_at: exposure.created_at,
    }
}

fn count(swept: Result<StepResult, BackendError>, report: &mut PassReport) {
    match swept {
        Ok(StepResult::Applied) => report.swept += 1,
        Ok(StepResult::Conflict) => {}
        Err(error) => {
            warn(&error);
            report.errors += 1;
        }
    }
}

fn warn(error: &BackendError) {
    tracing::warn!(error = error as &dyn std::error::Error, "exposures could not all be checked");
}
