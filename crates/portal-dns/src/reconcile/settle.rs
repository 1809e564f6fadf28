//! What there is to record after a round, and recording it.

use std::time::Duration;

use chrono::TimeDelta;
use portal_core::{Backend, BackendError};

use super::{Held, Reconciled, Reconciler, Round};
use crate::exposure::plan::Verdict;
use crate::{Desired, Fence, Intent, Reason, Settled, Settlement, Status};

/// The longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// How many attempts' pause a failure waits that only somebody else can mend.
const FAILED_ATTEMPTS: u32 = 5;

impl Reconciler {
    /// What there is to record after a round; `None` if it has to be looked at again first.
    pub(super) fn settlement(&self, intent: &Intent, round: Round) -> Option<Settlement> {
        match round {
            // The claim that follows finds out whose it is now.
            Round::Done(Verdict::Again) | Round::Surprised | Round::Lost => None,
            Round::Done(Verdict::Gone) => Some(Settlement::Gone),
            Round::Done(Verdict::Active) => Some(self.settled(intent, Status::Active, None)),
            Round::Done(Verdict::Failed(reason)) if intent.desired == Desired::Absent => {
                Some(self.settled(intent, Status::Removing, Some(reason)))
            }
            Round::Done(Verdict::Failed(reason)) => Some(self.settled(intent, Status::Failed, Some(reason))),
            Round::Blind(trouble) => Some(self.errors(intent, &trouble, reason_of(&trouble), Blame::Observation)),
            Round::Broken(trouble) => Some(self.errors(intent, &trouble, reason_of(&trouble), Blame::Step)),
        }
    }

    fn settled(&self, intent: &Intent, status: Status, reason: Option<Reason>) -> Settlement {
        let is_active = status == Status::Active;
        let record_is_gone = reason == Some(Reason::NamespaceGone);
        Settlement::Stays {
            status,
            reason,
            established: is_active || intent.established && !record_is_gone,
            leaving_is_free: is_active || record_is_gone,
            attempts: 0,
            next_attempt_at: self.clock.now() + pause(if is_active { 0 } else { FAILED_ATTEMPTS }),
        }
    }

    /// Trouble leaves what is known as it was: an exposure that stood still stands if it could only not be looked at.
    pub(super) fn errors(&self, intent: &Intent, trouble: &BackendError, reason: Reason, blame: Blame) -> Settlement {
        let id = &intent.exposure.id;
        tracing::warn!(exposure.id = %id, error = trouble as &dyn std::error::Error, "an exposure has to wait");
        let (status, reason) = match (intent.desired, intent.exposure.status, blame) {
            (Desired::Absent, ..) => (Status::Removing, Some(reason)),
            (Desired::Present, Status::Active | Status::Failed, Blame::Observation) => {
                (intent.exposure.status, intent.exposure.reason)
            }
            (Desired::Present, ..) => (Status::Pending, Some(reason)),
        };
        let attempts = intent.attempts.saturating_add(1);
        let asked_for = trouble.retry_after.and_then(|wait| TimeDelta::from_std(wait).ok());
        let wait = pause(attempts).max(asked_for.unwrap_or_default());
        Settlement::Stays {
            status,
            reason,
            established: intent.established,
            leaving_is_free: false,
            attempts,
            next_attempt_at: self.clock.now() + wait,
        }
    }

    /// Records a result where nobody changed the exposure and nobody else works on it.
    pub(super) async fn settle(
        &self,
        intent: &Intent,
        held: &Held,
        settlement: Settlement,
    ) -> Result<Recorded, BackendError> {
        let id = intent.exposure.id.clone();
        let fence = Fence { id, generation: intent.generation, token: held.token.clone() };
        let settled = self.intents.settle(fence, settlement, self.clock.now()).await?;
        if settled == Settled::Done {
            self.snapshots.refresh(&intent.exposure.friend).await;
        }
        Ok(match settled {
            Settled::Done => Recorded::Yes(match intent.clone().settled(settlement) {
                (Some(intent), _) => Reconciled::Stays(Box::new(intent)),
                (None, _) => Reconciled::Gone,
            }),
            Settled::Superseded => Recorded::Superseded,
            Settled::Lost => Recorded::Lost,
        })
    }
}

/// What became of recording a result, with the exposure as it is then.
pub(super) enum Recorded {
    Yes(Reconciled),
    Superseded,
    Lost,
}

/// Where trouble struck.
#[derive(Clone, Copy)]
pub(super) enum Blame {
    Observation,
    Step,
}

fn reason_of(trouble: &BackendError) -> Reason {
    match trouble.backend {
        Backend::Dns => Reason::DnsUnavailable,
        _ => Reason::ClusterUnavailable,
    }
}

/// How long to leave an exposure alone after so many attempts: 1 second, doubled each time, at most 5 minutes.
fn pause(attempts: u32) -> TimeDelta {
    let Some(doublings) = attempts.checked_sub(1) else { return TimeDelta::zero() };
    let seconds = 2_i64.saturating_pow(doublings);
    TimeDelta::seconds(seconds.min(i64::try_from(LONGEST_PAUSE.as_secs()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::pause;

    #[test]
    fn the_pause_doubles_up_to_five_minutes() {
        let pauses = [0, 1, 2, 5, 9, 10, u32::MAX].map(|attempts| pause(attempts).num_seconds());
        assert_eq!(pauses, [0, 1, 2, 16, 256, 300, 300]);
    }
}
