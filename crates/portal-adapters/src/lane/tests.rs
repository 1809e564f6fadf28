use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::runtime::Builder;

use super::{Lane, Patience, STALL, Undone};

/// No piece of work here takes as long.
const LONG: Duration = Duration::from_secs(10);

const PATIENCE: Patience = Patience { turn: LONG, work: LONG };
/// Enough only for work that is begun at once.
const SHORT: Patience = Patience { turn: STALL, work: LONG };

/// A piece of work that lasts until the sender is dropped.
fn held() -> (mpsc::Sender<()>, impl FnOnce() + Send) {
    let (release, released) = mpsc::channel();
    (release, move || released.recv().unwrap_or_default())
}

#[tokio::test]
async fn work_that_is_held_up_does_not_hold_up_what_comes_later() {
    let lane = Lane::new(2);
    let (release, work) = held();
    let stuck = lane.run(PATIENCE, work);
    let began = Instant::now();
    let is_done = Arc::new(AtomicBool::new(false));
    // The first ones may come so early that they wait behind the stuck one; then a later one brings a thread for all.
    while !is_done.load(Ordering::SeqCst) {
        assert!(began.elapsed() < LONG, "no thread came to help");
        let is_done = is_done.clone();
        drop(lane.run(PATIENCE, move || is_done.store(true, Ordering::SeqCst)));
    }
    drop(release);
    stuck.await.unwrap();
}

#[tokio::test]
async fn no_more_is_done_at_once_than_was_said() {
    let lane = Lane::new(1);
    let (release, work) = held();
    let first = lane.run(PATIENCE, work);
    let began = Instant::now();
    let mut second = Box::pin(lane.run(PATIENCE, || ()));
    while began.elapsed() < STALL * 2 {
        drop(lane.run(PATIENCE, || ()));
        assert!((&mut second).now_or_never().is_none());
    }
    drop(release);
    first.await.unwrap();
    second.await.unwrap();
}

#[tokio::test]
async fn work_that_panics_costs_the_lane_nothing() {
    let lane = Lane::new(1);
    assert_eq!(lane.run(PATIENCE, || panic!("on purpose")).await, Err::<(), _>(Undone::GivenUp));
    assert_eq!(lane.run(PATIENCE, || 7).await.unwrap(), 7);
}

#[tokio::test]
async fn work_whose_turn_does_not_come_in_time_is_never_begun() {
    let lane = Lane::new(1);
    let (release, work) = held();
    let stuck = lane.run(PATIENCE, work);
    let (tell, told) = mpsc::channel();
    assert_eq!(lane.run(SHORT, move || tell.send(())).await, Err(Undone::Late));
    drop(release);
    stuck.await.unwrap();
    lane.run(PATIENCE, || ()).await.unwrap();
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn work_that_was_begun_in_time_is_waited_for() {
    let lane = Lane::new(1);
    let (release, work) = held();
    let (tell, told) = mpsc::channel();
    let mut running = Box::pin(lane.run(SHORT, move || {
        tell.send(()).unwrap();
        work();
    }));
    told.recv_timeout(LONG).unwrap();
    let began = Instant::now();
    while began.elapsed() < STALL * 2 {
        assert!((&mut running).now_or_never().is_none());
    }
    drop(release);
    running.await.unwrap();
}

#[tokio::test]
async fn work_that_takes_too_long_is_not_waited_for_and_goes_on() {
    let lane = Lane::new(1);
    let (release, work) = held();
    let (tell, told) = mpsc::channel();
    let (say, said) = mpsc::channel();
    let running = lane.run(Patience { turn: STALL, work: STALL }, move || {
        say.send(()).unwrap();
        work();
        tell.send(()).unwrap();
    });
    said.recv_timeout(LONG).unwrap();
    assert_eq!(running.await, Err(Undone::Slow));
    drop(release);
    told.recv_timeout(LONG).unwrap();
}

#[tokio::test]
async fn work_is_done_though_nobody_waits_for_it() {
    let lane = Lane::new(1);
    let (tell, told) = mpsc::channel();
    drop(lane.run(PATIENCE, move || tell.send(()).unwrap()));
    told.recv_timeout(LONG).unwrap();
}

#[test]
fn a_runtime_that_ended_leaves_its_place_to_the_next() {
    let lane = Lane::new(1);
    let gone = Builder::new_current_thread().build().unwrap();
    let handle = gone.handle().clone();
    drop(gone);
    {
        let _entered = handle.enter();
        drop(lane.run(PATIENCE, || ()));
    }
    let next = Builder::new_current_thread().enable_time().build().unwrap();
    assert_eq!(next.block_on(async { lane.run(PATIENCE, || 7).await }).unwrap(), 7);
}
