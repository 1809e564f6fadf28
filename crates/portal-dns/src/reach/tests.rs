use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use parking_lot::Mutex;
use portal_core::FixedClock;
use tokio::runtime::Handle;

use super::{AFTER_NO, AFTER_YES, Reach, ReachHint, Reachability, Reachable, Reached, TIMEOUT};
use crate::exposure::tests::exposure_of_port as exposure;
use crate::exposure::{Exposure, Status};

/// Answers as the test says, and counts the requests.
struct FixedReach {
    answer: Mutex<Option<Reached>>,
    asked: AtomicU32,
}

impl FixedReach {
    fn new(answer: Reached) -> Arc<Self> {
        Arc::new(Self { answer: Mutex::new(Some(answer)), asked: AtomicU32::new(0) })
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Reach for FixedReach {
    async fn ask(&self, _: &Exposure) -> Reached {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = *self.answer.lock();
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn reachability(reach: Option<Arc<dyn Reach>>) -> Reachability {
    Reachability::new(reach, Arc::new(FixedClock::new(DateTime::UNIX_EPOCH)), Handle::current())
}

/// Looks, and lets what is asked be answered.
async fn look(reachability: &Reachability, exposure: &Exposure) -> Option<Reached> {
    assert_eq!(reachability.of(std::slice::from_ref(exposure)).len(), 1);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    reachability.of(std::slice::from_ref(exposure)).first().and_then(|reachable| reachable.reached)
}

#[tokio::test(start_paused = true)]
async fn an_address_is_asked_once_and_again_after_its_pause() {
    for (answer, pause) in [(Reached::Yes, AFTER_YES), (Reached::No(ReachHint::NotFound), AFTER_NO)] {
        let reach = FixedReach::new(answer);
        let reachability = reachability(Some(reach.clone()));
        let active = exposure(80, Status::Active);
        assert_eq!(reachability.of(std::slice::from_ref(&active)), [Reachable::default()], "nothing is known yet");
        for _ in 0..5 {
            assert_eq!(look(&reachability, &active).await, Some(answer));
        }
        tokio::time::advance(pause.saturating_sub(Duration::from_secs(1))).await;
        look(&reachability, &active).await;
        assert_eq!(reach.asked(), 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        look(&reachability, &active).await;
        assert_eq!(reach.asked(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_not_active_is_not_asked_and_a_change_asks_anew() {
    let reach = FixedReach::new(Reached::Yes);
    let reachability = reachability(Some(reach.clone()));
    assert_eq!(look(&reachability, &exposure(80, Status::Pending)).await, None);
    assert_eq!(reach.asked(), 0);
    assert_eq!(look(&reachability, &exposure(80, Status::Active)).await, Some(Reached::Yes));
    *reach.answer.lock() = Some(Reached::No(ReachHint::AppUnavailable));
    assert_eq!(
        look(&reachability, &exposure(8080, Status::Active)).await,
        Some(Reached::No(ReachHint::AppUnavailable))
    );
    assert_eq!(reach.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_address_has_one_request_under_way_however_often_it_changes() {
    let reach = FixedReach::new(Reached::Yes);
    *reach.answer.lock() = None;
    let reachability = reachability(Some(reach.clone()));
    for port in 80..90 {
        assert_eq!(look(&reachability, &exposure(port, Status::Active)).await, None);
        assert_eq!(look(&reachability, &exposure(port, Status::Pending)).await, None);
    }
    assert_eq!(reach.asked(), 1);
    *reach.answer.lock() = Some(Reached::Yes);
    tokio::time::advance(TIMEOUT + Duration::from_secs(1)).await;
    let newest = exposure(90, Status::Active);
    look(&reachability, &newest).await;
    assert_eq!(look(&reachability, &newest).await, Some(Reached::Yes), "the newest state is asked about");
    assert_eq!(reach.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn silence_is_no_answer_and_keeps_nobody_waiting() {
    let reach = FixedReach::new(Reached::Yes);
    *reach.answer.lock() = None;
    let reachability = reachability(Some(reach.clone()));
    let active = exposure(80, Status::Active);
    assert_eq!(look(&reachability, &active).await, None);
    tokio::time::advance(TIMEOUT + Duration::from_secs(1)).await;
    assert_eq!(look(&reachability, &active).await, Some(Reached::No(ReachHint::NoAnswer)));
}

#[tokio::test]
async fn where_it_is_switched_off_nothing_is_known() {
    assert_eq!(look(&reachability(None), &exposure(80, Status::Active)).await, None);
}

#[test]
fn a_status_is_judged_by_what_it_means_for_a_visitor() {
    for (status, expected) in [
        (200, Reached::Yes),
        (302, Reached::Yes),
        (401, Reached::Yes),
        (404, Reached::No(ReachHint::NotFound)),
        (500, Reached::No(ReachHint::ServerError)),
        (502, Reached::No(ReachHint::AppUnavailable)),
        (503, Reached::No(ReachHint::AppUnavailable)),
        (530, Reached::No(ReachHint::Tunnel)),
    ] {
        assert_eq!(Reached::of_status(status), expected, "{status}");
    }
}
