//! What stores of exposures promise.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use portal_core::{Action, Clock, FriendId, FriendRemoved, Ids};
use portal_dns::{
    Claimed, Desired, DomainName, EXPOSURES_PER_FRIEND, ExposureId, ExposureName, ExposureSpec, Fence, Hostname,
    Intent, Lease, Outcome, Progress, Reason, Recorded, Refusal, ReleaseReason, Reservation, Reserved, ServiceName,
    ServicePort, Status, TOMBSTONE_LIFETIME, TOMBSTONES_PER_FRIEND,
};

use crate::fixture::{Fixture, friend_id};

const LEASE: Duration = Duration::from_secs(30);

fn wanted(fixture: &Fixture, friend: &FriendId, name: &str, domain: &str) -> Reservation {
    let name = ExposureName::parse(name).unwrap();
    let domain = DomainName::parse(domain).unwrap();
    Reservation {
        id: ExposureId::random(&fixture.ids),
        friend: friend.clone(),
        spec: ExposureSpec {
            service: ServiceName::parse("web").unwrap(),
            port: ServicePort::parse(80).unwrap(),
            hostname: Hostname::of(&name, friend, &domain).unwrap(),
            domain,
        },
        name,
        only_if_absent: false,
    }
}

async fn reserve(fixture: &Fixture, wanted: &Reservation) -> Reserved {
    fixture.exposures.reserve(wanted.clone(), fixture.audit(Action::ExposureOpen)).await.unwrap()
}

pub(super) async fn new(fixture: &Fixture, friend: &FriendId, name: &str) -> Intent {
    match reserve(fixture, &wanted(fixture, friend, name, "a.net")).await {
        Reserved::New(intent) => *intent,
        other => unreachable!("{other:?}"),
    }
}

fn lease(fixture: &Fixture, token: &str) -> Lease {
    Lease { token: token.to_owned(), length: LEASE, now: fixture.clock.now() }
}

/// Takes an exposure that nobody has.
pub(super) async fn claim(fixture: &Fixture, id: &ExposureId, token: &str) -> (Intent, Vec<portal_dns::Tombstone>) {
    match fixture.exposures.claim(id, lease(fixture, token)).await.unwrap() {
        Claimed::Mine(intent, tombstones) => (*intent, tombstones),
        other => unreachable!("{other:?}"),
    }
}

fn fence(intent: &Intent, token: &str) -> Fence {
    Fence { id: intent.exposure.id.clone(), generation: intent.generation, token: token.to_owned() }
}

pub(super) fn active(now: DateTime<Utc>) -> Outcome {
    Outcome::Stays {
        status: Status::Active,
        reason: None,
        progress: Progress { route: true, record: true },
        established: true,
        leaving_is_free: true,
        attempts: 0,
        next_attempt_at: now,
    }
}

fn pending(attempts: u32, next_attempt_at: DateTime<Utc>) -> Outcome {
    Outcome::Stays {
        status: Status::Pending,
        reason: Some(Reason::DnsUnavailable),
        progress: Progress { route: true, record: false },
        established: false,
        leaving_is_free: false,
        attempts,
        next_attempt_at,
    }
}

pub(super) async fn record(fixture: &Fixture, intent: &Intent, token: &str, outcome: Outcome) -> Recorded {
    fixture.exposures.record_outcome(fence(intent, token), outcome, fixture.clock.now()).await.unwrap()
}

/// Takes an exposure and records a result.
pub(super) async fn work(fixture: &Fixture, id: &ExposureId, outcome: Outcome) {
    let token = fixture.ids.id();
    let (intent, _) = claim(fixture, id, &token).await;
    assert_eq!(record(fixture, &intent, &token, outcome).await, Recorded::Done);
}

pub async fn a_reservation_is_kept_as_it_was_made(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let wish = wanted(fixture, &alice, "my-app", "a.net");
    let intent = Intent::new(wish.clone(), None, fixture.clock.now());
    assert_eq!(reserve(fixture, &wish).await, Reserved::New(Box::new(intent.clone())));
    let again = Reservation { id: ExposureId::random(&fixture.ids), ..wish.clone() };
    assert_eq!(reserve(fixture, &again).await, Reserved::Same(Box::new(intent.clone())));
    assert_eq!(fixture.exposures.find(&alice, &wish.name).await.unwrap(), Some(intent.exposure.clone()));
    assert_eq!(fixture.exposures.list(&alice).await.unwrap(), std::slice::from_ref(&intent.exposure));
    assert_eq!(fixture.exposures.page(None, 10).await.unwrap(), [intent]);
    assert_eq!(fixture.audited(Action::ExposureOpen).await, 1);
    assert_eq!(fixture.exposures.find(&fixture.friend("bob").await, &wish.name).await.unwrap(), None);
}

pub async fn nobody_unknown_reserves_anything(fixture: &Fixture) {
    let nobody = friend_id("nobody");
    assert_eq!(
        reserve(fixture, &wanted(fixture, &nobody, "my-app", "a.net")).await,
        Reserved::Refused(Refusal::UnknownFriend)
    );
    assert_eq!(fixture.audited(Action::ExposureOpen).await, 0);
}

pub async fn a_hostname_has_one_owner_however_it_is_made(fixture: &Fixture) {
    let (c, bc) = (fixture.friend("c").await, fixture.friend("b-c").await);
    let first = new(fixture, &c, "a-b").await;
    assert_eq!(reserve(fixture, &wanted(fixture, &bc, "a", "a.net")).await, Reserved::Refused(Refusal::OwnedByAnother));
    assert!(fixture.exposures.list(&bc).await.unwrap().is_empty());
    fixture.exposures.close(&c, &first.exposure.name, fixture.audit(Action::ExposureClose)).await.unwrap();
    assert_eq!(
        reserve(fixture, &wanted(fixture, &bc, "a", "a.net")).await,
        Reserved::Refused(Refusal::OwnedByAnother),
        "until the last trace is gone"
    );
    work(fixture, &first.exposure.id, Outcome::Gone).await;
    assert!(matches!(reserve(fixture, &wanted(fixture, &bc, "a", "a.net")).await, Reserved::New(_)));
}

pub async fn of_many_who_reserve_one_hostname_at_once_one_has_it(fixture: &Fixture) {
    let friends = ["e", "d-e", "c-d-e", "b-c-d-e"];
    let names = ["a-b-c-d", "a-b-c", "a-b", "a"];
    for friend in friends {
        fixture.friend(friend).await;
    }
    for round in 0..10 {
        let wishes: Vec<_> = friends
            .iter()
            .zip(names)
            .map(|(friend, name)| wanted(fixture, &friend_id(friend), name, "a.net"))
            .collect();
        let outcomes = join_all(wishes.iter().map(|wish| reserve(fixture, wish))).await;
        let winners: Vec<_> = outcomes.iter().filter(|outcome| matches!(outcome, Reserved::New(_))).collect();
        assert_eq!(winners.len(), 1, "round {round}: {outcomes:?}");
        assert_eq!(
            outcomes.iter().filter(|outcome| **outcome == Reserved::Refused(Refusal::OwnedByAnother)).count(),
            3,
            "{outcomes:?}"
        );
        let owner = fixture.exposures.page(None, 10).await.unwrap();
        assert_eq!(owner.len(), 1);
        work(fixture, &owner[0].exposure.id, Outcome::Gone).await;
    }
}

pub async fn the_limit_holds_however_many_ask_at_once(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let wishes: Vec<_> = (0..15).map(|number| wanted(fixture, &alice, &format!("app-{number}"), "a.net")).collect();
    let outcomes = join_all(wishes.iter().map(|wish| reserve(fixture, wish))).await;
    let count = |wanted: fn(&Reserved) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
    assert_eq!(count(|outcome| matches!(outcome, Reserved::New(_))), EXPOSURES_PER_FRIEND);
    assert_eq!(count(|outcome| *outcome == Reserved::Refused(Refusal::LimitReached)), 5);
    assert_eq!(fixture.exposures.list(&alice).await.unwrap().len(), EXPOSURES_PER_FRIEND);
}

pub async fn two_wishes_for_one_name_at_once_are_one_exposure(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let wishes: Vec<_> = (0..4).map(|_| wanted(fixture, &alice, "my-app", "a.net")).collect();
    let outcomes = join_all(wishes.iter().map(|wish| reserve(fixture, wish))).await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Reserved::New(_))).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Reserved::Same(_))).count(), 3, "{outcomes:?}");
}

pub async fn an_exposure_that_moves_owns_both_hostnames_until_the_old_one_is_freed(fixture: &Fixture) {
    let (c, bc) = (fixture.friend("c").await, fixture.friend("b-c").await);
    let intent = new(fixture, &c, "a-b").await;
    work(fixture, &intent.exposure.id, active(fixture.clock.now())).await;
    let moved = reserve(fixture, &wanted(fixture, &c, "a-b", "b.net")).await;
    let Reserved::Changed(moved, before) = moved else { unreachable!("{moved:?}") };
    assert_eq!((moved.generation, &*moved.leaving), (2, &[intent.exposure.spec.hostname.clone()][..]));
    assert_eq!((before.desired, &before.spec.hostname), (Desired::Present, &intent.exposure.spec.hostname));
    assert_eq!(fixture.exposures.page(None, 10).await.unwrap(), [(*moved).clone()]);
    for domain in ["a.net", "b.net"] {
        assert_eq!(
            reserve(fixture, &wanted(fixture, &bc, "a", domain)).await,
            Reserved::Refused(Refusal::OwnedByAnother),
            "{domain}"
        );
    }
    work(fixture, &intent.exposure.id, active(fixture.clock.now())).await;
    assert!(matches!(reserve(fixture, &wanted(fixture, &bc, "a", "a.net")).await, Reserved::New(_)));
    let stones = fixture.exposures.tombstones().await.unwrap();
    assert_eq!(
        (stones.len(), stones[0].released_by, &stones[0].hostname),
        (1, ReleaseReason::Moved, &intent.exposure.spec.hostname)
    );
}

pub async fn an_exposure_that_moves_there_and_back_ends_where_it_began(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let intent = new(fixture, &alice, "my-app").await;
    for domain in ["b.net", "c.net", "a.net"] {
        assert!(matches!(reserve(fixture, &wanted(fixture, &alice, "my-app", domain)).await, Reserved::Changed(..)));
    }
    let kept = fixture.exposures.page(None, 10).await.unwrap();
    assert_eq!((kept[0].exposure.spec.hostname.clone(), kept[0].leaving.len()), (intent.exposure.spec.hostname, 2));
    work(fixture, &intent.exposure.id, active(fixture.clock.now())).await;
    assert!(fixture.exposures.page(None, 10).await.unwrap()[0].leaving.is_empty());
}

pub async fn closing_is_stored_and_logged_once(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let intent = new(fixture, &alice, "my-app").await;
    let name = &intent.exposure.name;
    for _ in 0..2 {
        let closed =
            fixture.exposures.close(&alice, name, fixture.audit(Action::ExposureClose)).await.unwrap().unwrap();
        assert_eq!((closed.desired, closed.exposure.status, closed.generation), (Desired::Absent, Status::Removing, 2));
    }
    assert_eq!(fixture.audited(Action::ExposureClose).await, 1);
    let bob = fixture.friend("bob").await;
    assert_eq!(fixture.exposures.close(&bob, name, fixture.audit(Action::ExposureClose)).await.unwrap(), None);
    let revived = reserve(fixture, &wanted(fixture, &alice, "my-app", "a.net")).await;
    let Reserved::Changed(revived, before) = revived else { unreachable!("{revived:?}") };
    assert_eq!((revived.desired, revived.generation, before.desired), (Desired::Present, 3, Desired::Absent));
}

pub async fn a_change_is_taken_back_unless_there_was_a_later_one(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let intent = new(fixture, &alice, "my-app").await;
    work(fixture, &intent.exposure.id, active(fixture.clock.now())).await;
    let moved = reserve(fixture, &wanted(fixture, &alice, "my-app", "b.net")).await;
    let Reserved::Changed(moved, before) = moved else { unreachable!("{moved:?}") };
    let audit = || fixture.audit(Action::ExposureClose);
    let id = &intent.exposure.id;
    assert!(!fixture.exposures.withdraw(id, moved.generation - 1, Some((*before).clone()), audit()).await.unwrap());
    assert!(fixture.exposures.withdraw(id, moved.generation, Some((*before).clone()), audit()).await.unwrap());
    let kept = &fixture.exposures.page(None, 10).await.unwrap()[0];
    assert_eq!(
        (&kept.exposure.spec.hostname, &*kept.leaving),
        (&intent.exposure.spec.hostname, &[moved.exposure.spec.hostname.clone()][..])
    );
    assert!(fixture.exposures.withdraw(id, kept.generation, None, audit()).await.unwrap());
    assert_eq!(fixture.exposures.page(None, 10).await.unwrap()[0].desired, Desired::Absent);
    assert_eq!(fixture.audited(Action::ExposureClose).await, 2);
}

pub async fn an_exposure_is_one_workers_until_the_lease_ends(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let intent = new(fixture, &alice, "my-app").await;
    let id = &intent.exposure.id;
    let brief = |token: &str| Lease { length: Duration::from_millis(300), ..lease(fixture, token) };
    assert_eq!(
        fixture.exposures.claim(id, brief("one")).await.unwrap(),
        Claimed::Mine(Box::new(intent.clone()), vec![])
    );
    assert_eq!(fixture.exposures.claim(id, brief("two")).await.unwrap(), Claimed::Busy);
    assert!(matches!(fixture.exposures.claim(id, brief("one")).await.unwrap(), Claimed::Mine(..)), "extended");
    assert_eq!(fixture.exposures.due(fixture.clock.now(), 10).await.unwrap(), []);
    let mut waited = 0;
    while fixture.exposures.claim(id, brief("two")).await.unwrap() == Claimed::Busy {
        assert!(waited < 100, "the lease never ends");
        waited += 1;
        fixture.clock.advance(Duration::from_millis(50));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(waited > 1, "the lease ended at once");
    assert_eq!(record(fixture, &intent, "one", active(fixture.clock.now())).await, Recorded::Lost);
    assert_eq!(record(fixture, &intent, "two", active(fixture.clock.now())).await, Recorded::Done);
    assert_eq!(record(fixture, &intent, "two", active(fixture.clock.now())).await, Recorded::Lost, "it was given back");
}

pub async fn of_many_who_claim_at_once_one_works(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let intent = new(fixture, &alice, "my-app").await;
    let claims = (0..8).map(|number| fixture.exposures.claim(&intent.exposure.id, lease(fixture, &number.to_string())));
    let outcomes = join_all(claims).await;
    let mine = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Claimed::Mine(..)))).count();
    assert_eq!((mine, outcomes.iter().filter(|outcome| matches!(outcome, Ok(Claimed::Busy))).count()), (1, 7));
}

pub async fn a_result_counts_only_for_the_wish_that_was_worked_on(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let (first, _) = claim(fixture, &new(fixture, &alice, "my-app").await.exposure.id, "worker").await;
    reserve(fixture, &wanted(fixture, &alice, "my-app", "b.net")).await;
    assert_eq!(record(fixture, &first, "worker", active(fixture.clock.now())).await, Recorded::Superseded);
    assert_eq!(record(fixture, &first, "worker", Outcome::Gone).await, Recorded::Superseded);
    let (second, _) = claim(fixture, &first.exposure.id, "worker").await;
    assert_eq!((second.generation, second.exposure.status), (2, Status::Pending));
    assert_eq!(record(fixture, &second, "worker", active(fixture.clock.now())).await, Recorded::Done);
    let kept = fixture.exposures.list(&alice).await.unwrap();
    assert_eq!((kept[0].status, kept[0].reason), (Status::Active, None));
}

pub async fn what_is_gone_frees_its_names_and_is_remembered(fixture: &Fixture) {
    let (c, bc) = (fixture.friend("c").await, fixture.friend("b-c").await);
    let intent = new(fixture, &c, "a-b").await;
    work(fixture, &intent.exposure.id, Outcome::Gone).await;
    let missing = fixture.exposures.claim(&intent.exposure.id, lease(fixture, "late")).await.unwrap();
    assert_eq!(missing, Claimed::Gone);
    assert_eq!(record(fixture, &intent, "late", Outcome::Gone).await, Recorded::Lost);
    let stones = fixture.exposures.tombstones().await.unwrap();
    assert_eq!(stones.len(), 1);
    let shown = (&stones[0].exposure, &stones[0].friend, &stones[0].name, &stones[0].hostname, stones[0].released_by);
    let Intent { exposure, .. } = &intent;
    assert_eq!(shown, (&exposure.id, &c, &exposure.name, &exposure.spec.hostname, ReleaseReason::Deleted));
    let Reserved::New(next) = reserve(fixture, &wanted(fixture, &bc, "a", "a.net")).await else { unreachable!() };
    assert_eq!(claim(fixture, &next.exposure.id, "next").await.1, stones, "by its hostname");
    let again = new(fixture, &c, "a-b-x").await;
    assert_eq!(claim(fixture, &again.exposure.id, "again").await.1, [], "another name, another hostname");
    let Reserved::New(named) = reserve(fixture, &wanted(fixture, &c, "a-b", "b.net")).await else { unreachable!() };
    assert_eq!(claim(fixture, &named.exposure.id, "named").await.1, stones, "by its route");
}

pub async fn what_is_due_comes_in_the_order_of_waiting(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let now = fixture.clock.now();
    let mut ids = Vec::new();
    for (name, wait) in [("late", 2), ("early", 1), ("not-yet", 60)] {
        let intent = new(fixture, &alice, name).await;
        work(fixture, &intent.exposure.id, pending(3, now + TimeDelta::seconds(wait))).await;
        ids.push(intent.exposure.id);
    }
    let done = new(fixture, &alice, "done").await;
    work(fixture, &done.exposure.id, active(now)).await;
    assert_eq!(fixture.exposures.due(now, 10).await.unwrap(), []);
    let later = now + TimeDelta::seconds(10);
    assert_eq!(fixture.exposures.due(later, 10).await.unwrap(), [ids[1].clone(), ids[0].clone()]);
    assert_eq!(fixture.exposures.due(later, 1).await.unwrap(), [ids[1].clone()]);
    let kept = fixture.exposures.page(None, 10).await.unwrap();
    let waiting = kept.iter().find(|intent| intent.exposure.id == ids[2]).unwrap();
    assert_eq!((waiting.attempts, waiting.next_attempt_at), (3, now + TimeDelta::seconds(60)));
    fixture.clock.set(later);
    assert!(fixture.exposures.requeue_now(&ids[2], fixture.audit(Action::ExposureRepair)).await.unwrap());
    assert_eq!(fixture.exposures.due(later, 10).await.unwrap().len(), 3);
    let nobody = ExposureId::random(&fixture.ids);
    assert!(!fixture.exposures.requeue_now(&nobody, fixture.audit(Action::ExposureRepair)).await.unwrap());
    assert_eq!(fixture.audited(Action::ExposureRepair).await, 1);
}

pub async fn pages_hold_every_exposure_once(fixture: &Fixture) {
    let mut all = Vec::new();
    for friend in ["alice", "bob"] {
        let friend = fixture.friend(friend).await;
        for name in ["one", "two", "three"] {
            all.push(new(fixture, &friend, name).await.exposure.id);
        }
    }
    all.sort();
    let mut seen: Vec<ExposureId> = Vec::new();
    loop {
        let page = fixture.exposures.page(seen.last(), 4).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|intent| intent.exposure.id));
    }
    assert_eq!(seen, all);
}

pub async fn every_change_is_told_with_a_time_of_its_own(fixture: &Fixture) {
    let (alice, bob) = (fixture.friend("alice").await, fixture.friend("bob").await);
    assert_eq!(fixture.exposures.changes(None).await.unwrap(), []);
    let latest = async || fixture.exposures.changes(None).await.unwrap().remove(0);
    let intent = new(fixture, &alice, "my-app").await;
    let made = latest().await;
    assert_eq!((&made.friend, &made.exposure), (&alice, &intent.exposure.id));
    work(fixture, &intent.exposure.id, active(fixture.clock.now())).await;
    let worked = latest().await;
    assert!(worked.at > made.at);
    fixture.exposures.close(&alice, &intent.exposure.name, fixture.audit(Action::ExposureClose)).await.unwrap();
    work(fixture, &intent.exposure.id, Outcome::Gone).await;
    let gone = latest().await;
    assert!(gone.at > worked.at && gone.friend == alice);
    fixture.clock.advance(Duration::from_secs(1));
    new(fixture, &bob, "my-app").await;
    let all = fixture.exposures.changes(Some(made.at)).await.unwrap();
    assert!(all.iter().any(|change| change.friend == bob) && all.contains(&gone), "{all:?}");
    let later = fixture.exposures.changes(Some(gone.at + TimeDelta::milliseconds(1))).await.unwrap();
    assert!(!later.contains(&gone), "{later:?}");
}

pub async fn a_friend_with_exposures_is_not_removed(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let intent = new(fixture, &alice, "my-app").await;
    let removed = fixture.friends.remove(&alice, fixture.audit(Action::FriendRemove)).await.unwrap();
    assert_eq!(removed, FriendRemoved::HasExposures);
    assert!(fixture.friends.find(&alice).await.unwrap().is_some());
    work(fixture, &intent.exposure.id, Outcome::Gone).await;
    let removed = fixture.friends.remove(&alice, fixture.audit(Action::FriendRemove)).await.unwrap();
    assert_eq!(removed, FriendRemoved::Done);
}

pub async fn a_name_that_lives_again_continues_with_its_id_and_generation(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let first = new(fixture, &alice, "my-app").await;
    work(fixture, &first.exposure.id, active(fixture.clock.now())).await;
    fixture.exposures.close(&alice, &first.exposure.name, fixture.audit(Action::ExposureClose)).await.unwrap();
    work(fixture, &first.exposure.id, Outcome::Gone).await;
    let gone = fixture.exposures.changes(None).await.unwrap().remove(0);
    let again = new(fixture, &alice, "my-app").await;
    assert_eq!((&again.exposure.id, again.generation), (&first.exposure.id, 3));
    let changes = fixture.exposures.changes(Some(gone.at)).await.unwrap();
    assert!(changes.iter().any(|change| change.exposure == first.exposure.id && change.at > gone.at), "{changes:?}");
    // A worker of the first life holds neither its lease nor its generation any more.
    assert_eq!(record(fixture, &first, "late", Outcome::Gone).await, Recorded::Lost);
    let (leased, tombstones) = claim(fixture, &first.exposure.id, "late").await;
    assert_eq!((leased, tombstones.len()), (again.clone(), 1));
    assert_eq!(record(fixture, &first, "late", Outcome::Gone).await, Recorded::Superseded);
    // Another name of the same friend, and the same name of another friend, are exposures of their own.
    assert_ne!(new(fixture, &alice, "other").await.exposure.id, first.exposure.id);
    assert_ne!(new(fixture, &fixture.friend("bob").await, "my-app").await.exposure.id, first.exposure.id);
}

/// After each life everything is as after the first one, but for generation and times: so the next one costs the same,
/// however many there were.
pub async fn many_lives_of_a_name_leave_as_many_rows_as_one(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let mut after_first = None;
    for life in 1..=200 {
        let intent = new(fixture, &alice, "my-app").await;
        fixture.exposures.close(&alice, &intent.exposure.name, fixture.audit(Action::ExposureClose)).await.unwrap();
        let token = fixture.ids.id();
        let (closed, tombstones) = claim(fixture, &intent.exposure.id, &token).await;
        assert_eq!((closed.generation, tombstones.len()), (2 * life, usize::from(life > 1)));
        assert_eq!(record(fixture, &closed, &token, Outcome::Gone).await, Recorded::Done);
        let tombstones = fixture.exposures.tombstones().await.unwrap();
        let rows: Vec<_> = tombstones.into_iter().map(|it| (it.exposure, it.friend, it.name, it.hostname)).collect();
        assert_eq!(rows.len(), 1, "life {life}");
        assert_eq!(*after_first.get_or_insert_with(|| rows.clone()), rows, "life {life}");
        assert!(fixture.exposures.page(None, 10).await.unwrap().is_empty());
        assert_eq!(fixture.exposures.changes(Some(DateTime::UNIX_EPOCH)).await.unwrap().len(), 1, "life {life}");
    }
}

pub async fn two_hundred_removed_hostnames_keep_a_friend_from_new_names_for_a_day(fixture: &Fixture) {
    let (alice, bob) = (fixture.friend("alice").await, fixture.friend("bob").await);
    for number in 0..TOMBSTONES_PER_FRIEND {
        let intent = new(fixture, &alice, &format!("app-{number}")).await;
        fixture.clock.advance(Duration::from_secs(1));
        work(fixture, &intent.exposure.id, Outcome::Gone).await;
    }
    let refused = Reserved::Refused(Refusal::TooManyRemoved);
    assert_eq!(reserve(fixture, &wanted(fixture, &alice, "one-more", "a.net")).await, refused);
    let known = reserve(fixture, &wanted(fixture, &alice, "app-7", "a.net")).await;
    assert!(matches!(known, Reserved::New(_)), "a removed name lives again: {known:?}");
    assert!(matches!(reserve(fixture, &wanted(fixture, &bob, "one-more", "a.net")).await, Reserved::New(_)));
}

/// For stores that take the time from the fixture's clock; PostgreSQL's own clock says how old a tombstone is.
pub async fn tombstones_older_than_a_day_count_no_more(fixture: &Fixture) {
    two_hundred_removed_hostnames_keep_a_friend_from_new_names_for_a_day(fixture).await;
    fixture.clock.advance(TOMBSTONE_LIFETIME);
    let alice = friend_id("alice");
    assert!(matches!(reserve(fixture, &wanted(fixture, &alice, "one-more", "a.net")).await, Reserved::New(_)));
}

pub async fn a_request_for_a_new_exposure_never_changes_an_existing_one(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let only_new = |domain| Reservation { only_if_absent: true, ..wanted(fixture, &alice, "my-app", domain) };
    assert!(matches!(reserve(fixture, &only_new("a.net")).await, Reserved::New(_)));
    let before = fixture.exposures.page(None, 10).await.unwrap();
    for domain in ["a.net", "b.net"] {
        assert_eq!(reserve(fixture, &only_new(domain)).await, Reserved::Refused(Refusal::Exists), "{domain}");
    }
    assert_eq!(fixture.exposures.page(None, 10).await.unwrap(), before);
    assert_eq!(fixture.audited(Action::ExposureOpen).await, 1);
}

pub async fn a_check_says_what_a_reservation_would_and_changes_nothing(fixture: &Fixture) {
    let (c, bc) = (fixture.friend("c").await, fixture.friend("b-c").await);
    let check = async |wanted: Reservation| fixture.exposures.check_reservation(&wanted).await.unwrap();
    assert_eq!(check(wanted(fixture, &c, "a-b", "a.net")).await, None);
    assert!(fixture.exposures.page(None, 10).await.unwrap().is_empty());
    assert_eq!(fixture.audited(Action::ExposureOpen).await, 0);
    new(fixture, &c, "a-b").await;
    assert_eq!(check(wanted(fixture, &c, "a-b", "b.net")).await, None, "a change");
    let only_new = Reservation { only_if_absent: true, ..wanted(fixture, &c, "a-b", "a.net") };
    assert_eq!(check(only_new).await, Some(Refusal::Exists));
    assert_eq!(check(wanted(fixture, &bc, "a", "a.net")).await, Some(Refusal::OwnedByAnother));
    assert_eq!(check(wanted(fixture, &friend_id("nobody"), "x", "a.net")).await, Some(Refusal::UnknownFriend));
    for number in 1..EXPOSURES_PER_FRIEND {
        new(fixture, &c, &format!("app-{number}")).await;
    }
    assert_eq!(check(wanted(fixture, &c, "one-more", "a.net")).await, Some(Refusal::LimitReached));
}

pub async fn progress_is_kept(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let intent = new(fixture, &alice, "my-app").await;
    let progress = async || fixture.exposures.list(&alice).await.unwrap().remove(0).progress;
    assert_eq!(progress().await, Progress::default());
    work(fixture, &intent.exposure.id, pending(1, fixture.clock.now())).await;
    assert_eq!(progress().await, Progress { route: true, record: false });
    work(fixture, &intent.exposure.id, active(fixture.clock.now())).await;
    assert_eq!(progress().await, Progress { route: true, record: true });
}
