//! Making one exposure true: observe, plan, act, record; fenced by a lease and a generation.

pub(crate) mod act;
pub(crate) mod observe;
mod settle;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use portal_core::{Backend, BackendError, Clock, Ids};
use tokio::time::Instant;

use crate::exposure::plan::{Context, Plan, Verdict, plan};
use crate::reconcile::settle::{Blame, Recorded};
use crate::snapshot::Snapshots;
use crate::{
    Claimed, DomainName, ExposureId, HostClaim, Hostname, InstanceId, Intent, IntentStore, Lease, Priority, Reason,
    RoutePlace, Routes, Services, Tombstone, Zone,
};

/// How long one call to a zone or to the cluster may take; an adapter gives up sooner, by itself.
pub(crate) const STEP_TIMEOUT: Duration = Duration::from_secs(8);
/// How long an exposure is one worker's. A step starts only while more than [`STEP_TIMEOUT`] of it is left.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// How often one run looks again, after what it did or because the world changed under its hands.
const ROUNDS: usize = 8;

/// Makes exposures true.
pub(crate) struct Reconciler {
    pub(crate) intents: Arc<dyn IntentStore>,
    pub(crate) routes: Arc<dyn Routes>,
    pub(crate) services: Arc<dyn Services>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) instance: InstanceId,
    pub(crate) zones: HashMap<DomainName, Zone>,
    pub(crate) snapshots: Arc<Snapshots>,
}

/// What became of working on an exposure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reconciled {
    /// Somebody else works on it.
    Busy,
    /// It is gone.
    Gone,
    /// It stays, and this is how far it got.
    Stays(Box<Intent>),
}

/// A lease that is held, with the moment from which on it may be somebody else's.
struct Held {
    token: String,
    until: Instant,
}

/// What one round came to.
enum Round {
    /// The plan was carried out.
    Done(Verdict),
    /// The world was not as it was seen: look again.
    Surprised,
    /// Nothing could be observed, so nothing was done.
    Blind(BackendError),
    /// A step failed, or may have: what it left is not known.
    Broken(BackendError),
    /// The lease passed to somebody else.
    Lost,
}

impl Reconciler {
    /// Works on an exposure until there is a result to record, and records it.
    pub(crate) async fn reconcile(&self, id: &ExposureId, caller: &Priority) -> Result<Reconciled, BackendError> {
        let mut held = self.hold();
        self.reconcile_held(id, &mut held, caller).await
    }

    /// Removes what came back at a hostname that a living exposure has given up, unless it has taken it again.
    pub(crate) async fn give_up_again(&self, id: &ExposureId, host: &Hostname) -> Result<bool, BackendError> {
        let mut held = self.hold();
        let Claimed::Mine(intent, _) = self.claim(id, &mut held).await? else { return Ok(false) };
        let is_given_up = intent.exposure.hostname != *host && !intent.leaving.contains(host);
        let swept = if is_given_up {
            self.remove_record(host, &self.marker(&intent), &Priority::Background).await
        } else {
            Ok(act::Acted::Surprised)
        };
        // Also gives the lease back.
        self.reconcile_held(id, &mut held, &Priority::Background).await?;
        swept.map(|acted| acted == act::Acted::AsPlanned)
    }

    fn hold(&self) -> Held {
        Held { token: self.ids.id(), until: Instant::now() }
    }

    async fn reconcile_held(
        &self,
        id: &ExposureId,
        held: &mut Held,
        caller: &Priority,
    ) -> Result<Reconciled, BackendError> {
        let mut claimed = self.claim(id, held).await?;
        for _ in 0..ROUNDS {
            let (intent, tombstones) = match claimed {
                Claimed::Mine(intent, tombstones) => (intent, tombstones),
                Claimed::Busy => return Ok(Reconciled::Busy),
                Claimed::Gone => return Ok(Reconciled::Gone),
            };
            let round = self.round(&intent, &tombstones, held, caller).await;
            if let Some(settlement) = self.settlement(&intent, round) {
                match self.settle(&intent, held, settlement).await? {
                    Recorded::Yes(result) => return Ok(result),
                    Recorded::Superseded => {}
                    Recorded::Lost => return Ok(Reconciled::Busy),
                }
            }
            claimed = self.claim(id, held).await?;
        }
        let Claimed::Mine(intent, _) = claimed else { return Ok(Reconciled::Busy) };
        let unsteady = BackendError::failed(Backend::Cluster, "records and routes kept changing");
        let settlement = self.errors(&intent, &unsteady, Reason::InProgress, Blame::Step);
        match self.settle(&intent, held, settlement).await? {
            Recorded::Yes(result) => Ok(result),
            Recorded::Superseded | Recorded::Lost => Ok(Reconciled::Busy),
        }
    }

    /// One observation, its plan and its steps.
    async fn round(&self, intent: &Intent, tombstones: &[Tombstone], held: &mut Held, caller: &Priority) -> Round {
        let Some(zone) = self.zones.get(&intent.exposure.domain) else {
            return Round::Done(Verdict::Failed(Reason::DomainUnknown));
        };
        let seen = match self.observe(intent, zone, caller).await {
            Ok(seen) => seen,
            Err(trouble) => return Round::Blind(trouble),
        };
        let context = Context { instance: &self.instance, domain: &zone.domain, tombstones };
        let Plan { steps, verdict } = plan(intent, &seen, context);
        for claim in seen.claims.iter().filter(|claim| !zone.domain.is_fallback(claim)) {
            let HostClaim { kind, place: RoutePlace { namespace, name }, is_certain, .. } = claim;
            tracing::warn!(
                exposure.id = %intent.exposure.id, host = %intent.exposure.hostname, kind, namespace, name, is_certain,
                "another object claims an exposure's hostname"
            );
        }
        for step in steps {
            match self.extend(intent, held).await {
                Ok(Extended::Yes) => {}
                Ok(Extended::Superseded) => return Round::Surprised,
                Ok(Extended::Lost) => return Round::Lost,
                Err(trouble) => return Round::Broken(trouble),
            }
            match self.act(intent, step, caller).await {
                Ok(act::Acted::AsPlanned) => {}
                Ok(act::Acted::Surprised) => return Round::Surprised,
                Err(trouble) => return Round::Broken(trouble),
            }
        }
        Round::Done(verdict)
    }

    /// Whether the next step may start: the lease outlasts it, if need be after it was extended.
    async fn extend(&self, intent: &Intent, held: &mut Held) -> Result<Extended, BackendError> {
        if held.until.saturating_duration_since(Instant::now()) > STEP_TIMEOUT {
            return Ok(Extended::Yes);
        }
        Ok(match self.claim(&intent.exposure.id, held).await? {
            Claimed::Mine(now, _) if now.generation == intent.generation => Extended::Yes,
            Claimed::Mine(..) => Extended::Superseded,
            Claimed::Busy | Claimed::Gone => Extended::Lost,
        })
    }

    /// Takes an exposure, or extends the lease that is held.
    async fn claim(&self, id: &ExposureId, held: &mut Held) -> Result<Claimed, BackendError> {
        let asked_at = Instant::now();
        let lease = Lease { token: held.token.clone(), length: LEASE, now: self.clock.now() };
        let claimed = self.intents.claim(id, lease).await?;
        held.until = asked_at + LEASE;
        Ok(claimed)
    }
}

enum Extended {
    Yes,
    Superseded,
    Lost,
}
