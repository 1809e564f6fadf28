//! The runner: from a fire time to a recorded delivery.
//!
//! The states of a run, and the order of effects that makes them safe:
//! 1. *due*: jobs whose next fire time has come and that have no open run are read, and each is planned by itself
//!    ([`plan_firing`]): the newest fire time inside the window runs, older ones are missed.
//! 2. *fire*: in one transaction the missed window gets its row, the run its row as `running` under attempt 1 and a
//!    lease, and the job its next fire time. A unique constraint on job and fire time lets one runner do so.
//! 3. *claim*: open runs that nobody holds (`queued` by a friend, `retrying` after their pause, `running` under a lease
//!    that has ended) become `running` under the next attempt number and a new lease.
//! 4. *check*: an attempt after the window, of a job that was disabled meanwhile, or for a session that is no longer
//!    the friend's own ends as `failed` without a delivery.
//! 5. *deliver*: the message goes out under the run's id, within the first half of the lease; a delivery ends before
//!    others may claim the run.
//! 6. *complete*: the end is stored as `delivered`, `failed` or `retrying`, but only under the newest attempt number.
//!    A process that resumes after its lease has ended changes nothing.
//!
//! A message is therefore delivered at least once, and again only where the end of a delivery could not be stored.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{BackendError, Ids};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::firing::plan_firing;
use crate::{Delivery, DueJob, Firing, LeasedRun, RunLease, RunQueue, Schedule, SessionKeys, TimeZones};

mod attempt;

use attempt::{Attempt, DeliveryWorker};

/// Time for which a job that fired once, and will not again, is still listed.
const SPENT_RETENTION: Duration = Duration::from_hours(7 * 24);

/// Settings of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunnerSettings {
    /// Longest delay of a message: a fire time runs, and is tried again, for this long.
    pub window: Duration,
    /// Time during which a run belongs to the runner that claimed it. A delivery is cut off after half of it and does
    /// not begin in the second half, so that it has ended when others may claim the run.
    pub lease: Duration,
    /// Most deliveries at once.
    pub slots: u32,
    /// Time for which ended runs are stored.
    pub retention: Duration,
}

impl Default for RunnerSettings {
    fn default() -> Self {
        Self {
            window: Duration::from_hours(1),
            lease: Duration::from_mins(1),
            slots: 32,
            retention: Duration::from_hours(30 * 24),
        }
    }
}

/// Ports of a runner.
#[derive(Clone)]
pub struct RunnerPorts {
    /// The queue, shared with other runners.
    pub queue: Arc<dyn RunQueue>,
    /// Asked before each delivery whose session it is.
    pub keys: Arc<SessionKeys>,
    /// The way to the receiver.
    pub delivery: Arc<dyn Delivery>,
    /// Source of run ids, and of chance in pauses.
    pub ids: Arc<dyn Ids>,
    /// Rules by which the next fire time is found.
    pub zones: TimeZones,
}

/// Delivers the messages of due jobs; any number of runners, in any number of processes, share one queue.
///
/// Every fire time of an enabled job whose friendship is active gets one row in the queue, as a run or in a missed
/// window, before anything is delivered.
pub struct Runner {
    ports: RunnerPorts,
    worker: Arc<DeliveryWorker>,
    settings: RunnerSettings,
    slots: Arc<Semaphore>,
}

impl Runner {
    /// A runner over these ports.
    #[must_use]
    pub fn new(ports: RunnerPorts, settings: RunnerSettings) -> Self {
        let worker = Arc::new(DeliveryWorker { ports: ports.clone(), settings });
        let slots = Arc::new(Semaphore::new(usize::try_from(settings.slots).unwrap_or(Semaphore::MAX_PERMITS)));
        Self { ports, worker, settings, slots }
    }

    /// Claims as many runs as there are free slots and begins to deliver them, each in a task of its own; returns their
    /// number. To be called about once a second.
    ///
    /// # Errors
    /// The queue failed. Runs claimed before are being delivered, the others wait for the next call.
    pub async fn tick(&self) -> Result<usize, BackendError> {
        // Held before the queue is asked: a claimed run without a slot would lose its lease waiting for one.
        let mut free = self.free_slots();
        // Read before the queue's clock, so that a lease never seems longer here than it is there.
        let clock_read = Instant::now();
        let now = self.ports.queue.now().await?;
        let lease = RunLease { now, until: now + span(self.settings.lease) };
        // Open runs first: they are older than anything that fires now.
        let claimed = match count(&free) {
            0 => Vec::new(),
            limit => self.ports.queue.claim(lease, limit).await?,
        };
        let begun = self.begin(claimed, &mut free, clock_read, now);
        let fired = match count(&free) {
            0 => Vec::new(),
            limit => self.fire(lease, limit).await?,
        };
        Ok(begun + self.begin(fired, &mut free, clock_read, now))
    }

    async fn fire(&self, lease: RunLease, limit: u32) -> Result<Vec<LeasedRun>, BackendError> {
        let due = self.ports.queue.due(lease.now, limit).await?;
        let firings: Vec<_> = due.iter().filter_map(|job| self.firing(job, lease.now)).collect();
        if firings.is_empty() { Ok(Vec::new()) } else { self.ports.queue.fire(firings, lease).await }
    }

    /// Decides about a due job; `None` for one whose timing cannot be read, which holds up nobody else.
    fn firing(&self, due: &DueJob, now: DateTime<Utc>) -> Option<Firing> {
        let schedule = Schedule::new(&due.timing, due.created_at, &self.ports.zones)
            .inspect_err(|invalid| tracing::error!(job.id = %due.id, "a stored schedule cannot be read: {invalid}"))
            .ok()?;
        let (job, due_since) = (due.id.clone(), due.due_since);
        if !due.is_active {
            // Not missed: an operator stopped it, and a friend who comes back is not told of it.
            return Some(Firing { job, due_since, missed: None, run: None, next_due: schedule.next_after(now) });
        }
        let plan = plan_firing(&schedule, due_since, now, span(self.settings.window));
        let missed = plan.missed.map(|window| (self.ports.ids.id(), window));
        let run = plan.run.map(|at| (self.ports.ids.id(), at));
        Some(Firing { job, due_since, missed, run, next_due: plan.next_due })
    }

    fn begin(
        &self,
        claimed: Vec<LeasedRun>,
        free: &mut Vec<OwnedSemaphorePermit>,
        clock_read: Instant,
        now: DateTime<Utc>,
    ) -> usize {
        let begun = claimed.len();
        for leased in claimed {
            let (slot, worker) = (free.pop(), self.worker.clone());
            tokio::spawn(async move {
                worker.attend(Attempt { leased, clock_read, claimed_at: now }).await;
                drop(slot);
            });
        }
        begun
    }

    fn free_slots(&self) -> Vec<OwnedSemaphorePermit> {
        iter::from_fn(|| self.slots.clone().try_acquire_owned().ok()).collect()
    }

    /// Waits until no delivery is under way: before the process ends, so that no run has to be claimed by another.
    pub async fn idle(&self) {
        // The semaphore is never closed, so this can only end with all slots in hand.
        let _all = self.slots.acquire_many(self.settings.slots).await;
    }

    /// Deletes old runs, and jobs that fired once a week ago; returns the number of runs.
    ///
    /// # Errors
    /// The queue failed.
    pub async fn forget_old(&self) -> Result<u64, BackendError> {
        let now = self.ports.queue.now().await?;
        self.ports.queue.forget_before(now - span(self.settings.retention), now - span(SPENT_RETENTION)).await
    }
}

fn count(slots: &[OwnedSemaphorePermit]) -> u32 {
    u32::try_from(slots.len()).unwrap_or(u32::MAX)
}

/// Returns a setting's length as the calendar counts it; no setting is longer than a calendar.
fn span(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX)
}
