//! The records of a zone: each promise is tried in memory, on a scripted Cloudflare, and in the tier `dns` on a real
//! name server.

mod bind;
mod embedded;
mod scripted;

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::join;
use portal_core::{FriendId, Ids};
use portal_dns::{
    DomainName, Ensured, ExposureId, Hostname, InstanceId, Observed, OwnershipMarker, Priority, RecordState, Records,
    Removed, Target, Ttl,
};

/// A zone with nothing of ours in it, and somebody else at work there.
pub(crate) struct Ground {
    pub(crate) domain: DomainName,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) somebody: Box<dyn Somebody>,
}

/// Somebody else who may change the zone by other means than ours.
#[async_trait]
pub(crate) trait Somebody: Send + Sync {
    /// Puts a record there: a name, a type and a content that suits it.
    async fn put(&self, name: &str, kind: &str, content: &str);
    /// Lets the record of ours at `host` point elsewhere, leaving its marker.
    async fn edit(&self, host: &Hostname, content: &str);
    /// Takes the marker off the record of ours at `host`.
    async fn unmark(&self, host: &Hostname);
    /// All records of the domain that carry or are no marker, each as a line that changes when the record does.
    async fn unmarked(&self) -> Vec<String>;
    /// What stands at a name: type and content, sorted.
    async fn at(&self, host: &Hostname) -> Vec<(String, String)>;
}

/// Runs each promise on a ground of its own, for each adapter.
macro_rules! zone_promises {
    ($($promise:ident,)+) => {
        mod memory {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(&super::embedded::ground()).await;
            })+
        }

        mod cloudflare {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(&super::scripted::ground().await).await;
            })+
        }

        mod dns {
            $(#[tokio::test]
            #[ignore = "tier dns"]
            async fn $promise() {
                super::$promise(&super::bind::ground()).await;
            })+
        }
    };
}

zone_promises! {
    an_empty_name_is_absent,
    a_record_is_made_and_told_as_it_was_asked_for,
    making_a_record_again_changes_nothing,
    a_record_of_ours_is_changed_in_place,
    a_foreign_record_of_any_type_is_left_alone,
    what_we_believed_to_be_absent_is_never_overwritten,
    a_record_with_another_mark_is_left_alone,
    a_record_that_was_edited_is_put_right,
    a_record_that_lost_its_mark_is_left_alone,
    removing_takes_what_carries_the_mark_and_nothing_else,
    a_wildcard_is_no_record_of_the_name,
    names_that_begin_alike_are_told_apart,
    a_listing_says_what_a_look_says,
    of_two_writers_one_wins,
    a_listing_of_many_names_is_whole,
}

fn ids() -> portal_core::SeededIds {
    portal_core::SeededIds::from_seed(1)
}

fn marker(number: u8) -> OwnershipMarker {
    let id = format!("{number:032x}");
    OwnershipMarker { instance: InstanceId::parse(&ids().id()).unwrap(), exposure: ExposureId::parse(&id).unwrap() }
}

fn alice() -> Priority {
    Priority::Friend(FriendId::parse("alice").unwrap())
}

fn tunnel() -> Target {
    Target::Cname(DomainName::parse("tunnel.example.net").unwrap())
}

fn address(last: u8) -> Target {
    Target::A([192, 0, 2, last].into())
}

fn wanted(number: u8, target: Target) -> RecordState {
    RecordState { marker: marker(number), target, ttl: Ttl::parse(600).unwrap(), proxied: false }
}

impl Ground {
    fn host(&self, label: &str) -> Hostname {
        Hostname::parse(&format!("{label}.{}", self.domain)).unwrap()
    }

    async fn look(&self, host: &Hostname) -> Observed {
        self.records.look(host, &alice()).await.unwrap()
    }

    async fn ensure(&self, host: &Hostname, wanted: &RecordState) -> Ensured {
        let seen = self.look(host).await;
        self.ensure_believing(host, wanted, &seen).await
    }

    async fn ensure_believing(&self, host: &Hostname, wanted: &RecordState, seen: &Observed) -> Ensured {
        match self.records.ensure(host, wanted, seen, &alice()).await.unwrap() {
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

    async fn remove(&self, host: &Hostname, number: u8) -> Removed {
        self.records.remove(host, &marker(number), &Priority::Background).await.unwrap()
    }

    async fn at(&self, host: &Hostname) -> Vec<(String, String)> {
        self.somebody.at(host).await
    }

    async fn put_at(&self, host: &Hostname, kind: &str, content: &str) {
        self.somebody.put(host.as_str(), kind, content).await;
    }
}

async fn an_empty_name_is_absent(ground: &Ground) {
    let host = ground.host("app-alice");
    assert_eq!(ground.look(&host).await, Observed::Absent);
    assert_eq!(ground.remove(&host, 1).await, Removed::Absent);
    assert_eq!(ground.records.list().await.unwrap(), []);
}

async fn a_record_is_made_and_told_as_it_was_asked_for(ground: &Ground) {
    let v6 = "2001:db8::7".parse().unwrap();
    for (label, target, expected) in [
        ("cname-alice", tunnel(), ("CNAME", "tunnel.example.net")),
        ("a-alice", address(7), ("A", "192.0.2.7")),
        ("aaaa-alice", Target::Aaaa(v6), ("AAAA", "2001:db8::7")),
    ] {
        let (host, wanted) = (ground.host(label), wanted(1, target));
        assert_eq!(ground.ensure(&host, &wanted).await, Ensured::Created);
        assert_eq!(ground.look(&host).await, Observed::Marked(wanted));
        assert_eq!(ground.at(&host).await, [(expected.0.to_owned(), expected.1.to_owned())]);
    }
}

async fn making_a_record_again_changes_nothing(ground: &Ground) {
    let host = ground.host("app-alice");
    for target in [tunnel(), address(7)] {
        let wanted = wanted(1, target);
        ground.ensure(&host, &wanted).await;
        let before = ground.at(&host).await;
        assert_eq!(ground.ensure(&host, &wanted).await, Ensured::Same);
        // An answer that was lost leaves us believing that nothing is there.
        assert_eq!(ground.ensure_believing(&host, &wanted, &Observed::Absent).await, Ensured::Same);
        assert_eq!(ground.at(&host).await, before);
    }
}

async fn a_record_of_ours_is_changed_in_place(ground: &Ground) {
    let host = ground.host("app-alice");
    ground.ensure(&host, &wanted(1, tunnel())).await;
    let other_tunnel = Target::Cname(DomainName::parse("tunnel.example.com").unwrap());
    let v6 = "2001:db8::7".parse().unwrap();
    for target in [other_tunnel, address(7), address(8), Target::Aaaa(v6), tunnel()] {
        let wanted = wanted(1, target);
        assert_eq!(ground.ensure(&host, &wanted).await, Ensured::Changed, "{:?}", wanted.target);
        assert_eq!(ground.look(&host).await, Observed::Marked(wanted));
        assert_eq!(ground.at(&host).await.len(), 1);
    }
    let longer = RecordState { ttl: Ttl::parse(3600).unwrap(), ..wanted(1, tunnel()) };
    assert_eq!(ground.ensure(&host, &longer).await, Ensured::Changed);
    assert_eq!(ground.look(&host).await, Observed::Marked(longer));
}

const FOREIGN: [(&str, &str); 5] = [
    ("A", "198.51.100.1"),
    ("AAAA", "2001:db8::1"),
    ("CNAME", "elsewhere.example.net"),
    ("TXT", "hello"),
    ("MX", "mail.example.net"),
];

async fn a_foreign_record_of_any_type_is_left_alone(ground: &Ground) {
    for (kind, content) in FOREIGN {
        let host = ground.host(&format!("{}-alice", kind.to_lowercase()));
        ground.put_at(&host, kind, content).await;
        let before = ground.somebody.unmarked().await;
        assert_eq!(ground.look(&host).await, Observed::Foreign, "{kind}");
        for target in [tunnel(), address(7)] {
            assert_eq!(ground.ensure(&host, &wanted(1, target)).await, Ensured::Foreign, "{kind}");
        }
        assert_eq!(ground.remove(&host, 1).await, Removed::Foreign, "{kind}");
        assert_eq!(ground.somebody.unmarked().await, before, "{kind}");
        assert_eq!(ground.look(&host).await, Observed::Foreign, "{kind}");
    }
}

/// `TXT` and `MX` are left out: a record that comes to stand there between our look and our write may be joined,
/// since Cloudflare has no way to say "only if nothing stands there", but is not touched.
async fn what_we_believed_to_be_absent_is_never_overwritten(ground: &Ground) {
    for (kind, content) in FOREIGN.into_iter().take(3) {
        let host = ground.host(&format!("{}-alice", kind.to_lowercase()));
        ground.put_at(&host, kind, content).await;
        let before = ground.somebody.unmarked().await;
        for target in [tunnel(), address(7)] {
            let ensured = ground.ensure_believing(&host, &wanted(1, target), &Observed::Absent).await;
            assert_eq!(ensured, Ensured::Foreign, "{kind}");
        }
        assert_eq!(ground.somebody.unmarked().await, before, "{kind}");
        assert_eq!(ground.look(&host).await, Observed::Foreign, "{kind}");
    }
}

async fn a_record_with_another_mark_is_left_alone(ground: &Ground) {
    for (label, target) in [("cname-alice", tunnel()), ("a-alice", address(7))] {
        let (host, theirs) = (ground.host(label), wanted(2, target.clone()));
        ground.ensure(&host, &theirs).await;
        for seen in [Observed::Marked(theirs.clone()), Observed::Absent, Observed::Foreign] {
            let ours = wanted(1, target.clone());
            assert_eq!(ground.ensure_believing(&host, &ours, &seen).await, Ensured::Foreign, "{seen:?}");
        }
        assert_eq!(ground.remove(&host, 1).await, Removed::Foreign);
        assert_eq!(ground.look(&host).await, Observed::Marked(theirs));
        assert_eq!(ground.at(&host).await.len(), 1);
    }
}

async fn a_record_that_was_edited_is_put_right(ground: &Ground) {
    for (label, target, edit) in
        [("cname-alice", tunnel(), "elsewhere.example.net"), ("a-alice", address(7), "192.0.2.99")]
    {
        let (host, wanted) = (ground.host(label), wanted(1, target));
        ground.ensure(&host, &wanted).await;
        ground.somebody.edit(&host, edit).await;
        let Observed::Marked(edited) = ground.look(&host).await else { panic!("the marker is still there") };
        assert_eq!((&edited.marker, edited.target == wanted.target), (&wanted.marker, false));
        assert_eq!(ground.ensure(&host, &wanted).await, Ensured::Changed);
        assert_eq!(ground.look(&host).await, Observed::Marked(wanted));
        assert_eq!(ground.at(&host).await.len(), 1);
    }
}

async fn a_record_that_lost_its_mark_is_left_alone(ground: &Ground) {
    let (host, wanted) = (ground.host("app-alice"), wanted(1, tunnel()));
    ground.ensure(&host, &wanted).await;
    ground.somebody.unmark(&host).await;
    let before = ground.somebody.unmarked().await;
    assert_eq!(ground.look(&host).await, Observed::Foreign);
    for seen in [Observed::Foreign, Observed::Marked(wanted.clone()), Observed::Absent] {
        assert_eq!(ground.ensure_believing(&host, &wanted, &seen).await, Ensured::Foreign, "{seen:?}");
    }
    assert_eq!(ground.remove(&host, 1).await, Removed::Foreign);
    assert_eq!(ground.somebody.unmarked().await, before);
}

async fn removing_takes_what_carries_the_mark_and_nothing_else(ground: &Ground) {
    let host = ground.host("app-alice");
    ground.ensure(&host, &wanted(1, address(7))).await;
    ground.put_at(&host, "TXT", "beside").await;
    ground.put_at(&host, "A", "198.51.100.1").await;
    ground.ensure(&ground.host("other-alice"), &wanted(2, tunnel())).await;
    let before = ground.somebody.unmarked().await;
    assert_eq!(ground.remove(&host, 1).await, Removed::Done);
    assert_eq!(ground.somebody.unmarked().await, before);
    assert_eq!(ground.look(&host).await, Observed::Foreign);
    assert_eq!(ground.remove(&host, 1).await, Removed::Foreign);
    assert_eq!(ground.look(&ground.host("other-alice")).await, Observed::Marked(wanted(2, tunnel())));

    let alone = ground.host("alone-alice");
    ground.ensure(&alone, &wanted(1, tunnel())).await;
    assert_eq!(ground.remove(&alone, 1).await, Removed::Done);
    assert_eq!((ground.look(&alone).await, ground.at(&alone).await), (Observed::Absent, Vec::new()));
    assert_eq!(ground.remove(&alone, 1).await, Removed::Absent);
    assert_eq!(ground.ensure(&alone, &wanted(3, address(7))).await, Ensured::Created);
}

async fn a_wildcard_is_no_record_of_the_name(ground: &Ground) {
    let wildcard = format!("*.{}", ground.domain);
    for (kind, content) in [("A", "198.51.100.1"), ("TXT", "any name")] {
        ground.somebody.put(&wildcard, kind, content).await;
    }
    let before = ground.somebody.unmarked().await;
    let (host, wanted) = (ground.host("app-alice"), wanted(1, address(7)));
    assert_eq!(ground.look(&host).await, Observed::Absent);
    assert_eq!(ground.remove(&host, 1).await, Removed::Absent);
    assert_eq!(ground.ensure(&host, &wanted).await, Ensured::Created);
    assert_eq!(ground.look(&host).await, Observed::Marked(wanted.clone()));
    assert_eq!(ground.records.list().await.unwrap(), [(host.clone(), Observed::Marked(wanted))]);
    assert_eq!(ground.remove(&host, 1).await, Removed::Done);
    assert_eq!(ground.look(&host).await, Observed::Absent);
    assert_eq!(ground.somebody.unmarked().await, before);
}

async fn names_that_begin_alike_are_told_apart(ground: &Ground) {
    let hosts = ["a-alice", "a-alice0", "a-alice-b", "aa-alice"].map(|label| ground.host(label));
    for (number, host) in (1..).zip(&hosts) {
        assert_eq!(ground.ensure(host, &wanted(number, tunnel())).await, Ensured::Created);
    }
    let inner = format!("inner.a-alice.{}", ground.domain);
    ground.somebody.put(&inner, "TXT", "somebody else's").await;
    assert_eq!(ground.remove(&hosts[0], 1).await, Removed::Done);
    assert_eq!(ground.look(&hosts[0]).await, Observed::Absent);
    for (number, host) in (1..).zip(&hosts).skip(1) {
        assert_eq!(ground.look(host).await, Observed::Marked(wanted(number, tunnel())));
    }
}

async fn a_listing_says_what_a_look_says(ground: &Ground) {
    ground.ensure(&ground.host("app-alice"), &wanted(1, tunnel())).await;
    ground.ensure(&ground.host("beside-alice"), &wanted(2, address(7))).await;
    ground.put_at(&ground.host("beside-alice"), "TXT", "beside").await;
    ground.put_at(&ground.host("mail"), "MX", "mail.example.net").await;
    ground.put_at(&ground.host("www"), "A", "198.51.100.1").await;
    for name in ["_dmarc", "deep.www", "*"] {
        ground.somebody.put(&format!("{name}.{}", ground.domain), "TXT", "no hostname of ours").await;
    }
    let mut listed = ground.records.list().await.unwrap();
    listed.sort_by(|(one, _), (other, _)| one.cmp(other));
    let expected = ["app-alice", "beside-alice", "mail", "www"].map(|label| ground.host(label));
    assert_eq!(listed.iter().map(|(host, _)| host.clone()).collect::<Vec<_>>(), expected);
    for (host, seen) in listed {
        assert_eq!(seen, ground.look(&host).await, "{host}");
    }
}

async fn of_two_writers_one_wins(ground: &Ground) {
    for round in 0..10 {
        let host = ground.host(&format!("app-{round}"));
        let (one, other) = (wanted(1, tunnel()), wanted(2, tunnel()));
        let won = join(
            ground.ensure_believing(&host, &one, &Observed::Absent),
            ground.ensure_believing(&host, &other, &Observed::Absent),
        )
        .await;
        let winner = match won {
            (Ensured::Created, Ensured::Foreign) => one,
            (Ensured::Foreign, Ensured::Created) => other,
            won => panic!("{won:?}"),
        };
        assert_eq!(ground.look(&host).await, Observed::Marked(winner));
        assert_eq!(ground.at(&host).await.len(), 1);
    }
}

async fn a_listing_of_many_names_is_whole(ground: &Ground) {
    let hosts: Vec<_> = (0..120).map(|index| ground.host(&format!("app-{index:03}"))).collect();
    let made =
        hosts.iter().map(|host| async { ground.ensure_believing(host, &wanted(1, tunnel()), &Observed::Absent).await });
    // Few at once: a name server writes each to its disk before it answers, one after the other.
    let made: Vec<_> = futures::stream::iter(made).buffered(8).collect().await;
    assert!(made.into_iter().all(|ensured| ensured == Ensured::Created));
    let mut listed = ground.records.list().await.unwrap();
    listed.sort_by(|(one, _), (other, _)| one.cmp(other));
    let expected: Vec<_> = hosts.into_iter().map(|host| (host, Observed::Marked(wanted(1, tunnel())))).collect();
    assert_eq!(listed, expected);
}
