//! Drift behind the portal's back, and its repair by one pass.

use portal_adapters::memory::ZoneRecord;
use portal_dns::{Exposure, Exposures, OwnershipMarker, Reason, RecordState, Status, Target};
use portal_k8s::{Kind, Phase};

use super::fixture::{Fixture, domain, friend, instance, name, open, plain, wish};

const HOST: &str = "my-app-alice.a.net";

async fn exposed() -> (Fixture, Exposures) {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    (fixture, portal)
}

async fn shown(portal: &Exposures) -> Exposure {
    portal.find(&friend("alice"), &name("my-app")).await.unwrap().unwrap()
}

#[track_caller]
fn check(exposure: &Exposure, status: Status, reason: Option<Reason>) {
    assert_eq!((exposure.status, exposure.reason), (status, reason));
}

#[tokio::test(start_paused = true)]
async fn a_pass_over_what_is_right_lists_and_changes_nothing() {
    let (fixture, portal) = exposed().await;
    let before = fixture.a.calls().len();
    let report = portal.pass().await.unwrap();
    assert_eq!((report.checked, report.repaired, report.errors, report.swept), (1, 0, 0, 0));
    let calls: Vec<_> = fixture.a.calls().iter().skip(before).map(|call| call.method).collect();
    assert_eq!(calls, ["list"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_vanished_or_was_edited_is_put_back() {
    let (fixture, portal) = exposed().await;
    fixture.a.clear(HOST);
    assert_eq!(portal.pass().await.unwrap().repaired, 1);
    fixture.assert_converged("vanished").await;
    let marker = OwnershipMarker { instance: instance(), exposure: shown(&portal).await.id };
    let edited = RecordState { target: Target::A(std::net::Ipv4Addr::LOCALHOST), ..domain("a.net").record(marker) };
    fixture.a.clear(HOST);
    fixture.a.insert_record(HOST, ZoneRecord::Marked(edited));
    assert_eq!(portal.pass().await.unwrap().repaired, 1);
    fixture.assert_converged("edited").await;
}

#[tokio::test(start_paused = true)]
async fn a_route_that_vanished_or_was_edited_is_put_back() {
    let (fixture, portal) = exposed().await;
    assert!(fixture.cluster.delete(Kind::Route, "friend-alice", "expose-my-app"));
    assert_eq!(portal.pass().await.unwrap().repaired, 1);
    fixture.assert_converged("vanished").await;
    let mut route = fixture.cluster.route("friend-alice", "expose-my-app").unwrap();
    route.spec.routes.first_mut().unwrap().rule = "Host(`evil.example`)".to_owned();
    fixture.cluster.put_route("friend-alice", route);
    assert_eq!(portal.pass().await.unwrap().repaired, 1);
    fixture.assert_converged("edited").await;
}

#[tokio::test(start_paused = true)]
async fn a_watched_change_is_repaired_without_a_call_to_the_zone_unless_it_is_needed() {
    let (fixture, portal) = exposed().await;
    let before = fixture.a.calls().len();
    portal.reconcile_friend(&friend("alice")).await.unwrap();
    assert_eq!(fixture.a.calls().len(), before);
    assert!(fixture.cluster.delete(Kind::Route, "friend-alice", "expose-my-app"));
    portal.reconcile_friend(&friend("alice")).await.unwrap();
    fixture.assert_converged("reconciled").await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_lost_its_mark_was_released_and_is_never_touched_again() {
    let (fixture, portal) = exposed().await;
    fixture.a.clear(HOST);
    fixture.a.insert_record(HOST, plain("A", "192.0.2.1"));
    for _ in 0..3 {
        fixture.wait_long();
        portal.pass().await.unwrap();
        check(&shown(&portal).await, Status::Failed, Some(Reason::MarkerLost));
        assert_eq!(fixture.a.records(), [(HOST.to_owned(), plain("A", "192.0.2.1"))]);
    }
    fixture.a.clear(HOST);
    portal.pass().await.unwrap();
    fixture.assert_converged("given back").await;
}

#[tokio::test(start_paused = true)]
async fn a_route_that_lost_its_labels_is_never_touched_again() {
    let (fixture, portal) = exposed().await;
    let mut route = fixture.cluster.route("friend-alice", "expose-my-app").unwrap();
    route.metadata.labels = None;
    route.spec.routes.first_mut().unwrap().rule = "Host(`mine-now.example`)".to_owned();
    fixture.cluster.put_route("friend-alice", route);
    let released = fixture.cluster.route("friend-alice", "expose-my-app");
    portal.pass().await.unwrap();
    check(&shown(&portal).await, Status::Failed, Some(Reason::MarkerLost));
    assert_eq!(fixture.cluster.route("friend-alice", "expose-my-app"), released);
}

#[tokio::test(start_paused = true)]
async fn a_mark_of_another_portal_or_another_exposure_is_not_ours() {
    for marker in [
        OwnershipMarker { instance: portal_dns::InstanceId::parse(&"9".repeat(32)).unwrap(), exposure: id("1") },
        OwnershipMarker { instance: instance(), exposure: id("2") },
    ] {
        let (fixture, portal) = exposed().await;
        let theirs = ZoneRecord::Marked(domain("a.net").record(marker));
        fixture.a.clear(HOST);
        fixture.a.insert_record(HOST, theirs.clone());
        portal.pass().await.unwrap();
        check(&shown(&portal).await, Status::Failed, Some(Reason::MarkerLost));
        assert_eq!(fixture.a.records(), [(HOST.to_owned(), theirs)]);
    }
}

fn id(digit: &str) -> portal_dns::ExposureId {
    portal_dns::ExposureId::parse(&digit.repeat(32)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_deleted_fails_the_exposure_until_it_is_back() {
    let (fixture, portal) = exposed().await;
    assert!(fixture.cluster.delete(Kind::Service, "friend-alice", "web"));
    portal.reconcile_friend(&friend("alice")).await.unwrap();
    check(&shown(&portal).await, Status::Failed, Some(Reason::ServiceMissing));
    assert_eq!((fixture.marked().len(), fixture.routes().await.len()), (1, 1), "the name is kept");
    let back = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}";
    fixture.cluster.load_yaml("back", back, "friend-alice").unwrap();
    portal.reconcile_friend(&friend("alice")).await.unwrap();
    fixture.assert_converged("recovered").await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_becomes_a_name_for_another_host_loses_its_route() {
    let (fixture, portal) = exposed().await;
    let external = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: ExternalName, externalName: metadata.internal}}";
    fixture.cluster.load_yaml("external", external, "friend-alice").unwrap();
    portal.pass().await.unwrap();
    check(&shown(&portal).await, Status::Failed, Some(Reason::ServiceExternal));
    assert!(fixture.routes().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_goes_loses_its_record_and_keeps_its_name() {
    for phase in [Some(Phase::Terminating), None] {
        let (fixture, portal) = exposed().await;
        fixture.cluster.set_phase("friend-alice", phase);
        portal.pass().await.unwrap();
        check(&shown(&portal).await, Status::Failed, Some(Reason::NamespaceGone));
        assert!(fixture.marked().is_empty());
        portal.pass().await.unwrap();
        check(&shown(&portal).await, Status::Failed, Some(Reason::NamespaceGone));
        let owned = portal.list(&friend("alice")).await.unwrap();
        assert_eq!(owned.len(), 1, "the name is kept");
    }
}

#[tokio::test(start_paused = true)]
async fn an_exposure_recovers_with_its_namespace() {
    let (fixture, portal) = exposed().await;
    fixture.cluster.set_phase("friend-alice", None);
    portal.pass().await.unwrap();
    let back = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}";
    fixture.cluster.load_yaml("back", back, "friend-alice").unwrap();
    fixture.wait_long();
    portal.pass().await.unwrap();
    fixture.assert_converged("recovered").await;
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_is_down_leaves_what_stood_as_it_was() {
    let (fixture, portal) = exposed().await;
    fixture.a.go_down("gone");
    let report = portal.pass().await.unwrap();
    assert_eq!(report.errors, 1);
    portal.reconcile_one(&shown(&portal).await.id).await.unwrap();
    check(&shown(&portal).await, Status::Active, None);
    fixture.cluster.go_down("gone");
    fixture.a.come_back();
    portal.pass().await.unwrap();
    check(&shown(&portal).await, Status::Active, None);
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_have_an_exposure_repaired_at_once() {
    let (fixture, portal) = exposed().await;
    fixture.a.clear(HOST);
    let repaired = portal.repair(&shown(&portal).await, portal_core::Actor::Operator("root".to_owned())).await.unwrap();
    assert_eq!(repaired.map(|exposure| exposure.status), Some(Status::Active));
    fixture.assert_converged("repaired").await;
    assert_eq!(fixture.audited(portal_core::Action::ExposureRepair).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_is_not_configured_any_more_is_not_touched() {
    let (fixture, _) = exposed().await;
    let zones = vec![portal_dns::Zone { domain: domain("b.net"), records: std::sync::Arc::new(fixture.b.clone()) }];
    let portal = Exposures::new(fixture.ports(), instance(), zones, tokio::runtime::Handle::current());
    portal.pass().await.unwrap();
    check(&shown(&portal).await, Status::Failed, Some(Reason::DomainUnknown));
    assert_eq!(fixture.marked().len(), 1);
    let again = fixture.portal();
    fixture.wait_long();
    again.pass().await.unwrap();
    fixture.assert_converged("configured again").await;
}

#[tokio::test(start_paused = true)]
async fn a_retired_domain_is_not_offered_and_kept_right() {
    let (fixture, _) = exposed().await;
    let mut retired = domain("a.net");
    retired.retired = true;
    let zones = vec![
        portal_dns::Zone { domain: retired, records: std::sync::Arc::new(fixture.a.clone()) },
        portal_dns::Zone { domain: domain("b.net"), records: std::sync::Arc::new(fixture.b.clone()) },
    ];
    let portal = Exposures::new(fixture.ports(), instance(), zones, tokio::runtime::Handle::current());
    let offered: Vec<_> = portal.domains().iter().map(ToString::to_string).collect();
    assert_eq!(offered, ["b.net"]);
    fixture.a.clear(HOST);
    portal.pass().await.unwrap();
    fixture.assert_converged("kept right").await;
    let refused = open(&portal, "alice", wish("new", "web", None, Some("a.net"))).await.unwrap_err();
    assert_eq!(refused.code(), "value-invalid");
    open(&portal, "alice", wish("my-app", "api", None, Some("a.net"))).await.unwrap();
    fixture.assert_converged("changed where it is").await;
}

/// Somebody's objects, each of which claims the hostname in its way.
const CLAIMANTS: [(&str, &str); 6] = [
    (
        "route",
        "{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {name: theirs}, spec: {routes: [{match: 'Host(`*.a.net`)'}]}}",
    ),
    (
        "old route",
        "{apiVersion: traefik.containo.us/v1alpha1, kind: IngressRoute, metadata: {name: theirs}, spec: {routes: [{match: 'HostHeader(`my-app-alice.a.net`)'}]}}",
    ),
    (
        "TCP route",
        "{apiVersion: traefik.io/v1alpha1, kind: IngressRouteTCP, metadata: {name: theirs}, spec: {routes: [{match: 'HostSNI(`my-app-alice.a.net`)'}]}}",
    ),
    (
        "Ingress",
        "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: theirs}, spec: {rules: [{host: my-app-alice.a.net}]}}",
    ),
    (
        "HTTPRoute",
        "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: theirs}, spec: {hostnames: ['*.a.net']}}",
    ),
    (
        "TLSRoute",
        "{apiVersion: gateway.networking.k8s.io/v1alpha2, kind: TLSRoute, metadata: {name: theirs}, spec: {hostnames: [my-app-alice.a.net]}}",
    ),
];

#[tokio::test(start_paused = true)]
async fn whatever_claims_the_hostname_refuses_a_new_exposure_and_is_a_visible_failure_of_an_old_one() {
    for (what, claimant) in CLAIMANTS {
        let fixture = Fixture::new().await;
        fixture.cluster.load_yaml("theirs", claimant, "other").unwrap();
        let portal = fixture.portal();
        let refused = open(&portal, "alice", wish("my-app", "web", None, None)).await;
        assert!(matches!(refused, Err(portal_dns::DnsError::HostnameTaken { .. })), "{what}: {refused:?}");
        assert_eq!(portal.find(&friend("alice"), &name("my-app")).await.unwrap(), None, "{what}");

        let (fixture, portal) = exposed().await;
        let route = fixture.cluster.route("friend-alice", "expose-my-app");
        fixture.cluster.load_yaml("theirs", claimant, "other").unwrap();
        portal.pass().await.unwrap();
        check(&shown(&portal).await, Status::Failed, Some(Reason::HostnameTaken));
        assert_eq!(fixture.cluster.route("friend-alice", "expose-my-app"), route, "{what}");
        fixture.cluster.set_phase("other", None);
        portal.pass().await.unwrap();
        check(&shown(&portal).await, Status::Active, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_nobody_can_read_disturbs_no_other_domain_and_no_standing_exposure() {
    let rule = |domain: &str| {
        format!(
            "{{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {{name: odd}}, spec: {{routes: [{{match: 'HostRegexp(`^(?!www\\.).+\\.{domain}$`)'}}]}}}}"
        )
    };
    let (fixture, portal) = exposed().await;
    fixture.cluster.load_yaml("odd", &rule("example\\.com"), "other").unwrap();
    portal.pass().await.unwrap();
    check(&shown(&portal).await, Status::Active, None);
    open(&portal, "alice", wish("second", "web", None, None)).await.unwrap();
    fixture.cluster.load_yaml("odd", &rule("a\\.net"), "other").unwrap();
    portal.pass().await.unwrap();
    check(&shown(&portal).await, Status::Active, None);
    let refused = open(&portal, "alice", wish("third", "web", None, None)).await;
    assert!(matches!(refused, Err(portal_dns::DnsError::HostnameTaken { .. })), "{refused:?}");
}
