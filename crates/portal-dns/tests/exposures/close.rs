//! Taking an exposure off the internet.

use portal_core::Action;
use portal_dns::{Reason, Status};

use super::fixture::{Fixture, close, friend, name, open, plain, wish};

#[tokio::test(start_paused = true)]
async fn removal_leaves_no_trace() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let closed = close(&portal, "alice", "my-app").await.unwrap();
    assert_eq!((closed.status, closed.reason), (Status::Removed, None));
    assert!(fixture.a.records().is_empty());
    assert_eq!(portal.find(&friend("alice"), &name("my-app")).await.unwrap(), None);
    fixture.assert_converged("removed").await;
    assert_eq!(fixture.audited(Action::ExposureClose).await, 1);
    assert_eq!(close(&portal, "alice", "my-app").await.unwrap_err().code(), "exposure-not-found");
}

#[tokio::test(start_paused = true)]
async fn nobody_removes_what_is_somebody_elses() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    assert_eq!(close(&portal, "bob", "my-app").await.unwrap_err().code(), "exposure-not-found");
    fixture.assert_converged("still there").await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_meets_an_error_stays_visible_until_it_is_done() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    fixture.a.go_down("gone");
    for _ in 0..2 {
        let closed = close(&portal, "alice", "my-app").await.unwrap();
        assert_eq!((closed.status, closed.reason), (Status::Removing, Some(Reason::DnsUnavailable)));
    }
    assert_eq!(fixture.routes().await.len(), 1, "a name that resolves keeps its route");
    fixture.a.come_back();
    fixture.wait_long();
    portal.tick().await.unwrap();
    assert_eq!(portal.list(&friend("alice")).await.unwrap(), []);
    fixture.assert_converged("removed at last").await;
    assert_eq!(fixture.audited(Action::ExposureClose).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_being_removed_still_counts_and_still_owns_its_hostname() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "a-b", wish("c", "web", None, None)).await.unwrap();
    fixture.a.go_down("gone");
    close(&portal, "a-b", "c").await.unwrap();
    fixture.a.come_back();
    let refused = open(&portal, "b", wish("c-a", "web", None, None)).await;
    assert!(refused.is_err(), "there is no friend b");
    fixture.add_friend("b").await;
    let refused = open(&portal, "b", wish("c-a", "web", None, None)).await.unwrap_err();
    assert_eq!(refused.code(), "hostname-taken");
}

#[tokio::test(start_paused = true)]
async fn an_exposure_that_is_being_removed_is_revived_by_asking_for_it() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    let first = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    fixture.a.go_down("gone");
    close(&portal, "alice", "my-app").await.unwrap();
    fixture.a.come_back();
    let revived = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    assert_eq!((revived.is_new, revived.exposure), (false, first.exposure));
    fixture.assert_converged("revived").await;
}

#[tokio::test(start_paused = true)]
async fn removal_leaves_alone_what_lost_its_mark() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    fixture.a.clear("my-app-alice.a.net");
    fixture.a.insert_record("my-app-alice.a.net", plain("A", "192.0.2.1"));
    let closed = close(&portal, "alice", "my-app").await.unwrap();
    assert_eq!(closed.status, Status::Removed);
    assert_eq!(fixture.a.records(), [("my-app-alice.a.net".to_owned(), plain("A", "192.0.2.1"))]);
    fixture.assert_converged("released").await;
}

#[tokio::test(start_paused = true)]
async fn a_friend_with_exposures_cannot_be_removed() {
    use portal_core::{Actor, AuditEntry, Clock, FriendRemoved};
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let friends = &fixture.stores.friends;
    let audit = AuditEntry::new(fixture.clock.now(), Actor::Operator("root".to_owned()), Action::FriendRemove)
        .with_friend(friend("alice"))
        .with_subject("alice");
    assert_eq!(friends.remove(&friend("alice"), audit.clone()).await.unwrap(), FriendRemoved::HasExposures);
    close(&portal, "alice", "my-app").await.unwrap();
    assert_eq!(friends.remove(&friend("alice"), audit).await.unwrap(), FriendRemoved::Done);
}
