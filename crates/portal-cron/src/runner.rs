//! The runner: from a fire time to a recorded delivery.
//!
//! The states of a run, and the order of effects that makes them safe:
//! 1. *due*: jobs whose next fire time has come and that have no open run are read, friends in turn, and each is planned
//!    by itself ([`plan_firing`]): the newest fire time inside the window runs, older ones are missed. Jobs whose
//!    friendship is not active are parked, all in one statement, and take no slot.
//! 2. *fire*: in one transaction the missed window gets its row, the run its row as `running` under attempt 1 and a
//!    lease, and the job its next fire time. A unique constraint on job and fire time lets one runner do so.
//! 3. *claim*: open runs that nobody holds (`queued` by a friend, `retrying` after their pause, `running` under a lease
//!    that has ended) become `running` under the next attempt number and a new lease.
//! 4. *check*: an attempt after the window, of a job that was disabled meanwhile, or for a session that is no longer
//!    the friend's own ends as `failed` without a delivery.
//! 5. *deliver*: the message goes out under the run's id, within the first half of the lease; a delivery ends before
//!    others may claim the run.
//! 6. *complete*: the end is stored as `delivered`, `failed` or `retrying`, but only under the newest attempt number.
//!    A process that resumes after its lease has ended changes nothing. Ends that come together share a transaction.
//!
//! A runner that stops claims nothing more, waits for its deliveries and hands back those that do not end in time, so
//! that another replica makes the next attempt at once and not when the lease ends.
//!
//! A message is therefore delivered at least once, and again only where the end of a delivery could not be stored.

use std::error::Error;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{BackendError, Ids};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::firing::plan_firing;
use crate::{
    AttemptOutcome, CompletedAttempt, Delivery, DueJob, Firing, FriendShares, LeasedRun, ReleaseAnnounced, RunLease,
    RunQueue, Schedule, SessionKeys, TimeZones, TimingKind,
};

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

/// Most runs that one pass claims, and most jobs that it fires. Small, and with a pause behind it: the thousands of jobs
/// that a full minute brings spread over half of it, and the requests in between wait for few of them.
const BATCH: u32 = 16;
/// Pause between two passes while something is due.
const PACE: Duration = Duration::from_millis(40);
/// Divisor of the slots that gives the most that one friend may fill, at least [`FRIEND_SLOTS_MIN`].
const FRIEND_SHARE: u32 = 16;
/// Slots that every friend may fill, however few there are.
const FRIEND_SLOTS_MIN: u32 = 4;
/// Interval at which open runs of friendships that are not active are parked.
const PARK_INTERVAL: Duration = Duration::from_secs(15);

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
}

impl Default for RunnerSettings {
    fn default() -> Self {
        Self { window: Duration::from_hours(1), lease: Duration::from_mins(1), slots: 256 }
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
    /// Receives what the runner does; [`NoObserver`] ignores it.
    pub observer: Arc<dyn RunnerObserver>,
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
    in_flight: Arc<InFlight>,
    clock: QueueClock,
    is_stopping: AtomicBool,
}

/// The time of one pass.
#[derive(Debug, Clone, Copy)]
struct PassTime {
    /// Read before the queue's clock, so that a lease never seems longer here than it is there.
    read_at: Instant,
    /// The queue's clock.
    now: DateTime<Utc>,
}

/// Result of one pass.
struct Pass {
    begun: usize,
    /// Whether the pass was limited, so that more may be due.
    is_full: bool,
}

impl Runner {
    /// A runner over these ports.
    #[must_use]
    pub fn new(ports: RunnerPorts, settings: RunnerSettings) -> Self {
        let outcomes = OutcomeWriter::new(ports.queue.clone());
        let worker = Arc::new(DeliveryWorker { ports: ports.clone(), outcomes, settings });
        let slots = Arc::new(Semaphore::new(usize::try_from(settings.slots).unwrap_or(Semaphore::MAX_PERMITS)));
        let (in_flight, clock) = (Arc::default(), QueueClock::default());
        Self { ports, worker, settings, slots, in_flight, clock, is_stopping: AtomicBool::new(false) }
    }

    /// Repeats passes until nothing more is due, or until [`Runner::stop`]. To be called about once a second.
    ///
    /// # Errors
    /// The queue failed. Runs claimed before are being delivered, the others wait for the next call.
    pub async fn run_due(&self) -> Result<(), BackendError> {
        while self.pass().await?.is_full && !self.is_stopping() {
            tokio::time::sleep(PACE).await;
            // The semaphore is never closed, so this ends with a free slot.
            drop(self.slots.acquire().await);
        }
        Ok(())
    }

    /// Makes one pass: claims as many runs as there are free slots, at most 16, and begins to deliver them, each
    /// in a task of its own; returns their number.
    ///
    /// # Errors
    /// The queue failed. Runs claimed before are being delivered, the others wait for the next call.
    pub async fn tick(&self) -> Result<usize, BackendError> {
        self.pass().await.map(|pass| pass.begun)
    }

    async fn pass(&self) -> Result<Pass, BackendError> {
        // Held before the queue is asked: a claimed run without a slot would lose its lease waiting for one.
        let mut free = self.free_slots();
        let limit = count(&free);
        if limit == 0 || self.is_stopping() {
            return Ok(Pass { begun: 0, is_full: limit == 0 });
        }
        let time = self.read_clock().await?;
        if self.clock.is_time_to_park(time.read_at, PARK_INTERVAL) {
            self.ports.queue.park_inactive(time.now).await?;
        }
        let lease = RunLease { now: time.now, until: time.now + span(self.settings.lease) };
        // Open runs first: they are older than anything that fires now.
        let claimed = self.ports.queue.claim(lease, limit, self.shares()).await?;
        let begun = self.begin(claimed, &mut free, time);
        let mut pass = Pass { begun, is_full: free.is_empty() };
        if let left @ 1.. = count(&free) {
            let due = self.due(time.now, left).await?;
            pass.is_full = count(&due) == left;
            pass.begun += self.begin(self.fire(&due, lease).await?, &mut free, time);
        }
        self.ports.observer.pass_ended(time.now, self.settings.slots, self.in_flight.len());
        Ok(pass)
    }

    /// Reads the queue's clock, and makes the queue plan its jobs anew if that clock went back: fire times that were
    /// found by the later time would leave the jobs silent until the clock has caught up.
    async fn read_clock(&self) -> Result<PassTime, BackendError> {
        let time = PassTime { read_at: Instant::now(), now: self.ports.queue.now().await? };
        if self.clock.is_new() {
            // Before the clock is remembered: a first pass that fails here is a first pass again.
            self.announce_release(time.now).await?;
            // The clock may have gone back while no portal ran: no run can have started later than now.
            let latest = self.ports.queue.latest_start().await?.unwrap_or(time.now).max(time.now);
            self.clock.remember(PassTime { now: latest, ..time });
        }
        if let Some(jump) = self.clock.jumped_back(time) {
            let jobs = self.ports.queue.replan(time.now).await?;
            tracing::warn!(seconds = jump.num_seconds(), jobs, "the clock went back; jobs are planned anew");
        }
        // After the re-planning: a pass whose re-planning failed must notice the jump again.
        self.clock.remember(time);
        Ok(time)
    }

    /// Makes the queue plan its jobs anew if this process is the first one with these time zone rules. A process with
    /// older rules than another had only warns: it must not undo what was planned by the newer ones.
    async fn announce_release(&self, now: DateTime<Utc>) -> Result<(), BackendError> {
        let release = self.ports.zones.release();
        match self.ports.queue.announce_release(release, now).await? {
            ReleaseAnnounced::Current | ReleaseAnnounced::Adopted(0) => {}
            ReleaseAnnounced::Adopted(jobs) => {
                tracing::info!(%release, jobs, "the time zone rules are newer than before; jobs are planned anew");
            }
            ReleaseAnnounced::Outdated(newest) => {
                tracing::warn!(%release, %newest, "jobs were planned by newer time zone rules than this process has");
            }
        }
        Ok(())
    }

    /// Returns jobs that are due and whose friendship is active; parks the others if there are any.
    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<DueJob>, BackendError> {
        let mut due = self.ports.queue.due(now, limit, self.shares()).await?;
        if due.iter().any(|job| !job.is_active) {
            self.ports.queue.park_inactive(now).await?;
            due = self.ports.queue.due(now, limit, self.shares()).await?;
            due.retain(|job| job.is_active);
        }
        Ok(due)
    }

    async fn fire(&self, due: &[DueJob], lease: RunLease) -> Result<Vec<LeasedRun>, BackendError> {
        let firings: Vec<_> = due.iter().filter_map(|job| self.firing(job, lease.now)).collect();
        if firings.is_empty() {
            return Ok(Vec::new());
        }
        let missed: u32 = firings.iter().filter_map(|firing| Some(firing.missed.as_ref()?.1.count)).sum();
        let fired = self.ports.queue.fire(firings, lease).await?;
        if missed > 0 {
            self.ports.observer.missed(missed);
        }
        Ok(fired)
    }

    /// Decides about a due job; `None` for one whose timing cannot be read, which holds up nobody else.
    fn firing(&self, due: &DueJob, now: DateTime<Utc>) -> Option<Firing> {
        let schedule = Schedule::new(&due.timing, due.created_at, &self.ports.zones)
            .inspect_err(|invalid| tracing::error!(job.id = %due.id, "a stored schedule cannot be read: {invalid}"))
            .ok()?;
        let (job, due_since) = (due.id.clone(), due.due_since);
        let moved_to = match &due.timing.kind {
            TimingKind::At(planned) => schedule.moment().filter(|at| *at != planned.at),
            TimingKind::Cron(_) | TimingKind::Every(_) => None,
        };
        // It may have been moved to before the job was planned anew, and has no row yet.
        let since = moved_to.map_or(due_since, |at| at.min(due_since));
        let plan = plan_firing(&schedule, since, now, span(self.settings.window));
        let missed = plan.missed.map(|window| (self.ports.ids.id(), window));
        let run = plan.run.map(|at| (self.ports.ids.id(), at));
        Some(Firing { job, due_since, missed, run, next_due: plan.next_due, moved_to })
    }

    fn begin(&self, claimed: Vec<LeasedRun>, free: &mut Vec<OwnedSemaphorePermit>, time: PassTime) -> usize {
        let begun = claimed.len();
        for leased in claimed {
            self.ports.observer.claimed(time.now - leased.due_at);
            let attempt = Attempt { leased, clock_read: time.read_at, claimed_at: time.now };
            let (slot, worker) = (free.pop(), self.worker.clone());
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

    /// Takes the free slots, at most a batch of them.
    fn free_slots(&self) -> Vec<OwnedSemaphorePermit> {
        let slots = iter::from_fn(|| self.slots.clone().try_acquire_owned().ok());
        slots.take(usize::try_from(BATCH).unwrap_or(usize::MAX)).collect()
    }

    /// Returns the slots that each friend may still fill.
    fn shares(&self) -> FriendShares {
        let max = (self.settings.slots / FRIEND_SHARE).max(FRIEND_SLOTS_MIN);
        FriendShares { max, in_flight: self.in_flight.by_friend() }
    }

    /// Claims nothing more, waits up to `limit` for the deliveries under way, and hands back the rest: other replicas can
    /// claim their runs at once. The log names what was handed back, since its receiver may have it already.
    pub async fn stop(&self, limit: Duration) {
        self.is_stopping.store(true, Ordering::Release);
        if tokio::time::timeout(limit, self.idle()).await.is_ok() {
            return;
        }
        for attempt in self.in_flight.abort_all() {
            let LeasedRun { id, attempt: number, job, .. } = &attempt.leased;
            tracing::warn!(
                run.id = %id, run.attempt = number, job.id = %job.id,
                "a delivery had not ended when the portal stopped; its run is handed back"
            );
            let (at, error) = (attempt.now(), "the portal stopped during the delivery".to_owned());
            let outcome = AttemptOutcome::Retry { at, error };
            let completed = CompletedAttempt { run: id.clone(), attempt: *number, at, outcome };
            if let Err(error) = self.worker.outcomes.record(completed).await {
                tracing::error!(run.id = %id, error = &*error as &dyn Error, "a run could not be handed back");
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Counts what waits in the queue, for the observer.
    ///
    /// # Errors
    /// The queue failed.
    pub async fn report_backlog(&self) -> Result<(), BackendError> {
        let now = self.ports.queue.now().await?;
        self.ports.observer.backlog(self.ports.queue.backlog(now).await?);
        Ok(())
    }

    /// Waits until no delivery is under way: before the process ends, so that no run has to be claimed by another.
    pub async fn idle(&self) {
        // The semaphore is never closed, so this can only end with all slots in hand.
        let _all = self.slots.acquire_many(self.settings.slots).await;
    }
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

/// Returns a setting's length as the calendar counts it; no setting is longer than a calendar.
fn span(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX)
}
