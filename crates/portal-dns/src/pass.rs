//! The reconcile pass: everything that is kept against everything that stands.

use std::collections::HashMap;
use std::time::Duration;

use chrono::TimeDelta;
use portal_core::{Backend, BackendError};

use crate::exposure::plan::{Context, Plan, Situation, Verdict, place, plan};
use crate::reconcile::Reconciler;
use crate::reconcile::observe::timely;
use crate::{
    Desired, DomainName, Exposure, ExposureId, Freshness, Hostname, Intent, Observed, OwnershipMarker, Priority,
    Reason, Status, TOMBSTONE_LIFETIME, Tombstone, all_intents,
};

mod sweep;

/// How many exposures are read or worked on at once in the background.
const AT_ONCE: usize = 8;
/// How long listing a zone, page by page, may take.
const LIST_TIMEOUT: Duration = Duration::from_mins(2);
/// How many unfinished exposures one tick takes up.
const DUE: u32 = 50;

/// What a pass found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassReport {
    /// How many exposures there were when the pass began, by status.
    pub statuses: HashMap<Status, usize>,
    /// How many exposures were compared with what stands.
    pub checked: usize,
    /// How many were not as wanted and were worked on.
    pub repaired: usize,
    /// How many could not be compared or worked on.
    pub errors: usize,
    /// Domains whose zone could not be listed.
    pub unlisted: Vec<DomainName>,
    /// How many records and routes of exposures that are gone were removed.
    pub swept: usize,
    /// Records with our marker that no exposure, not even a former one, is known for. They are left alone.
    pub orphans: Vec<(Hostname, OwnershipMarker)>,
}

/// What the zones listed.
struct Listed {
    records: HashMap<Hostname, Observed>,
    /// Zones that could not be listed: what stands in them is not known.
    unknown: Vec<DomainName>,
}

impl Listed {
    /// What stands at `host`; `None` if that is not known.
    fn seen(&self, host: &Hostname) -> Option<Observed> {
        if self.unknown.iter().any(|domain| host.is_in(domain)) {
            return None;
        }
        Some(self.records.get(host).cloned().unwrap_or(Observed::Absent))
    }
}

impl Reconciler {
    /// Works on what is unfinished and due.
    pub(crate) async fn finish_due(&self) -> Result<(), BackendError> {
        let due = self.intents.due(self.clock.now(), DUE).await?;
        for some in due.chunks(AT_ONCE) {
            futures::future::join_all(some.iter().map(|id| self.work_on(id))).await;
        }
        Ok(())
    }

    /// See [`crate::Exposures::pass`].
    pub(crate) async fn pass(&self) -> Result<PassReport, BackendError> {
        // What stands is listed before what is wanted is read: an exposure made in between is only missed, and one
        // that went in between has left a tombstone.
        let listed = self.list_zones().await;
        let routes = timely(Backend::Cluster, self.routes.list()).await;
        let intents = all_intents(&*self.intents).await?;
        let tombstones = self.intents.tombstones().await?;
        let mut report = PassReport::default();
        for intent in &intents {
            *report.statuses.entry(intent.exposure.status).or_default() += 1;
        }
        match routes {
            Ok(routes) => {
                self.check_all(&intents, &listed, &tombstones, &mut report).await;
                self.sweep_routes(routes, &intents, &tombstones, &mut report).await;
            }
            // Without the cluster no exposure can be compared; one line says so for all of them.
            Err(trouble) => {
                warn(&trouble);
                report.errors += 1;
            }
        }
        self.sweep_records(&listed, &intents, &tombstones, &mut report).await;
        report.unlisted = listed.unknown;
        let lifetime = TimeDelta::from_std(TOMBSTONE_LIFETIME).unwrap_or(TimeDelta::MAX);
        self.intents.sweep(self.clock.now() - lifetime).await?;
        Ok(report)
    }

    /// See [`crate::Exposures::reconcile_friend`]: the record of an active exposure is taken to be as it was left.
    pub(crate) async fn check_friend(&self, exposures: &[Exposure]) -> Result<(), BackendError> {
        for exposure in exposures {
            if exposure.status == Status::Active {
                let intent = standing(exposure);
                let is_right = match self.zones.get(&exposure.domain) {
                    Some(zone) => {
                        let record = Observed::Marked(zone.domain.record(self.marker(&intent)));
                        self.is_right(&intent, record, Vec::new(), &[]).await?
                    }
                    None => false,
                };
                if is_right {
                    continue;
                }
            }
            self.reconcile(&exposure.id, &Priority::Background).await?;
        }
        Ok(())
    }

    async fn check_all(&self, intents: &[Intent], listed: &Listed, tombstones: &[Tombstone], report: &mut PassReport) {
        for some in intents.chunks(AT_ONCE) {
            let checks = some.iter().map(|intent| self.check(intent, listed, tombstones));
            for found in futures::future::join_all(checks).await {
                report.checked += 1;
                match found {
                    Found::Right | Found::NotYet => {}
                    Found::Repaired => report.repaired += 1,
                    Found::Troubled => report.errors += 1,
                }
            }
        }
    }

    async fn check(&self, intent: &Intent, listed: &Listed, tombstones: &[Tombstone]) -> Found {
        match self.is_as_listed(intent, listed, tombstones).await {
            Ok(Some(true)) => return Found::Right,
            Ok(Some(false)) if intent.attempts > 0 && self.clock.now() < intent.next_attempt_at => {
                return Found::NotYet;
            }
            Ok(Some(false)) => {}
            Ok(None) => return Found::Troubled,
            Err(trouble) => {
                warn(&trouble);
                return Found::Troubled;
            }
        }
        if self.work_on(&intent.exposure.id).await { Found::Repaired } else { Found::Troubled }
    }

    /// Whether an exposure is as wanted, by what was listed and watched; `None` if its zone could not be listed.
    async fn is_as_listed(
        &self,
        intent: &Intent,
        listed: &Listed,
        tombstones: &[Tombstone],
    ) -> Result<Option<bool>, BackendError> {
        let Some(record) = listed.seen(&intent.exposure.hostname) else { return Ok(None) };
        let seen = |host: &Hostname| Some((host.clone(), listed.seen(host)?));
        let Some(leaving) = intent.leaving.iter().map(seen).collect() else { return Ok(None) };
        self.is_right(intent, record, leaving, tombstones).await.map(Some)
    }

    async fn is_right(
        &self,
        intent: &Intent,
        record: Observed,
        leaving: Vec<(Hostname, Observed)>,
        tombstones: &[Tombstone],
    ) -> Result<bool, BackendError> {
        let Exposure { friend, hostname, service, domain, .. } = &intent.exposure;
        let Some(zone) = self.zones.get(domain) else {
            return Ok(is_settled(intent, Verdict::Failed(Reason::DomainUnknown)));
        };
        let service = timely(Backend::Cluster, self.services.look(friend, service, Freshness::Watched)).await?;
        let hosts = std::slice::from_ref(hostname);
        let routes = timely(Backend::Cluster, self.routes.look(&place(intent), hosts, Freshness::Watched)).await?;
        let context = Context { instance: &self.instance, domain: &zone.domain, tombstones };
        let claims = self.claims(intent).await?;
        let seen = Situation { record, leaving, routes, service, claims };
        let Plan { steps, verdict } = plan(intent, &seen, context);
        Ok(steps.is_empty() && is_settled(intent, verdict))
    }

    /// Works on an exposure in the background; `false` if the store is in trouble.
    async fn work_on(&self, id: &ExposureId) -> bool {
        let worked = self.reconcile(id, &Priority::Background).await;
        worked.inspect_err(warn).is_ok()
    }

    async fn list_zones(&self) -> Listed {
        let mut listed = Listed { records: HashMap::new(), unknown: Vec::new() };
        for zone in self.zones.values() {
            let list = tokio::time::timeout(LIST_TIMEOUT, zone.records.list()).await;
            match list.unwrap_or_else(|elapsed| Err(BackendError::unavailable(Backend::Dns, elapsed))) {
                Ok(records) => listed.records.extend(records),
                Err(trouble) => {
                    warn(&trouble);
                    listed.unknown.push(zone.domain.name.clone());
                }
            }
        }
        listed
    }
}

/// What comparing one exposure came to.
enum Found {
    Right,
    NotYet,
    Repaired,
    Troubled,
}

/// Whether an exposure is recorded as what the verdict says.
fn is_settled(intent: &Intent, verdict: Verdict) -> bool {
    let Exposure { status, reason, .. } = &intent.exposure;
    match verdict {
        Verdict::Active => *status == Status::Active && intent.leaving.is_empty(),
        Verdict::Failed(failure) => *status == Status::Failed && *reason == Some(failure),
        Verdict::Gone | Verdict::Again => false,
    }
}

/// An active exposure as it is wanted: it has nothing to give up.
fn standing(exposure: &Exposure) -> Intent {
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

fn warn(trouble: &BackendError) {
    tracing::warn!(error = trouble as &dyn std::error::Error, "exposures could not all be checked");
}
