//! One attempt at one run.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use portal_core::{BackendError, Contact, Ids};
use tokio::time::{Instant, sleep, timeout};

use super::observer::AttemptEnd;
use super::outcome::OutcomeWriter;
use super::{RunnerPorts, RunnerSettings, span};
use crate::{AnswerTo, AttemptOutcome, CompletedAttempt, Destination, Job, LeasedRun, Receipt, SessionKey, Trigger};

/// Pause after the first attempt that failed; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Pause before the end of an attempt is stored again that the queue did not take.
const RECORD_PAUSE: Duration = Duration::from_millis(500);

const NOT_ACCEPTED: &str = "the receiver did not accept the message in time";

/// A claimed run.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) leased: LeasedRun,
    /// The moment before the queue's clock was read.
    pub(super) clock_read: Instant,
    /// The queue's clock at that reading.
    pub(super) claimed_at: DateTime<Utc>,
}

impl Attempt {
    /// Returns the time by the queue's clock, as this process's steady clock carries it on.
    pub(super) fn now(&self) -> DateTime<Utc> {
        (self.claimed_at + span(self.clock_read.elapsed())).trunc_subsecs(3)
    }
}

/// Makes attempts.
pub(super) struct DeliveryWorker {
    pub(super) ports: RunnerPorts,
    pub(super) outcomes: OutcomeWriter,
    pub(super) settings: RunnerSettings,
}

impl DeliveryWorker {
    /// Makes an attempt and stores its end.
    pub(super) async fn attend(&self, attempt: Attempt) {
        let (run, begun) = (&attempt.leased.id, Instant::now());
        let Some(outcome) = self.outcome(&attempt).await else {
            tracing::warn!(run.id = %run, "the lease is too short to begin a delivery; the run is left to be claimed again");
            return;
        };
        let job = &attempt.leased.job;
        let ended = match outcome {
            AttemptOutcome::Delivered => AttemptEnd::Delivered,
            AttemptOutcome::Failed(_) => AttemptEnd::Failed,
            AttemptOutcome::Retry { .. } => AttemptEnd::Retried,
        };
        self.ports.observer.attempt_ended(ended, begun.elapsed());
        tracing::info!(
            run.id = %run, run.attempt = attempt.leased.attempt, job.id = %job.id, friend.id = %job.owner.friend,
            "attempt at a run ended: {}", ended.as_str()
        );
        self.complete(&attempt, outcome).await;
    }

    /// Makes the attempt; `None` if it did not begin and another one is to be made.
    async fn outcome(&self, attempt: &Attempt) -> Option<AttemptOutcome> {
        let leased = &attempt.leased;
        // A first attempt was fired while the job was enabled, and a manual run is wanted in any case.
        if leased.trigger == Trigger::Schedule && leased.attempt > 1 && !leased.job.enabled {
            return Some(AttemptOutcome::Failed("the job was disabled before its message was accepted".to_owned()));
        }
        if attempt.now() > self.deadline(leased) {
            return Some(AttemptOutcome::Failed(NOT_ACCEPTED.to_owned()));
        }
        let Job { owner, spec, .. } = &leased.job;
        let contacts = match self.ports.keys.contacts(&owner.friend).await {
            Ok(contacts) => contacts,
            Err(error) => return Some(self.retry(attempt, "the portal could not check the session", &error)),
        };
        // Asked anew each time: a contact can become another friend's after the job was made.
        let Destination { session, answer } = match self.ports.keys.destination(owner, &contacts, &spec.session).await {
            Ok(Some(destination)) => destination,
            Ok(None) => {
                return Some(AttemptOutcome::Failed("the job's session is no longer the friend's own".to_owned()));
            }
            Err(error) => return Some(self.retry(attempt, "the portal could not find the conversation", &error)),
        };
        // A contact that was removed since is none: the message is said all the same.
        let answer = answer.filter(|_| spec.answer_to == AnswerTo::Chat);
        if attempt.clock_read.elapsed() > self.delivery_timeout() {
            return None;
        }
        Some(self.deliver(attempt, &session, answer).await)
    }

    async fn deliver(&self, attempt: &Attempt, session: &SessionKey, answer: Option<&Contact>) -> AttemptOutcome {
        let delivery = self.ports.delivery.deliver(&attempt.leased, session, answer);
        match timeout(self.delivery_timeout(), delivery).await {
            Ok(Ok(Receipt::Accepted)) => AttemptOutcome::Delivered,
            Ok(Ok(Receipt::Refused(reason))) => AttemptOutcome::Failed(reason),
            Ok(Err(error)) => self.retry(attempt, "the receiver could not be reached or reported an error", &error),
            Err(_) => self.retry_later(attempt, "the receiver did not answer in time", Duration::ZERO),
        }
    }

    fn retry(&self, attempt: &Attempt, message: &str, error: &BackendError) -> AttemptOutcome {
        tracing::warn!(run.id = %attempt.leased.id, error = error as &dyn std::error::Error, "{message}");
        self.retry_later(attempt, message, error.retry_after.unwrap_or_default())
    }

    /// Asks for another attempt, unless it would come after the window.
    fn retry_later(&self, attempt: &Attempt, error: &str, at_least: Duration) -> AttemptOutcome {
        let pause = pause(attempt.leased.attempt, &*self.ports.ids).max(at_least);
        let at = attempt.now().checked_add_signed(span(pause)).filter(|at| *at <= self.deadline(&attempt.leased));
        match at {
            Some(at) => AttemptOutcome::Retry { at: at.trunc_subsecs(3), error: error.to_owned() },
            None => AttemptOutcome::Failed(format!("{NOT_ACCEPTED}: {error}")),
        }
    }

    /// Stores the end while the run is surely ours; after that another runner is to end it.
    async fn complete(&self, attempt: &Attempt, outcome: AttemptOutcome) {
        let run = &attempt.leased.id;
        let (number, at) = (attempt.leased.attempt, attempt.now());
        let completed = CompletedAttempt { run: run.clone(), attempt: number, at, outcome };
        loop {
            match self.outcomes.record(completed.clone()).await {
                Ok(true) => return,
                Ok(false) => {
                    tracing::warn!(run.id = %run, "the run was claimed by another runner or removed; its end was not stored");
                    return;
                }
                Err(error) if attempt.clock_read.elapsed() + RECORD_PAUSE > self.settings.lease => {
                    let error = &*error as &dyn std::error::Error;
                    tracing::error!(run.id = %run, error, "the end of an attempt could not be stored");
                    return;
                }
                Err(_) => sleep(RECORD_PAUSE).await,
            }
        }
    }

    fn deadline(&self, leased: &LeasedRun) -> DateTime<Utc> {
        leased.due_at.checked_add_signed(span(self.settings.window)).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Longest time of a delivery, and of the wait before it.
    fn delivery_timeout(&self) -> Duration {
        self.settings.lease / 2
    }
}

/// Returns the pause after attempt number `attempt`: half of it fixed, half of it by chance, so that messages that
/// failed together do not come back together.
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
