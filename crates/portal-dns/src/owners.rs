//! Whose a marked record is, by what is kept. The reconcile pass and the operator's command ask the same question here.

use std::collections::{HashMap, HashSet};

use crate::{ExposureId, Hostname, InstanceId, Intent, OwnershipMarker, Tombstone};

/// What a marker at a hostname says to this portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Another portal made it.
    Theirs,
    /// The exposure has this hostname.
    Owned,
    /// The exposure had this hostname and gave it up.
    GivenUp,
    /// Neither an exposure nor a tombstone ties the marker to this hostname.
    Orphaned,
}

/// Who owns what and who gave up what, by the rows that were read.
pub(crate) struct Owners<'a> {
    instance: &'a InstanceId,
    hosts: HashMap<&'a Hostname, &'a ExposureId>,
    alive: HashSet<&'a ExposureId>,
    given_up: HashSet<(&'a ExposureId, &'a Hostname)>,
}

impl<'a> Owners<'a> {
    /// As every row and every tombstone tell it.
    pub(crate) fn of(instance: &'a InstanceId, intents: &'a [Intent], tombstones: &'a [Tombstone]) -> Self {
        let own = |intent: &'a Intent| {
            std::iter::once(&intent.exposure.hostname).chain(&intent.leaving).map(|host| (host, &intent.exposure.id))
        };
        Self {
            instance,
            hosts: intents.iter().flat_map(own).collect(),
            alive: intents.iter().map(|intent| &intent.exposure.id).collect(),
            given_up: tombstones.iter().map(|stone| (&stone.exposure, &stone.hostname)).collect(),
        }
    }

    /// What `marker` at `host` is. Zones have to be listed before the rows are read: what is made in between is then
    /// owned, and what goes in between was given up.
    pub(crate) fn standing(&self, host: &Hostname, marker: &OwnershipMarker) -> Ownership {
        if marker.instance != *self.instance {
            Ownership::Theirs
        } else if self.hosts.get(host).copied() == Some(&marker.exposure) {
            Ownership::Owned
        } else if self.given_up.contains(&(&marker.exposure, host)) {
            Ownership::GivenUp
        } else {
            Ownership::Orphaned
        }
    }

    /// Whether the exposure is kept, wherever it stands.
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
        Desired, DomainName, Exposure, ExposureId, ExposureName, Hostname, InstanceId, Intent, OwnershipMarker,
        ReleaseReason, ServiceName, ServicePort, Status, Tombstone,
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
            hostname: host("new"),
            service: ServiceName::parse("web").unwrap(),
            port: ServicePort::parse(80).unwrap(),
            domain: DomainName::parse("example.org").unwrap(),
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
            parted: ReleaseReason::Deleted,
            at: DateTime::UNIX_EPOCH,
        }
    }

    #[track_caller]
    fn check(name: &str, instance_digit: char, exposure: char, expected: Ownership) {
        let (ours, intents, tombstones) = (instance('a'), [moving()], [ended()]);
        let marker = OwnershipMarker { instance: instance(instance_digit), exposure: id(exposure) };
        assert_eq!(Owners::of(&ours, &intents, &tombstones).standing(&host(name), &marker), expected);
    }

    #[test]
    fn an_orphan_is_ours_and_known_to_no_row_and_no_tombstone_at_that_name() {
        check("new", 'a', '1', Ownership::Owned);
        check("old", 'a', '1', Ownership::Owned);
        check("gone", 'a', '2', Ownership::GivenUp);
        check("new", 'b', '1', Ownership::Theirs);
        check("anything", 'b', '3', Ownership::Theirs);
        check("anything", 'a', '3', Ownership::Orphaned);
        check("new", 'a', '3', Ownership::Orphaned);
        check("gone", 'a', '1', Ownership::Orphaned);
        check("new", 'a', '2', Ownership::Orphaned);
    }
}
