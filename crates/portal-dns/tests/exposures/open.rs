//! Opening an exposure, and who is refused.

use portal_core::Action;
use portal_dns::{Priority, Reason, Status};

use super::fixture::{Fixture, close, friend, open, plain, wish};

#[tokio::test(start_paused = true)]
async fn a_service_is_put_on_the_internet_with_two_calls_to_its_zone() {
    let fixture = Fixture::new().await;
    let opened = open(&fixture.portal(), "alice", wish("my-app", "web", None, None)).await.unwrap();
    assert!(opened.is_new);
    assert_eq!((opened.exposure.status, opened.exposure.reason), (Status::Active, None));
    assert_eq!(opened.exposure.url(), "https://my-app-alice.a.net");
    assert_eq!(opened.exposure.spec.port.number(), 80);
    fixture.assert_converged("opened").await;
    let calls: Vec<_> = fixture.a.calls().into_iter().map(|call| (call.method, call.priority)).collect();
    let alice = || Priority::Friend(friend("alice"));
    assert_eq!(calls, [("look", alice()), ("ensure", alice())]);
    assert_eq!(fixture.audited(Action::ExposureOpen).await, 1);
}

#[tokio::test(start_paused = true)]
async fn asking_for_the_same_again_changes_nothing() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    let first = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let again = open(&portal, "alice", wish("my-app", "web", Some(80), Some("a.net"))).await.unwrap();
    assert_eq!((again.is_new, again.exposure), (false, first.exposure));
    assert_eq!(fixture.a.calls().len(), 2);
    assert_eq!(fixture.audited(Action::ExposureOpen).await, 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused_before_anything_is_stored() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    fixture.add_friend("x").await;
    fixture.cluster.set_phase("friend-x", None);
    for (who, service, port, domain, code) in [
        ("alice", "none", None, None, "service-not-found"),
        ("x", "web", None, None, "namespace-not-found"),
        ("alice", "outside", None, None, "value-invalid"),
        ("alice", "web", Some(81), None, "value-invalid"),
        ("alice", "web", None, Some("c.net"), "value-invalid"),
        ("alice", "web", None, Some("sub.a.net"), "value-invalid"),
    ] {
        let refused = open(&portal, who, wish("my-app", service, port, domain)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{who} {service} {port:?} {domain:?}");
    }
    assert!(portal.list(&friend("alice")).await.unwrap().is_empty());
    assert_eq!((fixture.a.calls(), fixture.audited(Action::ExposureOpen).await), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_stored_while_the_service_cannot_be_looked_at() {
    let fixture = Fixture::new().await;
    fixture.cluster.go_down("gone");
    let refused = open(&fixture.portal(), "alice", wish("my-app", "web", None, None)).await.unwrap_err();
    assert_eq!(refused.code(), "cluster-unavailable");
    assert_eq!(fixture.audited(Action::ExposureOpen).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_somebody_made_refuses_and_stays() {
    for kind in ["A", "CNAME", "TXT", "MX"] {
        let fixture = Fixture::new().await;
        fixture.a.insert_record("my-app-alice.a.net", plain(kind, "theirs"));
        let portal = fixture.portal();
        let refused = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap_err();
        assert_eq!(refused.code(), "hostname-taken", "{kind}");
        assert_eq!(fixture.a.records(), [("my-app-alice.a.net".to_owned(), plain(kind, "theirs"))]);
        assert!(fixture.routes().await.is_empty());
        assert!(portal.list(&friend("alice")).await.unwrap().is_empty(), "the intent is withdrawn");
        assert_eq!((fixture.audited(Action::ExposureOpen).await, fixture.audited(Action::ExposureClose).await), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wildcard_or_a_neighbour_refuses_nobody() {
    let fixture = Fixture::new().await;
    fixture.a.insert_record("*.a.net", plain("A", "192.0.2.9"));
    fixture.a.insert_record("a.net", plain("SOA", "theirs"));
    fixture.a.insert_record("my-app-alic.a.net", plain("A", "192.0.2.9"));
    open(&fixture.portal(), "alice", wish("my-app", "web", None, None)).await.unwrap();
    fixture.assert_converged("beside a wildcard").await;
}

#[tokio::test(start_paused = true)]
async fn a_route_that_somebody_made_for_the_hostname_refuses_and_stays() {
    for (namespace, name) in [("friend-bob", "theirs"), ("friend-alice", "expose-my-app"), ("kube-system", "x")] {
        let fixture = Fixture::new().await;
        let text = format!(
            "{{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {{name: {name}}}, spec: {{routes: [{{kind: Rule, match: 'PathPrefix(`/`) && Host(`my-app-alice.a.net`)', services: [{{name: web, port: 80}}]}}]}}}}"
        );
        fixture.cluster.load_yaml("theirs", &text, namespace).unwrap();
        let theirs = fixture.cluster.route(namespace, name);
        let refused = open(&fixture.portal(), "alice", wish("my-app", "web", None, None)).await.unwrap_err();
        assert_eq!(refused.code(), "hostname-taken", "{namespace}/{name}");
        assert_eq!(fixture.cluster.route(namespace, name), theirs);
        assert!(fixture.a.records().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_eleventh_exposure_is_refused() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    for number in 0..10 {
        open(&portal, "alice", wish(&format!("app-{number}"), "web", None, None)).await.unwrap();
    }
    let refused = open(&portal, "alice", wish("app-10", "web", None, None)).await.unwrap_err();
    assert_eq!(refused.code(), "exposure-limit-reached");
    open(&portal, "alice", wish("app-3", "api", None, None)).await.unwrap();
    open(&portal, "bob", wish("app-10", "web", None, None)).await.unwrap();
    close(&portal, "alice", "app-0").await.unwrap();
    open(&portal, "alice", wish("app-10", "web", None, None)).await.unwrap();
    fixture.assert_converged("ten each").await;
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_fails_leaves_a_pending_exposure_that_finishes_itself() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    fixture.a.go_down("gone");
    let opened = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    assert_eq!((opened.exposure.status, opened.exposure.reason), (Status::Pending, Some(Reason::DnsUnavailable)));
    assert!(fixture.routes().await.is_empty(), "no effect before both were seen");
    fixture.a.come_back();
    portal.tick().await.unwrap();
    assert!(fixture.marked().is_empty(), "it is left alone for a second");
    fixture.clock.advance(std::time::Duration::from_secs(1));
    portal.tick().await.unwrap();
    fixture.assert_converged("after the failure").await;
}

#[tokio::test(start_paused = true)]
async fn each_attempt_in_vain_doubles_the_pause() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    fixture.a.go_down("gone");
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let mut attempts = Vec::new();
    for second in 1..=70 {
        fixture.clock.advance(std::time::Duration::from_secs(1));
        let before = fixture.a.calls().len();
        portal.tick().await.unwrap();
        if fixture.a.calls().len() > before {
            attempts.push(second);
        }
    }
    assert_eq!(attempts, [1, 3, 7, 15, 31, 63]);
}
