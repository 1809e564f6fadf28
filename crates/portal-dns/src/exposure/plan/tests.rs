use std::net::Ipv4Addr;
use std::slice;

use chrono::DateTime;
use portal_core::FriendId;

use super::{Context, Plan, Situation, Step, Verdict, plan};
use crate::{
    Domain, DomainName, ExposureId, ExposureName, HostClaim, Hostname, InstanceId, Intent, Observed, ObservedRoute,
    ObservedRoutes, OwnershipMarker, Reason, RecordState, ReleaseReason, Reservation, RoutePlace, RouteSpec,
    RouteVersion, ServiceName, ServicePort, ServiceState, Target, Tls, Tombstone, Ttl,
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
        service: ServiceName::parse("web").unwrap(),
        port: ServicePort::parse(80).unwrap(),
        domain: DomainName::parse(domain).unwrap(),
        hostname: host(domain),
    }
}

fn intent() -> Intent {
    Intent::new(wanted("a.net"), DateTime::UNIX_EPOCH)
}

fn moving() -> Intent {
    intent().changed(&wanted("b.net"), DateTime::UNIX_EPOCH)
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

fn nothing() -> Situation {
    Situation {
        record: Observed::Absent,
        leaving: Vec::new(),
        routes: ObservedRoutes::default(),
        service: serving(),
        claims: Vec::new(),
    }
}

fn standing() -> Situation {
    Situation { record: record(marker('1')), routes: own(route(Some(marker('1')), &["a.net"])), ..nothing() }
}

fn tombstone(exposure: char, friend: &str, name: &str, parted: ReleaseReason) -> Tombstone {
    Tombstone {
        exposure: id(exposure),
        friend: FriendId::parse(friend).unwrap(),
        name: ExposureName::parse(name).unwrap(),
        hostname: host("a.net"),
        parted,
        at: DateTime::UNIX_EPOCH,
    }
}

fn planned(intent: &Intent, seen: &Situation, tombstones: &[Tombstone]) -> Plan {
    let domain = domain(intent.exposure.domain.as_str());
    plan(intent, seen, Context { instance: &instance('0'), domain: &domain, tombstones })
}

#[track_caller]
fn check(intent: &Intent, seen: &Situation, steps: &[Step], verdict: Verdict) {
    assert_eq!(planned(intent, seen, &[]), Plan { steps: steps.to_vec(), verdict });
}

#[track_caller]
fn check_refused(intent: &Intent, seen: &Situation, reason: Reason) {
    check(intent, seen, &[], Verdict::Failed(reason));
}

#[test]
fn what_is_missing_is_made_the_route_before_the_record() {
    let ensure = Step::EnsureRecord(host("a.net"), domain("a.net").record(marker('1')), Observed::Absent);
    check(&intent(), &nothing(), &[Step::CreateRoute(spec(&["a.net"])), ensure], Verdict::Active);
}

#[test]
fn what_stands_is_left_as_it_is() {
    check(&intent(), &standing(), &[], Verdict::Active);
}

#[test]
fn what_drifted_is_put_back_in_place() {
    let edited = ObservedRoute { spec: None, ..route(Some(marker('1')), &["a.net"]) };
    let pointing_elsewhere =
        RecordState { target: Target::A(Ipv4Addr::LOCALHOST), ..domain("a.net").record(marker('1')) };
    let seen =
        Situation { record: Observed::Marked(pointing_elsewhere.clone()), routes: own(edited.clone()), ..nothing() };
    let steps = [
        Step::ChangeRoute(spec(&["a.net"]), edited),
        Step::EnsureRecord(host("a.net"), domain("a.net").record(marker('1')), Observed::Marked(pointing_elsewhere)),
    ];
    check(&intent(), &seen, &steps, Verdict::Active);
}

#[test]
fn whatever_is_not_ours_refuses_and_nothing_is_done() {
    let theirs = OwnershipMarker { instance: instance('9'), exposure: id('1') };
    for record in [Observed::Foreign, record(theirs.clone()), record(marker('2'))] {
        check_refused(&intent(), &Situation { record, ..nothing() }, Reason::HostnameTaken);
    }
    for marker in [None, Some(theirs), Some(marker('2'))] {
        let at_our_place = own(route(marker.clone(), &["a.net"]));
        check_refused(&intent(), &Situation { routes: at_our_place, ..nothing() }, Reason::HostnameTaken);
        let at_our_host = ObservedRoutes { own: None, others: vec![elsewhere(marker)] };
        check_refused(&intent(), &Situation { routes: at_our_host, ..nothing() }, Reason::HostnameTaken);
    }
}

#[test]
fn our_own_id_at_a_place_that_is_not_ours_is_a_copy() {
    let copied = ObservedRoutes { own: None, others: vec![elsewhere(Some(marker('1')))] };
    check_refused(&intent(), &Situation { routes: copied, ..nothing() }, Reason::HostnameTaken);
}

#[test]
fn what_was_ours_and_lost_its_mark_is_left_alone() {
    let established = Intent { established: true, ..intent() };
    check_refused(&established, &Situation { record: Observed::Foreign, ..standing() }, Reason::MarkerLost);
    let unlabelled = Situation { routes: own(route(None, &["a.net"])), ..standing() };
    check_refused(&established, &unlabelled, Reason::MarkerLost);
}

#[test]
fn what_a_former_exposure_left_is_cleared_away() {
    let left = route(Some(marker('2')), &["a.net"]);
    let strange = elsewhere(Some(marker('3')));
    let seen = Situation {
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
    assert_eq!(planned(&intent(), &seen, &tombstones), Plan { steps, verdict: Verdict::Active });
}

#[test]
fn the_route_of_an_exposure_that_only_moved_away_is_its_own() {
    let seen =
        Situation { routes: ObservedRoutes { own: None, others: vec![elsewhere(Some(marker('3')))] }, ..nothing() };
    let moved = [tombstone('3', "bob", "x", ReleaseReason::Moved)];
    let plan = planned(&intent(), &seen, &moved);
    assert_eq!(plan, Plan { steps: vec![], verdict: Verdict::Failed(Reason::HostnameTaken) });
}

#[test]
fn a_tombstone_of_another_hostname_proves_nothing() {
    let elsewhere = Tombstone { hostname: host("b.net"), ..tombstone('2', "bob", "x", ReleaseReason::Deleted) };
    let plan = planned(&intent(), &Situation { record: record(marker('2')), ..nothing() }, &[elsewhere]);
    assert_eq!(plan.verdict, Verdict::Failed(Reason::HostnameTaken));
}

#[test]
fn a_move_keeps_the_old_name_until_its_record_is_gone() {
    let old = route(Some(marker('1')), &["a.net"]);
    let there =
        Situation { leaving: vec![(host("a.net"), record(marker('1')))], routes: own(old.clone()), ..nothing() };
    let steps = [
        Step::ChangeRoute(spec(&["b.net", "a.net"]), old),
        Step::EnsureRecord(host("b.net"), domain("b.net").record(marker('1')), Observed::Absent),
        Step::RemoveRecord(host("a.net"), marker('1')),
    ];
    check(&moving(), &there, &steps, Verdict::Again);
    let both = route(Some(marker('1')), &["b.net", "a.net"]);
    let halfway = Situation {
        record: record(marker('1')),
        leaving: vec![(host("a.net"), Observed::Absent)],
        routes: own(both.clone()),
        ..nothing()
    };
    check(&moving(), &halfway, &[Step::ChangeRoute(spec(&["b.net"]), both)], Verdict::Active);
}

#[test]
fn a_move_to_a_taken_name_leaves_the_old_one_standing() {
    let seen = Situation {
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
        let seen = Situation { record: beside(other), ..standing() };
        check(&intent(), &seen, slice::from_ref(&remove), Verdict::Failed(Reason::HostnameTaken));
        // What has stood for itself once is not driven out by who comes later.
        check(&Intent { established: true, ..intent() }, &seen, &[], Verdict::Active);
    }
}

#[test]
fn a_move_that_finds_itself_beside_others_keeps_the_old_name() {
    let record = Observed::Several { marked: vec![domain("b.net").record(marker('1'))], others: true };
    let seen = Situation { record, leaving: vec![(host("a.net"), self::record(marker('1')))], ..standing() };
    let remove = Step::RemoveRecord(host("b.net"), marker('1'));
    check(&moving(), &seen, &[remove], Verdict::Failed(Reason::HostnameTaken));
}

#[test]
fn a_record_of_ours_is_found_behind_one_with_another_mark() {
    let theirs = RecordState { marker: marker('2'), ..domain("a.net").record(marker('1')) };
    let seen = Situation { record: beside(Some(theirs)), routes: ObservedRoutes::default(), ..nothing() };
    check(&closed(), &seen, &[Step::RemoveRecord(host("a.net"), marker('1'))], Verdict::Gone);
}

#[test]
fn a_second_record_with_our_mark_is_cleared_away() {
    let twin = RecordState { target: Target::A(Ipv4Addr::LOCALHOST), ..domain("a.net").record(marker('1')) };
    let seen = Situation { record: beside(Some(twin)), ..standing() };
    let ensure = Step::EnsureRecord(host("a.net"), domain("a.net").record(marker('1')), seen.record.clone());
    check(&intent(), &seen, &[ensure], Verdict::Active);
}

#[test]
fn removal_takes_the_record_before_the_route() {
    let own = route(Some(marker('1')), &["a.net"]);
    let steps = [Step::RemoveRecord(host("a.net"), marker('1')), Step::DeleteRoute(own, marker('1'))];
    check(&closed(), &standing(), &steps, Verdict::Gone);
}

#[test]
fn removal_touches_nothing_that_is_not_ours() {
    check(&closed(), &nothing(), &[], Verdict::Gone);
    let foreign = Situation { record: Observed::Foreign, routes: own(route(None, &["a.net"])), ..nothing() };
    check(&closed(), &foreign, &[], Verdict::Gone);
    let theirs =
        Situation { record: record(marker('2')), routes: own(route(Some(marker('2')), &["a.net"])), ..nothing() };
    check(&closed(), &theirs, &[], Verdict::Gone);
}

#[test]
fn removal_in_the_middle_of_a_move_takes_both_names() {
    let own_route = route(Some(marker('1')), &["b.net", "a.net"]);
    let seen = Situation {
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
    check(&moving().closed(DateTime::UNIX_EPOCH), &seen, &steps, Verdict::Gone);
}

#[test]
fn a_service_that_is_gone_keeps_the_name() {
    check_refused(&intent(), &Situation { service: ServiceState::Absent, ..standing() }, Reason::ServiceMissing);
    let other_port = ServiceState::Tcp(vec![ServicePort::parse(81).unwrap()]);
    check_refused(&intent(), &Situation { service: other_port, ..standing() }, Reason::PortMissing);
}

#[test]
fn nothing_leads_to_a_service_that_names_another_host() {
    let seen = Situation { service: ServiceState::ExternalName, ..standing() };
    let delete = Step::DeleteRoute(route(Some(marker('1')), &["a.net"]), marker('1'));
    check(&intent(), &seen, &[delete], Verdict::Failed(Reason::ServiceExternal));
}

#[test]
fn a_namespace_that_goes_takes_its_record_with_it() {
    let seen = Situation { service: ServiceState::NamespaceGone, ..standing() };
    let remove = Step::RemoveRecord(host("a.net"), marker('1'));
    check(&intent(), &seen, &[remove], Verdict::Failed(Reason::NamespaceGone));
}

fn claim(name: &str, is_certain: bool) -> HostClaim {
    let place = RoutePlace { namespace: "ops".to_owned(), name: name.to_owned() };
    HostClaim { kind: "ingress.networking.k8s.io".to_owned(), place, priority: 40, is_certain }
}

#[test]
fn a_hostname_that_another_object_claims_is_refused_and_no_marker_is_lost_by_it() {
    let established = Intent { established: true, ..intent() };
    let certain = vec![claim("theirs", true)];
    check_refused(&intent(), &Situation { claims: certain.clone(), ..nothing() }, Reason::HostnameTaken);
    check_refused(&established, &Situation { claims: certain, ..standing() }, Reason::HostnameTaken);
    let routes = ObservedRoutes { others: vec![elsewhere(Some(marker('3')))], ..standing().routes };
    check_refused(&established, &Situation { routes, ..standing() }, Reason::HostnameTaken);
}

#[test]
fn a_suspicion_keeps_new_exposures_away_and_leaves_standing_ones_alone() {
    let established = Intent { established: true, ..intent() };
    let suspicion = vec![claim("odd", false)];
    check_refused(&intent(), &Situation { claims: suspicion.clone(), ..nothing() }, Reason::HostnameTaken);
    check(&established, &Situation { claims: suspicion, ..standing() }, &[], Verdict::Active);
}

#[test]
fn a_fallback_route_claims_nothing_and_our_route_is_asked_first() {
    let place = claim("fallback", true).place;
    let domain = Domain { fallback_routes: vec![place], ..domain("a.net") };
    let seen = Situation { claims: vec![claim("fallback", true)], ..nothing() };
    let instance = instance('0');
    let context = Context { instance: &instance, domain: &domain, tombstones: &[] };
    let Plan { steps, verdict } = plan(&intent(), &seen, context);
    assert_eq!(verdict, Verdict::Active);
    let wanted = RouteSpec { priority: Some(41), ..spec(&["a.net"]) };
    assert_eq!(steps.first(), Some(&Step::CreateRoute(wanted)));
    let both = Situation { claims: vec![claim("fallback", true), claim("theirs", true)], ..nothing() };
    assert_eq!(plan(&intent(), &both, context).verdict, Verdict::Failed(Reason::HostnameTaken));
}
