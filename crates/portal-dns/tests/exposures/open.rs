//! Opening an exposure, and who is refused.

use portal_core::Action;
use portal_dns::{Priority, Reason, Status};

use super::world::{World, close, friend, open, plain, wish};

#[tokio::test(start_paused = true)]
async fn a_service_is_put_on_the_internet_with_two_calls_to_its_zone() {
    let world = World::new().await;
    let opened = open(&world.portal(), "alice", wish("my-app", "web", None, None)).await.unwrap();
    assert!(opened.is_new);
    assert_eq!((opened.exposure.status, opened.exposure.reason), (Status::Active, None));
    assert_eq!(opened.exposure.url(), "https://my-app-alice.a.net");
    assert_eq!(opened.exposure.port.number(), 80);
    world.assert_converged("opened").await;
    let calls: Vec<_> = world.a.calls().into_iter().map(|call| (call.method, call.caller)).collect();
    let alice = || Priority::Friend(friend("alice"));
    assert_eq!(calls, [("look", alice()), ("ensure", alice())]);
    assert_eq!(world.audited(Action::ExposureOpen).await, 1);
}

#[tokio::test(start_paused = true)]
async fn asking_for_the_same_again_changes_nothing() {
    let world = World::new().await;
    let portal = world.portal();
    let first = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let again = open(&portal, "alice", wish("my-app", "web", Some(80), Some("a.net"))).await.unwrap();
    assert_eq!((again.is_new, again.exposure), (false, first.exposure));
    assert_eq!(world.a.calls().len(), 2);
    assert_eq!(world.audited(Action::ExposureOpen).await, 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused_before_anything_is_stored() {
    let world = World::new().await;
    let portal = world.portal();
    world.add_friend("x").await;
    world.cluster.set_phase("friend-x", None);
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
    assert_eq!((world.a.calls(), world.audited(Action::ExposureOpen).await), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_stored_while_the_service_cannot_be_looked_at() {
    let world = World::new().await;
    world.cluster.go_down("gone");
    let refused = open(&world.portal(), "alice", wish("my-app", "web", None, None)).await.unwrap_err();
    assert_eq!(refused.code(), "cluster-unavailable");
    assert_eq!(world.audited(Action::ExposureOpen).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_somebody_made_refuses_and_stays() {
    for kind in ["A", "CNAME", "TXT", "MX"] {
        let world = World::new().await;
        world.a.insert_record("my-app-alice.a.net", plain(kind, "theirs"));
        let portal = world.portal();
        let refused = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap_err();
        assert_eq!(refused.code(), "hostname-taken", "{kind}");
        assert_eq!(world.a.records(), [("my-app-alice.a.net".to_owned(), plain(kind, "theirs"))]);
        assert!(world.routes().await.is_empty());
        assert!(portal.list(&friend("alice")).await.unwrap().is_empty(), "the intent is withdrawn");
        assert_eq!((world.audited(Action::ExposureOpen).await, world.audited(Action::ExposureClose).await), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wildcard_or_a_neighbour_refuses_nobody() {
    let world = World::new().await;
    world.a.insert_record("*.a.net", plain("A", "192.0.2.9"));
    world.a.insert_record("a.net", plain("SOA", "theirs"));
    world.a.insert_record("my-app-alic.a.net", plain("A", "192.0.2.9"));
    open(&world.portal(), "alice", wish("my-app", "web", None, None)).await.unwrap();
    world.assert_converged("beside a wildcard").await;
}

#[tokio::test(start_paused = true)]
async fn a_route_that_somebody_made_for_the_hostname_refuses_and_stays() {
    for (namespace, name) in [("friend-bob", "theirs"), ("friend-alice", "expose-my-app"), ("kube-system", "x")] {
        let world = World::new().await;
        let text = format!(
            "{{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {{name: {name}}}, spec: {{routes: [{{kind: Rule, match: 'PathPrefix(`/`) && Host(`my-app-alice.a.net`)', services: [{{name: web, port: 80}}]}}]}}}}"
        );
        world.cluster.load_yaml("theirs", &text, namespace).unwrap();
        let theirs = world.cluster.route(namespace, name);
        let refused = open(&world.portal(), "alice", wish("my-app", "web", None, None)).await.unwrap_err();
        assert_eq!(refused.code(), "hostname-taken", "{namespace}/{name}");
        assert_eq!(world.cluster.route(namespace, name), theirs);
        assert!(world.a.records().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_eleventh_exposure_is_refused() {
    let world = World::new().await;
    let portal = world.portal();
    for number in 0..10 {
        open(&portal, "alice", wish(&format!("app-{number}"), "web", None, None)).await.unwrap();
    }
    let refused = open(&portal, "alice", wish("app-10", "web", None, None)).await.unwrap_err();
    assert_eq!(refused.code(), "exposure-limit-reached");
    open(&portal, "alice", wish("app-3", "api", None, None)).await.unwrap();
    open(&portal, "bob", wish("app-10", "web", None, None)).await.unwrap();
    close(&portal, "alice", "app-0").await.unwrap();
    open(&portal, "alice", wish("app-10", "web", None, None)).await.unwrap();
    world.assert_converged("ten each").await;
}

#[tokio::test(start_paused = true)]
async fn trouble_with_the_zone_leaves_a_pending_exposure_that_finishes_itself() {
    let world = World::new().await;
    let portal = world.portal();
    world.a.go_down("gone");
    let opened = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    assert_eq!((opened.exposure.status, opened.exposure.reason), (Status::Pending, Some(Reason::DnsUnavailable)));
    assert!(world.routes().await.is_empty(), "no effect before both were seen");
    world.a.come_back();
    portal.tick().await.unwrap();
    assert!(world.marked().is_empty(), "it is left alone for a second");
    world.clock.advance(std::time::Duration::from_secs(1));
    portal.tick().await.unwrap();
    world.assert_converged("after the trouble").await;
}

#[tokio::test(start_paused = true)]
async fn each_attempt_in_vain_doubles_the_pause() {
    let world = World::new().await;
    let portal = world.portal();
    world.a.go_down("gone");
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let mut attempts = Vec::new();
    for second in 1..=70 {
        world.clock.advance(std::time::Duration::from_secs(1));
        let before = world.a.calls().len();
        portal.tick().await.unwrap();
        if world.a.calls().len() > before {
            attempts.push(second);
        }
    }
    assert_eq!(attempts, [1, 3, 7, 15, 31, 63]);
}
