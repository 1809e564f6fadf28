//! Snapshots for frequent readers.

use std::sync::Arc;
use std::time::Duration;

use portal_testkit::Faults;

use super::faults::serve;
use super::fixture::{Fixture, close, friend, open, wish};

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_the_same_until_something_changes() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    portal.poll_changes().await.unwrap();
    let empty = portal.snapshot(&friend("alice")).await.unwrap();
    assert!(empty.is_empty());
    open(&portal, "bob", wish("my-app", "web", None, None)).await.unwrap();
    portal.poll_changes().await.unwrap();
    assert!(Arc::ptr_eq(&empty, &portal.snapshot(&friend("alice")).await.unwrap()));
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let one = portal.snapshot(&friend("alice")).await.unwrap();
    assert_eq!(one.len(), 1, "what this portal did shows at once");
    assert!(one.iter().all(portal_dns::Exposure::is_done));
    close(&portal, "alice", "my-app").await.unwrap();
    assert!(portal.snapshot(&friend("alice")).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_another_portal_did_shows_after_a_poll() {
    let fixture = Fixture::new().await;
    let (here, there) = (fixture.portal(), fixture.portal());
    here.poll_changes().await.unwrap();
    assert!(here.snapshot(&friend("alice")).await.unwrap().is_empty());
    for round in 0..3 {
        fixture.clock.advance(Duration::from_secs(1));
        open(&there, "alice", wish("my-app", "web", None, None)).await.unwrap();
        here.poll_changes().await.unwrap();
        assert_eq!(here.snapshot(&friend("alice")).await.unwrap().len(), 1, "round {round}");
        close(&there, "alice", "my-app").await.unwrap();
        here.poll_changes().await.unwrap();
        assert!(here.snapshot(&friend("alice")).await.unwrap().is_empty(), "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn reading_asks_the_store_for_nothing_while_it_is_polled() {
    let fixture = Fixture::new().await;
    let faults = Faults::none().shared();
    let portal = serve(&fixture, &faults);
    portal.poll_changes().await.unwrap();
    portal.snapshot(&friend("alice")).await.unwrap();
    let asked = faults.calls();
    for _ in 0..1000 {
        portal.snapshot(&friend("alice")).await.unwrap();
    }
    assert_eq!(faults.calls(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_asked_is_not_taken_for_empty() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    assert_eq!(portal.snapshot(&friend("alice")).await.unwrap().len(), 1);
    fixture.outage.go_down("gone");
    assert!(portal.poll_changes().await.is_err());
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(portal.snapshot(&friend("alice")).await.is_err());
    fixture.outage.come_back();
    assert_eq!(portal.snapshot(&friend("alice")).await.unwrap().len(), 1);
}
