use std::num::NonZeroU32;
use std::time::Duration;

use portal_core::FriendId;

use super::{LimitSettings, Limits, PRUNE_FROM, Rate};
use crate::error::ApiError;

fn friend(id: &str) -> FriendId {
    FriendId::parse(id).unwrap()
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// One request per second, a burst of `burst`, and `in_flight` at a time.
fn limits(burst: u32, in_flight: u32) -> Limits {
    let rate = Rate { per_second: number(1), burst: number(burst) };
    let wait = Duration::from_secs(1);
    let (reads, writes, in_flight) = (rate, rate, number(in_flight));
    let guesses_per_minute = number(10);
    Limits::new(LimitSettings {
        reads,
        writes,
        in_flight,
        wait,
        body_bytes: 10,
        all_body_bytes: 15,
        guesses_per_minute,
    })
}

#[track_caller]
fn assert_limited(error: &ApiError, policy: &str) {
    let response = error.respond("id");
    assert_eq!(response.status().as_u16(), 429);
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert!(header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{:?}", response.headers());
    assert!(header("ratelimit").starts_with(&format!("\"{policy}\";r=0;t=")), "{:?}", response.headers());
    assert!(header("ratelimit-policy").starts_with(&format!("\"{policy}\";q=")), "{:?}", response.headers());
}

#[tokio::test]
async fn a_burst_of_one_friend_is_refused_and_takes_nothing_from_others() {
    let limits = limits(50, 8);
    let alice = friend("alice");
    let mut error = None;
    // More than the burst and whatever fills up meanwhile.
    for _ in 0..10_000 {
        if let Err(refused) = limits.admit(&alice, true).await {
            error = Some(refused);
            break;
        }
    }
    assert_limited(&error.expect("a limit"), "reads");
    assert!(limits.admit(&alice, false).await.is_ok(), "writes have a bucket of their own");
    assert!(limits.admit(&friend("bob"), true).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_more_than_may_be_in_flight_waits_and_is_then_refused() {
    let limits = limits(50, 2);
    let alice = friend("alice");
    let first = limits.admit(&alice, true).await.unwrap();
    let _second = limits.admit(&alice, true).await.unwrap();
    let begun = tokio::time::Instant::now();
    assert_limited(&limits.admit(&alice, true).await.err().unwrap(), "in-flight");
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert!(limits.admit(&friend("bob"), true).await.is_ok());
    let ends = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(first);
    };
    let (third, ()) = tokio::join!(limits.admit(&alice, true), ends);
    assert!(third.is_ok(), "one that ended in time makes room");
}

#[tokio::test]
async fn bodies_in_flight_are_bounded_for_each_friend_and_for_all() {
    let limits = limits(50, 8);
    let [alice, bob] = [limits.admit(&friend("alice"), false).await, limits.admit(&friend("bob"), false).await];
    let [mut one, mut two, mut other] = [alice.as_ref(), alice.as_ref(), bob.as_ref()].map(|it| it.unwrap().body());
    one.hold(6).unwrap();
    assert_limited(&two.hold(5).unwrap_err(), "body-bytes");
    drop(two);
    other.hold(9).unwrap();
    let refused = other.hold(1).unwrap_err().respond("id");
    assert_eq!(refused.status().as_u16(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    drop((one, other));
    alice.unwrap().body().hold(10).expect("what ended does not count any more");
}

#[tokio::test]
async fn states_of_friends_who_are_gone_are_dropped_and_others_stay() {
    let limits = limits(50, 8);
    let kept = limits.admit(&friend("kept"), true).await.unwrap();
    for number in 0..PRUNE_FROM {
        limits.admit(&friend(&format!("f{number}")), true).await.unwrap();
    }
    let shared = limits.0.as_ref().unwrap();
    for state in shared.friends.lock().values() {
        let mut last_used = state.last_used.lock();
        *last_used = last_used.checked_sub(super::RETENTION).unwrap();
    }
    shared.prune.pruned(0);
    limits.admit(&friend("new"), true).await.unwrap();
    assert_eq!(shared.friends.lock().len(), 2, "the new one, and the one in flight");
    drop(kept);
}

#[tokio::test]
async fn no_limits_limit_nothing() {
    let limits = Limits::off();
    for _ in 0..1000 {
        let admitted = limits.admit(&friend("alice"), false).await.unwrap();
        admitted.body().hold(usize::MAX).unwrap();
    }
}
