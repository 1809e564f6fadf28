//! One attempt at one run.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use portal_core::{BackendError, Ids};
use tokio::time::{Instant, sleep, timeout};

use super::observer::{AttemptEnd, RunnerObserver};
use super::outcome::OutcomeWriter;
use super::{RunnerSettings, span};
use crate::{
    Delivery, LeasedRun, Receipt, ScheduledMessage, SessionKey, SessionKeys, Settled, Settlement, Trigger, Verdict,
};

/// Pause after the first attempt that failed; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Pause before an outcome that could not be recorded is recorded again.
const RECORD_PAUSE: Duration = Duration::from_millis(500);

const NOT_ACCEPTED: &str = "the receiver did not accept the message in time";

/// An attempt at a run.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) leased: LeasedRun,
    /// Moment before the queue's clock was read, on this process's steady clock.
    pub(super) clock_read: Instant,
    /// The queue's clock when the run was claimed.
    pub(super) taken_at: DateTime<Utc>,
}

impl Attempt {
    /// Returns the time by the queue's clock, as this process's steady clock carries it on.
    pub(super) fn now(&self) -> DateTime<Utc> {
        (self.taken_at + span(self.clock_read.elapsed())).trunc_subsecs(3)
    }
}

/// Delivers runs and records the outcomes.
pub(super) struct DeliveryWorker {
    pub(super) outcomes: OutcomeWriter,
    pub(super) keys: Arc<SessionKeys>,
    pub(super) delivery: Arc<dyn Delivery>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) settings: RunnerSettings,
    pub(super) observer: Arc<dyn RunnerObserver>,
}

impl DeliveryWorker {
    /// Makes an attempt and records its outcome.
    pub(super) async fn attend(&self, attempt: Attempt) {
        let (run, begun) = (&attempt.leased.id, Instant::now());
        let Some(verdict) = self.attempt(&attempt).await else {
            tracing::warn!(run.id = %run, "the lease is too short to begin a delivery; the run is left to be taken over");
            return;
        };
        let job = &attempt.leased.job;
        let end = match verdict {
            Verdict::Delivered => AttemptEnd::Delivered,
            Verdict::Failed(_) => AttemptEnd::Failed,
            Verdict::Retry { .. } => AttemptEnd::Retried,
        };
        self.observer.attempt_ended(end, begun.elapsed());
        tracing::info!(
            run.id = %run, run.attempt = attempt.leased.attempt, job.id = %job.id, friend.id = %job.owner.friend,
            "attempt at a run ended: {}", end.as_str()
        );
        self.record(&attempt, verdict).await;
    }

    /// Makes the attempt; `None` if it was not begun and another process is to make it.
    async fn attempt(&self, attempt: &Attempt) -> Option<Verdict> {
        let leased = &attempt.leased;
        if leased.trigger == Trigger::Schedule && leased.attempt > 1 && !leased.job.enabled {
            return Some(Verdict::Failed("the job was disabled before its message was accepted".to_owned()));
        }
        if attempt.now() > self.deadline(leased) {
            return Some(Verdict::Failed(NOT_ACCEPTED.to_owned()));
        }
        let owner = &leased.job.owner;
        let session = match self.keys.own(&owner.agent, &owner.friend, &leased.job.spec.session).await {
            Ok(Some(session)) => session,
            // A contact can change hands after the job was made.
            Ok(None) => return Some(Verdict::Failed("the job's session is no longer the friend's own".to_owned())),
            Err(error) => return Some(self.again(attempt, "the portal could not check the session", &error)),
        };
        if attempt.clock_read.elapsed() > self.delivery_timeout() {
            return None;
        }
        Some(self.deliver(attempt, session).await)
    }

    async fn deliver(&self, attempt: &Attempt, session: SessionKey) -> Verdict {
        let message = message(&attempt.leased, session);
        match timeout(self.delivery_timeout(), self.delivery.deliver(&message)).await {
            Ok(Ok(Receipt::Accepted)) => Verdict::Delivered,
            Ok(Ok(Receipt::Refused(reason))) => Verdict::Failed(reason),
            Ok(Err(error)) => self.again(attempt, "the receiver could not be reached or failed", &error),
            Err(_) => self.later(attempt, "the receiver did not answer in time", Duration::ZERO),
        }
    }

    fn again(&self, attempt: &Attempt, reason: &str, error: &BackendError) -> Verdict {
        tracing::warn!(run.id = %attempt.leased.id, error = error as &dyn Error, "an attempt at a run failed");
        self.later(attempt, reason, error.retry_after.unwrap_or_default())
    }

    /// Returns a later attempt, or the failure of the run if that would come after the window.
    fn later(&self, attempt: &Attempt, reason: &str, at_least: Duration) -> Verdict {
        let pause = pause(attempt.leased.attempt, &*self.ids).max(at_least);
        let at = attempt.now().checked_add_signed(span(pause)).filter(|at| *at <= self.deadline(&attempt.leased));
        match at {
            Some(at) => Verdict::Retry { at: at.trunc_subsecs(3), error: reason.to_owned() },
            None => Verdict::Failed(format!("{NOT_ACCEPTED}: {reason}")),
        }
    }

    /// Records the outcome for as long as the lease lasts; after that another process may own the run.
    async fn record(&self, attempt: &Attempt, verdict: Verdict) {
        let run = &attempt.leased.id;
        let outcome = Settlement { run: run.clone(), attempt: attempt.leased.attempt, at: attempt.now(), verdict };
        loop {
            match self.outcomes.record(outcome.clone()).await {
                Ok(Settled::Done) => return,
                Ok(Settled::Superseded) => {
                    tracing::warn!(run.id = %run, "the run was taken over or removed; its outcome was not recorded");
                    return;
                }
                Err(error) if attempt.clock_read.elapsed() + RECORD_PAUSE > self.settings.lease => {
                    let error = &*error as &dyn Error;
                    tracing::error!(run.id = %run, error, "the outcome of an attempt could not be recorded");
                    return;
                }
                Err(_) => sleep(RECORD_PAUSE).await,
            }
        }
    }

    fn deadline(&self, leased: &LeasedRun) -> DateTime<Utc> {
        leased.due_at.checked_add_signed(span(self.settings.window)).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Longest time of a delivery, and of the time after the claim in which it may begin: half the lease, so that the
    /// delivery has ended when the lease has.
    fn delivery_timeout(&self) -> Duration {
        self.settings.lease / 2
    }
}

fn message(leased: &LeasedRun, session: SessionKey) -> ScheduledMessage {
    let (job, spec) = (&leased.job, &leased.job.spec);
    ScheduledMessage {
        run: leased.id.clone(),
        attempt: leased.attempt,
        job: job.id.clone(),
        name: spec.name.to_string(),
        owner: job.owner.clone(),
        session,
        text: spec.message.clone(),
        trigger: leased.trigger,
        due_at: leased.due_at,
        thinking: spec.thinking,
        timeout_seconds: spec.timeout_seconds,
    }
}

/// Returns the pause after attempt number `attempt`: half of it fixed, half of it by chance, so that messages that failed
/// together do not come back together.
fn pause(attempt: u32, ids: &dyn Ids) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let full = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    let [chance, ..] = ids.secret();
    full / 2 + full / 2 * u32::from(chance) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portal_core::SeededIds;

    use super::pause;

    #[test]
    fn pauses_double_up_to_five_minutes_and_differ() {
        let ids = SeededIds::from_seed(7);
        for (attempt, full) in [(1, 5), (2, 10), (3, 20), (6, 160), (7, 300), (20, 300), (u32::MAX, 300)] {
            let full = Duration::from_secs(full);
            for _ in 0..50 {
                let pause = pause(attempt, &ids);
                assert!((full / 2..=full).contains(&pause), "attempt {attempt}: {pause:?}");
            }
        }
        assert_ne!(pause(1, &ids), pause(1, &ids));
    }
}
