//! Records with our marker that neither an exposure nor a tombstone knows: no pass touches them, an operator may.
//!
//! They come from a database that was restored from an older copy, from a process that slept for more than a day, or
//! from somebody who copied a marker.

use std::sync::Arc;
use std::time::Duration;

use portal_core::{AuditEntry, AuditLog, Backend, BackendError, Clock, Ids};

use crate::owners::{Owners, Ownership};
use crate::reconcile::observe::timely;
use crate::{
    Claimed, Domain, DomainName, Hostname, InstanceId, IntentStore, Lease, OwnershipMarker, Priority, Removed, Zone,
    all_intents,
};

/// How long an exposure that lives on elsewhere is kept from others while one of its records goes: longer than the
/// removal takes.
const LEASE: Duration = Duration::from_secs(10);

/// A record with our marker that nothing kept here knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// In which domain it stands.
    pub domain: DomainName,
    /// Where.
    pub hostname: Hostname,
    /// What it carries.
    pub marker: OwnershipMarker,
}

/// What became of an orphan that was to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanRemoved {
    /// The record is gone.
    Done,
    /// It had gone already.
    Absent,
    /// It is not an orphan any more, or its marker has changed: it was left alone.
    Kept,
    /// Its exposure lives on elsewhere, and somebody works on it at this moment: it was left alone.
    Busy,
}

/// Everything that [`Orphans`] asks others for.
pub struct OrphanPorts {
    /// What is kept.
    pub intents: Arc<dyn IntentStore>,
    /// Where a removal is logged.
    pub audit_log: Arc<dyn AuditLog>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub ids: Arc<dyn Ids>,
}

/// The orphans of one portal, in all of its zones; works whether or not the portal runs.
pub struct Orphans {
    ports: OrphanPorts,
    instance: InstanceId,
    zones: Vec<Zone>,
}

impl Orphans {
    /// The orphans of this instance in these zones.
    #[must_use]
    pub fn new(ports: OrphanPorts, instance: InstanceId, zones: Vec<Zone>) -> Self {
        Self { ports, instance, zones }
    }

    /// The domains that are looked at.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.zones.iter().map(|zone| &zone.domain)
    }

    /// The orphans that stand in a domain, sorted by hostname; none in a domain that is not served.
    ///
    /// # Errors
    /// Trouble with the zone or the store.
    pub async fn find(&self, domain: &DomainName) -> Result<Vec<Orphan>, BackendError> {
        let Some(zone) = self.zone(domain) else { return Ok(Vec::new()) };
        // Before the rows are read: see `Owners::standing`.
        let listed = zone.records.list().await?;
        let intents = all_intents(&*self.ports.intents).await?;
        let tombstones = self.ports.intents.tombstones().await?;
        let owners = Owners::of(&self.instance, &intents, &tombstones);
        let marked = listed.iter().flat_map(|(host, seen)| seen.marked().iter().map(move |it| (host.clone(), it)));
        let marked = marked.map(|(host, record)| (host, record.marker.clone()));
        let orphaned = marked.filter(|(host, marker)| owners.standing(host, marker) == Ownership::Orphaned);
        let mut orphans: Vec<_> =
            orphaned.map(|(hostname, marker)| Orphan { domain: domain.clone(), hostname, marker }).collect();
        orphans.sort_by(|one, other| one.hostname.cmp(&other.hostname));
        Ok(orphans)
    }

    /// Removes an orphan, if it still is one and still carries the marker; nothing else at its hostname is touched. The
    /// line is logged before the record goes, since zone and log have no transaction in common.
    ///
    /// # Errors
    /// Trouble with the store, the log or the zone; nothing is known of the record then.
    pub async fn remove(&self, orphan: &Orphan, audit: AuditEntry) -> Result<OrphanRemoved, BackendError> {
        let Some(zone) = self.zone(&orphan.domain) else { return Ok(OrphanRemoved::Kept) };
        if let Some(left_alone) = self.is_claimed(orphan).await? {
            return Ok(left_alone);
        }
        self.ports.audit_log.append(audit).await?;
        let removal = zone.records.remove(&orphan.hostname, &orphan.marker, &Priority::Background);
        Ok(match timely(Backend::Dns, removal).await? {
            Removed::Done => OrphanRemoved::Done,
            Removed::Absent => OrphanRemoved::Absent,
            Removed::Foreign => OrphanRemoved::Kept,
        })
    }

    /// Why the record has to be left alone. No record is ever made for an exposure that is gone; one that lives on may
    /// be on its way to this hostname, so nobody else may work on it meanwhile.
    async fn is_claimed(&self, orphan: &Orphan) -> Result<Option<OrphanRemoved>, BackendError> {
        let lease = Lease { token: self.ports.ids.id(), length: LEASE, now: self.ports.clock.now() };
        let intents = match self.ports.intents.claim(&orphan.marker.exposure, lease).await? {
            Claimed::Busy => return Ok(Some(OrphanRemoved::Busy)),
            Claimed::Mine(intent, _) => vec![*intent],
            Claimed::Gone => Vec::new(),
        };
        let tombstones = self.ports.intents.tombstones().await?;
        let owners = Owners::of(&self.instance, &intents, &tombstones);
        let is_orphan = owners.standing(&orphan.hostname, &orphan.marker) == Ownership::Orphaned;
        Ok((!is_orphan).then_some(OrphanRemoved::Kept))
    }

    fn zone(&self, domain: &DomainName) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.domain.name == *domain)
    }
}
