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

use crate::world::{World, friend_id};

const LEASE: Duration = Duration::from_secs(30);

fn wanted(world: &World, friend: &FriendId, name: &str, domain: &str) -> Reservation {
    let name = ExposureName::parse(name).unwrap();
    let domain = DomainName::parse(domain).unwrap();
    Reservation {
        id: ExposureId::random(&world.ids),
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

async fn reserve(world: &World, wanted: &Reservation) -> Reserved {
    world.exposures.reserve(wanted.clone(), world.audit(Action::ExposureOpen)).await.unwrap()
}

async fn new(world: &World, friend: &FriendId, name: &str) -> Intent {
    match reserve(world, &wanted(world, friend, name, "a.net")).await {
        Reserved::New(intent) => *intent,
        other => unreachable!("{other:?}"),
    }
}

fn lease(world: &World, token: &str) -> Lease {
    Lease { token: token.to_owned(), length: LEASE, now: world.clock.now() }
}

/// Takes an exposure that nobody has.
async fn claim(world: &World, id: &ExposureId, token: &str) -> (Intent, Vec<portal_dns::Tombstone>) {
    match world.exposures.claim(id, lease(world, token)).await.unwrap() {
        Claimed::Mine(intent, tombstones) => (*intent, tombstones),
        other => unreachable!("{other:?}"),
    }
}

fn fence(intent: &Intent, token: &str) -> Fence {
    Fence { id: intent.exposure.id.clone(), generation: intent.generation, token: token.to_owned() }
}

fn active(now: DateTime<Utc>) -> Outcome {
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

async fn record(world: &World, intent: &Intent, token: &str, outcome: Outcome) -> Recorded {
    world.exposures.record_outcome(fence(intent, token), outcome, world.clock.now()).await.unwrap()
}

/// Takes an exposure and records a result.
async fn work(world: &World, id: &ExposureId, outcome: Outcome) {
    let token = world.ids.id();
    let (intent, _) = claim(world, id, &token).await;
    assert_eq!(record(world, &intent, &token, outcome).await, Recorded::Done);
}

async fn a_reservation_is_kept_as_it_was_made(world: &World) {
    let alice = world.friend("alice").await;
    let wish = wanted(world, &alice, "my-app", "a.net");
    let intent = Intent::new(wish.clone(), None, world.clock.now());
    assert_eq!(reserve(world, &wish).await, Reserved::New(Box::new(intent.clone())));
    let again = Reservation { id: ExposureId::random(&world.ids), ..wish.clone() };
    assert_eq!(reserve(world, &again).await, Reserved::Same(Box::new(intent.clone())));
    assert_eq!(world.exposures.find(&alice, &wish.name).await.unwrap(), Some(intent.exposure.clone()));
    assert_eq!(world.exposures.list(&alice).await.unwrap(), std::slice::from_ref(&intent.exposure));
    assert_eq!(world.exposures.page(None, 10).await.unwrap(), [intent]);
    assert_eq!(world.audited(Action::ExposureOpen).await, 1);
    assert_eq!(world.exposures.find(&world.friend("bob").await, &wish.name).await.unwrap(), None);
}

async fn nobody_unknown_reserves_anything(world: &World) {
    let nobody = friend_id("nobody");
    assert_eq!(
        reserve(world, &wanted(world, &nobody, "my-app", "a.net")).await,
        Reserved::Refused(Refusal::UnknownFriend)
    );
    assert_eq!(world.audited(Action::ExposureOpen).await, 0);
}

async fn a_hostname_has_one_owner_however_it_is_made(world: &World) {
    let (c, bc) = (world.friend("c").await, world.friend("b-c").await);
    let first = new(world, &c, "a-b").await;
    assert_eq!(reserve(world, &wanted(world, &bc, "a", "a.net")).await, Reserved::Refused(Refusal::OwnedByAnother));
    assert!(world.exposures.list(&bc).await.unwrap().is_empty());
    world.exposures.close(&c, &first.exposure.name, world.audit(Action::ExposureClose)).await.unwrap();
    assert_eq!(
        reserve(world, &wanted(world, &bc, "a", "a.net")).await,
        Reserved::Refused(Refusal::OwnedByAnother),
        "until the last trace is gone"
    );
    work(world, &first.exposure.id, Outcome::Gone).await;
    assert!(matches!(reserve(world, &wanted(world, &bc, "a", "a.net")).await, Reserved::New(_)));
}

async fn of_many_who_reserve_one_hostname_at_once_one_has_it(world: &World) {
    let friends = ["e", "d-e", "c-d-e", "b-c-d-e"];
    let names = ["a-b-c-d", "a-b-c", "a-b", "a"];
    for friend in friends {
        world.friend(friend).await;
    }
    for round in 0..10 {
        let wishes: Vec<_> =
            friends.iter().zip(names).map(|(friend, name)| wanted(world, &friend_id(friend), name, "a.net")).collect();
        let outcomes = join_all(wishes.iter().map(|wish| reserve(world, wish))).await;
        let winners: Vec<_> = outcomes.iter().filter(|outcome| matches!(outcome, Reserved::New(_))).collect();
        assert_eq!(winners.len(), 1, "round {round}: {outcomes:?}");
        assert_eq!(
            outcomes.iter().filter(|outcome| **outcome == Reserved::Refused(Refusal::OwnedByAnother)).count(),
            3,
            "{outcomes:?}"
        );
        let owner = world.exposures.page(None, 10).await.unwrap();
        assert_eq!(owner.len(), 1);
        work(world, &owner[0].exposure.id, Outcome::Gone).await;
    }
}

async fn the_limit_holds_however_many_ask_at_once(world: &World) {
    let alice = world.friend("alice").await;
    let wishes: Vec<_> = (0..15).map(|number| wanted(world, &alice, &format!("app-{number}"), "a.net")).collect();
    let outcomes = join_all(wishes.iter().map(|wish| reserve(world, wish))).await;
    let count = |wanted: fn(&Reserved) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
    assert_eq!(count(|outcome| matches!(outcome, Reserved::New(_))), EXPOSURES_PER_FRIEND);
    assert_eq!(count(|outcome| *outcome == Reserved::Refused(Refusal::LimitReached)), 5);
    assert_eq!(world.exposures.list(&alice).await.unwrap().len(), EXPOSURES_PER_FRIEND);
}

async fn two_wishes_for_one_name_at_once_are_one_exposure(world: &World) {
    let alice = world.friend("alice").await;
    let wishes: Vec<_> = (0..4).map(|_| wanted(world, &alice, "my-app", "a.net")).collect();
    let outcomes = join_all(wishes.iter().map(|wish| reserve(world, wish))).await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Reserved::New(_))).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Reserved::Same(_))).count(), 3, "{outcomes:?}");
}

async fn an_exposure_that_moves_owns_both_hostnames_until_the_old_one_is_freed(world: &World) {
    let (c, bc) = (world.friend("c").await, world.friend("b-c").await);
    let intent = new(world, &c, "a-b").await;
    work(world, &intent.exposure.id, active(world.clock.now())).await;
    let moved = reserve(world, &wanted(world, &c, "a-b", "b.net")).await;
    let Reserved::Changed(moved, before) = moved else { unreachable!("{moved:?}") };
    assert_eq!((moved.generation, &*moved.leaving), (2, &[intent.exposure.spec.hostname.clone()][..]));
    assert_eq!((before.desired, &before.spec.hostname), (Desired::Present, &intent.exposure.spec.hostname));
    assert_eq!(world.exposures.page(None, 10).await.unwrap(), [(*moved).clone()]);
    for domain in ["a.net", "b.net"] {
        assert_eq!(
            reserve(world, &wanted(world, &bc, "a", domain)).await,
            Reserved::Refused(Refusal::OwnedByAnother),
            "{domain}"
        );
    }
    work(world, &intent.exposure.id, active(world.clock.now())).await;
    assert!(matches!(reserve(world, &wanted(world, &bc, "a", "a.net")).await, Reserved::New(_)));
    let stones = world.exposures.tombstones().await.unwrap();
    assert_eq!(
        (stones.len(), stones[0].released_by, &stones[0].hostname),
        (1, ReleaseReason::Moved, &intent.exposure.spec.hostname)
    );
}

async fn an_exposure_that_moves_there_and_back_ends_where_it_began(world: &World) {
    let alice = world.friend("alice").await;
    let intent = new(world, &alice, "my-app").await;
    for domain in ["b.net", "c.net", "a.net"] {
        assert!(matches!(reserve(world, &wanted(world, &alice, "my-app", domain)).await, Reserved::Changed(..)));
    }
    let kept = world.exposures.page(None, 10).await.unwrap();
    assert_eq!((kept[0].exposure.spec.hostname.clone(), kept[0].leaving.len()), (intent.exposure.spec.hostname, 2));
    work(world, &intent.exposure.id, active(world.clock.now())).await;
    assert!(world.exposures.page(None, 10).await.unwrap()[0].leaving.is_empty());
}

async fn closing_is_stored_and_logged_once(world: &World) {
    let alice = world.friend("alice").await;
    let intent = new(world, &alice, "my-app").await;
    let name = &intent.exposure.name;
    for _ in 0..2 {
        let closed = world.exposures.close(&alice, name, world.audit(Action::ExposureClose)).await.unwrap().unwrap();
        assert_eq!((closed.desired, closed.exposure.status, closed.generation), (Desired::Absent, Status::Removing, 2));
    }
    assert_eq!(world.audited(Action::ExposureClose).await, 1);
    let bob = world.friend("bob").await;
    assert_eq!(world.exposures.close(&bob, name, world.audit(Action::ExposureClose)).await.unwrap(), None);
    let revived = reserve(world, &wanted(world, &alice, "my-app", "a.net")).await;
    let Reserved::Changed(revived, before) = revived else { unreachable!("{revived:?}") };
    assert_eq!((revived.desired, revived.generation, before.desired), (Desired::Present, 3, Desired::Absent));
}

async fn a_change_is_taken_back_unless_there_was_a_later_one(world: &World) {
    let alice = world.friend("alice").await;
    let intent = new(world, &alice, "my-app").await;
    work(world, &intent.exposure.id, active(world.clock.now())).await;
    let moved = reserve(world, &wanted(world, &alice, "my-app", "b.net")).await;
    let Reserved::Changed(moved, before) = moved else { unreachable!("{moved:?}") };
    let audit = || world.audit(Action::ExposureClose);
    let id = &intent.exposure.id;
    assert!(!world.exposures.withdraw(id, moved.generation - 1, Some((*before).clone()), audit()).await.unwrap());
    assert!(world.exposures.withdraw(id, moved.generation, Some((*before).clone()), audit()).await.unwrap());
    let kept = &world.exposures.page(None, 10).await.unwrap()[0];
    assert_eq!(
        (&kept.exposure.spec.hostname, &*kept.leaving),
        (&intent.exposure.spec.hostname, &[moved.exposure.spec.hostname.clone()][..])
    );
    assert!(world.exposures.withdraw(id, kept.generation, None, audit()).await.unwrap());
    assert_eq!(world.exposures.page(None, 10).await.unwrap()[0].desired, Desired::Absent);
    assert_eq!(world.audited(Action::ExposureClose).await, 2);
}

async fn an_exposure_is_one_workers_until_the_lease_ends(world: &World) {
    let alice = world.friend("alice").await;
    let intent = new(world, &alice, "my-app").await;
    let id = &intent.exposure.id;
    let brief = |token: &str| Lease { length: Duration::from_millis(300), ..lease(world, token) };
    assert_eq!(world.exposures.claim(id, brief("one")).await.unwrap(), Claimed::Mine(Box::new(intent.clone()), vec![]));
    assert_eq!(world.exposures.claim(id, brief("two")).await.unwrap(), Claimed::Busy);
    assert!(matches!(world.exposures.claim(id, brief("one")).await.unwrap(), Claimed::Mine(..)), "extended");
    assert_eq!(world.exposures.due(world.clock.now(), 10).await.unwrap(), []);
    let mut waited = 0;
    while world.exposures.claim(id, brief("two")).await.unwrap() == Claimed::Busy {
        assert!(waited < 100, "the lease never ends");
        waited += 1;
        world.clock.advance(Duration::from_millis(50));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(waited > 1, "the lease ended at once");
    assert_eq!(record(world, &intent, "one", active(world.clock.now())).await, Recorded::Lost);
    assert_eq!(record(world, &intent, "two", active(world.clock.now())).await, Recorded::Done);
    assert_eq!(record(world, &intent, "two", active(world.clock.now())).await, Recorded::Lost, "it was given back");
}

async fn of_many_who_claim_at_once_one_works(world: &World) {
    let alice = world.friend("alice").await;
    let intent = new(world, &alice, "my-app").await;
    let claims = (0..8).map(|number| world.exposures.claim(&intent.exposure.id, lease(world, &number.to_string())));
    let outcomes = join_all(claims).await;
    let mine = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Claimed::Mine(..)))).count();
    assert_eq!((mine, outcomes.iter().filter(|outcome| matches!(outcome, Ok(Claimed::Busy))).count()), (1, 7));
}

async fn a_result_counts_only_for_the_wish_that_was_worked_on(world: &World) {
    let alice = world.friend("alice").await;
    let (first, _) = claim(world, &new(world, &alice, "my-app").await.exposure.id, "worker").await;
    reserve(world, &wanted(world, &alice, "my-app", "b.net")).await;
    assert_eq!(record(world, &first, "worker", active(world.clock.now())).await, Recorded::Superseded);
    assert_eq!(record(world, &first, "worker", Outcome::Gone).await, Recorded::Superseded);
    let (second, _) = claim(world, &first.exposure.id, "worker").await;
    assert_eq!((second.generation, second.exposure.status), (2, Status::Pending));
    assert_eq!(record(world, &second, "worker", active(world.clock.now())).await, Recorded::Done);
    let kept = world.exposures.list(&alice).await.unwrap();
    assert_eq!((kept[0].status, kept[0].reason), (Status::Active, None));
}

async fn what_is_gone_frees_its_names_and_is_remembered(world: &World) {
    let (c, bc) = (world.friend("c").await, world.friend("b-c").await);
    let intent = new(world, &c, "a-b").await;
    work(world, &intent.exposure.id, Outcome::Gone).await;
    let missing = world.exposures.claim(&intent.exposure.id, lease(world, "late")).await.unwrap();
    assert_eq!(missing, Claimed::Gone);
    assert_eq!(record(world, &intent, "late", Outcome::Gone).await, Recorded::Lost);
    let stones = world.exposures.tombstones().await.unwrap();
    assert_eq!(stones.len(), 1);
    let shown = (&stones[0].exposure, &stones[0].friend, &stones[0].name, &stones[0].hostname, stones[0].released_by);
    let Intent { exposure, .. } = &intent;
    assert_eq!(shown, (&exposure.id, &c, &exposure.name, &exposure.spec.hostname, ReleaseReason::Deleted));
    let Reserved::New(next) = reserve(world, &wanted(world, &bc, "a", "a.net")).await else { unreachable!() };
    assert_eq!(claim(world, &next.exposure.id, "next").await.1, stones, "by its hostname");
    let again = new(world, &c, "a-b-x").await;
    assert_eq!(claim(world, &again.exposure.id, "again").await.1, [], "another name, another hostname");
    let Reserved::New(named) = reserve(world, &wanted(world, &c, "a-b", "b.net")).await else { unreachable!() };
    assert_eq!(claim(world, &named.exposure.id, "named").await.1, stones, "by its route");
}

async fn what_is_due_comes_in_the_order_of_waiting(world: &World) {
    let alice = world.friend("alice").await;
    let now = world.clock.now();
    let mut ids = Vec::new();
    for (name, wait) in [("late", 2), ("early", 1), ("not-yet", 60)] {
        let intent = new(world, &alice, name).await;
        work(world, &intent.exposure.id, pending(3, now + TimeDelta::seconds(wait))).await;
        ids.push(intent.exposure.id);
    }
    let done = new(world, &alice, "done").await;
    work(world, &done.exposure.id, active(now)).await;
    assert_eq!(world.exposures.due(now, 10).await.unwrap(), []);
    let later = now + TimeDelta::seconds(10);
    assert_eq!(world.exposures.due(later, 10).await.unwrap(), [ids[1].clone(), ids[0].clone()]);
    assert_eq!(world.exposures.due(later, 1).await.unwrap(), [ids[1].clone()]);
    let kept = world.exposures.page(None, 10).await.unwrap();
    let waiting = kept.iter().find(|intent| intent.exposure.id == ids[2]).unwrap();
    assert_eq!((waiting.attempts, waiting.next_attempt_at), (3, now + TimeDelta::seconds(60)));
    world.clock.set(later);
    assert!(world.exposures.requeue_now(&ids[2], world.audit(Action::ExposureRepair)).await.unwrap());
    assert_eq!(world.exposures.due(later, 10).await.unwrap().len(), 3);
    let nobody = ExposureId::random(&world.ids);
    assert!(!world.exposures.requeue_now(&nobody, world.audit(Action::ExposureRepair)).await.unwrap());
    assert_eq!(world.audited(Action::ExposureRepair).await, 1);
}

async fn pages_hold_every_exposure_once(world: &World) {
    let mut all = Vec::new();
    for friend in ["alice", "bob"] {
        let friend = world.friend(friend).await;
        for name in ["one", "two", "three"] {
            all.push(new(world, &friend, name).await.exposure.id);
        }
    }
    all.sort();
    let mut seen: Vec<ExposureId> = Vec::new();
    loop {
        let page = world.exposures.page(seen.last(), 4).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|intent| intent.exposure.id));
    }
    assert_eq!(seen, all);
}

async fn every_change_is_told_with_a_time_of_its_own(world: &World) {
    let (alice, bob) = (world.friend("alice").await, world.friend("bob").await);
    assert_eq!(world.exposures.changes(None).await.unwrap(), []);
    let latest = async || world.exposures.changes(None).await.unwrap().remove(0);
    let intent = new(world, &alice, "my-app").await;
    let made = latest().await;
    assert_eq!((&made.friend, &made.exposure), (&alice, &intent.exposure.id));
    work(world, &intent.exposure.id, active(world.clock.now())).await;
    let worked = latest().await;
    assert!(worked.at > made.at);
    world.exposures.close(&alice, &intent.exposure.name, world.audit(Action::ExposureClose)).await.unwrap();
    work(world, &intent.exposure.id, Outcome::Gone).await;
    let gone = latest().await;
    assert!(gone.at > worked.at && gone.friend == alice);
    world.clock.advance(Duration::from_secs(1));
    new(world, &bob, "my-app").await;
    let all = world.exposures.changes(Some(made.at)).await.unwrap();
    assert!(all.iter().any(|change| change.friend == bob) && all.contains(&gone), "{all:?}");
    let later = world.exposures.changes(Some(gone.at + TimeDelta::milliseconds(1))).await.unwrap();
    assert!(!later.contains(&gone), "{later:?}");
}

async fn a_friend_with_exposures_is_not_removed(world: &World) {
    let alice = world.friend("alice").await;
    let intent = new(world, &alice, "my-app").await;
    let removed = world.friends.remove(&alice, world.audit(Action::FriendRemove)).await.unwrap();
    assert_eq!(removed, FriendRemoved::HasExposures);
    assert!(world.friends.find(&alice).await.unwrap().is_some());
    work(world, &intent.exposure.id, Outcome::Gone).await;
    let removed = world.friends.remove(&alice, world.audit(Action::FriendRemove)).await.unwrap();
    assert_eq!(removed, FriendRemoved::Done);
}

async fn a_name_that_lives_again_continues_with_its_id_and_generation(world: &World) {
    let alice = world.friend("alice").await;
    let first = new(world, &alice, "my-app").await;
    work(world, &first.exposure.id, active(world.clock.now())).await;
    world.exposures.close(&alice, &first.exposure.name, world.audit(Action::ExposureClose)).await.unwrap();
    work(world, &first.exposure.id, Outcome::Gone).await;
    let gone = world.exposures.changes(None).await.unwrap().remove(0);
    let again = new(world, &alice, "my-app").await;
    assert_eq!((&again.exposure.id, again.generation), (&first.exposure.id, 3));
    let changes = world.exposures.changes(Some(gone.at)).await.unwrap();
    assert!(changes.iter().any(|change| change.exposure == first.exposure.id && change.at > gone.at), "{changes:?}");
    // A worker of the first life holds neither its lease nor its generation any more.
    assert_eq!(record(world, &first, "late", Outcome::Gone).await, Recorded::Lost);
    let (leased, tombstones) = claim(world, &first.exposure.id, "late").await;
    assert_eq!((leased, tombstones.len()), (again.clone(), 1));
    assert_eq!(record(world, &first, "late", Outcome::Gone).await, Recorded::Superseded);
    // Another name of the same friend, and the same name of another friend, are exposures of their own.
    assert_ne!(new(world, &alice, "other").await.exposure.id, first.exposure.id);
    assert_ne!(new(world, &world.friend("bob").await, "my-app").await.exposure.id, first.exposure.id);
}

/// After each life everything is as after the first one, but for generation and times: so the next one costs the same,
/// however many there were.
async fn many_lives_of_a_name_leave_as_many_rows_as_one(world: &World) {
    let alice = world.friend("alice").await;
    let mut after_first = None;
    for life in 1..=200 {
        let intent = new(world, &alice, "my-app").await;
        world.exposures.close(&alice, &intent.exposure.name, world.audit(Action::ExposureClose)).await.unwrap();
        let token = world.ids.id();
        let (closed, tombstones) = claim(world, &intent.exposure.id, &token).await;
        assert_eq!((closed.generation, tombstones.len()), (2 * life, usize::from(life > 1)));
        assert_eq!(record(world, &closed, &token, Outcome::Gone).await, Recorded::Done);
        let tombstones = world.exposures.tombstones().await.unwrap();
        let rows: Vec<_> = tombstones.into_iter().map(|it| (it.exposure, it.friend, it.name, it.hostname)).collect();
        assert_eq!(rows.len(), 1, "life {life}");
        assert_eq!(*after_first.get_or_insert_with(|| rows.clone()), rows, "life {life}");
        assert!(world.exposures.page(None, 10).await.unwrap().is_empty());
        assert_eq!(world.exposures.changes(Some(DateTime::UNIX_EPOCH)).await.unwrap().len(), 1, "life {life}");
    }
}

async fn two_hundred_removed_hostnames_keep_a_friend_from_new_names_for_a_day(world: &World) {
    let (alice, bob) = (world.friend("alice").await, world.friend("bob").await);
    for number in 0..TOMBSTONES_PER_FRIEND {
        let intent = new(world, &alice, &format!("app-{number}")).await;
        world.clock.advance(Duration::from_secs(1));
        work(world, &intent.exposure.id, Outcome::Gone).await;
    }
    let refused = Reserved::Refused(Refusal::TooManyRemoved);
    assert_eq!(reserve(world, &wanted(world, &alice, "one-more", "a.net")).await, refused);
    let known = reserve(world, &wanted(world, &alice, "app-7", "a.net")).await;
    assert!(matches!(known, Reserved::New(_)), "a removed name lives again: {known:?}");
    assert!(matches!(reserve(world, &wanted(world, &bob, "one-more", "a.net")).await, Reserved::New(_)));
}

/// On SQLite alone: PostgreSQL's own clock, which no test moves, says how old a tombstone is.
#[tokio::test(flavor = "multi_thread")]
async fn tombstones_older_than_a_day_count_no_more() {
    let world = &World::on_sqlite().await;
    two_hundred_removed_hostnames_keep_a_friend_from_new_names_for_a_day(world).await;
    world.clock.advance(TOMBSTONE_LIFETIME);
    let alice = friend_id("alice");
    assert!(matches!(reserve(world, &wanted(world, &alice, "one-more", "a.net")).await, Reserved::New(_)));
}

async fn a_request_for_a_new_exposure_never_changes_an_existing_one(world: &World) {
    let alice = world.friend("alice").await;
    let only_new = |domain| Reservation { only_if_absent: true, ..wanted(world, &alice, "my-app", domain) };
    assert!(matches!(reserve(world, &only_new("a.net")).await, Reserved::New(_)));
    let before = world.exposures.page(None, 10).await.unwrap();
    for domain in ["a.net", "b.net"] {
        assert_eq!(reserve(world, &only_new(domain)).await, Reserved::Refused(Refusal::Exists), "{domain}");
    }
    assert_eq!(world.exposures.page(None, 10).await.unwrap(), before);
    assert_eq!(world.audited(Action::ExposureOpen).await, 1);
}

async fn a_check_says_what_a_reservation_would_and_changes_nothing(world: &World) {
    let (c, bc) = (world.friend("c").await, world.friend("b-c").await);
    let check = async |wanted: Reservation| world.exposures.check_reservation(&wanted).await.unwrap();
    assert_eq!(check(wanted(world, &c, "a-b", "a.net")).await, None);
    assert!(world.exposures.page(None, 10).await.unwrap().is_empty());
    assert_eq!(world.audited(Action::ExposureOpen).await, 0);
    new(world, &c, "a-b").await;
    assert_eq!(check(wanted(world, &c, "a-b", "b.net")).await, None, "a change");
    let only_new = Reservation { only_if_absent: true, ..wanted(world, &c, "a-b", "a.net") };
    assert_eq!(check(only_new).await, Some(Refusal::Exists));
    assert_eq!(check(wanted(world, &bc, "a", "a.net")).await, Some(Refusal::OwnedByAnother));
    assert_eq!(check(wanted(world, &friend_id("nobody"), "x", "a.net")).await, Some(Refusal::UnknownFriend));
    for number in 1..EXPOSURES_PER_FRIEND {
        new(world, &c, &format!("app-{number}")).await;
    }
    assert_eq!(check(wanted(world, &c, "one-more", "a.net")).await, Some(Refusal::LimitReached));
}

async fn progress_is_kept(world: &World) {
    let alice = world.friend("alice").await;
    let intent = new(world, &alice, "my-app").await;
    let progress = async || world.exposures.list(&alice).await.unwrap().remove(0).progress;
    assert_eq!(progress().await, Progress::default());
    work(world, &intent.exposure.id, pending(1, world.clock.now())).await;
    assert_eq!(progress().await, Progress { route: true, record: false });
    work(world, &intent.exposure.id, active(world.clock.now())).await;
    assert_eq!(progress().await, Progress { route: true, record: true });
}

promises! {
    a_reservation_is_kept_as_it_was_made,
    nobody_unknown_reserves_anything,
    a_hostname_has_one_owner_however_it_is_made,
    of_many_who_reserve_one_hostname_at_once_one_has_it,
    the_limit_holds_however_many_ask_at_once,
    two_wishes_for_one_name_at_once_are_one_exposure,
    an_exposure_that_moves_owns_both_hostnames_until_the_old_one_is_freed,
    an_exposure_that_moves_there_and_back_ends_where_it_began,
    closing_is_stored_and_logged_once,
    a_change_is_taken_back_unless_there_was_a_later_one,
    an_exposure_is_one_workers_until_the_lease_ends,
    of_many_who_claim_at_once_one_works,
    a_result_counts_only_for_the_wish_that_was_worked_on,
    what_is_gone_frees_its_names_and_is_remembered,
    what_is_due_comes_in_the_order_of_waiting,
    pages_hold_every_exposure_once,
    every_change_is_told_with_a_time_of_its_own,
    a_friend_with_exposures_is_not_removed,
    a_name_that_lives_again_continues_with_its_id_and_generation,
    many_lives_of_a_name_leave_as_many_rows_as_one,
    two_hundred_removed_hostnames_keep_a_friend_from_new_names_for_a_day,
    a_request_for_a_new_exposure_never_changes_an_existing_one,
    a_check_says_what_a_reservation_would_and_changes_nothing,
    progress_is_kept,
}
