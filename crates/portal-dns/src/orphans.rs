//! Orphans: records with our marker that neither an exposure nor a tombstone knows. Only an operator removes them.
//!
//! They come from a database that was restored from an older copy, from a process that was suspended for more than a
//! day, or from somebody who copied a marker.

use std::sync::Arc;
use std::time::Duration;

use portal_core::{AuditEntry, AuditLog, Backend, BackendError, Clock, Ids};

use crate::hostname::{DomainName, Hostname};
use crate::marker::{InstanceId, OwnershipMarker};
use crate::owners::{Owners, Ownership};
use crate::record::{Priority, Removed};
use crate::store::{Claimed, ExposureStore, Lease, all_intents, valid_tombstones};
use crate::timeout::with_timeout;
use crate::zone::{Domain, Zone};

/// Lease of an exposure that lives on elsewhere while one of its records is removed: longer than the removal takes.
const REMOVAL_LEASE: Duration = Duration::from_secs(10);

/// A record with our marker that no row knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Domain of the record.
    pub domain: DomainName,
    /// Name of the record.
    pub hostname: Hostname,
    /// Marker of the record.
    pub marker: OwnershipMarker,
}

/// Result of removing an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanRemoved {
    /// The record was removed.
    Done,
    /// The record was gone already.
    Absent,
    /// It is no orphan any more, or its marker has changed: it was left alone.
    LeftAlone,
    /// Its exposure lives on elsewhere, and a worker holds its lease: it was left alone.
    Busy,
}

/// Ports of [`Orphans`].
pub struct OrphanPorts {
    /// The stored exposures.
    pub store: Arc<dyn ExposureStore>,
    /// The log of removals.
    pub audit_log: Arc<dyn AuditLog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random tokens.
    pub ids: Arc<dyn Ids>,
}

/// The orphans of one portal in all of its zones. The portal may run at the same time.
pub struct Orphans {
    ports: OrphanPorts,
    instance: InstanceId,
    zones: Vec<Zone>,
}

impl Orphans {
    /// Makes the orphans of this instance in these zones.
    #[must_use]
    pub fn new(ports: OrphanPorts, instance: InstanceId, zones: Vec<Zone>) -> Self {
        Self { ports, instance, zones }
    }

    /// Returns the domains of all zones.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.zones.iter().map(|zone| &zone.domain)
    }

    /// Lists the orphans in a domain, sorted by hostname; none in a domain that is not configured.
    ///
    /// # Errors
    /// A zone or a store that cannot be asked.
    pub async fn find(&self, domain: &DomainName) -> Result<Vec<Orphan>, BackendError> {
        let Some(zone) = self.zone(domain) else { return Ok(Vec::new()) };
        // Before the rows are read: see `Owners::ownership`.
        let listed = zone.records.list().await?;
        let intents = all_intents(&*self.ports.store).await?;
        let tombstones = valid_tombstones(&*self.ports.store, self.ports.clock.now()).await?;
        let owners = Owners::of(&self.instance, &intents, &tombstones);
        let marked = listed.iter().flat_map(|(host, seen)| seen.marked().iter().map(move |it| (host.clone(), it)));
        let marked = marked.map(|(host, record)| (host, record.marker.clone()));
        let orphaned = marked.filter(|(host, marker)| owners.ownership(host, marker) == Ownership::Orphaned);
        let mut orphans: Vec<_> =
            orphaned.map(|(hostname, marker)| Orphan { domain: domain.clone(), hostname, marker }).collect();
        orphans.sort_by(|one, other| one.hostname.cmp(&other.hostname));
        Ok(orphans)
    }

    /// Removes an orphan, if it still is one and still carries the marker; nothing else at its hostname is touched.
    ///
    /// # Errors
    /// A store, log or zone that cannot be asked; the state of the record is unknown then.
    pub async fn remove(&self, orphan: &Orphan, audit: AuditEntry) -> Result<OrphanRemoved, BackendError> {
        let Some(zone) = self.zone(&orphan.domain) else { return Ok(OrphanRemoved::LeftAlone) };
        if let Some(left_alone) = self.claim(orphan).await? {
            return Ok(left_alone);
        }
        // Zone and log have no transaction in common, so the entry comes before the effect.
        self.ports.audit_log.append(audit).await?;
        let removal = zone.records.remove(&orphan.hostname, &orphan.marker, &Priority::Background);
        Ok(match with_timeout(Backend::Dns, removal).await? {
            Removed::Done => OrphanRemoved::Done,
            Removed::Absent => OrphanRemoved::Absent,
            Removed::Foreign => OrphanRemoved::LeftAlone,
        })
    }

    /// Leases the orphan's exposure where it lives on, since it may be on its way to this hostname. Returns the reason to
    /// leave the record alone.
    async fn claim(&self, orphan: &Orphan) -> Result<Option<OrphanRemoved>, BackendError> {
        let lease = Lease { token: self.ports.ids.id(), length: REMOVAL_LEASE, now: self.ports.clock.now() };
        let intents = match self.ports.store.claim(&orphan.marker.exposure, lease).await? {
            Claimed::Busy => return Ok(Some(OrphanRemoved::Busy)),
            Claimed::Mine(intent, _) => vec![*intent],
            // No record is ever made for an exposure without a row.
            Claimed::Gone => Vec::new(),
        };
        let tombstones = valid_tombstones(&*self.ports.store, self.ports.clock.now()).await?;
        let owners = Owners::of(&self.instance, &intents, &tombstones);
        let is_orphan = owners.ownership(&orphan.hostname, &orphan.marker) == Ownership::Orphaned;
        Ok((!is_orphan).then_some(OrphanRemoved::LeftAlone))
    }

    fn zone(&self, domain: &DomainName) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.domain.name == *domain)
    }
}
