//! Hostnames that an exposure gave up, remembered for a day.

use std::time::Duration;

use chrono::{DateTime, Utc};
use portal_core::FriendId;

use crate::hostname::{ExposureName, Hostname};
use crate::marker::ExposureId;
use crate::route::RoutePlace;

/// Lifetime of a tombstone. A process that was suspended for longer than its lease can still write a record or a
/// route; within this time the pass recognises and removes it.
pub const TOMBSTONE_LIFETIME: Duration = Duration::from_hours(24);
/// Limit of tombstones that a friend can have, counted when a new name is exposed. Exposing a removed name again is
/// always possible, because it continues with the tombstone's exposure id.
pub const TOMBSTONES_PER_FRIEND: usize = 200;

/// A hostname that an exposure gave up, by being removed or by moving to another domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tombstone {
    /// The exposure. An exposure of the same friend and name that is made later takes this id again.
    pub exposure: ExposureId,
    /// Owner of the exposure.
    pub friend: FriendId,
    /// Name of the exposure.
    pub name: ExposureName,
    /// The hostname that was given up.
    pub hostname: Hostname,
    /// Cause of the release.
    pub released_by: ReleaseReason,
    /// Generation at which it was released; the next life of the name goes on from it.
    pub generation: i64,
    /// Time of the release, by the store's clock.
    pub at: DateTime<Utc>,
}

/// Cause of a hostname's release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReleaseReason {
    /// The exposure lives on under another hostname, with its route.
    Moved,
    /// The exposure was removed.
    Deleted,
}

impl Tombstone {
    /// Returns the place of the exposure's former route; `None` while the route is still in use.
    #[must_use]
    pub fn route(&self) -> Option<RoutePlace> {
        (self.released_by == ReleaseReason::Deleted).then(|| RoutePlace::of(&self.friend, &self.name))
    }
}
