//! Brings one exposure to its desired state.
//!
//! 1. Claim: the exposure is leased to this worker for 30 s and read together with its tombstones.
//! 2. Observe: the records at its hostnames, the routes and the Service are read at once. If one read fails, nothing
//!    is changed.
//! 3. Plan: [`plan`] compares the desired with the observed state and returns the steps. It is a pure function.
//! 4. Apply: every step is idempotent and checked again by the backend (marker, resourceVersion, uid). It starts only
//!    while the lease outlasts its timeout; otherwise the lease is extended first. If something is no longer as it was
//!    observed, the run goes back to 1.
//! 5. Record: the outcome is stored, and the lease returned, if generation and token are still those of 1. If the
//!    friend changed the exposure meanwhile, the run goes back to 1.
//!
//! A failed observation or step is an outcome too, with the reason and the time of the next attempt. Only a store that
//! cannot be asked leaves no outcome; the lease then ends by itself, and a later tick begins at 1.
//!
//! A record of an address at a provider that lets several stand at one name is created unverified: it is recorded as
//! active but not established, and [`needs_verification`] asks for one more run, which gives way if another record
//! came to the name in the same moment.

mod backoff;
mod plan;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use portal_core::{Backend, BackendError, Clock, FriendId, Ids};
use tokio::time::Instant;

use crate::exposure::{Progress, Reason, Status};
use crate::hostname::{DomainName, Hostname};
use crate::intent::{Desired, Intent, Outcome};
use crate::marker::{ExposureId, InstanceId, OwnershipMarker};
use crate::record::{Ensured, Observed, Priority, Removed};
use crate::route::{HostClaim, ObservedRoute, RouteChanged, RouteCreated, RoutePlace, Routes};
use crate::service::{Freshness, ServiceName, ServiceState, Services};
use crate::snapshot::Snapshots;
use crate::store::{Claimed, ExposureStore, Fence, Lease, Recorded};
use crate::timeout::{STEP_TIMEOUT, with_timeout};
use crate::tombstone::Tombstone;
use crate::zone::Zone;

use self::backoff::backoff;
use self::plan::Step;
pub(crate) use self::plan::{Context, ObservedState, Plan, PlanResult, plan};

/// Duration of a lease. A step starts only while more than [`STEP_TIMEOUT`] of it is left.
const LEASE: Duration = Duration::from_secs(30);
/// Limit of attempts in one run, each after a conflict.
const MAX_ATTEMPTS: usize = 8;
/// Back-off step of a removal that only an operator can unblock: 16 s. An exposure that is `failed` is not due at all;
/// it waits for a pass or a watched change.
const BLOCKED_BACKOFF_STEP: u32 = 5;

/// Brings exposures to their desired state.
pub(crate) struct Reconciler {
    pub(crate) store: Arc<dyn ExposureStore>,
    pub(crate) routes: Arc<dyn Routes>,
    pub(crate) services: Arc<dyn Services>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) instance: InstanceId,
    pub(crate) zones: HashMap<DomainName, Zone>,
    pub(crate) snapshots: Arc<Snapshots>,
}

/// End of a run without a recorded outcome.
#[derive(Debug)]
pub(crate) enum Interrupt {
    /// Another worker holds the lease.
    Busy,
    /// The exposure is gone.
    Gone,
    /// Something is not as it was read: start over.
    Conflict,
    /// An observation failed; nothing was changed.
    ObserveFailed(BackendError),
    /// A step failed; its effect is unknown.
    StepFailed(BackendError),
    /// The store could not be asked.
    StoreFailed(BackendError),
}

/// Result of a single step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepResult {
    /// Its aim is reached.
    Applied,
    /// Things were not as observed; nothing was changed.
    Conflict,
}

/// A Service as a request has just read it.
pub(crate) struct KnownService {
    pub(crate) name: ServiceName,
    pub(crate) state: ServiceState,
}

/// One worker's run over one exposure.
struct Run<'a> {
    id: &'a ExposureId,
    priority: &'a Priority,
    token: String,
    /// The lease may pass to another worker from here on.
    leased_until: Instant,
    service: Option<KnownService>,
    progress: Progress,
    /// This run created a record that may not be alone at its name.
    is_unverified: bool,
}

/// True if an exposure has to be looked at once more, because its record was created unverified.
pub(crate) fn needs_verification(intent: &Intent) -> bool {
    intent.exposure.status == Status::Active && !intent.established
}

impl Reconciler {
    /// Runs until an outcome is recorded and returns the exposure with it; `None` if the exposure is gone. `service`
    /// saves the first observation from reading the Service again.
    pub(crate) async fn reconcile(
        &self,
        id: &ExposureId,
        priority: &Priority,
        service: Option<KnownService>,
    ) -> Result<Option<Intent>, Interrupt> {
        let mut run = self.run(id, priority);
        run.service = service;
        self.attempt_repeatedly(&mut run).await
    }

    /// Runs in the background, where nobody waits: a record that was created unverified is verified at once.
    pub(crate) async fn reconcile_in_background(&self, id: &ExposureId) -> Result<(), BackendError> {
        let mut result = self.reconcile(id, &Priority::Background, None).await;
        if matches!(&result, Ok(Some(intent)) if needs_verification(intent)) {
            result = self.reconcile(id, &Priority::Background, None).await;
        }
        // Another worker that holds the lease finishes the work.
        result.map(drop).or_else(Interrupt::unless_store_failed)
    }

    /// Removes what came back at a hostname that a living exposure has given up, unless it owns the hostname again.
    pub(crate) async fn remove_released_record(
        &self,
        id: &ExposureId,
        host: &Hostname,
    ) -> Result<StepResult, BackendError> {
        let mut run = self.run(id, &Priority::Background);
        let intent = match self.claim(&mut run).await {
            Ok((intent, _)) => intent,
            Err(interrupt) => return interrupt.unless_store_failed().map(|()| StepResult::Conflict),
        };
        let is_released = intent.exposure.spec.hostname != *host && !intent.leaving.contains(host);
        let removed = if is_released {
            self.remove_record(host, &self.marker(&intent), run.priority).await
        } else {
            Ok(StepResult::Conflict)
        };
        // Also returns the lease.
        self.attempt_repeatedly(&mut run).await.map(drop).or_else(Interrupt::unless_store_failed)?;
        removed
    }

    fn run<'a>(&self, id: &'a ExposureId, priority: &'a Priority) -> Run<'a> {
        let (token, progress) = (self.ids.id(), Progress::default());
        Run { id, priority, token, leased_until: Instant::now(), service: None, progress, is_unverified: false }
    }

    async fn attempt_repeatedly(&self, run: &mut Run<'_>) -> Result<Option<Intent>, Interrupt> {
        for _ in 0..MAX_ATTEMPTS {
            match self.attempt(run).await {
                Err(Interrupt::Conflict) => {}
                Err(Interrupt::Gone) => return Ok(None),
                ended => return ended,
            }
        }
        // Somebody edits records or routes faster than they are read: wait as after any failure.
        let (intent, _) = self.claim(run).await?;
        // An error, so that the log names it and the exposure backs off.
        let unsteady = BackendError::failed(Backend::Cluster, "records and routes kept changing");
        let outcome = self.postponed(&intent, run, &unsteady, waiting(&intent, Reason::InProgress));
        match self.record(intent, run, outcome).await {
            Err(Interrupt::Conflict) => Err(Interrupt::Busy),
            ended => ended,
        }
    }

    /// Steps 1 to 5 of the algorithm, once.
    async fn attempt(&self, run: &mut Run<'_>) -> Result<Option<Intent>, Interrupt> {
        let (intent, tombstones) = self.claim(run).await?;
        run.progress = intent.exposure.progress;
        let outcome = match self.converge(&intent, &tombstones, run).await {
            // The last steps depend on what the first ones left behind.
            Ok(PlanResult::Requeue) => return Err(Interrupt::Conflict),
            Ok(PlanResult::Gone) => Outcome::Gone,
            Ok(PlanResult::Active) => self.reached(&intent, run, Status::Active, None),
            Ok(PlanResult::Failed(reason)) => self.reached(&intent, run, Status::Failed, Some(reason)),
            // An exposure that stood still stands if only the look at it failed.
            Err(Interrupt::ObserveFailed(error)) if is_decided(&intent) => {
                let unchanged = (intent.exposure.status, intent.exposure.reason);
                self.postponed(&intent, run, &error, unchanged)
            }
            Err(Interrupt::ObserveFailed(error) | Interrupt::StepFailed(error)) => {
                self.postponed(&intent, run, &error, waiting(&intent, reason_of(&error)))
            }
            Err(interrupt) => return Err(interrupt),
        };
        self.record(intent, run, outcome).await
    }

    /// Step 1: claims the exposure, or extends the lease that the run holds.
    async fn claim(&self, run: &mut Run<'_>) -> Result<(Intent, Vec<Tombstone>), Interrupt> {
        // Counted from before the store was asked: the store may have begun the lease at any moment since.
        let asked_at = Instant::now();
        let lease = Lease { token: run.token.clone(), length: LEASE, now: self.clock.now() };
        match self.store.claim(run.id, lease).await.map_err(Interrupt::StoreFailed)? {
            Claimed::Mine(intent, tombstones) => {
                run.leased_until = asked_at + LEASE;
                Ok((*intent, tombstones))
            }
            Claimed::Busy => Err(Interrupt::Busy),
            Claimed::Gone => Err(Interrupt::Gone),
        }
    }

    /// Steps 2 to 4 of the algorithm.
    async fn converge(
        &self,
        intent: &Intent,
        tombstones: &[Tombstone],
        run: &mut Run<'_>,
    ) -> Result<PlanResult, Interrupt> {
        let Some(zone) = self.zones.get(&intent.exposure.spec.domain) else {
            return Ok(PlanResult::Failed(Reason::DomainUnknown));
        };
        let observed = self.observe(intent, zone, run).await.map_err(Interrupt::ObserveFailed)?;
        // Whatever an earlier attempt of this run created has been looked at by now.
        run.is_unverified = false;
        let context = Context { instance: &self.instance, domain: &zone.domain, tombstones };
        let Plan { steps, result, progress } = plan(intent, &observed, context);
        for claim in observed.claims.iter().filter(|claim| !zone.domain.is_fallback(claim)) {
            let HostClaim { kind, place: RoutePlace { namespace, name }, is_certain, .. } = claim;
            tracing::warn!(
                exposure.id = %run.id, host = %intent.exposure.spec.hostname, kind, namespace, name, is_certain,
                "another object claims an exposure's hostname"
            );
        }
        run.progress = progress;
        let mut steps = steps.as_slice();
        while let Some((step, rest)) = steps.split_first() {
            self.extend_lease(intent, run).await?;
            self.apply(intent, step, run).await?;
            step.advance(intent, rest, &mut run.progress);
            steps = rest;
        }
        Ok(result)
    }

    /// Step 2: reads records, routes and Service at once.
    async fn observe(&self, intent: &Intent, zone: &Zone, run: &mut Run<'_>) -> Result<ObservedState, BackendError> {
        let (friend, spec) = (&intent.exposure.friend, &intent.exposure.spec);
        // Taken out: after a conflict it is read again. Another request may have asked for another Service since.
        let known = run.service.take().filter(|known| known.name == spec.service);
        let place = intent.route_place();
        let hosts = [spec.hostname.clone()];
        let record = with_timeout(Backend::Dns, zone.records.look(&spec.hostname, run.priority));
        // Zones and cluster are independent of each other, so all reads run at once.
        let leaving = self.observe_leaving(intent, run.priority);
        let routes = with_timeout(Backend::Cluster, self.routes.look(&place, &hosts, Freshness::Live));
        let service = async {
            match known {
                Some(known) => Ok(known.state),
                None => self.look_at_service(friend, &spec.service, Freshness::Live).await,
            }
        };
        let claims = self.claims(intent);
        let (record, leaving, routes, service, claims) = tokio::try_join!(record, leaving, routes, service, claims)?;
        Ok(ObservedState { record, leaving, routes, service, claims })
    }

    /// Reads what else claims the hostname. A removal does not depend on it and goes on while it cannot be watched.
    pub(crate) async fn claims(&self, intent: &Intent) -> Result<Vec<HostClaim>, BackendError> {
        if intent.desired == Desired::Absent {
            return Ok(Vec::new());
        }
        let hosts = std::slice::from_ref(&intent.exposure.spec.hostname);
        with_timeout(Backend::Cluster, self.routes.claims(&intent.route_place(), hosts)).await
    }

    async fn observe_leaving(
        &self,
        intent: &Intent,
        priority: &Priority,
    ) -> Result<Vec<(Hostname, Observed)>, BackendError> {
        let mut leaving = Vec::new();
        for host in &intent.leaving {
            let zone = self.zone_of(host).ok_or_else(|| {
                BackendError::unavailable(Backend::Dns, format!("the domain of {host} is not configured"))
            })?;
            leaving.push((host.clone(), with_timeout(Backend::Dns, zone.records.look(host, priority)).await?));
        }
        Ok(leaving)
    }

    /// Reads a Service within the time limit of a call.
    pub(crate) async fn look_at_service(
        &self,
        friend: &FriendId,
        service: &ServiceName,
        freshness: Freshness,
    ) -> Result<ServiceState, BackendError> {
        with_timeout(Backend::Cluster, self.services.look(friend, service, freshness)).await
    }

    /// Returns once the lease outlasts the next step.
    async fn extend_lease(&self, intent: &Intent, run: &mut Run<'_>) -> Result<(), Interrupt> {
        if run.leased_until.saturating_duration_since(Instant::now()) > STEP_TIMEOUT {
            return Ok(());
        }
        let (now, _) = self.claim(run).await?;
        // The plan was made for another desired state.
        if now.generation == intent.generation { Ok(()) } else { Err(Interrupt::Conflict) }
    }

    /// Step 4: applies one step.
    async fn apply(&self, intent: &Intent, step: &Step, run: &mut Run<'_>) -> Result<(), Interrupt> {
        tracing::debug!(exposure.id = %intent.exposure.id, step = step.word(), "applying a step of an exposure");
        let marker = self.marker(intent);
        let result = match step {
            Step::CreateRoute(spec) => {
                let place = intent.route_place();
                let created = self.routes.create(&place, spec, &marker);
                with_timeout(Backend::Cluster, created).await.map(|created| match created {
                    RouteCreated::Done => StepResult::Applied,
                    RouteCreated::Exists | RouteCreated::NamespaceGone => StepResult::Conflict,
                })
            }
            Step::ChangeRoute(spec, observed) => {
                let changed = self.routes.change(&observed.place, spec, &marker, &observed.version);
                with_timeout(Backend::Cluster, changed).await.map(|changed| match changed {
                    RouteChanged::Done => StepResult::Applied,
                    RouteChanged::Stale | RouteChanged::Absent => StepResult::Conflict,
                })
            }
            Step::DeleteRoute(observed, marker) => self.delete_route(observed, marker).await,
            Step::EnsureRecord(host, wanted, observed) => match self.zone_of(host) {
                Some(zone) => {
                    let ensured = zone.records.ensure(host, wanted, observed, run.priority);
                    let ensured = with_timeout(Backend::Dns, ensured).await;
                    run.is_unverified |= matches!(ensured, Ok(Ensured::CreatedUnverified));
                    ensured.map(|ensured| match ensured {
                        Ensured::Foreign => StepResult::Conflict,
                        Ensured::Created | Ensured::CreatedUnverified | Ensured::Changed | Ensured::Same => {
                            StepResult::Applied
                        }
                    })
                }
                None => Ok(StepResult::Conflict),
            },
            Step::RemoveRecord(host, marker) => self.remove_record(host, marker, run.priority).await,
        };
        match result.map_err(Interrupt::StepFailed)? {
            StepResult::Applied => Ok(()),
            StepResult::Conflict => Err(Interrupt::Conflict),
        }
    }

    /// Deletes a route of ours; one that is gone already counts as deleted.
    pub(crate) async fn delete_route(
        &self,
        observed: &ObservedRoute,
        marker: &OwnershipMarker,
    ) -> Result<StepResult, BackendError> {
        let deleted = self.routes.delete(&observed.place, marker, &observed.version);
        Ok(match with_timeout(Backend::Cluster, deleted).await? {
            RouteChanged::Done | RouteChanged::Absent => StepResult::Applied,
            RouteChanged::Stale => StepResult::Conflict,
        })
    }

    /// Removes a record of ours; one that is gone already counts as removed.
    pub(crate) async fn remove_record(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        priority: &Priority,
    ) -> Result<StepResult, BackendError> {
        let Some(zone) = self.zone_of(host) else { return Ok(StepResult::Conflict) };
        Ok(match with_timeout(Backend::Dns, zone.records.remove(host, marker, priority)).await? {
            Removed::Done | Removed::Absent => StepResult::Applied,
            Removed::Foreign => StepResult::Conflict,
        })
    }

    /// Step 5: records the outcome and returns the exposure with it.
    async fn record(&self, intent: Intent, run: &Run<'_>, outcome: Outcome) -> Result<Option<Intent>, Interrupt> {
        let fence = Fence { id: run.id.clone(), generation: intent.generation, token: run.token.clone() };
        let recorded = self.store.record_outcome(fence, outcome, self.clock.now()).await;
        match recorded.map_err(Interrupt::StoreFailed)? {
            Recorded::Done => {}
            // The friend changed the exposure meanwhile, and the lease is still this worker's.
            Recorded::Superseded => return Err(Interrupt::Conflict),
            Recorded::Lost => return Err(Interrupt::Busy),
        }
        self.snapshots.refresh(&intent.exposure.friend).await;
        Ok(intent.with_outcome(outcome).0)
    }

    /// Outcome of a plan that was carried out.
    fn reached(&self, intent: &Intent, run: &Run<'_>, status: Status, reason: Option<Reason>) -> Outcome {
        let is_active = status == Status::Active;
        let record_is_gone = reason == Some(Reason::NamespaceGone);
        // A removal that cannot go on, in a domain that is not configured, stays a removal.
        let status = if intent.desired == Desired::Absent { Status::Removing } else { status };
        Outcome::Stays {
            status,
            reason,
            progress: run.progress,
            established: if is_active { !run.is_unverified } else { intent.established && !record_is_gone },
            leaving_is_free: is_active || record_is_gone,
            attempts: 0,
            next_attempt_at: self.clock.now() + backoff(if is_active { 0 } else { BLOCKED_BACKOFF_STEP }),
        }
    }

    /// Outcome of a failure: the exposure waits, longer after each failure in a row.
    fn postponed(
        &self,
        intent: &Intent,
        run: &Run<'_>,
        error: &BackendError,
        (status, reason): (Status, Option<Reason>),
    ) -> Outcome {
        let id = &intent.exposure.id;
        tracing::warn!(exposure.id = %id, error = error as &dyn std::error::Error, "an exposure has to wait");
        let attempts = intent.attempts.saturating_add(1);
        let asked_for = error.retry_after.and_then(|wait| TimeDelta::from_std(wait).ok());
        Outcome::Stays {
            status,
            reason,
            progress: run.progress,
            established: intent.established,
            leaving_is_free: false,
            attempts,
            // A provider that names a time is not asked before it.
            next_attempt_at: self.clock.now() + backoff(attempts).max(asked_for.unwrap_or_default()),
        }
    }

    /// Returns the zone of a hostname.
    fn zone_of(&self, host: &Hostname) -> Option<&Zone> {
        self.zones.values().find(|zone| host.is_in(&zone.domain.name))
    }

    /// Returns the ownership marker of an exposure's records and routes.
    pub(crate) fn marker(&self, intent: &Intent) -> OwnershipMarker {
        OwnershipMarker { instance: self.instance.clone(), exposure: intent.exposure.id.clone() }
    }
}

impl Interrupt {
    /// Drops every interrupt after which another worker or a later run goes on.
    pub(crate) fn unless_store_failed(self) -> Result<(), BackendError> {
        match self {
            Self::StoreFailed(error) => Err(error),
            Self::Busy | Self::Gone | Self::Conflict | Self::ObserveFailed(_) | Self::StepFailed(_) => Ok(()),
        }
    }
}

/// True if the exposure is to exist and its last run ended with a decision about it.
fn is_decided(intent: &Intent) -> bool {
    intent.desired == Desired::Present && matches!(intent.exposure.status, Status::Active | Status::Failed)
}

/// Status of an exposure that is not finished.
fn waiting(intent: &Intent, reason: Reason) -> (Status, Option<Reason>) {
    let status = if intent.desired == Desired::Present { Status::Pending } else { Status::Removing };
    (status, Some(reason))
}

fn reason_of(error: &BackendError) -> Reason {
    // Observations and steps call zones and the cluster only.
    match error.backend {
        Backend::Dns => Reason::DnsUnavailable,
        _ => Reason::ClusterUnavailable,
    }
}
