//! One attempt at one run.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use portal_core::{BackendError, Ids};
use tokio::time::{Instant, sleep, timeout};

use super::{RunnerSettings, span};
use crate::{
    Delivery, LeasedRun, Receipt, RunQueue, ScheduledMessage, SessionKey, SessionKeys, Settled, Settlement, Trigger,
    Verdict,
};

/// The pause after the first attempt that failed; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// The pause before a settlement is tried again that the queue did not take.
const SETTLE_PAUSE: Duration = Duration::from_millis(500);

const NOT_ACCEPTED: &str = "the receiver did not accept the message in time";

/// A run in hand.
pub(super) struct Attempt {
    pub(super) leased: LeasedRun,
    /// The moment before the queue's clock was read.
    pub(super) clock_read: Instant,
    /// What the queue's clock said.
    pub(super) taken_at: DateTime<Utc>,
}

impl Attempt {
    /// The time by the queue's clock, as this process's steady clock carries it on.
    fn now(&self) -> DateTime<Utc> {
        (self.taken_at + span(self.clock_read.elapsed())).trunc_subsecs(3)
    }
}

/// Where attempts are made.
pub(super) struct Desk {
    pub(super) queue: Arc<dyn RunQueue>,
    pub(super) keys: Arc<SessionKeys>,
    pub(super) delivery: Arc<dyn Delivery>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) settings: RunnerSettings,
}

impl Desk {
    /// Makes an attempt and records its end.
    pub(super) async fn attend(&self, attempt: Attempt) {
        let run = &attempt.leased.id;
        let Some(verdict) = self.verdict(&attempt).await else {
            tracing::warn!(run.id = %run, "the lease is too short to begin a delivery; the run is left to be taken over");
            return;
        };
        let job = &attempt.leased.job;
        let ended = match verdict {
            Verdict::Delivered => "delivered",
            Verdict::Failed(_) => "failed",
            Verdict::Retry { .. } => "to be tried again",
        };
        tracing::info!(
            run.id = %run, run.attempt = attempt.leased.attempt, job.id = %job.id, friend.id = %job.owner.friend,
            "attempt at a run ended: {ended}"
        );
        self.settle(&attempt, verdict).await;
    }

    /// How the attempt ends; `None` if it was not begun and somebody else is to make it.
    async fn verdict(&self, attempt: &Attempt) -> Option<Verdict> {
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
            Err(trouble) => return Some(self.again(attempt, "the portal could not check the session", &trouble)),
        };
        if attempt.clock_read.elapsed() > self.patience() {
            return None;
        }
        Some(self.deliver(attempt, session).await)
    }

    async fn deliver(&self, attempt: &Attempt, session: SessionKey) -> Verdict {
        let message = message(&attempt.leased, session);
        match timeout(self.patience(), self.delivery.deliver(&message)).await {
            Ok(Ok(Receipt::Accepted)) => Verdict::Delivered,
            Ok(Ok(Receipt::Refused(reason))) => Verdict::Failed(reason),
            Ok(Err(trouble)) => self.again(attempt, "the receiver could not be reached or was in trouble", &trouble),
            Err(_) => self.later(attempt, "the receiver did not answer in time", Duration::ZERO),
        }
    }

    fn again(&self, attempt: &Attempt, error: &str, trouble: &BackendError) -> Verdict {
        tracing::warn!(run.id = %attempt.leased.id, error = trouble as &dyn Error, "a delivery failed");
        self.later(attempt, error, trouble.retry_after.unwrap_or_default())
    }

    /// A later attempt, unless it would come too late.
    fn later(&self, attempt: &Attempt, error: &str, at_least: Duration) -> Verdict {
        let pause = pause(attempt.leased.attempt, &*self.ids).max(at_least);
        let at = attempt.now().checked_add_signed(span(pause)).filter(|at| *at <= self.deadline(&attempt.leased));
        match at {
            Some(at) => Verdict::Retry { at: at.trunc_subsecs(3), error: error.to_owned() },
            None => Verdict::Failed(format!("{NOT_ACCEPTED}: {error}")),
        }
    }

    /// Records the end for as long as the run is surely ours; after that it is somebody else's to end.
    async fn settle(&self, attempt: &Attempt, verdict: Verdict) {
        let run = &attempt.leased.id;
        let settlement = Settlement { run: run.clone(), attempt: attempt.leased.attempt, at: attempt.now(), verdict };
        loop {
            match self.queue.settle(settlement.clone()).await {
                Ok(Settled::Done) => return,
                Ok(Settled::Superseded) => {
                    tracing::warn!(run.id = %run, "the run was taken over or removed; its end was not recorded");
                    return;
                }
                Err(trouble) if attempt.clock_read.elapsed() + SETTLE_PAUSE > self.settings.lease => {
                    let error = &trouble as &dyn Error;
                    tracing::error!(run.id = %run, error, "the end of an attempt could not be recorded");
                    return;
                }
                Err(_) => sleep(SETTLE_PAUSE).await,
            }
        }
    }

    fn deadline(&self, leased: &LeasedRun) -> DateTime<Utc> {
        leased.due_at.checked_add_signed(span(self.settings.window)).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// How long a delivery may take, and until when it may begin.
    fn patience(&self) -> Duration {
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

/// The pause after attempt number `attempt`: half of it fixed, half of it by chance, so that messages that failed
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
