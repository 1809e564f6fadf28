use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portal_core::FriendId;
use portal_dns::Priority;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Budget, Spent};

fn friend(id: &str) -> Priority {
    Priority::Friend(FriendId::parse(id).unwrap())
}

async fn take(budget: &Budget, priority: &Priority, times: usize) -> Result<(), Spent> {
    for _ in 0..times {
        budget.take(priority).await?;
    }
    Ok(())
}

/// Takes calls until one is refused at once; tells how many there were.
async fn take_all(budget: &Budget, priority: &Priority) -> usize {
    let mut taken = 0;
    while budget.take(priority).await.is_ok() {
        taken += 1;
    }
    taken
}

/// Many friends, so that none of them uses a large part of the budget.
fn crowd() -> Vec<Priority> {
    (0..10).map(|index| friend(&format!("friend-{index}"))).collect()
}

#[tokio::test(start_paused = true)]
async fn no_five_minutes_hold_more_calls_than_the_share_of_one_replica() {
    let budget = Budget::shared_by(2);
    let mut taken: Vec<Instant> = Vec::new();
    let began = Instant::now();
    while began.elapsed() < Duration::from_mins(20) {
        for priority in crowd() {
            if budget.take(&priority).await.is_ok() {
                taken.push(Instant::now());
            }
        }
        tokio::time::advance(Duration::from_millis(700)).await;
    }
    assert!(taken.len() > 550, "the budget is renewed");
    for (first, last) in taken.iter().zip(taken.iter().skip(550)) {
        assert!(*last - *first >= Duration::from_mins(5), "551 calls within {:?}", *last - *first);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_had_in_time_is_refused_at_once_and_says_when() {
    let budget = Budget::of(8);
    take(&budget, &friend("alice"), 2).await.unwrap();
    tokio::time::advance(Duration::from_mins(1)).await;
    for id in ["b", "c", "d", "e", "f", "g"] {
        take(&budget, &friend(id), 1).await.unwrap();
    }
    let began = Instant::now();
    let refused = budget.take(&friend("zoe")).await;
    assert_eq!(refused, Err(Spent { retry_after: Duration::from_mins(4) }));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_can_be_had_soon_is_waited_for() {
    let budget = Budget::of(8);
    for priority in crowd().iter().take(8) {
        budget.take(priority).await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(298)).await;
    let began = Instant::now();
    assert_eq!(budget.take(&friend("zoe")).await, Ok(()));
    assert_eq!(began.elapsed().as_secs(), 2);
}

/// Lets these callers queue up, in this order, for four calls that come free one after another; tells who got them.
async fn served(callers: &[Priority]) -> Vec<Priority> {
    let budget = Arc::new(Budget::of(4));
    for priority in crowd().iter().take(4) {
        budget.take(priority).await.unwrap();
        tokio::time::advance(Duration::from_millis(500)).await;
    }
    tokio::time::advance(Duration::from_secs(297)).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = JoinSet::new();
    for priority in callers.iter().cloned() {
        let (budget, order) = (budget.clone(), order.clone());
        waiting.spawn(async move {
            budget.take(&priority).await.unwrap();
            order.lock().push(priority);
        });
        tokio::task::yield_now().await;
    }
    waiting.join_all().await;
    order.lock().clone()
}

#[tokio::test(start_paused = true)]
async fn friends_take_turns() {
    let (alice, bob) = (friend("alice"), friend("bob"));
    let queue = [alice.clone(), alice.clone(), alice.clone(), bob.clone()];
    assert_eq!(served(&queue).await, [alice.clone(), bob, alice.clone(), alice]);
}

#[tokio::test(start_paused = true)]
async fn background_work_yields_to_people_who_wait() {
    let (alice, bob) = (friend("alice"), friend("bob"));
    let queue = [Priority::Background, alice.clone(), bob.clone()];
    assert_eq!(served(&queue).await, [alice, bob, Priority::Background]);
}

#[tokio::test(start_paused = true)]
async fn background_work_leaves_a_quarter_to_people() {
    let budget = Budget::of(100);
    assert_eq!(take_all(&budget, &Priority::Background).await, 75);
    assert_eq!(take(&budget, &friend("alice"), 25).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn nobody_can_use_up_everybodys_budget() {
    let budget = Budget::of(100);
    assert_eq!(take_all(&budget, &friend("greedy")).await, 90);
    assert_eq!(take(&budget, &friend("alice"), 10).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everybody_and_then_ends() {
    let budget = Budget::of(100);
    budget.pause(Duration::from_secs(40));
    budget.pause(Duration::from_secs(10));
    assert_eq!(budget.left(), 0);
    assert_eq!(budget.take(&friend("alice")).await, Err(Spent { retry_after: Duration::from_secs(40) }));
    assert_eq!(budget.take(&Priority::Background).await, Err(Spent { retry_after: Duration::from_secs(40) }));
    tokio::time::advance(Duration::from_secs(39)).await;
    assert_eq!(budget.take(&friend("alice")).await, Ok(()));
    assert_eq!(budget.left(), 99);
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_takes_no_call() {
    let budget = Arc::new(Budget::of(100));
    budget.pause(Duration::from_secs(2));
    let gone = tokio::spawn({
        let budget = budget.clone();
        async move { budget.take(&friend("alice")).await }
    });
    tokio::task::yield_now().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    budget.take(&friend("bob")).await.unwrap();
    assert_eq!(budget.left(), 99);
}

#[tokio::test(start_paused = true)]
async fn more_replicas_than_calls_still_leave_one() {
    assert_eq!(Budget::shared_by(u16::MAX).take(&Priority::Background).await, Ok(()));
    assert_eq!(Budget::shared_by(0).left(), 1100);
}
