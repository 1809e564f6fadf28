//! What is kept of exposures: who owns which hostname, what is wanted, who is working on it.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use portal_core::{AuditEntry, BackendError, FriendId};

use crate::{
    Before, DomainName, Exposure, ExposureId, ExposureName, Hostname, Intent, Reservation, RoutePlace, Settlement,
};

/// How many exposures a friend may have, those that are being removed included: they still own their hostname.
pub const EXPOSURES_PER_FRIEND: usize = 10;
/// How long a removed exposure is remembered, so that what a sleeping process still does for it is found and undone.
pub const TOMBSTONE_LIFETIME: Duration = Duration::from_hours(24);

/// How many exposures are read from the store at once.
const PAGE: u32 = 500;

/// A hostname that an exposure gave up, by its end or by moving to another domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tombstone {
    /// The exposure.
    pub exposure: ExposureId,
    /// Whose it was.
    pub friend: FriendId,
    /// What it was called.
    pub name: ExposureName,
    /// The hostname it gave up.
    pub hostname: Hostname,
    /// How it gave it up.
    pub parted: ReleaseReason,
    /// When.
    pub at: DateTime<Utc>,
}

/// How an exposure gave up a hostname.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReleaseReason {
    /// It lives on under another hostname, with its route.
    Moved,
    /// It is gone.
    Deleted,
}

impl Tombstone {
    /// Where its route stood, if that is to be gone too.
    #[must_use]
    pub fn route(&self) -> Option<RoutePlace> {
        (self.parted == ReleaseReason::Deleted).then(|| RoutePlace::of(&self.friend, &self.name))
    }
}

/// What became of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// A new exposure; its hostname is the friend's from now on.
    New(Box<Intent>),
    /// The friend's exposure of that name is wanted differently now, or again.
    Changed(Box<Intent>, Box<Before>),
    /// It was wanted just so; nothing changed and nothing was logged.
    Same(Box<Intent>),
    /// The hostname is another exposure's; nothing changed.
    Taken,
    /// The friend has [`EXPOSURES_PER_FRIEND`]; nothing changed.
    LimitReached,
    /// There is no such friend.
    NoFriend,
}

/// Whose work it is, for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Random; whoever knows it holds the lease.
    pub token: String,
    /// For how long.
    pub length: Duration,
    /// The portal's time. A store that several machines share counts by its own clock instead.
    pub now: DateTime<Utc>,
}

/// What became of claiming an exposure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is the caller's for the length of the lease, counted from some moment after the call began. Comes with the
    /// tombstones that lie at its hostnames or at its route's place.
    Mine(Box<Intent>, Vec<Tombstone>),
    /// Somebody else holds the lease.
    Busy,
    /// There is no such exposure any more.
    Gone,
}

/// On which condition a result is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Of which exposure.
    pub id: ExposureId,
    /// The generation that was worked on.
    pub generation: i64,
    /// The lease's token.
    pub token: String,
}

/// What became of recording a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is recorded and the lease given back.
    Done,
    /// The friend changed their mind meanwhile; nothing is recorded and the lease is still held.
    Superseded,
    /// The lease has passed to somebody else, or the exposure is gone; nothing is recorded.
    Lost,
}

/// That something about an exposure changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    /// Whose exposures changed.
    pub friend: FriendId,
    /// Which one.
    pub exposure: ExposureId,
    /// When, by the store's clock.
    pub at: DateTime<Utc>,
}

/// Exposures as friends ask for them.
#[async_trait]
pub trait ExposureStore: Send + Sync {
    /// Reserves a hostname and stores what is wanted, as one transaction in which the friend's exposures are counted
    /// by one at a time. A hostname has one owner, whoever asks at the same moment. A changed exposure keeps its old
    /// hostname as leaving until it is freed.
    async fn reserve(&self, wanted: Reservation, audit: AuditEntry) -> Result<Reserved, BackendError>;

    /// Stores that an exposure is to go; `None` if the friend has none of that name. Nothing is logged again if it is
    /// going already.
    async fn close(
        &self,
        friend: &FriendId,
        name: &ExposureName,
        audit: AuditEntry,
    ) -> Result<Option<Intent>, BackendError>;

    /// Takes back the change that made `generation`, unless there was a later one: what was new or being removed is
    /// to go, and else is wanted as it was `before`. `false` if nothing was taken back.
    async fn withdraw(
        &self,
        id: &ExposureId,
        generation: i64,
        before: Option<Before>,
        audit: AuditEntry,
    ) -> Result<bool, BackendError>;

    /// The friend's exposure of that name.
    async fn find(&self, friend: &FriendId, name: &ExposureName) -> Result<Option<Exposure>, BackendError>;

    /// The friend's exposures, sorted by name.
    async fn list(&self, friend: &FriendId) -> Result<Vec<Exposure>, BackendError>;

    /// What changed at `since` or later, by the store's clock, exposures that are gone included; `None` asks for the
    /// latest change only. Of an exposure that changed several times only the last time is told, and no two of its
    /// changes have the same.
    async fn changes(&self, since: Option<DateTime<Utc>>) -> Result<Vec<Change>, BackendError>;
}

/// Exposures as those who make them true work on them.
#[async_trait]
pub trait IntentStore: Send + Sync {
    /// Takes an exposure to work on; one lease at a time. Whoever holds it already, by token, has it extended.
    async fn claim(&self, id: &ExposureId, lease: Lease) -> Result<Claimed, BackendError>;

    /// Records a result, if generation and lease still are the fence's.
    async fn settle(&self, fence: Fence, settlement: Settlement, now: DateTime<Utc>) -> Result<Settled, BackendError>;

    /// Unfinished exposures (pending, removing) that may be tried at `now` and that nobody works on, those that wait
    /// longest first, at most `limit`.
    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<ExposureId>, BackendError>;

    /// Every exposure by id, `limit` at a time, from the first one after `after`.
    async fn page(&self, after: Option<&ExposureId>, limit: u32) -> Result<Vec<Intent>, BackendError>;

    /// Every tombstone.
    async fn tombstones(&self) -> Result<Vec<Tombstone>, BackendError>;

    /// Forgets tombstones from before `before`; tells how many.
    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError>;

    /// Makes an exposure due now, whatever it waited for; `false` if there is no such one.
    async fn requeue_now(&self, id: &ExposureId, audit: AuditEntry) -> Result<bool, BackendError>;
}

/// Every exposure that is kept, by id, read page by page.
///
/// # Errors
/// Trouble with the store.
pub async fn all_intents(store: &dyn IntentStore) -> Result<Vec<Intent>, BackendError> {
    let mut all: Vec<Intent> = Vec::new();
    loop {
        let after = all.last().map(|intent| intent.exposure.id.clone());
        let page = store.page(after.as_ref(), PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Hostnames that exposures own in none of the domains that are `served`, sorted: their domain was taken out of the
/// configuration too early, and nobody looks after them.
///
/// # Errors
/// Trouble with the store.
pub async fn unserved_hostnames(store: &dyn IntentStore, served: &[DomainName]) -> Result<Vec<Hostname>, BackendError> {
    let owned = all_intents(store).await?.into_iter();
    let owned = owned.flat_map(|intent| std::iter::once(intent.exposure.hostname).chain(intent.leaving));
    let mut unserved: Vec<_> = owned.filter(|host| !served.iter().any(|domain| host.is_in(domain))).collect();
    unserved.sort();
    Ok(unserved)
}
