//! Requests whose work lasts longer than anybody waits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use portal_core::BackendError;
use portal_dns::{Exposures, Reason, Status};
use portal_testkit::{Call, Effect, Interceptor};
use tokio::time::Instant;

use super::faults::serve;
use super::fixture::{Fixture, close, friend, name, open, plain, wish};

/// Something that happens after somebody looked at a zone and before they learn what they saw.
type Meanwhile = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Lets something happen between each look at a zone and its answer.
struct AfterLook(Meanwhile);

#[async_trait]
impl Interceptor for AfterLook {
    async fn intercept(&self, call: Call, effect: Effect<'_>) -> Result<(), BackendError> {
        effect.await?;
        if (call.port, call.method) == ("Records", "look") {
            (self.0)().await;
        }
        Ok(())
    }
}

fn slow_portal(fixture: &Fixture, looks_take: Duration) -> Exposures {
    interrupted(fixture, move || tokio::time::sleep(looks_take).boxed())
}

fn interrupted(fixture: &Fixture, meanwhile: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Exposures {
    serve(fixture, &Arc::new(AfterLook(Arc::new(meanwhile))))
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
    let sleeper = interrupted(&fixture, move || once.lock().take().unwrap_or_else(|| ready(()).boxed()));
    let opened = open(&sleeper, "alice", wish("my-app", "web", None, None)).await;
    assert!(opened.is_err() || opened.unwrap().exposure.status != Status::Active);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(sleep.lock().is_none());
    fixture.assert_converged("the sleeper").await;
}
