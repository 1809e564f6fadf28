//! The desired state of an exposure and its transitions, which every store applies.

use chrono::{DateTime, Utc};
use portal_core::FriendId;

use crate::exposure::{Exposure, ExposureSpec, Progress, Reason, Status};
use crate::hostname::{ExposureName, Hostname};
use crate::marker::ExposureId;
use crate::route::RoutePlace;
use crate::tombstone::Tombstone;

/// Desired existence of an exposure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Desired {
    /// Record and route are to exist.
    Present,
    /// Record and route are to be removed, and then the row.
    Absent,
}

/// An exposure as the reconciler sees it: desired state, and what is known of the actual one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The exposure as desired, with its recorded status.
    pub exposure: Exposure,
    /// Desired existence.
    pub desired: Desired,
    /// Counts the friend's changes. An outcome is recorded only for the generation that was worked on.
    pub generation: i64,
    /// True once the exposure was seen alone at this hostname. From then on a missing record was lost and a foreign
    /// one came later.
    pub established: bool,
    /// Hostnames that it still owns and is about to give up, sorted.
    pub leaving: Vec<Hostname>,
    /// Number of failed attempts in a row.
    pub attempts: u32,
    /// Earliest time of the next attempt in the background.
    pub next_attempt_at: DateTime<Utc>,
}

/// A request to own a hostname and expose a Service under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Id for a new exposure whose name has no tombstone.
    pub id: ExposureId,
    /// The friend.
    pub friend: FriendId,
    /// Name of the exposure.
    pub name: ExposureName,
    /// The desired state.
    pub spec: ExposureSpec,
    /// Refuses the request if the friend has an exposure of this name, even one that is being removed.
    pub only_if_absent: bool,
}

/// State of an exposure before a change, to which a refused change returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Desired existence.
    pub desired: Desired,
    /// The desired state.
    pub spec: ExposureSpec,
}

/// Outcome of a reconcile run, as it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The exposure stays.
    Stays {
        /// The new status.
        status: Status,
        /// Reason of a status that is not `active`.
        reason: Option<Reason>,
        /// Parts that are in place.
        progress: Progress,
        /// See [`Intent::established`].
        established: bool,
        /// Frees the hostnames in [`Intent::leaving`], each with a tombstone.
        leaving_is_free: bool,
        /// See [`Intent::attempts`].
        attempts: u32,
        /// See [`Intent::next_attempt_at`].
        next_attempt_at: DateTime<Utc>,
    },
    /// Every trace is gone: the row is deleted and its hostnames are freed, each with a tombstone.
    Gone,
}

impl Intent {
    /// Makes a new exposure at `at`. A name that was removed within the last day continues with the id of `former`,
    /// so that one id covers every past life of a hostname.
    #[must_use]
    pub fn new(wanted: Reservation, former: Option<&Tombstone>, at: DateTime<Utc>) -> Self {
        let Reservation { id, friend, name, spec, .. } = wanted;
        let exposure = Exposure {
            id: former.map_or(id, |tombstone| tombstone.exposure.clone()),
            friend,
            name,
            spec,
            status: Status::Pending,
            reason: Some(Reason::InProgress),
            progress: Progress::default(),
            created_at: at,
        };
        Self {
            exposure,
            desired: Desired::Present,
            // A worker of the former life holds an older generation, so that its outcome is not recorded.
            generation: former.map_or(1, |tombstone| tombstone.generation.saturating_add(1)),
            established: false,
            leaving: Vec::new(),
            attempts: 0,
            next_attempt_at: at,
        }
    }

    /// Returns the place of the exposure's route.
    #[must_use]
    pub fn route_place(&self) -> RoutePlace {
        RoutePlace::of(&self.exposure.friend, &self.exposure.name)
    }

    /// True if the exposure is desired exactly so.
    #[must_use]
    pub fn is_wanted_as(&self, spec: &ExposureSpec) -> bool {
        self.desired == Desired::Present && self.exposure.spec == *spec
    }

    /// Returns the state to which a change may have to be taken back.
    #[must_use]
    pub fn previous(&self) -> Previous {
        Previous { desired: self.desired, spec: self.exposure.spec.clone() }
    }

    /// Returns the exposure with another desired state from `at` on. Id, name and age stay; an old hostname stays
    /// owned until it is freed.
    #[must_use]
    pub fn changed(self, spec: &ExposureSpec, at: DateTime<Utc>) -> Self {
        self.turned_to(Previous { desired: Desired::Present, spec: spec.clone() }, at)
    }

    /// Returns the exposure with its removal desired from `at` on.
    #[must_use]
    pub fn closed(self, at: DateTime<Utc>) -> Self {
        let wanted = Previous { desired: Desired::Absent, ..self.previous() };
        self.turned_to(wanted, at)
    }

    /// Returns the exposure with its latest change taken back at `at`: as it was before, or to be removed if it did
    /// not exist or was being removed.
    #[must_use]
    pub fn withdrawn(self, previous: Option<Previous>, at: DateTime<Utc>) -> Self {
        match previous {
            Some(previous) if previous.desired == Desired::Present => self.turned_to(previous, at),
            // Without a state before, or with a removal before, nothing was there to return to.
            _ => self.closed(at),
        }
    }

    fn turned_to(mut self, wanted: Previous, at: DateTime<Utc>) -> Self {
        let Previous { desired, spec } = wanted;
        let host = &self.exposure.spec.hostname;
        let stays = *host == spec.hostname && self.desired == Desired::Present;
        if *host != spec.hostname {
            self.leaving.push(host.clone());
            // An exposure that turns back wants a hostname again that it was about to give up.
            self.leaving.retain(|leaving| *leaving != spec.hostname);
            self.leaving.sort();
            self.leaving.dedup();
        }
        let status = if desired == Desired::Present { Status::Pending } else { Status::Removing };
        // The record of a hostname that stays is not touched by another Service or port.
        let record = stays && desired == Desired::Present && self.exposure.progress.record;
        let progress = Progress { route: false, record };
        let exposure = Exposure { spec, status, reason: Some(Reason::InProgress), progress, ..self.exposure };
        Self {
            exposure,
            desired,
            generation: self.generation.saturating_add(1),
            // A hostname that was left is contested anew when the exposure comes back to it.
            established: self.established && stays,
            attempts: 0,
            next_attempt_at: at,
            ..self
        }
    }

    /// Returns the exposure after an outcome was recorded, and the hostnames that it gave up by it. `None` if it is
    /// gone; then these are all that it had.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> (Option<Self>, Vec<Hostname>) {
        match outcome {
            Outcome::Gone => {
                let mut freed = vec![self.exposure.spec.hostname];
                freed.append(&mut self.leaving);
                (None, freed)
            }
            Outcome::Stays { status, reason, progress, established, leaving_is_free, attempts, next_attempt_at } => {
                let freed = if leaving_is_free { std::mem::take(&mut self.leaving) } else { Vec::new() };
                let exposure = Exposure { status, reason, progress, ..self.exposure };
                (Some(Self { exposure, established, attempts, next_attempt_at, ..self }), freed)
            }
        }
    }
}

#[cfg(test)]
mod tests;
