use std::net::Ipv4Addr;
use std::slice;

use chrono::DateTime;
use portal_core::FriendId;

use super::{Context, ObservedState, Plan, PlanResult, Step, plan};
use crate::{
    Domain, DomainName, ExposureId, ExposureName, ExposureSpec, HostClaim, Hostname, InstanceId, Intent, Observed,
    ObservedRoute, ObservedRoutes, OwnershipMarker, Reason, RecordState, ReleaseReason, Reservation, RoutePlace,
    RouteSpec, RouteVersion, ServiceName, ServicePort, ServiceState, Target, Tls, Tombstone, Ttl,
};

fn domain(name: &str) -> Domain {
    Domain {
        name: DomainName::parse(name).unwrap(),
        target: Target::A(Ipv4Addr::new(192, 0, 2, 1)),
        ttl: Ttl::parse(300).unwrap(),
        proxied: false,
        tls: Tls::Default,
        entry_points: vec!["websecure".to_owned()],
        fallback_routes: Vec::new(),
        retired: false,
    }
}

fn instance(digit: char) -> InstanceId {
    InstanceId::parse(&digit.to_string().repeat(32)).unwrap()
}

fn id(digit: char) -> ExposureId {
    ExposureId::parse(&digit.to_string().repeat(32)).unwrap()
}

fn marker(exposure: char) -> OwnershipMarker {
    OwnershipMarker { instance: instance('0'), exposure: id(exposure) }
}

fn host(domain: &str) -> Hostname {
    Hostname::parse(&format!("my-app-alice.{domain}")).unwrap()
}

fn wanted(domain: &str) -> Reservation {
    Reservation {
        id: id('1'),
        friend: FriendId::parse("alice").unwrap(),
        name: ExposureName::parse("my-app").unwrap(),
        spec: ExposureSpec {
            service: ServiceName::parse("web").unwrap(),
            port: ServicePort::parse(80).unwrap(),
            domain: DomainName::parse(domain).unwrap(),
            hostname: host(domain),
        },
        only_if_absent: false,
    }
}

fn intent() -> Intent {
    Intent::new(wanted("a.net"), None, DateTime::UNIX_EPOCH)
}

fn moving() -> Intent {
    intent().changed(&wanted("b.net").spec, DateTime::UNIX_EPOCH)
}

fn closed() -> Intent {
    intent().closed(DateTime::UNIX_EPOCH)
}

fn record(marker: OwnershipMarker) -> Observed {
    Observed::Marked(domain("a.net").record(marker))
}

fn spec(domains: &[&str]) -> RouteSpec {
    RouteSpec {
        hosts: domains.iter().map(|domain| host(domain)).collect(),
        service: ServiceName::parse("web").unwrap(),
        port: ServicePort::parse(80).unwrap(),
        entry_points: vec!["websecure".to_owned()],
        tls: Tls::Default,
        priority: None,
    }
}

fn route(marker: Option<OwnershipMarker>, domains: &[&str]) -> ObservedRoute {
    let intent = intent();
    ObservedRoute {
        place: RoutePlace::of(&intent.exposure.friend, &intent.exposure.name),
        version: RouteVersion { uid: "uid".to_owned(), resource_version: "7".to_owned() },
        marker,
        spec: Some(spec(domains)),
    }
}

fn elsewhere(marker: Option<OwnershipMarker>) -> ObservedRoute {
    let place = RoutePlace { namespace: "friend-bob".to_owned(), name: "expose-x".to_owned() };
    ObservedRoute { place, ..route(marker, &["a.net"]) }
}

fn own(route: ObservedRoute) -> ObservedRoutes {
    ObservedRoutes { own: Some(route), others: Vec::new() }
}

fn serving() -> ServiceState {
    ServiceState::Tcp(vec![ServicePort::parse(80).unwrap()])
}

fn nothing() -> ObservedState {
    ObservedState {
        record: Observed::Absent,
        leaving: Vec::new(),
        routes: ObservedRoutes::default(),
        service: serving(),
        claims: Vec::new(),
    }
}

fn in_place() -> ObservedState {
    ObservedState { record: record(marker('1')), routes: own(route(Some(marker('1')), &["a.net"])), ..nothing() }
}

fn tombstone(exposure: char, friend: &str, name: &str, released_by: ReleaseReason) -> Tombstone {
    Tombstone {
        exposure: id(exposure),
        friend: FriendId::parse(friend).unwrap(),
        name: ExposureName::parse(name).unwrap(),
        hostname: host("a.net"),
        released_by,
        generation: 1,
        at: DateTime::UNIX_EPOCH,
    }
}

fn planned(intent: &Intent, seen: &ObservedState, tombstones: &[Tombstone]) -> Plan {
    let domain = domain(intent.exposure.spec.domain.as_str());
    plan(intent, seen, Context { instance: &instance('0'), domain: &domain, tombstones })
}

fn shown(plan: Plan) -> (Vec<Step>, PlanResult) {
    (plan.steps, plan.result)
}

#[track_caller]
fn check(intent: &Intent, seen: &ObservedState, steps: &[Step], result: PlanResult) {
    assert_eq!(shown(planned(intent, seen, &[])), (steps.to_vec(), result));
}

#[track_caller]
fn check_refused(intent: &Intent, seen: &ObservedState, reason: Reason) {
    check(intent, seen, &[], PlanResult::Failed(reason));
}

#[test]
fn what_is_missing_is_made_the_route_before_the_record() {
    let ensure = Step::EnsureRecord(host("a.net"), domain("a.net").record(marker('1')), Observed::Absent);
    check(&intent(), &nothing(), &[Step::CreateRoute(spec(&["a.net"])), ensure], PlanResult::Active);
}

#[test]
fn what_stands_is_left_as_it_is() {
    check(&intent(), &in_place(), &[], PlanResult::Active);
}

#[test]
fn what_drifted_is_put_back_in_place() {
    let edited = ObservedRoute { spec: None, ..route(Some(marker('1')), &["a.net"]) };
    let pointing_elsewhere =
        RecordState { target: Target::A(Ipv4Addr::LOCALHOST), ..domain("a.net").record(marker('1')) };
    let seen = ObservedState {
        record: Observed::Marked(pointing_elsewhere.clone()),
        routes: own(edited.clone()),
        ..nothing()
    };
    let steps = [
        Step::ChangeRoute(spec(&["a.net"]), edited),
        Step::EnsureRecord(host("a.net"), domain("a.net").record(marker('1')), Observed::Marked(pointing_elsewhere)),
    ];
    check(&intent(), &seen, &steps, PlanResult::Active);
}

#[test]
fn whatever_is_not_ours_refuses_and_nothing_is_done() {
    let theirs = OwnershipMarker { instance: instance('9'), exposure: id('1') };
    for record in [Observed::Foreign, record(theirs.clone()), record(marker('2'))] {
        check_refused(&intent(), &ObservedState { record, ..nothing() }, Reason::HostnameTaken);
    }
    for marker in [None, Some(theirs), Some(marker('2'))] {
        let at_our_place = own(route(marker.clone(), &["a.net"]));
        check_refused(&intent(), &ObservedState { routes: at_our_place, ..nothing() }, Reason::HostnameTaken);
        let at_our_host = ObservedRoutes { own: None, others: vec![elsewhere(marker)] };
        check_refused(&intent(), &ObservedState { routes: at_our_host, ..nothing() }, Reason::HostnameTaken);
    }
}

#[test]
fn our_own_id_at_a_place_that_is_not_ours_is_a_copy() {
    let copied = ObservedRoutes { own: None, others: vec![elsewhere(Some(marker('1')))] };
    check_refused(&intent(), &ObservedState { routes: copied, ..nothing() }, Reason::HostnameTaken);
}

#[test]
fn what_was_ours_and_lost_its_mark_is_left_alone() {
    let established = Intent { established: true, ..intent() };
    check_refused(&established, &ObservedState { record: Observed::Foreign, ..in_place() }, Reason::MarkerLost);
    let unlabelled = ObservedState { routes: own(route(None, &["a.net"])), ..in_place() };
    check_refused(&established, &unlabelled, Reason::MarkerLost);
}

#[test]
fn what_a_former_exposure_left_is_cleared_away() {
    let left = route(Some(marker('2')), &["a.net"]);
    let strange = elsewhere(Some(marker('3')));
    let seen = ObservedState {
        record: record(marker('2')),
        routes: ObservedRoutes { own: Some(left.clone()), others: vec![strange.clone()] },
        ..nothing()
    };
    let tombstones =
        [tombstone('2', "alice", "my-app", ReleaseReason::Deleted), tombstone('3', "bob", "x", ReleaseReason::Deleted)];
    let steps = vec![
        Step::DeleteRoute(strange, marker('3')),
        Step::DeleteRoute(left, marker('2')),
        Step::CreateRoute(spec(&["a.net"])),
        Step::RemoveRecord(host("a.net"), marker('2')),
        Step::EnsureRecord(host("a.net"), domain("a.net").record(marker('1')), Observed::Absent),
    ];
    assert_eq!(shown(planned(&intent(), &seen, &tombstones)), (steps, PlanResult::Active));
}

#[test]
fn the_route_of_an_exposure_that_only_moved_away_is_its_own() {
    let seen =
        ObservedState { routes: ObservedRoutes { own: None, others: vec![elsewhere(Some(marker('3')))] }, ..nothing() };
    let moved = [tombstone('3', "bob", "x", ReleaseReason::Moved)];
    let plan = planned(&intent(), &seen, &moved);
    assert_eq!(shown(plan), (vec![], PlanResult::Failed(Reason::HostnameTaken)));
}

#[test]
fn a_tombstone_of_another_hostname_proves_nothing() {
    let elsewhere = Tombstone { hostname: host("b.net"), ..tombstone('2', "bob", "x", ReleaseReason::Deleted) };
    let plan = planned(&intent(), &ObservedState { record: record(marker('2')), ..nothing() }, &[elsewhere]);
    assert_eq!(plan.result, PlanResult::Failed(Reason::HostnameTaken));
}

#[test]
fn a_move_keeps_the_old_name_until_its_record_is_gone() {
    let old = route(Some(marker('1')), &["a.net"]);
    let there =
        ObservedState { leaving: vec![(host("a.net"), record(marker('1')))], routes: own(old.clone()), ..nothing() };
    let steps = [
        Step::ChangeRoute(spec(&["b.net", "a.net"]), old),
        Step::EnsureRecord(host("b.net"), domain("b.net").record(marker('1')), Observed::Absent),
        Step::RemoveRecord(host("a.net"), marker('1')),
    ];
    check(&moving(), &there, &steps, PlanResult::Requeue);
    let both = route(Some(marker('1')), &["b.net", "a.net"]);
    let halfway = ObservedState {
        record: record(marker('1')),
        leaving: vec![(host("a.net"), Observed::Absent)],
        routes: own(both.clone()),
        ..nothing()
    };
    check(&moving(), &halfway, &[Step::ChangeRoute(spec(&["b.net"]), both)], PlanResult::Active);
}

#[test]
fn a_move_to_a_taken_name_leaves_the_old_one_standing() {
    let seen = ObservedState {
        record: Observed::Foreign,
        leaving: vec![(host("a.net"), record(marker('1')))],
        routes: own(route(Some(marker('1')), &["a.net"])),
        ..nothing()
    };
    check_refused(&moving(), &seen, Reason::HostnameTaken);
}

/// The record of the exposure, beside one with another marker or something without any.
fn beside(other: Option<RecordState>) -> Observed {
    let others = other.is_none();
    Observed::Several { marked: other.into_iter().chain([domain("a.net").record(marker('1'))]).collect(), others }
}

#[test]
fn an_attempt_that_finds_itself_beside_others_gives_way() {
    let remove = Step::RemoveRecord(host("a.net"), marker('1'));
    for other in [None, Some(domain("a.net").record(marker('2')))] {
        let seen = ObservedState { record: beside(other), ..in_place() };
        check(&intent(), &seen, slice::from_ref(&remove), PlanResult::Failed(Reason::HostnameTaken));
        // What has stood for itself once is not driven out by who comes later.
        check(&Intent { established: true, ..intent() }, &seen, &[], PlanResult::Active);
    }
}

#[test]
fn a_move_that_finds_itself_beside_others_keeps_the_old_name() {
    let record = Observed::Several { marked: vec![domain("b.net").record(marker('1'))], others: true };
    let seen = ObservedState { record, leaving: vec![(host("a.net"), self::record(marker('1')))], ..in_place() };
    let remove = Step::RemoveRecord(host("b.net"), marker('1'));
    check(&moving(), &seen, &[remove], PlanResult::Failed(Reason::HostnameTaken));
}

#[test]
fn a_record_of_ours_is_found_behind_one_with_another_mark() {
    let theirs = RecordState { marker: marker('2'), ..domain("a.net").record(marker('1')) };
    let seen = ObservedState { record: beside(Some(theirs)), routes: ObservedRoutes::default(), ..nothing() };
    check(&closed(), &seen, &[Step::RemoveRecord(host("a.net"), marker('1'))], PlanResult::Gone);
}

#[test]
fn a_second_record_with_our_mark_is_cleared_away() {
    let twin = RecordState { target: Target::A(Ipv4Addr::LOCALHOST), ..domain("a.net").record(marker('1')) };
    let seen = ObservedState { record: beside(Some(twin)), ..in_place() };
    let ensure = Step::EnsureRecord(host("a.net"), domain("a.net").record(marker('1')), seen.record.clone());
    check(&intent(), &seen, &[ensure], PlanResult::Active);
}

#[test]
fn removal_takes_the_record_before_the_route() {
    let own = route(Some(marker('1')), &["a.net"]);
    let steps = [Step::RemoveRecord(host("a.net"), marker('1')), Step::DeleteRoute(own, marker('1'))];
    check(&closed(), &in_place(), &steps, PlanResult::Gone);
}

#[test]
fn removal_touches_nothing_that_is_not_ours() {
    check(&closed(), &nothing(), &[], PlanResult::Gone);
    let foreign = ObservedState { record: Observed::Foreign, routes: own(route(None, &["a.net"])), ..nothing() };
    check(&closed(), &foreign, &[], PlanResult::Gone);
    let theirs =
        ObservedState { record: record(marker('2')), routes: own(route(Some(marker('2')), &["a.net"])), ..nothing() };
    check(&closed(), &theirs, &[], PlanResult::Gone);
}

#[test]
fn removal_in_the_middle_of_a_move_takes_both_names() {
    let own_route = route(Some(marker('1')), &["b.net", "a.net"]);
    let seen = ObservedState {
        record: record(marker('1')),
        leaving: vec![(host("a.net"), record(marker('1')))],
        routes: own(own_route.clone()),
        ..nothing()
    };
    let steps = [
        Step::RemoveRecord(host("b.net"), marker('1')),
        Step::RemoveRecord(host("a.net"), marker('1')),
        Step::DeleteRoute(own_route, marker('1')),
    ];
    check(&moving().closed(DateTime::UNIX_EPOCH), &seen, &steps, PlanResult::Gone);
}

#[test]
fn a_service_that_is_gone_keeps_the_name() {
    check_refused(&intent(), &ObservedState { service: ServiceState::Absent, ..in_place() }, Reason::ServiceMissing);
    let other_port = ServiceState::Tcp(vec![ServicePort::parse(81).unwrap()]);
    check_refused(&intent(), &ObservedState { service: other_port, ..in_place() }, Reason::PortMissing);
}

#[test]
fn nothing_leads_to_a_service_that_names_another_host() {
    let seen = ObservedState { service: ServiceState::ExternalName, ..in_place() };
    let delete = Step::DeleteRoute(route(Some(marker('1')), &["a.net"]), marker('1'));
    check(&intent(), &seen, &[delete], PlanResult::Failed(Reason::ServiceExternal));
}

#[test]
fn a_namespace_that_goes_takes_its_record_with_it() {
    let seen = ObservedState { service: ServiceState::NamespaceGone, ..in_place() };
    let remove = Step::RemoveRecord(host("a.net"), marker('1'));
    check(&intent(), &seen, &[remove], PlanResult::Failed(Reason::NamespaceGone));
}

#[test]
fn a_rule_of_others_never_counts_as_a_lost_marker() {
    let established = Intent { established: true, ..intent() };
    let ObservedState { routes, .. } = in_place();
    let claimed = ObservedRoutes { others: vec![elsewhere(None)], ..routes };
    check_refused(&established, &ObservedState { routes: claimed, ..in_place() }, Reason::HostnameTaken);
}

#[test]
fn progress_tells_what_is_in_place_before_and_after_each_step() {
    let told = |plan: &Plan| (plan.progress.route, plan.progress.record);
    let missing_record = ObservedState { record: Observed::Absent, ..in_place() };
    assert_eq!(told(&planned(&intent(), &nothing(), &[])), (false, false));
    assert_eq!(told(&planned(&intent(), &missing_record, &[])), (true, false));
    assert_eq!(told(&planned(&intent(), &in_place(), &[])), (true, true));
    let removal = planned(&closed(), &in_place(), &[]);
    let [record, route] = &*removal.steps else { panic!("{removal:?}") };
    let mut progress = removal.progress;
    let mut steps = vec![(progress.route, progress.record)];
    record.advance(&closed(), slice::from_ref(route), &mut progress);
    steps.push((progress.route, progress.record));
    route.advance(&closed(), &[], &mut progress);
    steps.push((progress.route, progress.record));
    assert_eq!(steps, [(false, false), (false, true), (true, true)]);
}

fn claim(name: &str, is_certain: bool) -> HostClaim {
    let place = RoutePlace { namespace: "ops".to_owned(), name: name.to_owned() };
    HostClaim { kind: "ingress.networking.k8s.io".to_owned(), place, priority: 40, is_certain }
}

#[test]
fn a_hostname_that_another_object_claims_is_refused_and_no_marker_is_lost_by_it() {
    let established = Intent { established: true, ..intent() };
    let certain = vec![claim("theirs", true)];
    check_refused(&intent(), &ObservedState { claims: certain.clone(), ..nothing() }, Reason::HostnameTaken);
    check_refused(&established, &ObservedState { claims: certain, ..in_place() }, Reason::HostnameTaken);
}

#[test]
fn a_suspicion_keeps_new_exposures_away_and_leaves_standing_ones_alone() {
    let established = Intent { established: true, ..intent() };
    let suspicion = vec![claim("odd", false)];
    check_refused(&intent(), &ObservedState { claims: suspicion.clone(), ..nothing() }, Reason::HostnameTaken);
    check(&established, &ObservedState { claims: suspicion, ..in_place() }, &[], PlanResult::Active);
}

#[test]
fn a_fallback_route_claims_nothing_and_our_route_is_asked_first() {
    let place = claim("fallback", true).place;
    let domain = Domain { fallback_routes: vec![place], ..domain("a.net") };
    let observed = ObservedState { claims: vec![claim("fallback", true)], ..nothing() };
    let instance = instance('0');
    let context = Context { instance: &instance, domain: &domain, tombstones: &[] };
    let Plan { steps, result, .. } = plan(&intent(), &observed, context);
    assert_eq!(result, PlanResult::Active);
    let wanted = RouteSpec { priority: Some(41), ..spec(&["a.net"]) };
    assert_eq!(steps.first(), Some(&Step::CreateRoute(wanted)));
    let both = ObservedState { claims: vec![claim("fallback", true), claim("theirs", true)], ..nothing() };
    assert_eq!(plan(&intent(), &both, context).result, PlanResult::Failed(Reason::HostnameTaken));
}
