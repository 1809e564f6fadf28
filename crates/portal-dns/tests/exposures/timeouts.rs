//! Requests whose work lasts longer than anybody waits.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use portal_adapters::memory::MemoryRecords;
use portal_core::BackendError;
use portal_dns::{
    Ensured, Exposures, Hostname, Observed, OwnershipMarker, Priority, Reason, RecordState, Records, Removed, Status,
};
use tokio::time::Instant;

use super::fixture::{Fixture, close, friend, name, open, plain, wish};

/// Something that happens after somebody looked at a zone and before they learn what they saw.
type Meanwhile = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A zone with every look of which something happens.
struct SlowRecords(MemoryRecords, Meanwhile);

#[async_trait]
impl Records for SlowRecords {
    async fn look(&self, host: &Hostname, caller: &Priority) -> Result<Observed, BackendError> {
        let seen = self.0.look(host, caller).await;
        (self.1)().await;
        seen
    }

    async fn ensure(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        seen: &Observed,
        caller: &Priority,
    ) -> Result<Ensured, BackendError> {
        self.0.ensure(host, wanted, seen, caller).await
    }

    async fn remove(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        caller: &Priority,
    ) -> Result<Removed, BackendError> {
        self.0.remove(host, marker, caller).await
    }

    async fn list(&self) -> Result<Vec<(Hostname, Observed)>, BackendError> {
        self.0.list().await
    }
}

fn slow_portal(fixture: &Fixture, looks_take: Duration) -> Exposures {
    interrupted(fixture, move || tokio::time::sleep(looks_take).boxed())
}

fn interrupted(fixture: &Fixture, meanwhile: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Exposures {
    let meanwhile: Meanwhile = Arc::new(meanwhile);
    fixture.portal_with(fixture.ports(), |records| Arc::new(SlowRecords(records, meanwhile.clone())))
}

#[tokio::test(start_paused = true)]
async fn after_five_seconds_the_request_is_answered_and_the_work_goes_on() {
    let fixture = Fixture::new().await;
    let portal = slow_portal(&fixture, Duration::from_secs(7));
    let began = Instant::now();
    let opened = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!((opened.exposure.status, opened.exposure.reason), (Status::Pending, Some(Reason::InProgress)));
    tokio::time::sleep(Duration::from_secs(3)).await;
    fixture.assert_converged("finished").await;
}

#[tokio::test(start_paused = true)]
async fn a_friend_who_was_told_that_it_is_stored_is_not_refused_behind_their_back() {
    let fixture = Fixture::new().await;
    fixture.a.insert_record("my-app-alice.a.net", plain("A", "192.0.2.1"));
    let portal = slow_portal(&fixture, Duration::from_secs(7));
    let opened = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    assert_eq!(opened.exposure.status, Status::Pending);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let shown = portal.find(&friend("alice"), &name("my-app")).await.unwrap().unwrap();
    assert_eq!((shown.status, shown.reason), (Status::Failed, Some(Reason::HostnameTaken)));
}

#[tokio::test(start_paused = true)]
async fn a_friend_who_is_refused_hears_of_it_when_nothing_is_left() {
    let fixture = Fixture::new().await;
    fixture.a.insert_record("my-app-alice.a.net", plain("A", "192.0.2.1"));
    let portal = slow_portal(&fixture, Duration::from_secs(1));
    let refused = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap_err();
    assert_eq!(refused.code(), "hostname-taken");
    assert_eq!(portal.list(&friend("alice")).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_waits_no_longer_than_the_time_limit_for_what_is_left() {
    let fixture = Fixture::new().await;
    fixture.a.insert_record("my-app-alice.a.net", plain("A", "192.0.2.1"));
    let portal = slow_portal(&fixture, Duration::from_secs(3));
    let began = Instant::now();
    let refused = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap_err();
    assert_eq!((refused.code(), began.elapsed().as_secs()), ("hostname-taken", 5));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(portal.list(&friend("alice")).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_while_its_request_timed_out_is_no_error_of_the_database() {
    let fixture = Fixture::new().await;
    let portal = slow_portal(&fixture, Duration::from_secs(7));
    let (opened, closed) = tokio::join!(open(&portal, "alice", wish("my-app", "web", None, None)), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fixture.clock.advance(Duration::from_secs(31));
        close(&fixture.portal(), "alice", "my-app").await.unwrap()
    });
    assert_eq!(closed.status, Status::Removed);
    assert_eq!(opened.unwrap().exposure.status, Status::Removing);
    // The request's worker, asleep as long as its zone, may leave a record; the pass is there for that.
    tokio::time::sleep(Duration::from_secs(20)).await;
    fixture.portal().pass().await.unwrap();
    fixture.assert_converged("removed").await;
}

#[tokio::test(start_paused = true)]
async fn a_friend_who_hangs_up_does_not_stop_the_work() {
    let fixture = Fixture::new().await;
    let portal = slow_portal(&fixture, Duration::from_secs(2));
    let hung_up =
        tokio::time::timeout(Duration::from_secs(1), open(&portal, "alice", wish("my-app", "web", None, None))).await;
    assert!(hung_up.is_err());
    tokio::time::sleep(Duration::from_secs(2)).await;
    fixture.assert_converged("finished").await;
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_never_answers_is_given_up_on() {
    let fixture = Fixture::new().await;
    let portal = slow_portal(&fixture, Duration::from_hours(1));
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(9)).await;
    let shown = portal.find(&friend("alice"), &name("my-app")).await.unwrap().unwrap();
    assert_eq!((shown.status, shown.reason), (Status::Pending, Some(Reason::DnsUnavailable)));
}

#[tokio::test(start_paused = true)]
async fn the_last_of_two_wishes_at_once_wins() {
    let fixture = Fixture::new().await;
    let portal = slow_portal(&fixture, Duration::from_secs(2));
    let (first, second) = tokio::join!(open(&portal, "alice", wish("my-app", "web", None, None)), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        open(&portal, "alice", wish("my-app", "api", None, None)).await
    });
    assert_eq!(second.unwrap().exposure.spec.service.as_str(), "api");
    assert!(first.is_ok());
    tokio::time::sleep(Duration::from_secs(10)).await;
    fixture.assert_converged("the last wish").await;
    let shown = portal.find(&friend("alice"), &name("my-app")).await.unwrap().unwrap();
    assert_eq!(shown.spec.service.as_str(), "api");
}

/// Nothing has to be swept away afterwards: on the strength of what it saw before it slept it does nothing at all.
#[tokio::test(start_paused = true)]
async fn whoever_slept_through_their_lease_does_nothing_more() {
    let fixture = Arc::new(Fixture::new().await);
    let sleep = {
        let fixture = fixture.clone();
        async move {
            fixture.clock.advance(Duration::from_secs(31));
            let closed = close(&fixture.portal(), "alice", "my-app").await.unwrap();
            assert_eq!(closed.status, Status::Removed);
            tokio::time::advance(Duration::from_secs(31)).await;
        }
    };
    let once = Arc::new(Mutex::new(Some(sleep.boxed())));
    let sleep = once.clone();
    let sleeper = interrupted(&fixture, move || once.lock().unwrap().take().unwrap_or_else(|| ready(()).boxed()));
    let opened = open(&sleeper, "alice", wish("my-app", "web", None, None)).await;
    assert!(opened.is_err() || opened.unwrap().exposure.status != Status::Active);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(sleep.lock().unwrap().is_none());
    fixture.assert_converged("the sleeper").await;
}
