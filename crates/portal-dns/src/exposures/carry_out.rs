//! The work behind a request, in a task that goes on when the friend hangs up.

use std::pin::pin;

use portal_core::{Action, AuditEntry, Backend, BackendError, FriendId};
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, PATIENCE};
use super::{Inner, Opened};
use crate::reconcile::Reconciled;
use crate::{
    Before, Desired, DnsError, Exposure, ExposureId, ExposureName, Intent, Priority, Reason, Reservation, Reserved,
    Status,
};

/// How often a request looks whether the exposure it waits for is free.
const POLL: std::time::Duration = std::time::Duration::from_millis(20);

/// A change just stored that the friend may still be refused.
struct Fresh {
    intent: Box<Intent>,
    /// `None` for a new exposure.
    before: Option<Box<Before>>,
}

impl Fresh {
    /// Whether this change asked for a hostname that the exposure did not have: then whoever is there was there first.
    fn is_first_attempt(&self) -> bool {
        let moved = |before: &Before| before.hostname != self.intent.exposure.hostname;
        self.before.as_deref().is_none_or(|before| before.desired == Desired::Absent || moved(before))
    }

    fn was_refused(&self, result: &Reconciled) -> bool {
        let Reconciled::Stays(now) = result else { return false };
        let is_contested = matches!(now.exposure.reason, Some(Reason::HostnameTaken | Reason::MarkerLost));
        let is_refusal = now.exposure.status == Status::Failed && is_contested;
        is_refusal && now.generation == self.intent.generation && self.is_first_attempt()
    }
}

impl Inner {
    /// Stores what a friend wants and makes it true.
    pub(super) async fn carry_out(&self, wanted: Reservation, audit: AuditEntry, answer: Answer<Opened>) {
        let (friend, hostname) = (wanted.friend.clone(), wanted.hostname.clone());
        let (fresh, is_new) = match self.store.reserve(wanted, audit.clone()).await {
            Ok(Reserved::New(intent)) => (Fresh { intent, before: None }, true),
            Ok(Reserved::Changed(intent, before)) => (Fresh { intent, before: Some(before) }, false),
            Ok(Reserved::Same(intent)) => return self.carry_on(*intent, answer).await,
            Ok(Reserved::Taken) => return answer.give(Err(DnsError::HostnameTaken { hostname })),
            Ok(Reserved::LimitReached) => return answer.give(Err(DnsError::LimitReached)),
            Ok(Reserved::NoFriend) => return answer.give(Err(DnsError::FriendNotFound { friend })),
            Err(trouble) => return answer.give(Err(trouble.into())),
        };
        answer.note_stored(&fresh.intent.exposure);
        self.snapshots.refresh(&friend).await;
        let deadline = Instant::now() + PATIENCE;
        let result = self.drive(&fresh.intent, deadline).await;
        if fresh.was_refused(&result) && answer.claim() && self.withdraw(&fresh, audit).await {
            // Where that is soon, the friend hears of it when nothing is left of the attempt.
            let mut undoing = pin!(self.drive(&fresh.intent, deadline));
            let undone = timeout_at(deadline, &mut undoing).await;
            answer.give(Err(DnsError::HostnameTaken { hostname }));
            if undone.is_err() {
                undoing.await;
            }
            return;
        }
        let exposure = stands(result, fresh.intent.exposure);
        answer.give(Ok(Opened { exposure, is_new }));
    }

    /// What is wanted just as it was: nothing to do where it stands, else another attempt.
    async fn carry_on(&self, intent: Intent, answer: Answer<Opened>) {
        if intent.exposure.status == Status::Active {
            return answer.give(Ok(Opened { exposure: intent.exposure, is_new: false }));
        }
        let result = self.drive(&intent, Instant::now() + PATIENCE).await;
        answer.give(Ok(Opened { exposure: stands(result, intent.exposure), is_new: false }));
    }

    /// Stores that an exposure is to go and removes it.
    pub(super) async fn take_down(
        &self,
        friend: FriendId,
        name: ExposureName,
        audit: AuditEntry,
        answer: Answer<Exposure>,
    ) {
        let intent = match self.store.close(&friend, &name, audit).await {
            Ok(Some(intent)) => intent,
            Ok(None) => return answer.give(Err(DnsError::not_found(&name))),
            Err(trouble) => return answer.give(Err(trouble.into())),
        };
        self.snapshots.refresh(&friend).await;
        answer.note_stored(&intent.exposure);
        let result = self.drive(&intent, Instant::now() + PATIENCE).await;
        let exposure = match result {
            Reconciled::Gone => removed(intent.exposure),
            result => stands(result, intent.exposure),
        };
        answer.give(Ok(exposure));
    }

    /// What a request that ran out of patience has to say; `gone` if what it stored is there no more.
    pub(super) async fn unfinished(
        &self,
        friend: &FriendId,
        name: &ExposureName,
        gone: Option<Exposure>,
    ) -> Result<Exposure, DnsError> {
        let stored = self.store.find(friend, name).await?;
        let unknown = || BackendError::unavailable(Backend::Database, "the request was not stored in time");
        stored.or(gone).ok_or_else(|| unknown().into())
    }

    /// Works on an exposure, waiting until `deadline` for whoever works on it already. Trouble with the store is as
    /// if somebody else did: what is stored will be finished.
    async fn drive(&self, intent: &Intent, deadline: Instant) -> Reconciled {
        let Exposure { id, friend, .. } = &intent.exposure;
        loop {
            let result = self.reconcile_or_leave(id, friend).await;
            if result != Reconciled::Busy || Instant::now() >= deadline {
                return result;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn reconcile_or_leave(&self, id: &ExposureId, friend: &FriendId) -> Reconciled {
        let caller = Priority::Friend(friend.clone());
        self.reconciler.reconcile(id, &caller).await.unwrap_or_else(|trouble| {
            tracing::warn!(exposure.id = %id, error = &trouble as &dyn std::error::Error, "an exposure is left to a later pass");
            Reconciled::Busy
        })
    }

    /// Takes back what was refused; `false` if it stays, visibly failed.
    async fn withdraw(&self, fresh: &Fresh, opened: AuditEntry) -> bool {
        let Exposure { id, friend, .. } = &fresh.intent.exposure;
        let at = self.reconciler.clock.now();
        let detail = "withdrawn: the hostname is taken".to_owned();
        let audit = AuditEntry::new(at, opened.actor, Action::ExposureClose)
            .with_friend(opened.friend)
            .with_subject(opened.subject)
            .with_detail(detail);
        let before = fresh.before.as_deref().cloned();
        let withdrawn = self.store.withdraw(id, fresh.intent.generation, before, audit).await;
        self.snapshots.refresh(friend).await;
        withdrawn.unwrap_or_else(|trouble| {
            tracing::warn!(exposure.id = %id, error = &trouble as &dyn std::error::Error, "a refused exposure stays as failed");
            false
        })
    }
}

/// The exposure as the work left it, else as it was stored.
fn stands(result: Reconciled, stored: Exposure) -> Exposure {
    match result {
        Reconciled::Stays(now) => now.exposure,
        Reconciled::Busy => stored,
        Reconciled::Gone => removed_meanwhile(stored),
    }
}

/// An exposure of which nothing is left.
pub(super) fn removed(stored: Exposure) -> Exposure {
    Exposure { status: Status::Removed, reason: None, ..stored }
}

/// An exposure that the friend removed while a request that wants it ran: that request was not granted.
pub(super) fn removed_meanwhile(stored: Exposure) -> Exposure {
    Exposure { status: Status::Removing, reason: Some(Reason::InProgress), ..stored }
}
