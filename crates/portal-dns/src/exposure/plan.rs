//! Wanted against seen: what is to be done, as a pure function.

use crate::{
    Desired, Domain, HostClaim, Hostname, InstanceId, Intent, Observed, ObservedRoute, ObservedRoutes, OwnershipMarker,
    Reason, RecordState, RoutePlace, RouteSpec, ServiceState, Tombstone,
};

/// All that was seen around one exposure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Situation {
    /// What stands at the wanted hostname.
    pub(crate) record: Observed,
    /// What stands at each hostname that is to be given up.
    pub(crate) leaving: Vec<(Hostname, Observed)>,
    /// The routes.
    pub(crate) routes: ObservedRoutes,
    /// The Service.
    pub(crate) service: ServiceState,
    /// Everything else that claims the wanted hostname; not looked for where the exposure is to go.
    pub(crate) claims: Vec<HostClaim>,
}

/// One effect. Each is idempotent, and does nothing to what is not ours any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    CreateRoute(RouteSpec),
    ChangeRoute(RouteSpec, ObservedRoute),
    DeleteRoute(ObservedRoute, OwnershipMarker),
    EnsureRecord(Hostname, RecordState, Observed),
    RemoveRecord(Hostname, OwnershipMarker),
}

impl Step {
    /// What kind of step it is, for the log: it names nothing of the friend's.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::CreateRoute(_) => "create-route",
            Self::ChangeRoute(..) => "change-route",
            Self::DeleteRoute(..) => "delete-route",
            Self::EnsureRecord(..) => "ensure-record",
            Self::RemoveRecord(..) => "remove-record",
        }
    }
}

/// What is true once the steps are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is as wanted, and the leaving hostnames are free.
    Active,
    /// It cannot be had.
    Failed(Reason),
    /// Every trace is gone.
    Gone,
    /// Look again: the last steps depend on what these leave behind.
    Again,
}

/// What to do, and what is true then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) verdict: Verdict,
}

/// What an exposure is held against: its domain, our instance, and what our database ties to its places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) instance: &'a InstanceId,
    pub(crate) domain: &'a Domain,
    pub(crate) tombstones: &'a [Tombstone],
}

/// Decides what to do about an exposure.
pub(crate) fn plan(intent: &Intent, seen: &Situation, context: Context<'_>) -> Plan {
    let planner = Planner { intent, seen, context };
    match intent.desired {
        Desired::Absent => planner.removal(Verdict::Gone),
        Desired::Present => planner.presence(),
    }
}

#[derive(Clone, Copy)]
struct Planner<'a> {
    intent: &'a Intent,
    seen: &'a Situation,
    context: Context<'a>,
}

impl<'a> Planner<'a> {
    fn presence(self) -> Plan {
        let refused = |reason| Plan { steps: Vec::new(), verdict: Verdict::Failed(reason) };
        if self.seen.service == ServiceState::NamespaceGone {
            return Plan { steps: self.record_removals(), verdict: Verdict::Failed(Reason::NamespaceGone) };
        }
        if self.is_crowded() {
            // The record at the name itself only: a name that is to be given up stays for the exposure to return to.
            let steps = self.removal_here().into_iter().collect();
            return Plan { steps, verdict: Verdict::Failed(Reason::HostnameTaken) };
        }
        if self.is_contested() {
            return refused(if self.intent.established { Reason::MarkerLost } else { Reason::HostnameTaken });
        }
        // Whatever others write, our own record and route did not lose their marker by it.
        if self.is_claimed() {
            return refused(Reason::HostnameTaken);
        }
        match &self.seen.service {
            ServiceState::NamespaceGone | ServiceState::Absent => refused(Reason::ServiceMissing),
            // A route that stays could lead wherever its Service points one day.
            ServiceState::ExternalName => {
                Plan { steps: self.route_removals(), verdict: Verdict::Failed(Reason::ServiceExternal) }
            }
            ServiceState::Tcp(ports) if !ports.contains(&self.intent.exposure.port) => refused(Reason::PortMissing),
            ServiceState::Tcp(_) => self.standing(),
        }
    }

    /// The route before the record, so that a name that resolves has a route; while the exposure moves, the route
    /// answers for the old names until their records are gone.
    fn standing(self) -> Plan {
        let host = &self.intent.exposure.hostname;
        let old: Vec<_> = self.old_records().collect();
        let mut hosts = vec![host.clone()];
        hosts.extend(old.iter().map(|(old_host, _)| (*old_host).clone()));
        let mut steps = self.strange_route_removals();
        steps.extend(self.route_steps(self.route(hosts)));
        steps.extend(self.record_steps(host));
        steps.extend(old.iter().map(|(old_host, marker)| Step::RemoveRecord((*old_host).clone(), (*marker).clone())));
        Plan { steps, verdict: if old.is_empty() { Verdict::Active } else { Verdict::Again } }
    }

    fn route_steps(self, wanted: RouteSpec) -> Vec<Step> {
        match &self.seen.routes.own {
            None => vec![Step::CreateRoute(wanted)],
            Some(own) if own.marker.as_ref() == Some(&self.marker()) => {
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
        let ensure = |seen| Step::EnsureRecord(host.clone(), wanted.clone(), seen);
        let mut ours = self.seen.record.marked().iter().filter(|state| state.marker == wanted.marker);
        match (ours.next(), self.our_mark(host, &self.seen.record)) {
            (Some(state), _) if *state == wanted && ours.next().is_none() => Vec::new(),
            (None, Some(former)) => {
                let left =
                    if matches!(self.seen.record, Observed::Marked(_)) { Observed::Absent } else { Observed::Foreign };
                vec![Step::RemoveRecord(host.clone(), former.clone()), ensure(left)]
            }
            _ => vec![ensure(self.seen.record.clone())],
        }
    }

    /// The record before the route, so that no name resolves that has no route.
    fn removal(self, verdict: Verdict) -> Plan {
        let mut steps = self.record_removals();
        steps.extend(self.route_removals());
        Plan { steps, verdict }
    }

    fn record_removals(self) -> Vec<Step> {
        let old = self.old_records().map(|(host, marker)| Step::RemoveRecord(host.clone(), marker.clone()));
        self.removal_here().into_iter().chain(old).collect()
    }

    fn removal_here(self) -> Option<Step> {
        let host = &self.intent.exposure.hostname;
        let marker = self.our_mark(host, &self.seen.record)?;
        Some(Step::RemoveRecord(host.clone(), marker.clone()))
    }

    fn route_removals(self) -> Vec<Step> {
        let own = self.seen.routes.own.as_ref().filter(|own| self.is_our_own(own)).and_then(delete);
        self.strange_route_removals().into_iter().chain(own).collect()
    }

    /// Routes of former exposures, at other places, that answer for our hostnames.
    fn strange_route_removals(self) -> Vec<Step> {
        self.seen.routes.others.iter().filter(|route| self.is_former(route)).filter_map(delete).collect()
    }

    /// Whether our record came to stand beside somebody else's, who may have been there first: an attempt that never
    /// got as far as to see that it is alone. Who comes later is let be.
    fn is_crowded(self) -> bool {
        let Observed::Several { marked, others } = &self.seen.record else { return false };
        let host = &self.intent.exposure.hostname;
        let (own, strange): (Vec<_>, Vec<_>) = marked.iter().partition(|state| self.is_tied(host, &state.marker));
        !self.intent.established && !own.is_empty() && (*others || !strange.is_empty())
    }

    /// Tells whether the record at the hostname or the route at our place exists and is not ours.
    fn is_contested(self) -> bool {
        let host = &self.intent.exposure.hostname;
        let record_is_foreign =
            self.seen.record != Observed::Absent && self.our_mark(host, &self.seen.record).is_none();
        record_is_foreign || self.seen.routes.own.as_ref().is_some_and(|own| !self.is_our_own(own))
    }

    /// Tells whether something else in the cluster claims the hostname. What cannot be read only keeps new exposures
    /// away: one that already works is not given up on a suspicion.
    fn is_claimed(self) -> bool {
        let is_claim = |claim: &HostClaim| {
            (claim.is_certain || !self.intent.established) && !self.context.domain.is_fallback(claim)
        };
        self.seen.routes.others.iter().any(|other| !self.is_former(other)) || self.seen.claims.iter().any(is_claim)
    }

    /// The priority with which our route is asked before the operator's fallback routes.
    fn priority(self) -> Option<i64> {
        let fallbacks = self.seen.claims.iter().filter(|claim| self.context.domain.is_fallback(claim));
        fallbacks.map(|claim| claim.priority.saturating_add(1)).max()
    }

    /// Leaving hostnames whose record is still there and ours.
    fn old_records(self) -> impl Iterator<Item = (&'a Hostname, &'a OwnershipMarker)> {
        self.seen.leaving.iter().filter_map(move |(host, seen)| Some((host, self.our_mark(host, seen)?)))
    }

    /// The marker of a record, if our database ties it to `host`: it is this exposure's, which owns the hostname, or a
    /// former owner's.
    fn our_mark(self, host: &Hostname, seen: &'a Observed) -> Option<&'a OwnershipMarker> {
        let markers = || seen.marked().iter().map(|state| &state.marker);
        markers()
            .find(|marker| **marker == self.marker())
            .or_else(|| markers().find(|marker| self.is_tied(host, marker)))
    }

    fn is_tied(self, host: &Hostname, marker: &OwnershipMarker) -> bool {
        *marker == self.marker() || self.was_of(marker, |tombstone| tombstone.hostname == *host)
    }

    /// Whether the route at our place is this exposure's, or a former one's of the same name.
    fn is_our_own(self, own: &ObservedRoute) -> bool {
        let ties = |marker: &OwnershipMarker| {
            *marker == self.marker() || self.was_of(marker, |tombstone| tombstone.route().as_ref() == Some(&own.place))
        };
        own.marker.as_ref().is_some_and(ties)
    }

    /// Whether a route at another place is where a former exposure had its own.
    fn is_former(self, route: &ObservedRoute) -> bool {
        let ties = |marker: &OwnershipMarker| {
            self.was_of(marker, |tombstone| tombstone.route().as_ref() == Some(&route.place))
        };
        route.marker.as_ref().is_some_and(ties)
    }

    fn was_of(self, marker: &OwnershipMarker, place: impl Fn(&Tombstone) -> bool) -> bool {
        let former = |tombstone: &Tombstone| tombstone.exposure == marker.exposure && place(tombstone);
        marker.instance == *self.context.instance && self.context.tombstones.iter().any(former)
    }

    fn marker(self) -> OwnershipMarker {
        OwnershipMarker { instance: self.context.instance.clone(), exposure: self.intent.exposure.id.clone() }
    }

    fn route(self, hosts: Vec<Hostname>) -> RouteSpec {
        let Domain { entry_points, tls, .. } = self.context.domain;
        RouteSpec {
            hosts,
            service: self.intent.exposure.service.clone(),
            port: self.intent.exposure.port,
            entry_points: entry_points.clone(),
            tls: tls.clone(),
            priority: self.priority(),
        }
    }
}

fn delete(route: &ObservedRoute) -> Option<Step> {
    Some(Step::DeleteRoute(route.clone(), route.marker.clone()?))
}

/// The place of an exposure's route.
pub(crate) fn place(intent: &Intent) -> RoutePlace {
    RoutePlace::of(&intent.exposure.friend, &intent.exposure.name)
}

#[cfg(test)]
mod tests;
