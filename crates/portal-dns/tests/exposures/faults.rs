//! Ports that fail, once, at a chosen call, in a chosen way.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_adapters::memory::{MemoryCluster, MemoryExposures, MemoryRecords};
use portal_core::{AuditEntry, Backend, BackendError, FriendId};
use portal_dns::{
    Change, Claimed, Ensured, Exposure, ExposureId, ExposureName, ExposurePorts, ExposureStore, Exposures, Fence,
    Freshness, HostClaim, Hostname, Intent, IntentStore, Lease, Observed, ObservedRoute, ObservedRoutes, Outcome,
    OwnershipMarker, Previous, Priority, RecordState, Recorded, Records, Refusal, Removed, Reservation, Reserved,
    RouteChanged, RouteCreated, RoutePlace, RouteSpec, RouteVersion, Routes, ServiceName, ServiceState, Services,
    Tombstone,
};

use super::fixture::Fixture;

/// A way in which a call can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing happens, and the caller is told so.
    Error,
    /// Nothing happens, and the caller is never told.
    Timeout,
    /// It happens, but the caller is told that it failed.
    LostAnswer,
    /// The process ends before it happens.
    StopBefore,
    /// The process ends after it happened.
    StopAfter,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] = [Self::Error, Self::Timeout, Self::LostAnswer, Self::StopBefore, Self::StopAfter];

    pub(crate) fn ends_the_process(self) -> bool {
        matches!(self, Self::StopBefore | Self::StopAfter)
    }
}

/// Faults of one process's calls.
pub(crate) struct Faults {
    calls: AtomicUsize,
    at: Option<(usize, Fault)>,
    is_dead: AtomicBool,
    is_over: AtomicBool,
    watch: Box<dyn Fn() + Send + Sync>,
}

impl Faults {
    /// `fault` strikes at call number `at`, counted from 0.
    pub(crate) fn strike_at(at: usize, fault: Fault) -> Arc<Self> {
        Self::new(Some((at, fault)), Box::new(|| ()))
    }

    /// Nothing fails; `watch` is called after every call.
    pub(crate) fn watched(watch: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Self::new(None, Box::new(watch))
    }

    fn new(at: Option<(usize, Fault)>, watch: Box<dyn Fn() + Send + Sync>) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            at,
            is_dead: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            watch,
        })
    }

    /// From now on nothing fails any more.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Returns the number of calls so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn through<T>(
        &self,
        backend: Backend,
        call: impl Future<Output = Result<T, BackendError>> + Send,
    ) -> Result<T, BackendError> {
        if self.is_dead.load(Ordering::SeqCst) {
            return pending().await;
        }
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let strikes =
            self.at.filter(|(at, _)| *at == number && !self.is_over.load(Ordering::SeqCst)).map(|(_, fault)| fault);
        if matches!(strikes, None | Some(Fault::LostAnswer | Fault::StopAfter)) {
            let answer = call.await;
            (self.watch)();
            if strikes.is_none() {
                return answer;
            }
        }
        if strikes.is_some_and(Fault::ends_the_process) {
            self.is_dead.store(true, Ordering::SeqCst);
            return pending().await;
        }
        // A database adapter ends its calls by itself.
        if strikes == Some(Fault::Timeout) && backend != Backend::Database {
            return pending().await;
        }
        Err(BackendError::unavailable(backend, "struck"))
    }
}

/// A portal in this fixture whose calls go through `faults`.
pub(crate) fn serve(fixture: &Fixture, faults: &Arc<Faults>) -> Exposures {
    let store = Arc::new(Struck { inner: fixture.store.clone(), faults: faults.clone() });
    let cluster = Arc::new(Struck { inner: fixture.cluster.clone(), faults: faults.clone() });
    let ports = ExposurePorts { store, routes: cluster.clone(), services: cluster, ..fixture.ports() };
    fixture.portal_with(ports, |records| Arc::new(Struck { inner: records, faults: faults.clone() }))
}

struct Struck<P> {
    inner: P,
    faults: Arc<Faults>,
}

#[async_trait]
impl Records for Struck<MemoryRecords> {
    async fn look(&self, host: &Hostname, caller: &Priority) -> Result<Observed, BackendError> {
        self.faults.through(Backend::Dns, self.inner.look(host, caller)).await
    }

    async fn ensure(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        seen: &Observed,
        caller: &Priority,
    ) -> Result<Ensured, BackendError> {
        self.faults.through(Backend::Dns, self.inner.ensure(host, wanted, seen, caller)).await
    }

    async fn remove(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        caller: &Priority,
    ) -> Result<Removed, BackendError> {
        self.faults.through(Backend::Dns, self.inner.remove(host, marker, caller)).await
    }

    async fn list(&self) -> Result<Vec<(Hostname, Observed)>, BackendError> {
        self.faults.through(Backend::Dns, self.inner.list()).await
    }
}

#[async_trait]
impl Routes for Struck<MemoryCluster> {
    async fn look(
        &self,
        place: &RoutePlace,
        hosts: &[Hostname],
        how: Freshness,
    ) -> Result<ObservedRoutes, BackendError> {
        self.faults.through(Backend::Cluster, Routes::look(&self.inner, place, hosts, how)).await
    }

    async fn claims(&self, place: &RoutePlace, hosts: &[Hostname]) -> Result<Vec<HostClaim>, BackendError> {
        self.faults.through(Backend::Cluster, self.inner.claims(place, hosts)).await
    }

    async fn list(&self) -> Result<Vec<ObservedRoute>, BackendError> {
        self.faults.through(Backend::Cluster, self.inner.list()).await
    }

    async fn create(
        &self,
        place: &RoutePlace,
        spec: &RouteSpec,
        marker: &OwnershipMarker,
    ) -> Result<RouteCreated, BackendError> {
        self.faults.through(Backend::Cluster, self.inner.create(place, spec, marker)).await
    }

    async fn change(
        &self,
        place: &RoutePlace,
        spec: &RouteSpec,
        marker: &OwnershipMarker,
        version: &RouteVersion,
    ) -> Result<RouteChanged, BackendError> {
        self.faults.through(Backend::Cluster, self.inner.change(place, spec, marker, version)).await
    }

    async fn delete(
        &self,
        place: &RoutePlace,
        marker: &OwnershipMarker,
        version: &RouteVersion,
    ) -> Result<RouteChanged, BackendError> {
        self.faults.through(Backend::Cluster, Routes::delete(&self.inner, place, marker, version)).await
    }
}

#[async_trait]
impl Services for Struck<MemoryCluster> {
    async fn look(
        &self,
        friend: &FriendId,
        service: &ServiceName,
        how: Freshness,
    ) -> Result<ServiceState, BackendError> {
        self.faults.through(Backend::Cluster, Services::look(&self.inner, friend, service, how)).await
    }
}

#[async_trait]
impl ExposureStore for Struck<MemoryExposures> {
    async fn reserve(&self, wanted: Reservation, audit: AuditEntry) -> Result<Reserved, BackendError> {
        self.faults.through(Backend::Database, self.inner.reserve(wanted, audit)).await
    }

    async fn check_reservation(&self, wanted: &Reservation) -> Result<Option<Refusal>, BackendError> {
        self.faults.through(Backend::Database, self.inner.check_reservation(wanted)).await
    }

    async fn close(
        &self,
        friend: &FriendId,
        name: &ExposureName,
        audit: AuditEntry,
    ) -> Result<Option<Intent>, BackendError> {
        self.faults.through(Backend::Database, self.inner.close(friend, name, audit)).await
    }

    async fn withdraw(
        &self,
        id: &ExposureId,
        generation: i64,
        previous: Option<Previous>,
        audit: AuditEntry,
    ) -> Result<bool, BackendError> {
        self.faults.through(Backend::Database, self.inner.withdraw(id, generation, previous, audit)).await
    }

    async fn find(&self, friend: &FriendId, name: &ExposureName) -> Result<Option<Exposure>, BackendError> {
        self.faults.through(Backend::Database, self.inner.find(friend, name)).await
    }

    async fn list(&self, friend: &FriendId) -> Result<Vec<Exposure>, BackendError> {
        self.faults.through(Backend::Database, self.inner.list(friend)).await
    }

    async fn changes(&self, since: Option<DateTime<Utc>>) -> Result<Vec<Change>, BackendError> {
        self.faults.through(Backend::Database, self.inner.changes(since)).await
    }
}

#[async_trait]
impl IntentStore for Struck<MemoryExposures> {
    async fn claim(&self, id: &ExposureId, lease: Lease) -> Result<Claimed, BackendError> {
        self.faults.through(Backend::Database, self.inner.claim(id, lease)).await
    }

    async fn record_outcome(
        &self,
        fence: Fence,
        outcome: Outcome,
        now: DateTime<Utc>,
    ) -> Result<Recorded, BackendError> {
        self.faults.through(Backend::Database, self.inner.record_outcome(fence, outcome, now)).await
    }

    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<ExposureId>, BackendError> {
        self.faults.through(Backend::Database, self.inner.due(now, limit)).await
    }

    async fn page(&self, after: Option<&ExposureId>, limit: u32) -> Result<Vec<Intent>, BackendError> {
        self.faults.through(Backend::Database, self.inner.page(after, limit)).await
    }

    async fn tombstones(&self) -> Result<Vec<Tombstone>, BackendError> {
        self.faults.through(Backend::Database, self.inner.tombstones()).await
    }

    async fn requeue_now(&self, id: &ExposureId, audit: AuditEntry) -> Result<bool, BackendError> {
        self.faults.through(Backend::Database, self.inner.requeue_now(id, audit)).await
    }
}
