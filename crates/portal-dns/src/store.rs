//! Ports to the stored exposures: who owns which hostname, what is desired, who works on it.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{AuditEntry, BackendError, FriendId};

use crate::exposure::Exposure;
use crate::hostname::{DomainName, ExposureName, Hostname};
use crate::intent::{Intent, Outcome, Previous, Reservation};
use crate::marker::ExposureId;
use crate::tombstone::{TOMBSTONE_LIFETIME, Tombstone};

/// Limit of exposures per friend. Those being removed count, because they still own their hostname.
pub const EXPOSURES_PER_FRIEND: usize = 10;

/// Page size of [`all_intents`].
const PAGE: u32 = 500;

/// Result of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// A new exposure, which owns its hostname from now on.
    New(Box<Intent>),
    /// The friend's exposure of that name is desired differently now, or again; with its state before.
    Changed(Box<Intent>, Box<Previous>),
    /// It was desired exactly so; nothing changed and nothing was logged.
    Same(Box<Intent>),
    /// The request was refused; nothing changed.
    Refused(Refusal),
}

/// Reason to refuse a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The store does not know the friend.
    UnknownFriend,
    /// An exposure of that name exists, and only a new one was asked for.
    Exists,
    /// The hostname belongs to another exposure.
    OwnedByAnother,
    /// The friend has [`EXPOSURES_PER_FRIEND`] exposures.
    LimitReached,
    /// The name is new and the friend has [`crate::TOMBSTONES_PER_FRIEND`] tombstones.
    TooManyRemoved,
}

/// A worker's claim to be the only one that works on an exposure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Random; whoever knows it holds the lease.
    pub token: String,
    /// Duration, counted from the claim.
    pub length: Duration,
    /// The portal's time. A store that several machines share counts by its own clock instead.
    pub now: DateTime<Utc>,
}

/// Result of claiming an exposure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is the caller's for the length of the lease, counted from some moment after the call began. Comes with the
    /// tombstones at its hostnames and at its route's place.
    Mine(Box<Intent>, Vec<Tombstone>),
    /// Another worker holds the lease.
    Busy,
    /// There is no such exposure any more.
    Gone,
}

/// Condition under which an outcome is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The exposure.
    pub id: ExposureId,
    /// The generation that was worked on.
    pub generation: i64,
    /// Token of the lease.
    pub token: String,
}

/// Result of recording an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded and the lease returned.
    Done,
    /// The friend changed the exposure meanwhile; nothing is recorded and the lease is still held.
    Superseded,
    /// Another worker has the lease, or the exposure is gone; nothing is recorded.
    Lost,
}

/// A change of an exposure.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    /// The owner of the exposure.
    pub friend: FriendId,
    /// The exposure.
    pub exposure: ExposureId,
    /// Time of the change, by the store's clock.
    pub at: DateTime<Utc>,
}

/// Exposures as friends request them. The same store serves the reconciler as [`IntentStore`].
#[async_trait]
pub trait ExposureStore: IntentStore {
    /// Reserves a hostname and stores the desired state in one transaction, in which the friend's exposures are
    /// counted by one request at a time. A hostname has one owner, however many ask at the same moment. A changed
    /// exposure keeps its old hostname as leaving until it is freed. A new exposure whose name has tombstones takes
    /// the id of the latest one.
    async fn reserve(&self, wanted: Reservation, audit: AuditEntry) -> Result<Reserved, BackendError>;

    /// Returns the refusal that [`ExposureStore::reserve`] would give now, and changes nothing.
    async fn check_reservation(&self, wanted: &Reservation) -> Result<Option<Refusal>, BackendError>;

    /// Stores that an exposure is to be removed; `None` if the friend has none of that name. Logs only the first
    /// request of a removal.
    async fn close(
        &self,
        friend: &FriendId,
        name: &ExposureName,
        audit: AuditEntry,
    ) -> Result<Option<Intent>, BackendError>;

    /// Takes back the change that made `generation`, unless there was a later one: a new exposure, or one that was
    /// being removed, is to be removed, and any other is desired as it was in `previous`. `false` if nothing was
    /// taken back.
    async fn withdraw(
        &self,
        id: &ExposureId,
        generation: i64,
        previous: Option<Previous>,
        audit: AuditEntry,
    ) -> Result<bool, BackendError>;

    /// Returns the friend's exposure of that name.
    async fn find(&self, friend: &FriendId, name: &ExposureName) -> Result<Option<Exposure>, BackendError>;

    /// Returns the friend's exposures, sorted by name.
    async fn list(&self, friend: &FriendId) -> Result<Vec<Exposure>, BackendError>;

    /// Returns the changes at `since` or later, by the store's clock, those of removed exposures included; `None` asks
    /// for the latest change only. Of several changes of an exposure only the last one is returned, beside that of
    /// its tombstone; no two changes of an exposure have the same time.
    async fn changes(&self, since: Option<DateTime<Utc>>) -> Result<Vec<Change>, BackendError>;
}

/// Exposures as the reconciler works on them.
#[async_trait]
pub trait IntentStore: Send + Sync {
    /// Leases an exposure to one worker at a time. A worker that holds the lease already, by token, extends it.
    async fn claim(&self, id: &ExposureId, lease: Lease) -> Result<Claimed, BackendError>;

    /// Records an outcome if generation and lease are still those of the fence.
    async fn record_outcome(
        &self,
        fence: Fence,
        outcome: Outcome,
        now: DateTime<Utc>,
    ) -> Result<Recorded, BackendError>;

    /// Returns unfinished exposures (pending, removing) that may be tried at `now` and that nobody works on, the
    /// longest waiting first, at most `limit`.
    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<ExposureId>, BackendError>;

    /// Returns up to `limit` exposures by id, from the first one after `after`.
    async fn page(&self, after: Option<&ExposureId>, limit: u32) -> Result<Vec<Intent>, BackendError>;

    /// Returns every tombstone.
    async fn tombstones(&self) -> Result<Vec<Tombstone>, BackendError>;

    /// Makes an exposure due now, whatever it waited for; `false` if there is no such one.
    async fn requeue_now(&self, id: &ExposureId, audit: AuditEntry) -> Result<bool, BackendError>;
}

/// Returns every stored exposure by id, read page by page.
///
/// # Errors
/// A store that cannot be asked.
pub async fn all_intents(store: &dyn IntentStore) -> Result<Vec<Intent>, BackendError> {
    let mut all: Vec<Intent> = Vec::new();
    loop {
        // By the last id and not by an offset: rows come and go between two pages.
        let after = all.last().map(|intent| intent.exposure.id.clone());
        let page = store.page(after.as_ref(), PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Returns the tombstones of the last day. Older ones prove nothing any more, whenever they are deleted.
pub(crate) async fn valid_tombstones(
    store: &dyn IntentStore,
    now: DateTime<Utc>,
) -> Result<Vec<Tombstone>, BackendError> {
    let since = now - TimeDelta::from_std(TOMBSTONE_LIFETIME).unwrap_or(TimeDelta::MAX);
    let mut tombstones = store.tombstones().await?;
    tombstones.retain(|tombstone| tombstone.at >= since);
    Ok(tombstones)
}

/// Returns the owned hostnames that are in none of the `served` domains, sorted: their domain left the configuration
/// too early, and nothing maintains them.
///
/// # Errors
/// A store that cannot be asked.
pub async fn unserved_hostnames(store: &dyn IntentStore, served: &[DomainName]) -> Result<Vec<Hostname>, BackendError> {
    let is_unserved = |host: &Hostname| !served.iter().any(|domain| host.is_in(domain));
    owned_hostnames(store, is_unserved).await
}

/// Returns the owned hostnames for which no certificate authority issues, sorted; see [`Hostname::is_certifiable`].
///
/// # Errors
/// A store that cannot be asked.
pub async fn uncertifiable_hostnames(store: &dyn IntentStore) -> Result<Vec<Hostname>, BackendError> {
    owned_hostnames(store, |host| !host.is_certifiable()).await
}

async fn owned_hostnames(
    store: &dyn IntentStore,
    filter: impl Fn(&Hostname) -> bool,
) -> Result<Vec<Hostname>, BackendError> {
    let owned = all_intents(store).await?.into_iter();
    let owned = owned.flat_map(|intent| std::iter::once(intent.exposure.spec.hostname).chain(intent.leaving));
    let mut found: Vec<_> = owned.filter(filter).collect();
    found.sort();
    Ok(found)
}
