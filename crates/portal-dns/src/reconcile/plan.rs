//! Step 3 of a run: a pure function from the desired and the observed state to the steps between them.

use crate::exposure::{Progress, Reason};
use crate::hostname::Hostname;
use crate::intent::{Desired, Intent};
use crate::marker::{InstanceId, OwnershipMarker};
use crate::record::{Observed, RecordState};
use crate::route::{HostClaim, ObservedRoute, ObservedRoutes, RouteSpec};
use crate::service::ServiceState;
use crate::tombstone::Tombstone;
use crate::zone::Domain;

/// Everything that was observed around one exposure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObservedState {
    /// The desired hostname's records.
    pub(crate) record: Observed,
    /// The records of each hostname that is to be given up.
    pub(crate) leaving: Vec<(Hostname, Observed)>,
    /// The routes.
    pub(crate) routes: ObservedRoutes,
    /// The Service.
    pub(crate) service: ServiceState,
    /// Everything else that claims the desired hostname; not read where the exposure is to be removed.
    pub(crate) claims: Vec<HostClaim>,
}

/// One effect. Each is idempotent, and changes nothing that is not ours any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    CreateRoute(RouteSpec),
    ChangeRoute(RouteSpec, ObservedRoute),
    DeleteRoute(ObservedRoute, OwnershipMarker),
    EnsureRecord(Hostname, RecordState, Observed),
    RemoveRecord(Hostname, OwnershipMarker),
}

impl Step {
    /// Returns the kind of the step for the log, without any of the friend's data.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::CreateRoute(_) => "create-route",
            Self::ChangeRoute(..) => "change-route",
            Self::DeleteRoute(..) => "delete-route",
            Self::EnsureRecord(..) => "ensure-record",
            Self::RemoveRecord(..) => "remove-record",
        }
    }

    /// Notes in `progress` that the step was applied and that `rest` follows it.
    pub(crate) fn advance(&self, intent: &Intent, rest: &[Self], progress: &mut Progress) {
        let is_removal = intent.desired == Desired::Absent;
        match self {
            Self::CreateRoute(_) | Self::ChangeRoute(..) => progress.route = true,
            Self::DeleteRoute(route, _) if route.place == intent.route_place() => progress.route = is_removal,
            Self::EnsureRecord(..) => progress.record = true,
            // A removal takes the records of all hostnames.
            Self::RemoveRecord(..) if is_removal => {
                progress.record = !rest.iter().any(|step| matches!(step, Self::RemoveRecord(..)));
            }
            Self::RemoveRecord(host, _) if *host == intent.exposure.spec.hostname => progress.record = false,
            Self::DeleteRoute(..) | Self::RemoveRecord(..) => {}
        }
    }
}

/// State of the exposure once all steps of a plan are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanResult {
    /// Everything is as desired, and the leaving hostnames are free.
    Active,
    /// It cannot be exposed for this reason.
    Failed(Reason),
    /// Every trace is gone.
    Gone,
    /// Observe again: the last steps depend on what these leave behind.
    Requeue,
}

/// The steps to take, and what is true after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) result: PlanResult,
    /// Parts that are as desired before the first step.
    pub(crate) progress: Progress,
}

/// Facts that ownership is judged by: the domain, our instance, and the tombstones at the exposure's places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) instance: &'a InstanceId,
    pub(crate) domain: &'a Domain,
    pub(crate) tombstones: &'a [Tombstone],
}

/// Plans the steps from the observed to the desired state.
pub(crate) fn plan(intent: &Intent, observed: &ObservedState, context: Context<'_>) -> Plan {
    let planner = Planner { intent, observed, context };
    match intent.desired {
        Desired::Absent => planner.removal(),
        Desired::Present => planner.presence(),
    }
}

#[derive(Clone, Copy)]
struct Planner<'a> {
    intent: &'a Intent,
    observed: &'a ObservedState,
    context: Context<'a>,
}

impl<'a> Planner<'a> {
    fn presence(self) -> Plan {
        let (steps, result) = self.presence_steps();
        let host = &self.intent.exposure.spec.hostname;
        let progress = Progress {
            route: self.route_steps(self.route(self.answered_hosts())).is_empty(),
            record: self.record_steps(host).is_empty(),
        };
        Plan { steps, result, progress }
    }

    fn presence_steps(self) -> (Vec<Step>, PlanResult) {
        let refused = |reason| (Vec::new(), PlanResult::Failed(reason));
        // Before everything else: the route goes with its namespace, and a record must not outlive it.
        if self.observed.service == ServiceState::NamespaceGone {
            return (self.record_removals(), PlanResult::Failed(Reason::NamespaceGone));
        }
        if self.is_crowded() {
            // Only the record at the hostname itself: a move that is refused returns to its old hostname.
            let steps = self.removal_here().into_iter().collect();
            return (steps, PlanResult::Failed(Reason::HostnameTaken));
        }
        if self.is_replaced() {
            return refused(if self.intent.established { Reason::MarkerLost } else { Reason::HostnameTaken });
        }
        // A rule of others takes nothing away from us, so it never counts as a lost marker.
        if self.is_claimed() {
            return refused(Reason::HostnameTaken);
        }
        match &self.observed.service {
            ServiceState::Tcp(ports) if ports.contains(&self.intent.exposure.spec.port) => self.exposing_steps(),
            ServiceState::Tcp(_) => refused(Reason::PortMissing),
            // A route that stays would lead to any host that the Service names one day.
            ServiceState::ExternalName => (self.route_removals(), PlanResult::Failed(Reason::ServiceExternal)),
            // The namespace is known to exist here.
            ServiceState::Absent | ServiceState::NamespaceGone => refused(Reason::ServiceMissing),
        }
    }

    /// The route comes before the record, so that a name that resolves has a route. While the exposure moves, the
    /// route answers for the old names until their records are gone.
    fn exposing_steps(self) -> (Vec<Step>, PlanResult) {
        let mut steps = self.former_route_removals();
        steps.extend(self.route_steps(self.route(self.answered_hosts())));
        steps.extend(self.record_steps(&self.intent.exposure.spec.hostname));
        let old = self.old_records().map(|(host, marker)| Step::RemoveRecord(host.clone(), marker.clone()));
        let before = steps.len();
        steps.extend(old);
        // The route is narrowed to the new hostname only after the old records were seen to be gone.
        let result = if steps.len() == before { PlanResult::Active } else { PlanResult::Requeue };
        (steps, result)
    }

    /// Hostnames for which the route answers: the desired one, and old ones that still resolve.
    fn answered_hosts(self) -> Vec<Hostname> {
        let old = self.old_records().map(|(host, _)| host.clone());
        std::iter::once(self.intent.exposure.spec.hostname.clone()).chain(old).collect()
    }

    fn route_steps(self, wanted: RouteSpec) -> Vec<Step> {
        match &self.observed.routes.own {
            None => vec![Step::CreateRoute(wanted)],
            Some(own) if own.marker.as_ref() == Some(&self.marker()) => {
                // A route edited by hand has no spec and is put back as well.
                let is_right = own.spec.as_ref() == Some(&wanted);
                if is_right { Vec::new() } else { vec![Step::ChangeRoute(wanted, own.clone())] }
            }
            // A former exposure of the same name left it, else the hostname would be contested.
            Some(own) => {
                let delete = own.marker.clone().map(|marker| Step::DeleteRoute(own.clone(), marker));
                delete.into_iter().chain([Step::CreateRoute(wanted)]).collect()
            }
        }
    }

    fn record_steps(self, host: &Hostname) -> Vec<Step> {
        let wanted = self.context.domain.record(self.marker());
        let ensure = |observed| Step::EnsureRecord(host.clone(), wanted.clone(), observed);
        let mut ours = self.observed.record.marked().iter().filter(|state| state.marker == wanted.marker);
        match (ours.next(), self.our_marker(host, &self.observed.record)) {
            (Some(state), _) if *state == wanted && ours.next().is_none() => Vec::new(),
            // A former owner's record cannot be changed into ours: the marker is the precondition of every change.
            (None, Some(former)) => {
                let left = if matches!(self.observed.record, Observed::Marked(_)) {
                    Observed::Absent
                } else {
                    Observed::Foreign
                };
                vec![Step::RemoveRecord(host.clone(), former.clone()), ensure(left)]
            }
            _ => vec![ensure(self.observed.record.clone())],
        }
    }

    /// The record goes before the route, so that no name resolves that has no route.
    fn removal(self) -> Plan {
        let (records, routes) = (self.record_removals(), self.route_removals());
        let progress = Progress { route: routes.is_empty(), record: records.is_empty() };
        Plan { steps: records.into_iter().chain(routes).collect(), result: PlanResult::Gone, progress }
    }

    fn record_removals(self) -> Vec<Step> {
        let old = self.old_records().map(|(host, marker)| Step::RemoveRecord(host.clone(), marker.clone()));
        self.removal_here().into_iter().chain(old).collect()
    }

    fn removal_here(self) -> Option<Step> {
        let host = &self.intent.exposure.spec.hostname;
        let marker = self.our_marker(host, &self.observed.record)?;
        Some(Step::RemoveRecord(host.clone(), marker.clone()))
    }

    fn route_removals(self) -> Vec<Step> {
        let own = self.observed.routes.own.as_ref().filter(|own| self.is_our_own(own)).and_then(delete);
        self.former_route_removals().into_iter().chain(own).collect()
    }

    /// Deletes routes of former exposures, at other places, that answer for our hostnames.
    fn former_route_removals(self) -> Vec<Step> {
        self.observed.routes.others.iter().filter(|route| self.is_former(route)).filter_map(delete).collect()
    }

    /// True if our record is beside somebody else's and was never seen alone: the other one may have been first, so ours
    /// gives way. Records that come later beside an established one are left alone.
    fn is_crowded(self) -> bool {
        let Observed::Several { marked, others } = &self.observed.record else { return false };
        let host = &self.intent.exposure.spec.hostname;
        let (own, foreign): (Vec<_>, Vec<_>) = marked.iter().partition(|state| self.is_tied(host, &state.marker));
        // Without the flag a stranger could drive us out by adding a record beside ours.
        !self.intent.established && !own.is_empty() && (*others || !foreign.is_empty())
    }

    /// True if something that is not ours stands where our record or our route belongs.
    fn is_replaced(self) -> bool {
        let host = &self.intent.exposure.spec.hostname;
        let record = &self.observed.record;
        let record_is_foreign = *record != Observed::Absent && self.our_marker(host, record).is_none();
        record_is_foreign || self.observed.routes.own.as_ref().is_some_and(|own| !self.is_our_own(own))
    }

    /// True if something else in the cluster claims the hostname. A claim that cannot be read only keeps new exposures
    /// away: one that works is not given up on a suspicion.
    fn is_claimed(self) -> bool {
        let counts = |claim: &HostClaim| {
            (claim.is_certain || !self.intent.established) && !self.context.domain.is_fallback(claim)
        };
        let routes = &self.observed.routes.others;
        routes.iter().any(|route| !self.is_former(route)) || self.observed.claims.iter().any(counts)
    }

    /// Returns the priority that puts our route before the operator's fallback routes.
    fn priority(self) -> Option<i64> {
        let fallbacks = self.observed.claims.iter().filter(|claim| self.context.domain.is_fallback(claim));
        fallbacks.map(|claim| claim.priority.saturating_add(1)).max()
    }

    /// Returns the leaving hostnames whose record still exists and is ours.
    fn old_records(self) -> impl Iterator<Item = (&'a Hostname, &'a OwnershipMarker)> {
        self.observed.leaving.iter().filter_map(move |(host, seen)| Some((host, self.our_marker(host, seen)?)))
    }

    /// Returns the marker of a record that our database ties to `host`: this exposure's, or a former owner's.
    fn our_marker(self, host: &Hostname, seen: &'a Observed) -> Option<&'a OwnershipMarker> {
        let markers = || seen.marked().iter().map(|state| &state.marker);
        markers()
            .find(|marker| **marker == self.marker())
            .or_else(|| markers().find(|marker| self.is_tied(host, marker)))
    }

    fn is_tied(self, host: &Hostname, marker: &OwnershipMarker) -> bool {
        *marker == self.marker() || self.was_of(marker, |tombstone| tombstone.hostname == *host)
    }

    /// True if the route at our place is this exposure's, or a former one's of the same name.
    fn is_our_own(self, own: &ObservedRoute) -> bool {
        let ties = |marker: &OwnershipMarker| {
            *marker == self.marker() || self.was_of(marker, |tombstone| tombstone.route().as_ref() == Some(&own.place))
        };
        own.marker.as_ref().is_some_and(ties)
    }

    /// True if a route at another place is where a former exposure had its own.
    fn is_former(self, route: &ObservedRoute) -> bool {
        let ties = |marker: &OwnershipMarker| {
            self.was_of(marker, |tombstone| tombstone.route().as_ref() == Some(&route.place))
        };
        route.marker.as_ref().is_some_and(ties)
    }

    fn was_of(self, marker: &OwnershipMarker, place: impl Fn(&Tombstone) -> bool) -> bool {
        let former = |tombstone: &Tombstone| tombstone.exposure == marker.exposure && place(tombstone);
        // A tombstone of ours proves nothing about another portal's marker.
        marker.instance == *self.context.instance && self.context.tombstones.iter().any(former)
    }

    fn marker(self) -> OwnershipMarker {
        OwnershipMarker { instance: self.context.instance.clone(), exposure: self.intent.exposure.id.clone() }
    }

    fn route(self, hosts: Vec<Hostname>) -> RouteSpec {
        let Domain { entry_points, tls, .. } = self.context.domain;
        RouteSpec {
            hosts,
            service: self.intent.exposure.spec.service.clone(),
            port: self.intent.exposure.spec.port,
            entry_points: entry_points.clone(),
            tls: tls.clone(),
            priority: self.priority(),
        }
    }
}

fn delete(route: &ObservedRoute) -> Option<Step> {
    Some(Step::DeleteRoute(route.clone(), route.marker.clone()?))
}

#[cfg(test)]
mod tests;
