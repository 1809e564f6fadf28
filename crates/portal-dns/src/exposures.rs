//! Operations on a friend's exposures: open, close, look up; and the background work that finishes them.
//!
//! Opening, step by step:
//! 1. The values that were left out are filled in. The Service is read live: it must exist, not be an `ExternalName` and
//!    have the TCP port. If that cannot be confirmed, nothing is stored.
//! 2. One transaction reserves the hostname and stores the desired state and the audit entry.
//! 3. A task of its own, which a hang-up does not cancel, reconciles the exposure; it waits for another worker's lease.
//! 4. If something of others uses the hostname at the first attempt, the request is withdrawn and refused. Once the
//!    friend was told that it is stored, it is not refused any more: it fails visibly.
//! 5. The friend is answered when the work is done, and after 5 s with what is stored by then; the work goes on.
//! 6. A record that may not be alone at its name is looked at once more, after the answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portal_core::{Action, Actor, AuditEntry, BackendError, FriendId, Invalid};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::error::DnsError;
use crate::exposure::{Exposure, ExposureSpec, OpenExposure, Reason, Status};
use crate::hostname::{DomainName, ExposureName, Hostname};
use crate::intent::{Desired, Intent, Previous, Reservation};
use crate::marker::{ExposureId, InstanceId};
use crate::pass::PassReport;
use crate::ports::ExposurePorts;
use crate::queue::{Work, WorkQueue};
use crate::reconcile::{Interrupt, KnownService, Reconciler, needs_verification};
use crate::record::Priority;
use crate::reply::{self, Reply};
use crate::service::{Freshness, ServiceState};
use crate::snapshot::Snapshots;
use crate::store::{ExposureStore, Refusal, Reserved};
use crate::zone::Zone;

/// Time until a request is answered with what is stored by then.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval at which a request asks for an exposure that another worker has.
const LEASE_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Result of a request to expose a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The exposure.
    pub exposure: Exposure,
    /// True if there was none of that name before.
    pub is_new: bool,
}

/// The friends' exposures. Cheap to clone.
///
/// A request is stored before it has an effect and is reconciled at once; [`Exposures::tick`] and [`Exposures::pass`]
/// finish what is left.
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

/// A request whose values are complete, with the Service as it was read.
struct Prepared {
    reservation: Reservation,
    present: Option<Exposure>,
    service: KnownService,
}

/// A request that was stored.
struct Accepted {
    intent: Box<Intent>,
    /// State before a change; `None` for a new exposure.
    previous: Option<Box<Previous>>,
    is_new: bool,
    /// The request asks for a hostname that the exposure did not have: whoever is there was there first.
    is_first_attempt: bool,
}

impl Exposures {
    /// Makes the exposures of this portal in these zones; the first one that is not retired is the default. Work runs
    /// as tasks of `handle`'s runtime.
    #[must_use]
    pub fn new(ports: ExposurePorts, instance: InstanceId, zones: Vec<Zone>, handle: Handle) -> Self {
        let ExposurePorts { store, routes, services, clock, ids } = ports;
        let on_offer = zones.iter().map(|zone| &zone.domain).filter(|domain| !domain.retired);
        let offered = on_offer.map(|domain| domain.name.clone()).collect();
        let snapshots = Arc::new(Snapshots::new(store.clone()));
        let zones = zones.into_iter().map(|zone| (zone.domain.name.clone(), zone)).collect();
        let reconciler = Reconciler {
            store: store.clone(),
            routes,
            services,
            clock,
            ids,
            instance,
            zones,
            snapshots: snapshots.clone(),
        };
        Self(Arc::new(Inner { store, reconciler, snapshots, offered, handle, last_pass: Mutex::default() }))
    }

    /// Returns the domains on offer, the default first.
    #[must_use]
    pub fn domains(&self) -> &[DomainName] {
        &self.0.offered
    }

    /// Exposes a Service, or changes an exposure; waits up to 5 seconds for the work. An exposure that is not active
    /// then is finished later and says why.
    ///
    /// # Errors
    /// Refused values, a missing Service, a taken hostname, too many exposures: nothing is stored.
    /// [`DnsError::Unavailable`] where the Service could not be read or the request could not be stored.
    pub async fn open(&self, friend: &FriendId, wanted: OpenExposure, actor: Actor) -> Result<Opened, DnsError> {
        let prepared = self.0.prepare(friend, wanted).await?;
        let Reservation { name, spec, .. } = &prepared.reservation;
        let detail = format!("{} to {}:{}", spec.hostname, spec.service, spec.port);
        let audit = self.audit(Action::ExposureOpen, friend, name, actor).with_detail(detail);
        let (reply, opened) = reply::channel(REQUEST_TIMEOUT);
        self.spawn(|inner| async move { inner.apply_open(prepared, audit, reply).await });
        opened.result().await
    }

    /// Checks a request as [`Exposures::open`] would and returns the exposure that it would make; stores nothing. The
    /// zone and the cluster's routes are not looked at.
    ///
    /// # Errors
    /// As [`Exposures::open`].
    pub async fn preview(&self, friend: &FriendId, wanted: OpenExposure) -> Result<Exposure, DnsError> {
        let Prepared { reservation, present, .. } = self.0.prepare(friend, wanted).await?;
        if let Some(refusal) = self.0.store.check_reservation(&reservation).await? {
            return Err(refused(refusal, &reservation));
        }
        let spec = reservation.spec.clone();
        let new = Intent::new(reservation, None, self.0.reconciler.clock.now()).exposure;
        let exposure = present.unwrap_or(new);
        Ok(Exposure { spec, status: Status::Pending, reason: None, ..exposure })
    }

    /// Removes an exposure; waits up to 5 seconds for the work. The status says if every trace is gone or the removal
    /// goes on.
    ///
    /// # Errors
    /// [`DnsError::ExposureNotFound`]; [`DnsError::Unavailable`] where the request could not be stored.
    pub async fn close(&self, friend: &FriendId, name: &ExposureName, actor: Actor) -> Result<Exposure, DnsError> {
        let audit = self.audit(Action::ExposureClose, friend, name, actor);
        let (reply, closed) = reply::channel(REQUEST_TIMEOUT);
        let (friend, name) = (friend.clone(), name.clone());
        self.spawn(|inner| async move { inner.apply_close(friend, name, audit, reply).await });
        closed.result().await
    }

    /// Returns the friend's exposures, sorted by name, as the store has them now.
    ///
    /// # Errors
    /// A store that cannot be asked.
    pub async fn list(&self, friend: &FriendId) -> Result<Vec<Exposure>, BackendError> {
        self.0.store.list(friend).await
    }

    /// Returns the friend's exposure of that name, as the store has it now.
    ///
    /// # Errors
    /// A store that cannot be asked.
    pub async fn find(&self, friend: &FriendId, name: &ExposureName) -> Result<Option<Exposure>, BackendError> {
        self.0.store.find(friend, name).await
    }

    /// Returns the friend's exposures from memory, sorted by name: at most a second behind the store while
    /// [`Exposures::poll_changes`] is called once a second, and never behind what this portal did itself. The same
    /// `Arc` is returned until they change.
    ///
    /// # Errors
    /// A store that cannot be asked while the copy in memory is too old.
    pub async fn snapshot(&self, friend: &FriendId) -> Result<Arc<[Exposure]>, BackendError> {
        self.0.snapshots.get(friend).await
    }

    /// Updates the snapshots with the changes of other replicas; to be called once a second.
    ///
    /// # Errors
    /// A store that cannot be asked.
    pub async fn poll_changes(&self) -> Result<(), BackendError> {
        self.0.snapshots.poll().await
    }

    /// Works on unfinished exposures that are due; to be called once a second.
    ///
    /// # Errors
    /// A store that cannot be asked.
    pub async fn tick(&self) -> Result<(), BackendError> {
        self.0.reconciler.finish_due().await
    }

    /// Compares every exposure with zones and cluster, repairs drift, and removes what suspended processes wrote after
    /// their lease; to be called on start and every 60 seconds. Tombstones stay until [`portal_core::Expired::Tombstones`]
    /// of them are swept.
    ///
    /// # Errors
    /// A store that cannot be asked. Failures of a zone or of the cluster are counted in the report; everything else
    /// is still checked.
    pub async fn pass(&self) -> Result<Arc<PassReport>, BackendError> {
        let report = Arc::new(self.0.reconciler.pass().await?);
        *self.0.last_pass.lock() = Some(report.clone());
        Ok(report)
    }

    /// Returns the report of the last pass; `None` before the first one ended.
    #[must_use]
    pub fn last_pass(&self) -> Option<Arc<PassReport>> {
        self.0.last_pass.lock().clone()
    }

    /// Reconciles one exposure now, in the background.
    ///
    /// # Errors
    /// A store that cannot be asked.
    pub async fn reconcile_one(&self, id: &ExposureId) -> Result<(), BackendError> {
        self.0.reconciler.reconcile_in_background(id).await
    }

    /// Reconciles the exposures of all queued friends; to be called when the queue says so. Returns the report of a
    /// pass if everything was queued.
    ///
    /// # Errors
    /// The first failure of the store or the cluster. The next pass checks what was left.
    pub async fn drain(&self, queue: &WorkQueue) -> Result<Option<Arc<PassReport>>, BackendError> {
        let friends = match queue.take() {
            Work::Everything => return self.pass().await.map(Some),
            Work::Friends(friends) => friends,
        };
        let mut drained = Ok(());
        for friend in &friends {
            let reconciled = self.reconcile_friend(friend).await;
            drained = drained.and(reconciled);
        }
        drained.map(|()| None)
    }

    /// Reconciles a friend's exposures after a watch saw a Service, a route or the namespace change. Calls a zone only
    /// if something has to be done.
    ///
    /// # Errors
    /// A store or a cluster that cannot be asked.
    pub async fn reconcile_friend(&self, friend: &FriendId) -> Result<(), BackendError> {
        self.0.reconciler.check_friend(&self.0.store.list(friend).await?).await
    }

    /// Reconciles an exposure now, whatever it waits for; `None` if there is no such one, or it is gone after that.
    ///
    /// # Errors
    /// A store that cannot be asked.
    pub async fn repair(&self, exposure: &Exposure, actor: Actor) -> Result<Option<Exposure>, BackendError> {
        let Exposure { id, friend, name, .. } = exposure;
        let audit = self.audit(Action::ExposureRepair, friend, name, actor);
        if !self.0.store.requeue_now(id, audit).await? {
            return Ok(None);
        }
        self.reconcile_one(id).await?;
        self.0.store.find(friend, name).await
    }

    fn audit(&self, action: Action, friend: &FriendId, name: &ExposureName, actor: Actor) -> AuditEntry {
        let at = self.0.reconciler.clock.now();
        AuditEntry::new(at, actor, action).with_friend(friend.clone()).with_subject(name.to_string())
    }

    /// Runs work that the caller's hang-up does not cancel.
    fn spawn<F>(&self, work: impl FnOnce(Arc<Inner>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.handle.spawn(work(self.0.clone()).in_current_span());
    }
}

impl Inner {
    /// Step 1: fills in the values that were left out and refuses what is known to be wrong.
    async fn prepare(&self, friend: &FriendId, wanted: OpenExposure) -> Result<Prepared, DnsError> {
        let OpenExposure { name, service, port, domain, only_if_absent } = wanted;
        let present = self.store.find(friend, &name).await?;
        let domain = self.domain(domain, present.as_ref())?;
        let hostname = Hostname::of(&name, friend, &domain)?;
        // Refused here and not in `Hostname::of`, which also reads stored names.
        // One that exists already goes on working; `check` lists it.
        if present.as_ref().is_none_or(|present| present.spec.hostname != hostname) {
            hostname.check_certifiable()?;
        }
        let state = self.reconciler.look_at_service(friend, &service, Freshness::Live).await?;
        let port = match &state {
            ServiceState::NamespaceGone => return Err(DnsError::NamespaceNotFound { friend: friend.clone() }),
            ServiceState::Absent => return Err(DnsError::ServiceNotFound { friend: friend.clone(), service }),
            ServiceState::ExternalName => return Err(service.external_name_refused().into()),
            ServiceState::Tcp(ports) => service.choose_port(port, ports)?,
        };
        let known = KnownService { name: service.clone(), state };
        let id = ExposureId::random(&*self.reconciler.ids);
        let spec = ExposureSpec { service, port, domain, hostname };
        let reservation = Reservation { id, friend: friend.clone(), name, spec, only_if_absent };
        Ok(Prepared { reservation, present, service: known })
    }

    /// A hostname never moves because its domain was left out; one in a retired domain may stay there.
    fn domain(&self, wanted: Option<DomainName>, present: Option<&Exposure>) -> Result<DomainName, Invalid> {
        // A retired domain is no longer offered, but what stands in it may be changed.
        let present = present.map(|exposure| &exposure.spec.domain);
        let Some(wanted) = wanted else {
            let default = present.or(self.offered.first());
            return default.cloned().ok_or_else(|| Invalid::new("domain", "domain cannot be chosen: none is on offer"));
        };
        if self.offered.contains(&wanted) || present == Some(&wanted) {
            return Ok(wanted);
        }
        let offered: Vec<_> = self.offered.iter().map(DomainName::as_str).collect();
        Err(Invalid::new("domain", format!("domain must be one of those on offer: {}", offered.join(", "))))
    }

    /// Steps 2 to 6: stores what a friend wants and reconciles it.
    async fn apply_open(&self, prepared: Prepared, audit: AuditEntry, mut reply: Reply<Opened>) {
        let Prepared { reservation, service, .. } = prepared;
        let accepted = match self.store.reserve(reservation.clone(), audit.clone()).await {
            Ok(Reserved::Refused(refusal)) => return reply.send(Err(refused(refusal, &reservation))),
            Err(error) => return reply.send(Err(error.into())),
            // Drift is the pass's matter: a repeated request costs no call to the zone.
            Ok(Reserved::Same(intent)) if intent.exposure.status == Status::Active => {
                return reply.send(Ok(Opened { exposure: intent.exposure, is_new: false }));
            }
            Ok(Reserved::New(intent)) => Accepted { intent, previous: None, is_new: true, is_first_attempt: true },
            Ok(Reserved::Changed(intent, previous)) => Accepted::changed(intent, previous),
            Ok(Reserved::Same(intent)) => Accepted { intent, previous: None, is_new: false, is_first_attempt: false },
        };
        let Exposure { friend, name, .. } = &accepted.intent.exposure;
        // The friend's own change shows at once in the snapshot of this replica.
        self.snapshots.refresh(friend).await;
        let mut work = pin!(self.drive(&accepted.intent, Some(service), reply.deadline()));
        let result = if let Ok(result) = timeout_at(reply.deadline(), &mut work).await {
            result
        } else {
            let shown = self.stored_or(friend, name, removed_meanwhile(accepted.intent.exposure.clone())).await;
            reply.send(shown.map(|exposure| Opened { exposure, is_new: false }));
            work.await
        };
        if reply.is_open() && accepted.was_refused(&result) && self.withdraw(&accepted, audit).await {
            let taken = DnsError::HostnameTaken { hostname: reservation.spec.hostname };
            let mut undo = pin!(self.drive(&accepted.intent, None, reply.deadline()));
            // The friend is told once nothing is left of the attempt, or at the deadline.
            let undone = timeout_at(reply.deadline(), &mut undo).await;
            reply.send(Err(taken));
            if undone.is_err() {
                let _ = undo.await;
            }
            return;
        }
        let is_unverified = matches!(&result, Ok(Some(intent)) if needs_verification(intent));
        let exposure = current(result, accepted.intent.exposure.clone());
        reply.send(Ok(Opened { exposure, is_new: accepted.is_new }));
        if is_unverified {
            // Whatever happens to this look, the next pass makes up for it.
            let _ = self.drive(&accepted.intent, None, Instant::now() + REQUEST_TIMEOUT).await;
        }
    }

    /// Stores that an exposure is to be removed, and removes it.
    async fn apply_close(&self, friend: FriendId, name: ExposureName, audit: AuditEntry, mut reply: Reply<Exposure>) {
        let intent = match self.store.close(&friend, &name, audit).await {
            Ok(Some(intent)) => intent,
            Ok(None) => return reply.send(Err(DnsError::not_found(&name))),
            Err(error) => return reply.send(Err(error.into())),
        };
        self.snapshots.refresh(&friend).await;
        let mut work = pin!(self.drive(&intent, None, reply.deadline()));
        match timeout_at(reply.deadline(), &mut work).await {
            Ok(Ok(None)) => reply.send(Ok(removed(intent.exposure.clone()))),
            Ok(result) => reply.send(Ok(current(result, intent.exposure.clone()))),
            Err(_) => {
                reply.send(self.stored_or(&friend, &name, removed(intent.exposure.clone())).await);
                let _ = work.await;
            }
        }
    }

    /// Returns the exposure as it is stored now; `gone` if it is there no more.
    async fn stored_or(&self, friend: &FriendId, name: &ExposureName, gone: Exposure) -> Result<Exposure, DnsError> {
        Ok(self.store.find(friend, name).await?.unwrap_or(gone))
    }

    /// Step 3: reconciles an exposure, waiting until `deadline` for another worker's lease to end. A failing store is
    /// treated like that: what is stored will be finished.
    async fn drive(
        &self,
        intent: &Intent,
        mut service: Option<KnownService>,
        deadline: Instant,
    ) -> Result<Option<Intent>, Interrupt> {
        let Exposure { id, friend, .. } = &intent.exposure;
        let priority = Priority::Friend(friend.clone());
        loop {
            let result = self.reconciler.reconcile(id, &priority, service.take()).await;
            if let Err(Interrupt::StoreFailed(error)) = &result {
                tracing::warn!(exposure.id = %id, error = error as &dyn std::error::Error, "an exposure could not be worked on");
            }
            if result.is_ok() || Instant::now() >= deadline {
                return result;
            }
            tokio::time::sleep(LEASE_POLL_INTERVAL).await;
        }
    }

    /// Step 4: takes back what was refused; `false` if it stays and fails visibly.
    async fn withdraw(&self, accepted: &Accepted, opened: AuditEntry) -> bool {
        let Exposure { id, friend, .. } = &accepted.intent.exposure;
        let at = self.reconciler.clock.now();
        let audit = AuditEntry::new(at, opened.actor, Action::ExposureClose)
            .with_friend(opened.friend)
            .with_subject(opened.subject)
            .with_detail("withdrawn: the hostname is taken");
        let previous = accepted.previous.as_deref().cloned();
        // `false` if the friend has changed the exposure since.
        let withdrawn = self.store.withdraw(id, accepted.intent.generation, previous, audit).await;
        self.snapshots.refresh(friend).await;
        withdrawn.unwrap_or_else(|error| {
            tracing::warn!(exposure.id = %id, error = &error as &dyn std::error::Error, "a refused exposure stays as failed");
            false
        })
    }
}

impl Accepted {
    fn changed(intent: Box<Intent>, previous: Box<Previous>) -> Self {
        let has_moved = previous.spec.hostname != intent.exposure.spec.hostname;
        let is_first_attempt = has_moved || previous.desired == Desired::Absent;
        Self { intent, previous: Some(previous), is_new: false, is_first_attempt }
    }

    fn was_refused(&self, result: &Result<Option<Intent>, Interrupt>) -> bool {
        let Ok(Some(now)) = result else { return false };
        let is_contested = matches!(now.exposure.reason, Some(Reason::HostnameTaken | Reason::MarkerLost));
        let is_refusal = now.exposure.status == Status::Failed && is_contested;
        // A later change may have been what was reconciled, and it must not be withdrawn.
        is_refusal && now.generation == self.intent.generation && self.is_first_attempt
    }
}

fn refused(refusal: Refusal, reservation: &Reservation) -> DnsError {
    match refusal {
        Refusal::UnknownFriend => DnsError::FriendNotFound { friend: reservation.friend.clone() },
        Refusal::Exists => DnsError::Exists { name: reservation.name.clone() },
        Refusal::OwnedByAnother => DnsError::HostnameTaken { hostname: reservation.spec.hostname.clone() },
        Refusal::LimitReached => DnsError::LimitReached,
        Refusal::TooManyRemoved => DnsError::TooManyRemoved,
    }
}

/// Returns the exposure as the work left it, else as it was stored.
fn current(result: Result<Option<Intent>, Interrupt>, stored: Exposure) -> Exposure {
    match result {
        Ok(Some(now)) => now.exposure,
        Ok(None) => removed_meanwhile(stored),
        Err(_) => stored,
    }
}

/// An exposure of which nothing is left.
fn removed(stored: Exposure) -> Exposure {
    Exposure { status: Status::Removed, reason: None, ..stored }
}

/// An exposure that the friend removed while a request for it ran: that request was not granted.
fn removed_meanwhile(stored: Exposure) -> Exposure {
    Exposure { status: Status::Removing, reason: Some(Reason::InProgress), ..stored }
}
