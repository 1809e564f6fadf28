//! Ownership of marked records by the stored rows, for the reconcile pass and the operator's command.

use std::collections::{HashMap, HashSet};

use crate::hostname::Hostname;
use crate::intent::Intent;
use crate::marker::{ExposureId, InstanceId, OwnershipMarker};
use crate::tombstone::Tombstone;

/// Ownership of a record with a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Another portal made it.
    OtherPortal,
    /// The exposure owns this hostname.
    Owned,
    /// The exposure owned this hostname and gave it up.
    Released,
    /// Neither an exposure nor a tombstone ties the marker to this hostname.
    Orphaned,
}

/// Owned and released hostnames, by the rows that were read.
pub(crate) struct Owners<'a> {
    instance: &'a InstanceId,
    hosts: HashMap<&'a Hostname, &'a ExposureId>,
    alive: HashSet<&'a ExposureId>,
    released: HashSet<(&'a ExposureId, &'a Hostname)>,
}

impl<'a> Owners<'a> {
    /// Indexes all rows and all tombstones.
    pub(crate) fn of(instance: &'a InstanceId, intents: &'a [Intent], tombstones: &'a [Tombstone]) -> Self {
        let own = |intent: &'a Intent| {
            std::iter::once(&intent.exposure.spec.hostname)
                .chain(&intent.leaving)
                .map(|host| (host, &intent.exposure.id))
        };
        Self {
            instance,
            hosts: intents.iter().flat_map(own).collect(),
            alive: intents.iter().map(|intent| &intent.exposure.id).collect(),
            released: tombstones.iter().map(|tombstone| (&tombstone.exposure, &tombstone.hostname)).collect(),
        }
    }

    /// Returns the ownership of a record with `marker` at `host`. Zones have to be listed before the rows are read: a
    /// record that is made in between is then owned, and one that goes in between is released.
    pub(crate) fn ownership(&self, host: &Hostname, marker: &OwnershipMarker) -> Ownership {
        if marker.instance != *self.instance {
            Ownership::OtherPortal
        // Before the tombstones: a name that lives again has one of its own id.
        } else if self.hosts.get(host).copied() == Some(&marker.exposure) {
            Ownership::Owned
        } else if self.released.contains(&(&marker.exposure, host)) {
            Ownership::Released
        } else {
            Ownership::Orphaned
        }
    }

    /// True if the exposure exists, at whatever hostname.
    pub(crate) fn is_alive(&self, exposure: &ExposureId) -> bool {
        self.alive.contains(exposure)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use portal_core::FriendId;

    use super::{Owners, Ownership};
    use crate::{
        Desired, DomainName, Exposure, ExposureId, ExposureName, ExposureSpec, Hostname, InstanceId, Intent,
        OwnershipMarker, Progress, ReleaseReason, ServiceName, ServicePort, Status, Tombstone,
    };

    fn id(digit: char) -> ExposureId {
        ExposureId::parse(&digit.to_string().repeat(32)).unwrap()
    }

    fn instance(digit: char) -> InstanceId {
        InstanceId::parse(&digit.to_string().repeat(32)).unwrap()
    }

    fn host(name: &str) -> Hostname {
        Hostname::parse(&format!("{name}.example.org")).unwrap()
    }

    /// Exposure `1` stands at `new` and is leaving `old`.
    fn moving() -> Intent {
        let exposure = Exposure {
            id: id('1'),
            friend: FriendId::parse("alice").unwrap(),
            name: ExposureName::parse("web").unwrap(),
            spec: ExposureSpec {
                service: ServiceName::parse("web").unwrap(),
                port: ServicePort::parse(80).unwrap(),
                domain: DomainName::parse("example.org").unwrap(),
                hostname: host("new"),
            },
            progress: Progress::default(),
            status: Status::Active,
            reason: None,
            created_at: DateTime::UNIX_EPOCH,
        };
        Intent {
            exposure,
            desired: Desired::Present,
            generation: 1,
            established: true,
            leaving: vec![host("old")],
            attempts: 0,
            next_attempt_at: DateTime::UNIX_EPOCH,
        }
    }

    /// Exposure `2` is gone, and had `gone`.
    fn ended() -> Tombstone {
        Tombstone {
            exposure: id('2'),
            friend: FriendId::parse("alice").unwrap(),
            name: ExposureName::parse("blog").unwrap(),
            hostname: host("gone"),
            released_by: ReleaseReason::Deleted,
            generation: 1,
            at: DateTime::UNIX_EPOCH,
        }
    }

    #[track_caller]
    fn check(name: &str, instance_digit: char, exposure: char, expected: Ownership) {
        let (ours, intents, tombstones) = (instance('a'), [moving()], [ended()]);
        let marker = OwnershipMarker { instance: instance(instance_digit), exposure: id(exposure) };
        assert_eq!(Owners::of(&ours, &intents, &tombstones).ownership(&host(name), &marker), expected);
    }

    #[test]
    fn an_orphan_is_ours_and_known_to_no_row_and_no_tombstone_at_that_name() {
        check("new", 'a', '1', Ownership::Owned);
        check("old", 'a', '1', Ownership::Owned);
        check("gone", 'a', '2', Ownership::Released);
        check("new", 'b', '1', Ownership::OtherPortal);
        check("anything", 'b', '3', Ownership::OtherPortal);
        check("anything", 'a', '3', Ownership::Orphaned);
        check("new", 'a', '3', Ownership::Orphaned);
        check("gone", 'a', '1', Ownership::Orphaned);
        check("new", 'a', '2', Ownership::Orphaned);
    }
}
