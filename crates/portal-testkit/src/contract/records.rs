//! Records of a DNS zone.

use futures::StreamExt;
use futures::future::join;
use portal_core::{FriendId, Ids};
use portal_dns::{
    DomainName, Ensured, ExposureId, Hostname, InstanceId, Observed, OwnershipMarker, Priority, RecordState, Removed,
    Target, Ttl,
};

use crate::fixture::ZoneFixture;

fn ids() -> portal_core::SeededIds {
    portal_core::SeededIds::from_seed(1)
}

fn marker(number: u8) -> OwnershipMarker {
    let id = format!("{number:032x}");
    OwnershipMarker { instance: InstanceId::parse(&ids().id()).unwrap(), exposure: ExposureId::parse(&id).unwrap() }
}

#[must_use]
pub fn alice() -> Priority {
    Priority::Friend(FriendId::parse("alice").unwrap())
}

#[must_use]
pub fn tunnel() -> Target {
    Target::Cname(DomainName::parse("tunnel.example.net").unwrap())
}

#[must_use]
pub fn address(last: u8) -> Target {
    Target::A([192, 0, 2, last].into())
}

#[must_use]
pub fn wanted(number: u8, target: Target) -> RecordState {
    RecordState { marker: marker(number), target, ttl: Ttl::parse(600).unwrap(), proxied: false }
}

impl ZoneFixture {
    /// Returns the hostname with this label.
    #[must_use]
    pub fn host(&self, label: &str) -> Hostname {
        Hostname::parse(&format!("{label}.{}", self.domain)).unwrap()
    }

    /// Looks at a hostname.
    pub async fn look(&self, host: &Hostname) -> Observed {
        self.records.look(host, &alice()).await.unwrap()
    }

    /// Looks at a hostname and ensures a record there.
    pub async fn ensure(&self, host: &Hostname, wanted: &RecordState) -> Ensured {
        let seen = self.look(host).await;
        self.ensure_observed(host, wanted, &seen).await
    }

    /// Ensures a record where this was observed; an unverified one is verified, as the reconciler does.
    pub async fn ensure_observed(&self, host: &Hostname, wanted: &RecordState, observed: &Observed) -> Ensured {
        match self.records.ensure(host, wanted, observed, &alice()).await.unwrap() {
            Ensured::CreatedUnverified => self.verify(host, wanted).await,
            ensured => ensured,
        }
    }

    /// Looks once more, as the reconciler does, and takes the record back if it is not alone.
    async fn verify(&self, host: &Hostname, wanted: &RecordState) -> Ensured {
        if matches!(self.look(host).await, Observed::Marked(_)) {
            return Ensured::Created;
        }
        assert_eq!(self.records.remove(host, &wanted.marker, &alice()).await.unwrap(), Removed::Done);
        Ensured::Foreign
    }

    /// Removes the record with the marker of this number.
    pub async fn remove(&self, host: &Hostname, number: u8) -> Removed {
        self.records.remove(host, &marker(number), &Priority::Background).await.unwrap()
    }

    /// Returns the type and the content of each record at a name, sorted.
    pub async fn records_at(&self, host: &Hostname) -> Vec<(String, String)> {
        self.editor.records_at(host).await
    }

    /// Adds somebody else's record at a hostname.
    pub async fn insert_at(&self, host: &Hostname, kind: &str, content: &str) {
        self.editor.insert(host.as_str(), kind, content).await;
    }
}

pub async fn an_empty_name_is_absent(zone: &ZoneFixture) {
    let host = zone.host("app-alice");
    assert_eq!(zone.look(&host).await, Observed::Absent);
    assert_eq!(zone.remove(&host, 1).await, Removed::Absent);
    assert_eq!(zone.records.list().await.unwrap(), []);
}

pub async fn a_record_is_created_and_read_back_as_it_was_asked_for(zone: &ZoneFixture) {
    let v6 = "2001:db8::7".parse().unwrap();
    for (label, target, expected) in [
        ("cname-alice", tunnel(), ("CNAME", "tunnel.example.net")),
        ("a-alice", address(7), ("A", "192.0.2.7")),
        ("aaaa-alice", Target::Aaaa(v6), ("AAAA", "2001:db8::7")),
    ] {
        let (host, wanted) = (zone.host(label), wanted(1, target));
        assert_eq!(zone.ensure(&host, &wanted).await, Ensured::Created);
        assert_eq!(zone.look(&host).await, Observed::Marked(wanted));
        assert_eq!(zone.records_at(&host).await, [(expected.0.to_owned(), expected.1.to_owned())]);
    }
}

pub async fn making_a_record_again_changes_nothing(zone: &ZoneFixture) {
    let host = zone.host("app-alice");
    for target in [tunnel(), address(7)] {
        let wanted = wanted(1, target);
        zone.ensure(&host, &wanted).await;
        let before = zone.records_at(&host).await;
        assert_eq!(zone.ensure(&host, &wanted).await, Ensured::Same);
        // An answer that was lost leaves us with the observation that nothing is there.
        assert_eq!(zone.ensure_observed(&host, &wanted, &Observed::Absent).await, Ensured::Same);
        assert_eq!(zone.records_at(&host).await, before);
    }
}

pub async fn a_record_of_ours_is_changed_in_place(zone: &ZoneFixture) {
    let host = zone.host("app-alice");
    zone.ensure(&host, &wanted(1, tunnel())).await;
    let other_tunnel = Target::Cname(DomainName::parse("tunnel.example.com").unwrap());
    let v6 = "2001:db8::7".parse().unwrap();
    for target in [other_tunnel, address(7), address(8), Target::Aaaa(v6), tunnel()] {
        let wanted = wanted(1, target);
        assert_eq!(zone.ensure(&host, &wanted).await, Ensured::Changed, "{:?}", wanted.target);
        assert_eq!(zone.look(&host).await, Observed::Marked(wanted));
        assert_eq!(zone.records_at(&host).await.len(), 1);
    }
    let longer = RecordState { ttl: Ttl::parse(3600).unwrap(), ..wanted(1, tunnel()) };
    assert_eq!(zone.ensure(&host, &longer).await, Ensured::Changed);
    assert_eq!(zone.look(&host).await, Observed::Marked(longer));
}

const FOREIGN: [(&str, &str); 5] = [
    ("A", "198.51.100.1"),
    ("AAAA", "2001:db8::1"),
    ("CNAME", "elsewhere.example.net"),
    ("TXT", "hello"),
    ("MX", "mail.example.net"),
];

pub async fn a_foreign_record_of_any_type_is_left_alone(zone: &ZoneFixture) {
    for (kind, content) in FOREIGN {
        let host = zone.host(&format!("{}-alice", kind.to_lowercase()));
        zone.insert_at(&host, kind, content).await;
        let before = zone.editor.unmarked().await;
        assert_eq!(zone.look(&host).await, Observed::Foreign, "{kind}");
        for target in [tunnel(), address(7)] {
            assert_eq!(zone.ensure(&host, &wanted(1, target)).await, Ensured::Foreign, "{kind}");
        }
        assert_eq!(zone.remove(&host, 1).await, Removed::Foreign, "{kind}");
        assert_eq!(zone.editor.unmarked().await, before, "{kind}");
        assert_eq!(zone.look(&host).await, Observed::Foreign, "{kind}");
    }
}

/// `TXT` and `MX` are left out: a record that comes to stand there between our look and our write may be joined,
/// since Cloudflare has no way to say "only if nothing stands there", but is not touched.
pub async fn what_was_observed_as_absent_is_never_overwritten(zone: &ZoneFixture) {
    for (kind, content) in FOREIGN.into_iter().take(3) {
        let host = zone.host(&format!("{}-alice", kind.to_lowercase()));
        zone.insert_at(&host, kind, content).await;
        let before = zone.editor.unmarked().await;
        for target in [tunnel(), address(7)] {
            let ensured = zone.ensure_observed(&host, &wanted(1, target), &Observed::Absent).await;
            assert_eq!(ensured, Ensured::Foreign, "{kind}");
        }
        assert_eq!(zone.editor.unmarked().await, before, "{kind}");
        assert_eq!(zone.look(&host).await, Observed::Foreign, "{kind}");
    }
}

pub async fn a_record_with_another_marker_is_left_alone(zone: &ZoneFixture) {
    for (label, target) in [("cname-alice", tunnel()), ("a-alice", address(7))] {
        let (host, theirs) = (zone.host(label), wanted(2, target.clone()));
        zone.ensure(&host, &theirs).await;
        for seen in [Observed::Marked(theirs.clone()), Observed::Absent, Observed::Foreign] {
            let ours = wanted(1, target.clone());
            assert_eq!(zone.ensure_observed(&host, &ours, &seen).await, Ensured::Foreign, "{seen:?}");
        }
        assert_eq!(zone.remove(&host, 1).await, Removed::Foreign);
        assert_eq!(zone.look(&host).await, Observed::Marked(theirs));
        assert_eq!(zone.records_at(&host).await.len(), 1);
    }
}

pub async fn a_record_that_was_edited_is_put_right(zone: &ZoneFixture) {
    for (label, target, edit) in
        [("cname-alice", tunnel(), "elsewhere.example.net"), ("a-alice", address(7), "192.0.2.99")]
    {
        let (host, wanted) = (zone.host(label), wanted(1, target));
        zone.ensure(&host, &wanted).await;
        zone.editor.edit(&host, edit).await;
        let Observed::Marked(edited) = zone.look(&host).await else { panic!("the marker is still there") };
        assert_eq!((&edited.marker, edited.target == wanted.target), (&wanted.marker, false));
        assert_eq!(zone.ensure(&host, &wanted).await, Ensured::Changed);
        assert_eq!(zone.look(&host).await, Observed::Marked(wanted));
        assert_eq!(zone.records_at(&host).await.len(), 1);
    }
}

pub async fn a_record_that_lost_its_marker_is_left_alone(zone: &ZoneFixture) {
    let (host, wanted) = (zone.host("app-alice"), wanted(1, tunnel()));
    zone.ensure(&host, &wanted).await;
    zone.editor.unmark(&host).await;
    let before = zone.editor.unmarked().await;
    assert_eq!(zone.look(&host).await, Observed::Foreign);
    for seen in [Observed::Foreign, Observed::Marked(wanted.clone()), Observed::Absent] {
        assert_eq!(zone.ensure_observed(&host, &wanted, &seen).await, Ensured::Foreign, "{seen:?}");
    }
    assert_eq!(zone.remove(&host, 1).await, Removed::Foreign);
    assert_eq!(zone.editor.unmarked().await, before);
}

pub async fn removing_takes_what_carries_the_marker_and_nothing_else(zone: &ZoneFixture) {
    let host = zone.host("app-alice");
    zone.ensure(&host, &wanted(1, address(7))).await;
    zone.insert_at(&host, "TXT", "beside").await;
    zone.insert_at(&host, "A", "198.51.100.1").await;
    zone.ensure(&zone.host("other-alice"), &wanted(2, tunnel())).await;
    let before = zone.editor.unmarked().await;
    assert_eq!(zone.remove(&host, 1).await, Removed::Done);
    assert_eq!(zone.editor.unmarked().await, before);
    assert_eq!(zone.look(&host).await, Observed::Foreign);
    assert_eq!(zone.remove(&host, 1).await, Removed::Foreign);
    assert_eq!(zone.look(&zone.host("other-alice")).await, Observed::Marked(wanted(2, tunnel())));

    let alone = zone.host("alone-alice");
    zone.ensure(&alone, &wanted(1, tunnel())).await;
    assert_eq!(zone.remove(&alone, 1).await, Removed::Done);
    assert_eq!((zone.look(&alone).await, zone.records_at(&alone).await), (Observed::Absent, Vec::new()));
    assert_eq!(zone.remove(&alone, 1).await, Removed::Absent);
    assert_eq!(zone.ensure(&alone, &wanted(3, address(7))).await, Ensured::Created);
}

pub async fn a_wildcard_is_no_record_of_the_name(zone: &ZoneFixture) {
    let wildcard = format!("*.{}", zone.domain);
    for (kind, content) in [("A", "198.51.100.1"), ("TXT", "any name")] {
        zone.editor.insert(&wildcard, kind, content).await;
    }
    let before = zone.editor.unmarked().await;
    let (host, wanted) = (zone.host("app-alice"), wanted(1, address(7)));
    assert_eq!(zone.look(&host).await, Observed::Absent);
    assert_eq!(zone.remove(&host, 1).await, Removed::Absent);
    assert_eq!(zone.ensure(&host, &wanted).await, Ensured::Created);
    assert_eq!(zone.look(&host).await, Observed::Marked(wanted.clone()));
    assert_eq!(zone.records.list().await.unwrap(), [(host.clone(), Observed::Marked(wanted))]);
    assert_eq!(zone.remove(&host, 1).await, Removed::Done);
    assert_eq!(zone.look(&host).await, Observed::Absent);
    assert_eq!(zone.editor.unmarked().await, before);
}

pub async fn names_that_begin_alike_are_told_apart(zone: &ZoneFixture) {
    let hosts = ["a-alice", "a-alice0", "a-alice-b", "aa-alice"].map(|label| zone.host(label));
    for (number, host) in (1..).zip(&hosts) {
        assert_eq!(zone.ensure(host, &wanted(number, tunnel())).await, Ensured::Created);
    }
    let inner = format!("inner.a-alice.{}", zone.domain);
    zone.editor.insert(&inner, "TXT", "somebody else's").await;
    assert_eq!(zone.remove(&hosts[0], 1).await, Removed::Done);
    assert_eq!(zone.look(&hosts[0]).await, Observed::Absent);
    for (number, host) in (1..).zip(&hosts).skip(1) {
        assert_eq!(zone.look(host).await, Observed::Marked(wanted(number, tunnel())));
    }
}

pub async fn a_listing_says_what_a_look_says(zone: &ZoneFixture) {
    zone.ensure(&zone.host("app-alice"), &wanted(1, tunnel())).await;
    zone.ensure(&zone.host("beside-alice"), &wanted(2, address(7))).await;
    zone.insert_at(&zone.host("beside-alice"), "TXT", "beside").await;
    zone.insert_at(&zone.host("mail"), "MX", "mail.example.net").await;
    zone.insert_at(&zone.host("www"), "A", "198.51.100.1").await;
    for name in ["_dmarc", "deep.www", "*"] {
        zone.editor.insert(&format!("{name}.{}", zone.domain), "TXT", "no hostname of ours").await;
    }
    let mut listed = zone.records.list().await.unwrap();
    listed.sort_by(|(one, _), (other, _)| one.cmp(other));
    let expected = ["app-alice", "beside-alice", "mail", "www"].map(|label| zone.host(label));
    assert_eq!(listed.iter().map(|(host, _)| host.clone()).collect::<Vec<_>>(), expected);
    for (host, seen) in listed {
        assert_eq!(seen, zone.look(&host).await, "{host}");
    }
}

pub async fn of_two_writers_one_wins(zone: &ZoneFixture) {
    for round in 0..10 {
        let host = zone.host(&format!("app-{round}"));
        let (one, other) = (wanted(1, tunnel()), wanted(2, tunnel()));
        let won = join(
            zone.ensure_observed(&host, &one, &Observed::Absent),
            zone.ensure_observed(&host, &other, &Observed::Absent),
        )
        .await;
        let winner = match won {
            (Ensured::Created, Ensured::Foreign) => one,
            (Ensured::Foreign, Ensured::Created) => other,
            won => panic!("{won:?}"),
        };
        assert_eq!(zone.look(&host).await, Observed::Marked(winner));
        assert_eq!(zone.records_at(&host).await.len(), 1);
    }
}

pub async fn a_listing_of_many_names_is_whole(zone: &ZoneFixture) {
    let hosts: Vec<_> = (0..120).map(|index| zone.host(&format!("app-{index:03}"))).collect();
    let made =
        hosts.iter().map(|host| async { zone.ensure_observed(host, &wanted(1, tunnel()), &Observed::Absent).await });
    // Few at once: a name server writes each to its disk before it answers, one after the other.
    let made: Vec<_> = futures::stream::iter(made).buffered(8).collect().await;
    assert!(made.into_iter().all(|ensured| ensured == Ensured::Created));
    let mut listed = zone.records.list().await.unwrap();
    listed.sort_by(|(one, _), (other, _)| one.cmp(other));
    let expected: Vec<_> = hosts.into_iter().map(|host| (host, Observed::Marked(wanted(1, tunnel())))).collect();
    assert_eq!(listed, expected);
}
