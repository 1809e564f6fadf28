//! Records of a zone.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::slice;

use async_trait::async_trait;
use portal_core::{BackendError, FriendId, Invalid};

use crate::hostname::{DomainName, Hostname};
use crate::marker::OwnershipMarker;

/// Target of a hostname's record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Another name, such as a load balancer's or a tunnel's.
    Cname(DomainName),
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
}

/// Shortest allowed time to live, in seconds.
const MIN_TTL: u32 = 30;
/// Longest allowed time to live, in seconds.
const MAX_TTL: u32 = 86_400;

/// Time to live of a record in resolvers' caches: 30 seconds to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ttl(u32);

impl Ttl {
    /// Parses a time to live, in seconds.
    ///
    /// # Errors
    /// Refuses all but 30 to 86400.
    pub fn parse(seconds: u32) -> Result<Self, Invalid> {
        if (MIN_TTL..=MAX_TTL).contains(&seconds) {
            return Ok(Self(seconds));
        }
        Err(Invalid::new("ttl", "ttl must be a number of seconds from 30 to 86400"))
    }

    /// Returns the allowed time to live that is nearest to what a zone lists, where anybody may have written anything.
    #[must_use]
    pub fn nearest(seconds: u32) -> Self {
        Self(seconds.clamp(MIN_TTL, MAX_TTL))
    }

    /// Returns the time to live in seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.0
    }
}

/// Content of a record that carries a marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordState {
    /// The owner and the exposure.
    pub marker: OwnershipMarker,
    /// The target.
    pub target: Target,
    /// Time to live. Where a provider stores an equivalent value, the adapter reports the requested one, so that a
    /// record that needs no change never looks changed.
    pub ttl: Ttl,
    /// True if the provider proxies requests; always as requested where the provider has no proxy.
    pub proxied: bool,
}

/// Observed records of a hostname.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// No record of any type, as the zone itself said.
    Absent,
    /// A record with a well-formed marker, this portal's or another's. It is alone, or at a provider where nothing can
    /// have been there before it; records that were added since are neither reported nor touched.
    Marked(RecordState),
    /// Several records, at least one with a well-formed marker, at a provider where they can have come in any order.
    Several {
        /// The records with a marker.
        marked: Vec<RecordState>,
        /// True if there are also records without a marker.
        others: bool,
    },
    /// Records of any type, none of them with a marker.
    Foreign,
}

impl Observed {
    /// Returns the records with a marker.
    #[must_use]
    pub fn marked(&self) -> &[RecordState] {
        match self {
            Self::Absent | Self::Foreign => &[],
            Self::Marked(state) => slice::from_ref(state),
            Self::Several { marked, .. } => marked,
        }
    }
}

/// Result of [`Records::ensure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// There was no record; it was created.
    Created,
    /// The record was created at a provider that cannot exclude that another one came to the name at the same moment:
    /// the name has to be looked at once more.
    CreatedUnverified,
    /// A record with this marker was different and was changed.
    Changed,
    /// The record was as wanted already.
    Same,
    /// Something without this marker is there; nothing changed.
    Foreign,
}

/// Result of [`Records::remove`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// The record was removed.
    Done,
    /// There was no record.
    Absent,
    /// Something without this marker is there; nothing changed.
    Foreign,
}

/// Priority of a call in a provider's budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Priority {
    /// This friend waits for the result; friends take turns.
    Friend(FriendId),
    /// Nobody waits; yields to friends.
    Background,
}

/// The records of one zone.
///
/// Every method is finished when it returns. An error means that its effect is unknown.
#[async_trait]
pub trait Records: Send + Sync {
    /// Reads the records at `host` from the zone now.
    async fn look(&self, host: &Hostname, priority: &Priority) -> Result<Observed, BackendError>;

    /// Makes the record at `host` as `wanted`: creates it where there is no record of any type, changes it where it
    /// carries the same marker, and leaves everything else alone. Repeating it changes nothing.
    ///
    /// `observed` is the recent result of [`Records::look`]: a hint that saves reading again, never a permission.
    async fn ensure(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        observed: &Observed,
        priority: &Priority,
    ) -> Result<Ensured, BackendError>;

    /// Removes the record at `host` that carries `marker`, and nothing else.
    async fn remove(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        priority: &Priority,
    ) -> Result<Removed, BackendError>;

    /// Lists every name of the zone that can be a hostname, with the result of [`Records::look`] for it, in pages and
    /// with [`Priority::Background`]. A name that is not listed was absent when its page was read. Pages are read at
    /// different moments, so nothing may be changed because of this list alone.
    async fn list(&self) -> Result<Vec<(Hostname, Observed)>, BackendError>;
}

#[cfg(test)]
mod tests {
    use super::Ttl;

    #[test]
    fn a_time_to_live_is_half_a_minute_to_a_day() {
        for (seconds, accepted) in [(0, false), (29, false), (30, true), (86_400, true), (86_401, false)] {
            assert_eq!(Ttl::parse(seconds).is_ok(), accepted, "{seconds}");
            assert_eq!(Ttl::nearest(seconds).seconds() == seconds, accepted, "{seconds}");
        }
    }
}
