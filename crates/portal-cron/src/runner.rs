//! The runner: claims what is due, delivers it, records the outcome.
//!
//! One pass ([`Runner::tick`]) and the way of a run through it:
//!
//! 1. The queue's clock is read. A clock that jumped back by more than a minute makes the queue plan every job anew,
//!    since times computed before the jump would silence the jobs until the clock has caught up.
//! 2. Open runs that nobody holds are taken: asked for by hand, to be tried again, or left by a process whose lease
//!    ended. Then due jobs are fired: each fire time becomes one row, as a run or in a missed window, before anything
//!    is delivered. Jobs whose friendship is not active are parked in one statement and take no slot.
//! 3. Both are limited to [`BATCH`] runs, to free slots, and to a share of the slots for each friend; friends take
//!    turns within a batch.
//! 4. Each run is delivered in a task of its own. A run is held by lease: what a dead or stalled process left open is
//!    taken over under a higher attempt number, and what that process says afterwards no longer counts.
//! 5. Outcomes that come together are recorded in one transaction ([`OutcomeWriter`]).
//!
//! [`Runner::run_due`] repeats passes while something is due. [`Runner::stop`] ends claiming, waits for deliveries in
//! flight and hands back the rest, so that another replica delivers it at once instead of when the lease ends.
//!
//! So a message is delivered at least once, and more than once only where the outcome of a delivery could not be
//! recorded.

use std::error::Error;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{BackendError, Ids};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::firing::plan;
use crate::{Delivery, DueJob, Firing, FriendShares, Lease, LeasedRun, RunQueue, SessionKeys, Settlement, Verdict};

mod attempt;
mod clock;
mod in_flight;
mod observer;
mod outcome;

use attempt::{Attempt, DeliveryWorker};
use clock::QueueClock;
use in_flight::InFlight;
pub use observer::{AttemptEnd, NoObserver, RunnerObserver};
use outcome::OutcomeWriter;

/// Most runs that one pass claims. Together with [`PACE`] it spreads a full minute over some seconds, so that requests
/// are answered in between.
const BATCH: u32 = 64;
/// Pause between two passes while something is due.
const PACE: Duration = Duration::from_millis(100);
/// Divisor of the slots that gives the most that one friend may fill, at least [`FRIEND_SLOTS_MIN`].
const FRIEND_SHARE: u32 = 16;
/// Slots that every friend may fill, however few there are.
const FRIEND_SLOTS_MIN: u32 = 4;
/// Interval at which runs of friendships that are not active are parked although no pass met one.
const PARK_INTERVAL: Duration = Duration::from_secs(15);

/// Settings of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunnerSettings {
    /// Longest delay of a message: a fire time is run, and tried again, for this long and no longer.
    pub window: Duration,
    /// Time for which a run belongs to the runner that claimed it. A delivery is given up after half of it, and is not
    /// begun in the second half, so that it has ended when others may take the run over.
    pub lease: Duration,
    /// Most deliveries in flight at once.
    pub slots: u32,
    /// Time for which runs that ended are kept.
    pub retention: Duration,
}

impl Default for RunnerSettings {
    fn default() -> Self {
        Self {
            window: Duration::from_hours(1),
            lease: Duration::from_mins(1),
            slots: 256,
            retention: Duration::from_hours(30 * 24),
        }
    }
}

/// Delivers the messages of due jobs; any number of runners, in any number of processes, share one queue.
///
/// Every fire time of an enabled job whose friendship is active gets one row in the queue.
pub struct Runner {
    queue: Arc<dyn RunQueue>,
    worker: Arc<DeliveryWorker>,
    ids: Arc<dyn Ids>,
    settings: RunnerSettings,
    slots: Arc<Semaphore>,
    in_flight: Arc<InFlight>,
    clock: QueueClock,
    observer: Arc<dyn RunnerObserver>,
    is_stopping: AtomicBool,
}

/// Time of one pass: the queue's clock, and the moment before it was read on this process's steady clock.
#[derive(Debug, Clone, Copy)]
struct PassTime {
    read_at: Instant,
    now: DateTime<Utc>,
}

impl Runner {
    /// Creates a runner that hands the messages of this queue to `delivery`.
    pub fn new(
        queue: Arc<dyn RunQueue>,
        keys: Arc<SessionKeys>,
        delivery: Arc<dyn Delivery>,
        ids: Arc<dyn Ids>,
        settings: RunnerSettings,
    ) -> Self {
        let in_flight = Arc::new(InFlight::default());
        let outcomes = OutcomeWriter::new(queue.clone());
        let observer: Arc<dyn RunnerObserver> = Arc::new(NoObserver);
        let worker =
            DeliveryWorker { outcomes, keys, delivery, ids: ids.clone(), settings, observer: observer.clone() };
        Self {
            queue,
            worker: Arc::new(worker),
            ids,
            settings,
            slots: Arc::new(Semaphore::new(usize::try_from(settings.slots).unwrap_or(Semaphore::MAX_PERMITS))),
            in_flight,
            clock: QueueClock::default(),
            observer,
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Reports what the runner does to this observer.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn RunnerObserver>) -> Self {
        self.observer = observer.clone();
        if let Some(worker) = Arc::get_mut(&mut self.worker) {
            worker.observer = observer;
        }
        self
    }

    /// Repeats passes until nothing more can be claimed now, or until [`Runner::stop`]. To be called about once a
    /// second.
    ///
    /// # Errors
    /// The queue failed. What was claimed before is being delivered, the rest waits for the next call.
    pub async fn run_due(&self) -> Result<(), BackendError> {
        loop {
            let free = self.slots.available_permits();
            let begun = self.tick().await?;
            // A pass that filled neither its batch nor the slots met everything that was due.
            if begun < free.min(usize::try_from(BATCH).unwrap_or(usize::MAX)) || self.is_stopping() {
                return Ok(());
            }
            tokio::time::sleep(PACE).await;
            if self.slots.available_permits() == 0 {
                // The semaphore is never closed, so this ends with a free slot.
                drop(self.slots.acquire().await);
            }
        }
    }

    /// Makes one pass: claims as many runs as there are free slots, at most [`BATCH`], and begins to deliver them;
    /// returns how many.
    ///
    /// # Errors
    /// The queue failed. What was claimed before is being delivered, the rest waits for the next pass.
    pub async fn tick(&self) -> Result<usize, BackendError> {
        if self.is_stopping() {
            return Ok(0);
        }
        let mut free = self.free_slots();
        let time = self.read_clock().await?;
        if self.clock.is_time_to_park(time.read_at, PARK_INTERVAL) {
            self.queue.park_inactive(time.now).await?;
        }
        let lease = Lease { now: time.now, until: time.now + span(self.settings.lease) };
        let mut begun = 0;
        if let limit @ 1.. = count(&free) {
            let taken = self.queue.take(lease, limit, self.shares()).await?;
            begun += self.begin(taken, &mut free, time);
        }
        if let limit @ 1.. = count(&free) {
            let fired = self.fire(lease, limit).await?;
            begun += self.begin(fired, &mut free, time);
        }
        self.observer.pass_ended(time.now, self.settings.slots, self.in_flight.len());
        Ok(begun)
    }

    /// Reads the queue's clock, and has the queue plan its jobs anew if that clock jumped back.
    async fn read_clock(&self) -> Result<PassTime, BackendError> {
        let time = PassTime { read_at: Instant::now(), now: self.queue.now().await? };
        if self.clock.is_new() {
            // A restart may hide the jump: no job can have run later than now.
            let started = self.queue.latest_start().await?.unwrap_or(time.now);
            self.clock.remember(PassTime { now: started, ..time });
        }
        if let Some(jump) = self.clock.jumped_back(time) {
            let replanned = self.replan(time.now).await?;
            tracing::warn!(
                seconds = jump.num_seconds(),
                jobs = replanned,
                "the clock went back; jobs that were planned by the later time are planned anew"
            );
        }
        // Only now: a pass that could not plan anew must notice the jump again.
        self.clock.remember(time);
        Ok(time)
    }

    async fn replan(&self, now: DateTime<Utc>) -> Result<u64, BackendError> {
        let (mut replanned, mut after) = (0, None);
        loop {
            let batch = self.queue.replan(now, after).await?;
            replanned += batch.changed;
            after = batch.last;
            if after.is_none() {
                return Ok(replanned);
            }
        }
    }

    async fn fire(&self, lease: Lease, limit: u32) -> Result<Vec<LeasedRun>, BackendError> {
        let mut due = self.queue.due(lease.now, limit, self.shares()).await?;
        if due.iter().any(|job| !job.is_active) {
            self.queue.park_inactive(lease.now).await?;
            due = self.queue.due(lease.now, limit, self.shares()).await?;
        }
        let firings: Vec<Firing> =
            due.iter().filter(|job| job.is_active).map(|job| self.firing(job, lease.now)).collect();
        if firings.is_empty() { Ok(Vec::new()) } else { self.queue.fire(firings, lease).await }
    }

    fn firing(&self, due: &DueJob, now: DateTime<Utc>) -> Firing {
        let DueJob { id: job, schedule, due_since, .. } = due;
        let (job, due_since) = (job.clone(), *due_since);
        let plan = plan(schedule, due_since, now, span(self.settings.window));
        let missed = plan.missed.map(|window| (self.ids.id(), window));
        Firing { job, due_since, missed, run: plan.run.map(|at| (self.ids.id(), at)), next_due: plan.next_due }
    }

    fn begin(&self, leased: Vec<LeasedRun>, free: &mut Vec<OwnedSemaphorePermit>, time: PassTime) -> usize {
        let begun = leased.len();
        for leased in leased {
            self.observer.claimed(time.now - leased.due_at);
            let (slot, worker) = (free.pop(), self.worker.clone());
            let attempt = Attempt { leased, clock_read: time.read_at, taken_at: time.now };
            let entry = InFlight::enter(&self.in_flight, attempt.clone());
            let number = entry.number();
            let task = tokio::spawn(async move {
                worker.attend(attempt).await;
                drop((entry, slot));
            });
            self.in_flight.set_abort(number, task.abort_handle());
        }
        begun
    }

    /// Free slots, at most a batch of them.
    fn free_slots(&self) -> Vec<OwnedSemaphorePermit> {
        let slots = iter::from_fn(|| self.slots.clone().try_acquire_owned().ok());
        slots.take(usize::try_from(BATCH).unwrap_or(usize::MAX)).collect()
    }

    /// Slots that each friend may still fill.
    fn shares(&self) -> FriendShares {
        let max = (self.settings.slots / FRIEND_SHARE).max(FRIEND_SLOTS_MIN);
        FriendShares { max, in_flight: self.in_flight.by_friend() }
    }

    /// Waits until no delivery is in flight.
    pub async fn idle(&self) {
        // The semaphore is never closed, so this can only end with all slots in hand.
        let _all = self.slots.acquire_many(self.settings.slots).await;
    }

    /// Claims nothing more, waits up to `limit` for deliveries in flight, and hands back the rest: their runs can be
    /// claimed by other replicas at once. The log names what was handed back, since its receiver may have it already.
    pub async fn stop(&self, limit: Duration) {
        self.is_stopping.store(true, Ordering::Release);
        if tokio::time::timeout(limit, self.idle()).await.is_ok() {
            return;
        }
        for attempt in self.in_flight.abort_all() {
            let LeasedRun { id, attempt: number, job, .. } = &attempt.leased;
            tracing::warn!(
                run.id = %id, run.attempt = number, job.id = %job.id,
                "the delivery had not ended when the portal stopped; the run is handed back"
            );
            let verdict =
                Verdict::Retry { at: attempt.now(), error: "the portal stopped during the delivery".to_owned() };
            let outcome = Settlement { run: id.clone(), attempt: *number, at: attempt.now(), verdict };
            if let Err(error) = self.worker.outcomes.record(outcome).await {
                tracing::error!(run.id = %id, error = &*error as &dyn Error, "a run could not be handed back");
            }
        }
    }

    /// Reports how many jobs are due and how many runs are open, to the observer.
    ///
    /// # Errors
    /// The queue failed.
    pub async fn report_backlog(&self) -> Result<(), BackendError> {
        let now = self.queue.now().await?;
        self.observer.backlog(self.queue.backlog(now).await?);
        Ok(())
    }

    /// Deletes old runs; returns how many.
    ///
    /// # Errors
    /// The queue failed.
    pub async fn sweep(&self) -> Result<u64, BackendError> {
        let now = self.queue.now().await?;
        self.queue.sweep(now - span(self.settings.retention)).await
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }
}

fn count(slots: &[OwnedSemaphorePermit]) -> u32 {
    u32::try_from(slots.len()).unwrap_or(u32::MAX)
}

/// Returns a setting as a calendar length; no setting is longer than a calendar.
fn span(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX)
}
