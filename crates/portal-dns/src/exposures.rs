//! What a friend can do: put a service on the internet, and take it off again.

mod answer;
mod carry_out;
mod prepare;

use std::sync::Arc;

use parking_lot::Mutex;
use portal_core::{Action, Actor, AuditEntry, BackendError, Clock, FriendId, Ids};
use tokio::runtime::Handle;
use tracing::Instrument;

use crate::exposures::answer::Waited;
use crate::reconcile::{Reconciled, Reconciler};
use crate::snapshot::Snapshots;
use crate::{
    DnsError, DomainName, Exposure, ExposureId, ExposureName, ExposureStore, InstanceId, IntentStore, OpenExposure,
    PassReport, Priority, Routes, Services, Work, WorkQueue, Zone,
};

/// Everything that [`Exposures`] asks others for.
#[derive(Clone)]
pub struct ExposurePorts {
    /// What is kept, as friends ask for it.
    pub store: Arc<dyn ExposureStore>,
    /// What is kept, as those who make it true work on it: the same store.
    pub intents: Arc<dyn IntentStore>,
    /// The routes of the cluster.
    pub routes: Arc<dyn Routes>,
    /// The Services of the cluster.
    pub services: Arc<dyn Services>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub ids: Arc<dyn Ids>,
}

/// An exposure that was asked for, as far as the portal has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The exposure.
    pub exposure: Exposure,
    /// Whether there was none of that name before.
    pub is_new: bool,
}

/// The friends' exposures: opened and closed by friends, made true here.
///
/// What a friend asks for is stored before anything is done about it. Then it is made true at once, in a task of its
/// own that goes on when the friend hangs up; whatever is not done by then, [`Exposures::tick`] and
/// [`Exposures::pass`] finish. Cheap to clone.
#[derive(Clone)]
pub struct Exposures(Arc<Inner>);

struct Inner {
    store: Arc<dyn ExposureStore>,
    reconciler: Reconciler,
    snapshots: Arc<Snapshots>,
    offered: Vec<DomainName>,
    handle: Handle,
    last_pass: Mutex<Option<Arc<PassReport>>>,
}

impl Exposures {
    /// The exposures of this portal, in these zones: the first one that is not retired is the default. Work goes on
    /// as tasks of `handle`'s runtime.
    #[must_use]
    pub fn new(ports: ExposurePorts, instance: InstanceId, zones: Vec<Zone>, handle: Handle) -> Self {
        let ExposurePorts { store, intents, routes, services, clock, ids } = ports;
        let on_offer = zones.iter().map(|zone| &zone.domain).filter(|domain| !domain.retired);
        let offered = on_offer.map(|domain| domain.name.clone()).collect();
        let snapshots = Arc::new(Snapshots::new(store.clone()));
        let zones = zones.into_iter().map(|zone| (zone.domain.name.clone(), zone)).collect();
        let reconciler =
            Reconciler { intents, routes, services, clock, ids, instance, zones, snapshots: snapshots.clone() };
        Self(Arc::new(Inner { store, reconciler, snapshots, offered, handle, last_pass: Mutex::default() }))
    }

    /// The domains on offer, the default first.
    #[must_use]
    pub fn domains(&self) -> &[DomainName] {
        &self.0.offered
    }

    /// Puts a Service on the internet, or changes where an exposure leads and stands; waits up to 5 seconds for it.
    /// An exposure that is not active then is finished later and says why.
    ///
    /// # Errors
    /// Refused values, a Service that is not there, a hostname that is taken, too many exposures: nothing is stored.
    /// [`DnsError::Unavailable`] where the Service could not be looked at or the request could not be stored.
    pub async fn open(&self, friend: &FriendId, wanted: OpenExposure, actor: Actor) -> Result<Opened, DnsError> {
        let name = wanted.name.clone();
        let reservation = self.0.prepare(friend, wanted).await?;
        let detail = format!("{} to {}:{}", reservation.hostname, reservation.service, reservation.port);
        let audit = self.audit(Action::ExposureOpen, friend, &name, (actor, detail));
        let (answer, question) = answer::channel();
        self.spawn(|inner| async move { inner.carry_out(reservation, audit, answer).await });
        match question.wait().await {
            Waited::Answered(opened) => opened,
            Waited::TooLong(stored) => {
                let exposure = self.0.unfinished(friend, &name, stored.map(carry_out::removed_meanwhile)).await?;
                Ok(Opened { exposure, is_new: false })
            }
        }
    }

    /// Takes an exposure off the internet; waits up to 5 seconds for it. Its status tells whether every trace is gone
    /// or the removal goes on.
    ///
    /// # Errors
    /// [`DnsError::ExposureNotFound`]; [`DnsError::Unavailable`] where the request could not be stored.
    pub async fn close(&self, friend: &FriendId, name: &ExposureName, actor: Actor) -> Result<Exposure, DnsError> {
        let audit = self.audit(Action::ExposureClose, friend, name, (actor, String::new()));
        let (answer, question) = answer::channel();
        let (whose, which) = (friend.clone(), name.clone());
        self.spawn(|inner| async move { inner.take_down(whose, which, audit, answer).await });
        match question.wait().await {
            Waited::Answered(closed) => closed,
            Waited::TooLong(stored) => self.0.unfinished(friend, name, stored.map(carry_out::removed)).await,
        }
    }

    /// The friend's exposures, sorted by name, as the store has them now.
    ///
    /// # Errors
    /// Trouble with the store.
    pub async fn list(&self, friend: &FriendId) -> Result<Vec<Exposure>, BackendError> {
        self.0.store.list(friend).await
    }

    /// The friend's exposure of that name, as the store has it now.
    ///
    /// # Errors
    /// Trouble with the store.
    pub async fn find(&self, friend: &FriendId, name: &ExposureName) -> Result<Option<Exposure>, BackendError> {
        self.0.store.find(friend, name).await
    }

    /// The friend's exposures from memory, sorted by name: at most a second behind the store while
    /// [`Exposures::poll_changes`] is called once a second, and never behind what this portal did itself. The same
    /// `Arc` is returned until they change.
    ///
    /// # Errors
    /// Trouble with the store, where memory is too old to be believed.
    pub async fn snapshot(&self, friend: &FriendId) -> Result<Arc<[Exposure]>, BackendError> {
        self.0.snapshots.get(friend).await
    }

    /// Brings the snapshots up to date with what other replicas did; to be called once a second.
    ///
    /// # Errors
    /// Trouble with the store.
    pub async fn poll_changes(&self) -> Result<(), BackendError> {
        self.0.snapshots.poll().await
    }

    /// Works on what is unfinished and may be tried again; to be called once a second.
    ///
    /// # Errors
    /// Trouble with the store.
    pub async fn tick(&self) -> Result<(), BackendError> {
        self.0.reconciler.finish_due().await
    }

    /// Compares every exposure with zones and cluster, repairs what drifted, and undoes what sleeping processes left
    /// behind; to be called on start and every 60 seconds.
    ///
    /// # Errors
    /// Trouble with the store. Trouble with a zone or the cluster is told in the report, and leaves the rest checked.
    pub async fn pass(&self) -> Result<Arc<PassReport>, BackendError> {
        let report = Arc::new(self.0.reconciler.pass().await?);
        *self.0.last_pass.lock() = Some(report.clone());
        Ok(report)
    }

    /// What the last pass of this portal found; `None` before the first one ended.
    #[must_use]
    pub fn last_pass(&self) -> Option<Arc<PassReport>> {
        self.0.last_pass.lock().clone()
    }

    /// Looks at one exposure now, because something about it may have changed.
    ///
    /// # Errors
    /// Trouble with the store.
    pub async fn reconcile_one(&self, id: &ExposureId) -> Result<(), BackendError> {
        self.0.reconciler.reconcile(id, &Priority::Background).await.map(drop)
    }

    /// Looks at the exposures around which something was seen to change; to be called when the queue says so. Returns
    /// the report of a pass, where that took one.
    ///
    /// # Errors
    /// The first trouble with the store or the cluster. The next pass looks at what was left.
    pub async fn drain(&self, queue: &WorkQueue) -> Result<Option<Arc<PassReport>>, BackendError> {
        let friends = match queue.take() {
            Work::Everything => return self.pass().await.map(Some),
            Work::Friends(friends) => friends,
        };
        let mut worked = Ok(());
        for friend in &friends {
            let poked = self.reconcile_friend(friend).await;
            worked = worked.and(poked);
        }
        worked.map(|()| None)
    }

    /// Looks at a friend's exposures, because a watch saw a Service, a route or the namespace change. Costs no call
    /// to a zone unless something has to be done.
    ///
    /// # Errors
    /// Trouble with the store or the cluster.
    pub async fn reconcile_friend(&self, friend: &FriendId) -> Result<(), BackendError> {
        self.0.reconciler.check_friend(&self.0.store.list(friend).await?).await
    }

    /// Has an exposure made true now, whatever it waits for; `None` if there is no such one, or it is gone then.
    ///
    /// # Errors
    /// Trouble with the store.
    pub async fn repair(&self, exposure: &Exposure, actor: Actor) -> Result<Option<Exposure>, BackendError> {
        let audit = self.audit(Action::ExposureRepair, &exposure.friend, &exposure.name, (actor, String::new()));
        if !self.0.reconciler.intents.requeue_now(&exposure.id, audit).await? {
            return Ok(None);
        }
        match self.0.reconciler.reconcile(&exposure.id, &Priority::Background).await? {
            Reconciled::Stays(intent) => Ok(Some(intent.exposure)),
            Reconciled::Busy => self.0.store.find(&exposure.friend, &exposure.name).await,
            Reconciled::Gone => Ok(None),
        }
    }

    fn audit(&self, action: Action, friend: &FriendId, name: &ExposureName, by: (Actor, String)) -> AuditEntry {
        let (actor, detail) = by;
        let at = self.0.reconciler.clock.now();
        AuditEntry::new(at, actor, action)
            .with_friend(friend.clone())
            .with_subject(name.to_string())
            .with_detail(detail)
    }

    /// Does work that a caller's hanging up does not end.
    fn spawn<F>(&self, work: impl FnOnce(Arc<Inner>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.handle.spawn(work(self.0.clone()).in_current_span());
    }
}
