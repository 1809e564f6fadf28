//! Changing an exposure in place.

use portal_dns::{Reason, Status};
use portal_testkit::Faults;

use super::faults::serve;
use super::fixture::{Fixture, close, friend, name, open, plain, wish};

#[tokio::test(start_paused = true)]
async fn service_port_and_domain_are_changed_in_place() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    let first = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap().exposure;
    for (service, port, domain, expected_port) in
        [("api", None, None, 8080), ("web", Some(9090), None, 9090), ("web", Some(80), Some("b.net"), 80)]
    {
        let changed = open(&portal, "alice", wish("my-app", service, port, domain)).await.unwrap();
        assert!(!changed.is_new);
        assert_eq!((changed.exposure.status, changed.exposure.spec.port.number()), (Status::Active, expected_port));
        assert_eq!((&changed.exposure.id, changed.exposure.created_at), (&first.id, first.created_at));
        fixture.assert_converged(service).await;
    }
    assert!(fixture.a.records().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hostname_does_not_move_because_its_domain_was_left_out() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, Some("b.net"))).await.unwrap();
    let changed = open(&portal, "alice", wish("my-app", "api", None, None)).await.unwrap();
    assert_eq!(changed.exposure.spec.domain.as_str(), "b.net");
}

/// Sees the fixture after every call of a portal that changes an exposure.
async fn watch_a_change(service: &str, port: Option<i64>, domain: Option<&str>) {
    let fixture = std::sync::Arc::new(Fixture::new().await);
    open(&fixture.portal(), "alice", wish("my-app", "web", None, None)).await.unwrap();
    let watching = fixture.clone();
    let faults = Faults::none().after_each(move || {
        let (records, routes) = (watching.marked(), watching.cluster.route("friend-alice", "expose-my-app"));
        let rule = routes.map(|route| route.spec.routes.first().unwrap().rule.clone()).unwrap_or_default();
        assert!(!records.is_empty(), "a name resolves at every moment");
        for (host, _) in records {
            assert!(rule.contains(&format!("Host(`{host}`)")), "{host} resolves and has no route: {rule}");
        }
    });
    let faults = faults.shared();
    let changed = open(&serve(&fixture, &faults), "alice", wish("my-app", service, port, domain)).await.unwrap();
    assert_eq!(changed.exposure.status, Status::Active);
    assert!(faults.calls() > 3);
    fixture.assert_converged("changed").await;
}

#[tokio::test(start_paused = true)]
async fn no_request_fails_while_service_port_or_domain_change() {
    watch_a_change("api", None, None).await;
    watch_a_change("web", Some(9090), None).await;
    watch_a_change("web", None, Some("b.net")).await;
    watch_a_change("api", None, Some("b.net")).await;
}

#[tokio::test(start_paused = true)]
async fn a_move_to_a_taken_name_is_refused_and_undone() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    let first = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap().exposure;
    fixture.b.insert_record("my-app-alice.b.net", plain("TXT", "theirs"));
    let refused = open(&portal, "alice", wish("my-app", "api", None, Some("b.net"))).await.unwrap_err();
    assert_eq!(refused.code(), "hostname-taken");
    // The answer comes before the change is undone.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(portal.find(&friend("alice"), &name("my-app")).await.unwrap(), Some(first));
    fixture.assert_converged("undone").await;
    assert_eq!(fixture.b.records(), [("my-app-alice.b.net".to_owned(), plain("TXT", "theirs"))]);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_record_that_came_later_is_a_visible_failure() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    fixture.a.clear("my-app-alice.a.net");
    fixture.a.insert_record("my-app-alice.a.net", plain("A", "192.0.2.1"));
    let changed = open(&portal, "alice", wish("my-app", "api", None, None)).await.unwrap();
    assert_eq!((changed.exposure.status, changed.exposure.reason), (Status::Failed, Some(Reason::MarkerLost)));
    assert_eq!(fixture.a.records(), [("my-app-alice.a.net".to_owned(), plain("A", "192.0.2.1"))]);
}

#[tokio::test(start_paused = true)]
async fn a_move_while_the_old_zone_is_down_ends_when_it_is_back() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    fixture.a.go_down("gone");
    let moved = open(&portal, "alice", wish("my-app", "web", None, Some("b.net"))).await.unwrap();
    assert_eq!((moved.exposure.status, moved.exposure.reason), (Status::Pending, Some(Reason::DnsUnavailable)));
    let on = open(&portal, "alice", wish("my-app", "web", None, Some("a.net"))).await.unwrap();
    assert_eq!(on.exposure.status, Status::Pending);
    let back = open(&portal, "alice", wish("my-app", "web", None, Some("b.net"))).await.unwrap();
    assert_eq!(back.exposure.status, Status::Pending);
    fixture.a.come_back();
    fixture.wait_long();
    portal.tick().await.unwrap();
    fixture.assert_converged("moved at last").await;
    assert_eq!(close(&portal, "alice", "my-app").await.unwrap().status, Status::Removed);
}
