//! Taking an exposure off the internet.

use portal_core::Action;
use portal_dns::{Reason, Status};

use super::world::{World, close, friend, name, open, plain, wish};

#[tokio::test(start_paused = true)]
async fn removal_leaves_no_trace() {
    let world = World::new().await;
    let portal = world.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let closed = close(&portal, "alice", "my-app").await.unwrap();
    assert_eq!((closed.status, closed.reason), (Status::Removed, None));
    assert!(world.a.records().is_empty());
    assert_eq!(portal.find(&friend("alice"), &name("my-app")).await.unwrap(), None);
    world.assert_converged("removed").await;
    assert_eq!(world.audited(Action::ExposureClose).await, 1);
    assert_eq!(close(&portal, "alice", "my-app").await.unwrap_err().code(), "exposure-not-found");
}

#[tokio::test(start_paused = true)]
async fn nobody_removes_what_is_somebody_elses() {
    let world = World::new().await;
    let portal = world.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    assert_eq!(close(&portal, "bob", "my-app").await.unwrap_err().code(), "exposure-not-found");
    world.assert_converged("still there").await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_meets_trouble_stays_visible_until_it_is_done() {
    let world = World::new().await;
    let portal = world.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    world.a.go_down("gone");
    for _ in 0..2 {
        let closed = close(&portal, "alice", "my-app").await.unwrap();
        assert_eq!((closed.status, closed.reason), (Status::Removing, Some(Reason::DnsUnavailable)));
    }
    assert_eq!(world.routes().await.len(), 1, "a name that resolves keeps its route");
    world.a.come_back();
    world.wait_long();
    portal.tick().await.unwrap();
    assert_eq!(portal.list(&friend("alice")).await.unwrap(), []);
    world.assert_converged("removed at last").await;
    assert_eq!(world.audited(Action::ExposureClose).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_being_removed_still_counts_and_still_owns_its_hostname() {
    let world = World::new().await;
    let portal = world.portal();
    open(&portal, "a-b", wish("c", "web", None, None)).await.unwrap();
    world.a.go_down("gone");
    close(&portal, "a-b", "c").await.unwrap();
    world.a.come_back();
    let refused = open(&portal, "b", wish("c-a", "web", None, None)).await;
    assert!(refused.is_err(), "there is no friend b");
    world.add_friend("b").await;
    let refused = open(&portal, "b", wish("c-a", "web", None, None)).await.unwrap_err();
    assert_eq!(refused.code(), "hostname-taken");
}

#[tokio::test(start_paused = true)]
async fn an_exposure_that_is_being_removed_is_revived_by_asking_for_it() {
    let world = World::new().await;
    let portal = world.portal();
    let first = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    world.a.go_down("gone");
    close(&portal, "alice", "my-app").await.unwrap();
    world.a.come_back();
    let revived = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    assert_eq!((revived.is_new, revived.exposure), (false, first.exposure));
    world.assert_converged("revived").await;
}

#[tokio::test(start_paused = true)]
async fn removal_leaves_alone_what_lost_its_mark() {
    let world = World::new().await;
    let portal = world.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    world.a.clear("my-app-alice.a.net");
    world.a.insert_record("my-app-alice.a.net", plain("A", "192.0.2.1"));
    let closed = close(&portal, "alice", "my-app").await.unwrap();
    assert_eq!(closed.status, Status::Removed);
    assert_eq!(world.a.records(), [("my-app-alice.a.net".to_owned(), plain("A", "192.0.2.1"))]);
    world.assert_converged("released").await;
}

#[tokio::test(start_paused = true)]
async fn a_friend_with_exposures_cannot_be_removed() {
    use portal_core::{Actor, AuditEntry, Clock, FriendRemoved, FriendStore};
    let world = World::new().await;
    let portal = world.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let friends = portal_adapters::memory::MemoryFriends::new(&world.people);
    let audit = AuditEntry::new(world.clock.now(), Actor::Operator("root".to_owned()), Action::FriendRemove)
        .with_friend(friend("alice"))
        .with_subject("alice");
    assert_eq!(friends.remove(&friend("alice"), audit.clone()).await.unwrap(), FriendRemoved::HasExposures);
    close(&portal, "alice", "my-app").await.unwrap();
    assert_eq!(friends.remove(&friend("alice"), audit).await.unwrap(), FriendRemoved::Done);
}
