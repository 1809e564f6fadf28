use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::runtime::Builder;

use super::{BlockingPool, PoolError, STALL, Timeouts};

/// No piece of work here takes as long.
const LONG: Duration = Duration::from_secs(10);

const UNLIMITED: Timeouts = Timeouts { queue: LONG, work: LONG };
/// Enough only for work that is begun at once.
const SHORT: Timeouts = Timeouts { queue: STALL, work: LONG };

/// A piece of work that lasts until the sender is dropped.
fn held() -> (mpsc::Sender<()>, impl FnOnce() + Send) {
    let (release, released) = mpsc::channel();
    (release, move || released.recv().unwrap_or_default())
}

#[tokio::test]
async fn work_that_is_stuck_does_not_hold_up_what_comes_later() {
    let pool = BlockingPool::new(3);
    let stuck: Vec<_> = (0..2).map(|_| held()).map(|(release, work)| (release, pool.run(UNLIMITED, work))).collect();
    pool.run(UNLIMITED, || ()).await.unwrap();
    for (release, stuck) in stuck {
        drop(release);
        stuck.await.unwrap();
    }
}

#[tokio::test]
async fn no_more_is_done_at_once_than_was_said() {
    let pool = BlockingPool::new(1);
    let (release, work) = held();
    let first = pool.run(UNLIMITED, work);
    let began = Instant::now();
    let mut second = Box::pin(pool.run(UNLIMITED, || ()));
    while began.elapsed() < STALL * 2 {
        drop(pool.run(UNLIMITED, || ()));
        assert!((&mut second).now_or_never().is_none());
    }
    drop(release);
    first.await.unwrap();
    second.await.unwrap();
}

#[tokio::test]
async fn work_that_panics_costs_the_pool_nothing() {
    let pool = BlockingPool::new(1);
    assert_eq!(pool.run(UNLIMITED, || panic!("on purpose")).await, Err::<(), _>(PoolError::Panicked));
    assert_eq!(pool.run(UNLIMITED, || 7).await.unwrap(), 7);
}

#[tokio::test]
async fn work_whose_turn_does_not_come_in_time_is_never_begun() {
    let pool = BlockingPool::new(1);
    let (release, work) = held();
    let stuck = pool.run(UNLIMITED, work);
    let (tell, told) = mpsc::channel();
    assert_eq!(pool.run(SHORT, move || tell.send(())).await, Err(PoolError::QueueTimeout));
    drop(release);
    stuck.await.unwrap();
    pool.run(UNLIMITED, || ()).await.unwrap();
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn work_that_was_begun_in_time_is_waited_for() {
    let pool = BlockingPool::new(1);
    let (release, work) = held();
    let (tell, told) = mpsc::channel();
    let mut running = Box::pin(pool.run(SHORT, move || {
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
    let pool = BlockingPool::new(1);
    let (release, work) = held();
    let (tell, told) = mpsc::channel();
    let (say, said) = mpsc::channel();
    let running = pool.run(Timeouts { queue: STALL, work: STALL }, move || {
        say.send(()).unwrap();
        work();
        tell.send(()).unwrap();
    });
    said.recv_timeout(LONG).unwrap();
    assert_eq!(running.await, Err(PoolError::Timeout));
    drop(release);
    told.recv_timeout(LONG).unwrap();
}

#[tokio::test]
async fn work_is_done_though_nobody_waits_for_it() {
    let pool = BlockingPool::new(1);
    let (tell, told) = mpsc::channel();
    drop(pool.run(UNLIMITED, move || tell.send(()).unwrap()));
    told.recv_timeout(LONG).unwrap();
}

#[test]
fn a_runtime_that_ended_leaves_its_place_to_the_next() {
    let pool = BlockingPool::new(1);
    let gone = Builder::new_current_thread().build().unwrap();
    let handle = gone.handle().clone();
    drop(gone);
    {
        let _entered = handle.enter();
        drop(pool.run(UNLIMITED, || ()));
    }
    let next = Builder::new_current_thread().enable_time().build().unwrap();
    assert_eq!(next.block_on(async { pool.run(UNLIMITED, || 7).await }).unwrap(), 7);
}
