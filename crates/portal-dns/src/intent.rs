//! An exposure as it is wanted, and how it changes: the rules that every store applies.

use chrono::{DateTime, Utc};
use portal_core::FriendId;

use crate::{DomainName, Exposure, ExposureId, ExposureName, Hostname, Reason, ServiceName, ServicePort, Status};

/// Whether an exposure is to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Desired {
    /// It is to stand.
    Present,
    /// It is to go, and its row with it once the last trace is gone.
    Absent,
}

/// An exposure as it is wanted, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The exposure as wanted; its status is how far the portal got.
    pub exposure: Exposure,
    /// Whether it is to be there.
    pub desired: Desired,
    /// Counts the friend's changes: work that began before a change is not recorded after it.
    pub generation: i64,
    /// Whether it stood at this hostname before; what is missing then was lost, and what is foreign came later.
    pub established: bool,
    /// Hostnames that it still owns and is about to give up, sorted.
    pub leaving: Vec<Hostname>,
    /// How often in a row the portal met trouble.
    pub attempts: u32,
    /// Not to be tried again in the background before.
    pub next_attempt_at: DateTime<Utc>,
}

/// What a friend wants to have reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The id, should it be a new exposure.
    pub id: ExposureId,
    /// Who wants it.
    pub friend: FriendId,
    /// Under which name.
    pub name: ExposureName,
    /// The Service that requests go to.
    pub service: ServiceName,
    /// The port of that Service.
    pub port: ServicePort,
    /// The domain.
    pub domain: DomainName,
    /// Name, friend and domain as one.
    pub hostname: Hostname,
}

/// What an exposure was before a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Whether it was to be there.
    pub desired: Desired,
    /// The Service.
    pub service: ServiceName,
    /// Its port.
    pub port: ServicePort,
    /// The domain.
    pub domain: DomainName,
    /// The hostname.
    pub hostname: Hostname,
}

/// What came of working on an exposure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It stays.
    Stays {
        /// How far the portal got.
        status: Status,
        /// Why it is not active.
        reason: Option<Reason>,
        /// See [`Intent::established`].
        established: bool,
        /// Whether the hostnames in [`Intent::leaving`] are free now; each leaves a tombstone.
        leaving_is_free: bool,
        /// See [`Intent::attempts`].
        attempts: u32,
        /// See [`Intent::next_attempt_at`].
        next_attempt_at: DateTime<Utc>,
    },
    /// Every trace is gone: the row goes, its hostnames are free, and each leaves a tombstone.
    Gone,
}

impl Intent {
    /// A new exposure, at `at`.
    #[must_use]
    pub fn new(wanted: Reservation, at: DateTime<Utc>) -> Self {
        let Reservation { id, friend, name, service, port, domain, hostname } = wanted;
        let exposure = Exposure {
            id,
            friend,
            name,
            service,
            port,
            domain,
            hostname,
            status: Status::Pending,
            reason: Some(Reason::InProgress),
            created_at: at,
        };
        Self {
            exposure,
            desired: Desired::Present,
            generation: 1,
            established: false,
            leaving: Vec::new(),
            attempts: 0,
            next_attempt_at: at,
        }
    }

    /// Whether the exposure is wanted just so.
    #[must_use]
    pub fn is_wanted_as(&self, wanted: &Reservation) -> bool {
        let Exposure { service, port, hostname, .. } = &self.exposure;
        self.desired == Desired::Present
            && (service, port, hostname) == (&wanted.service, &wanted.port, &wanted.hostname)
    }

    /// What a change may have to be taken back to.
    #[must_use]
    pub fn before(&self) -> Before {
        let Exposure { service, port, domain, hostname, .. } = &self.exposure;
        Before {
            desired: self.desired,
            service: service.clone(),
            port: *port,
            domain: domain.clone(),
            hostname: hostname.clone(),
        }
    }

    /// The exposure as it is wanted from `at` on. Its id, name and age stay; a hostname that it no longer wants is
    /// its own until it is freed.
    #[must_use]
    pub fn changed(self, wanted: &Reservation, at: DateTime<Utc>) -> Self {
        let wanted = Before {
            desired: Desired::Present,
            service: wanted.service.clone(),
            port: wanted.port,
            domain: wanted.domain.clone(),
            hostname: wanted.hostname.clone(),
        };
        self.turned_to(wanted, at)
    }

    /// The exposure as it is to go, from `at` on.
    #[must_use]
    pub fn closed(self, at: DateTime<Utc>) -> Self {
        let wanted = Before { desired: Desired::Absent, ..self.before() };
        self.turned_to(wanted, at)
    }

    /// The exposure after its latest change was taken back at `at`: as it was `before`, or on its way out if it was
    /// not there or was going.
    #[must_use]
    pub fn withdrawn(self, before: Option<Before>, at: DateTime<Utc>) -> Self {
        match before {
            Some(before) if before.desired == Desired::Present => self.turned_to(before, at),
            _ => self.closed(at),
        }
    }

    fn turned_to(mut self, wanted: Before, at: DateTime<Utc>) -> Self {
        let Before { desired, service, port, domain, hostname } = wanted;
        let stays = self.exposure.hostname == hostname && self.desired == Desired::Present;
        if self.exposure.hostname != hostname {
            self.leaving.push(self.exposure.hostname);
            self.leaving.retain(|leaving| *leaving != hostname);
            self.leaving.sort();
            self.leaving.dedup();
        }
        let status = if desired == Desired::Present { Status::Pending } else { Status::Removing };
        let reason = Some(Reason::InProgress);
        let exposure = Exposure { service, port, domain, hostname, status, reason, ..self.exposure };
        Self {
            exposure,
            desired,
            generation: self.generation.saturating_add(1),
            established: self.established && stays,
            attempts: 0,
            next_attempt_at: at,
            ..self
        }
    }

    /// The exposure after a result was recorded, with the hostnames that it gave up; `None` if it is gone, and then
    /// these are all that it had.
    #[must_use]
    pub fn settled(mut self, settlement: Settlement) -> (Option<Self>, Vec<Hostname>) {
        match settlement {
            Settlement::Gone => {
                let mut freed = vec![self.exposure.hostname];
                freed.append(&mut self.leaving);
                (None, freed)
            }
            Settlement::Stays { status, reason, established, leaving_is_free, attempts, next_attempt_at } => {
                let freed = if leaving_is_free { std::mem::take(&mut self.leaving) } else { Vec::new() };
                let exposure = Exposure { status, reason, ..self.exposure };
                (Some(Self { exposure, established, attempts, next_attempt_at, ..self }), freed)
            }
        }
    }
}

#[cfg(test)]
mod tests;
