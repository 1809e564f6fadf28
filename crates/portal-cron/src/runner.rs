//! Sending what is due: claim, deliver, record.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{BackendError, Ids};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::firing::plan;
use crate::{Delivery, DueJob, Firing, Lease, LeasedRun, RunQueue, SessionKeys};

mod attempt;

use attempt::{Attempt, Desk};

/// How a runner works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunnerSettings {
    /// How late a message may be: an instant is run, and tried again, for so long and not any longer.
    pub window: Duration,
    /// For how long a run belongs to the runner that took it. A delivery is given up after half of it, and is not
    /// begun in the second half, so that it has ended when others may take the run over.
    pub lease: Duration,
    /// How many deliveries are under way at once.
    pub slots: u32,
    /// How long ended runs are remembered.
    pub memory: Duration,
}

impl Default for RunnerSettings {
    fn default() -> Self {
        Self {
            window: Duration::from_hours(1),
            lease: Duration::from_mins(1),
            slots: 32,
            memory: Duration::from_hours(30 * 24),
        }
    }
}

/// Delivers the messages of due jobs; any number of runners, in any number of processes, share one queue.
///
/// Every instant of an enabled job gets one row in the queue, as a run or in a missed stretch, before anything is
/// delivered. A run is held by lease: what a dead or stalled process left open is taken over under a higher attempt
/// number, and what that process says afterwards no longer counts. So a message is delivered at least once, and more
/// than once only where the end of a delivery could not be recorded.
pub struct Runner {
    queue: Arc<dyn RunQueue>,
    desk: Arc<Desk>,
    ids: Arc<dyn Ids>,
    settings: RunnerSettings,
    slots: Arc<Semaphore>,
}

impl Runner {
    /// A runner that hands the messages of this queue to `delivery`.
    pub fn new(
        queue: Arc<dyn RunQueue>,
        keys: Arc<SessionKeys>,
        delivery: Arc<dyn Delivery>,
        ids: Arc<dyn Ids>,
        settings: RunnerSettings,
    ) -> Self {
        let desk = Desk { queue: queue.clone(), keys, delivery, ids: ids.clone(), settings };
        let slots = Arc::new(Semaphore::new(usize::try_from(settings.slots).unwrap_or(Semaphore::MAX_PERMITS)));
        Self { queue, desk: Arc::new(desk), ids, settings, slots }
    }

    /// Does one pass: takes as many runs as there are free slots and begins to deliver them, each in a task of its
    /// own; tells how many. To be called about once a second.
    ///
    /// # Errors
    /// Trouble with the queue. What was taken before is being delivered, the rest waits for the next pass.
    pub async fn tick(&self) -> Result<usize, BackendError> {
        let mut free = self.free_slots();
        let clock_read = Instant::now();
        let now = self.queue.now().await?;
        let lease = Lease { now, until: now + span(self.settings.lease) };
        let taken = match count(&free) {
            0 => Vec::new(),
            limit => self.queue.take(lease, limit).await?,
        };
        let begun = self.begin(taken, &mut free, clock_read, now);
        let fired = match count(&free) {
            0 => Vec::new(),
            limit => self.fire(lease, limit).await?,
        };
        Ok(begun + self.begin(fired, &mut free, clock_read, now))
    }

    async fn fire(&self, lease: Lease, limit: u32) -> Result<Vec<LeasedRun>, BackendError> {
        let due = self.queue.due(lease.now, limit).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let firings = due.iter().map(|job| self.firing(job, lease.now)).collect();
        self.queue.fire(firings, lease).await
    }

    fn firing(&self, due: &DueJob, now: DateTime<Utc>) -> Firing {
        let DueJob { id: job, schedule, due_since, is_active } = due;
        let (job, due_since) = (job.clone(), *due_since);
        if !is_active {
            return Firing { job, due_since, missed: None, run: None, next_due: schedule.next_after(now) };
        }
        let plan = plan(schedule, due_since, now, span(self.settings.window));
        let missed = plan.missed.map(|stretch| (self.ids.id(), stretch));
        Firing { job, due_since, missed, run: plan.run.map(|at| (self.ids.id(), at)), next_due: plan.next_due }
    }

    fn begin(
        &self,
        leased: Vec<LeasedRun>,
        free: &mut Vec<OwnedSemaphorePermit>,
        clock_read: Instant,
        now: DateTime<Utc>,
    ) -> usize {
        let begun = leased.len();
        for leased in leased {
            let (slot, desk) = (free.pop(), self.desk.clone());
            tokio::spawn(async move {
                desk.attend(Attempt { leased, clock_read, taken_at: now }).await;
                drop(slot);
            });
        }
        begun
    }

    fn free_slots(&self) -> Vec<OwnedSemaphorePermit> {
        iter::from_fn(|| self.slots.clone().try_acquire_owned().ok()).collect()
    }

    /// Waits until no delivery is under way: before the process ends, so that nothing has to be taken over.
    pub async fn idle(&self) {
        // The semaphore is never closed, so this can only end with all slots in hand.
        let _all = self.slots.acquire_many(self.settings.slots).await;
    }

    /// Forgets old runs; tells how many.
    ///
    /// # Errors
    /// Trouble with the queue.
    pub async fn sweep(&self) -> Result<u64, BackendError> {
        let now = self.queue.now().await?;
        self.queue.sweep(now - span(self.settings.memory)).await
    }
}

fn count(slots: &[OwnedSemaphorePermit]) -> u32 {
    u32::try_from(slots.len()).unwrap_or(u32::MAX)
}

/// A setting's length as the calendar counts it; no setting is longer than a calendar.
fn span(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX)
}
