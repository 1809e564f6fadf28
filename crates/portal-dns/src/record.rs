//! Records in a zone, as exposing a service needs them.

use std::slice;

use async_trait::async_trait;
use portal_core::{BackendError, FriendId};

use crate::{Hostname, OwnershipMarker, Target, Ttl};

/// A record that carries a marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordState {
    /// The marker: whose record it is and for which exposure.
    pub marker: OwnershipMarker,
    /// Where it points.
    pub target: Target,
    /// How long resolvers may remember it. An adapter says what was asked for where its provider stores something
    /// that means the same, so that a record which needs no change never looks as if it did.
    pub ttl: Ttl,
    /// Whether the provider passes requests on itself; always as asked for where the provider has no such thing.
    pub proxied: bool,
}

/// What stands at a hostname.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Nothing, of any record type: the zone itself said so.
    Absent,
    /// A record with a well-formed marker, this portal's or another's. It stands alone, or at a provider where nothing
    /// could have stood there before it; whatever was added since is not told of and never touched.
    Marked(RecordState),
    /// Several records, at least one of them with a well-formed marker, at a provider where they may have come in any
    /// order: `others` tells whether some have none.
    Several {
        /// Those with a marker.
        marked: Vec<RecordState>,
        /// Whether something stands beside them that carries no marker.
        others: bool,
    },
    /// Something of any record type, and nothing there carries a marker.
    Foreign,
}

impl Observed {
    /// The records with a marker.
    #[must_use]
    pub fn marked(&self) -> &[RecordState] {
        match self {
            Self::Absent | Self::Foreign => &[],
            Self::Marked(state) => slice::from_ref(state),
            Self::Several { marked, .. } => marked,
        }
    }
}

/// What became of [`Records::ensure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// There was nothing; the record stands now.
    Created,
    /// A record with this marker was different; it is as wanted now.
    Changed,
    /// The record was as wanted.
    Same,
    /// Something without this marker stands there; nothing changed.
    Foreign,
}

/// What became of [`Records::remove`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// The record is gone.
    Done,
    /// There was nothing.
    Absent,
    /// Something without this marker stands there; nothing changed.
    Foreign,
}

/// For whom a call is made: a provider's budget is shared out by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Priority {
    /// A friend waits for the answer; friends take turns.
    Friend(FriendId),
    /// Nobody waits: repair, which yields to people.
    Background,
}

/// The records of one zone.
///
/// Every method settles what it was asked before it returns: an error means that nothing is known of the effect.
#[async_trait]
pub trait Records: Send + Sync {
    /// What stands at `host`, read from the zone now.
    async fn look(&self, host: &Hostname, caller: &Priority) -> Result<Observed, BackendError>;

    /// Makes the record at `host` as `wanted`: creates it where there is nothing of any type, changes it where it
    /// carries the same marker, and else leaves everything as it is. Repeating it changes nothing.
    ///
    /// `seen` is what [`Records::look`] said a moment ago: a hint that saves reading again, never a permission. What
    /// stands there now decides.
    async fn ensure(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        seen: &Observed,
        caller: &Priority,
    ) -> Result<Ensured, BackendError>;

    /// Removes the record at `host` that carries `marker`, and nothing else.
    async fn remove(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        caller: &Priority,
    ) -> Result<Removed, BackendError>;

    /// Every name of the zone that could be a hostname, with what [`Records::look`] would say of it, read in pages
    /// and for [`Priority::Background`]. A name that is not in the list was absent when its page was read; since pages
    /// are not one moment, nothing may be changed on the strength of this list alone.
    async fn list(&self) -> Result<Vec<(Hostname, Observed)>, BackendError>;
}
