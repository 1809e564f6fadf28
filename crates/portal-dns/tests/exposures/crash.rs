//! Every step of every change, failing in every way: after a restart and one pass all is as wanted.

use std::sync::Arc;
use std::time::Duration;

use portal_adapters::memory::ZoneRecord;
use portal_core::Action;
use portal_dns::{Hostname, Orphan, OrphanRemoved, Status};

use super::deed::Deed;
use super::faults::{Fault, Faults, serve};
use super::world::{World, close, open, plain, wish};

/// The world before a deed, with things in it that are not ours.
async fn before(deed: Deed) -> World {
    let world = World::new().await;
    world.a.insert_record("theirs-alice.a.net", plain("A", "192.0.2.7"));
    world.a.insert_record("*.a.net", plain("A", "192.0.2.8"));
    world.b.insert_record("_dmarc.b.net", plain("TXT", "v=DMARC1"));
    deed.prepare(&world, &world.portal(), || world.a.go_down("gone")).await;
    world.a.come_back();
    world
}

/// Everything that is not ours.
fn foreign(world: &World) -> String {
    let records = world.a.records().into_iter().chain(world.b.records());
    let plain: Vec<_> =
        records.filter(|(_, record)| matches!(record, portal_adapters::memory::ZoneRecord::Plain { .. })).collect();
    format!("{plain:?} {:?}", world.cluster.route("friend-alice", "theirs"))
}

/// Lets `fault` strike at call number `at` of `deed`; tells whether there was such a call.
async fn strike(deed: Deed, at: usize, fault: Fault) -> bool {
    let context = format!("{deed:?}, {fault:?} at call {at}");
    let world = before(deed).await;
    let theirs = foreign(&world);
    let faults = Faults::at(at, fault);
    let portal = serve(&world, &faults);
    let acknowledged = tokio::time::timeout(Duration::from_mins(2), deed.act(&portal)).await.unwrap_or(false);
    let struck = faults.calls() > at;
    faults.end();
    world.assert_nothing_is_pretended(world.marked(), &context).await;
    world.wait_long();
    let survivor = if fault.ends_the_process() { world.portal() } else { portal };
    let report = tokio::spawn(async move { survivor.pass().await }).await.unwrap().unwrap();
    assert_eq!((report.errors, &*report.orphans), (0, &[][..]), "{context}: {report:?}");
    world.assert_converged(&context).await;
    assert_eq!(foreign(&world), theirs, "{context}: something that is not ours was changed");
    if acknowledged {
        deed.assert_kept(&world, &context).await;
    }
    struck
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_at_whichever_step_one_pass_puts_it_right() {
    for deed in Deed::ALL {
        for fault in Fault::ALL {
            let mut steps = 0;
            while strike(deed, steps, fault).await {
                steps += 1;
            }
            assert!(steps >= 7, "{deed:?} has only {steps} calls to fail at");
        }
    }
}

/// The ticks of every second finish it as well, without a pass.
#[tokio::test(start_paused = true)]
async fn a_restart_finishes_by_its_ticks_what_the_crash_left() {
    for at in 0..12 {
        let world = World::new().await;
        let faults = Faults::at(at, Fault::StopAfter);
        let portal = serve(&world, &faults);
        let opened = open(&portal, "alice", wish("my-app", "web", None, None));
        let _ = tokio::time::timeout(Duration::from_mins(2), opened).await;
        let restarted = world.portal();
        for _ in 0..40 {
            world.clock.advance(Duration::from_secs(1));
            let ticking = restarted.clone();
            tokio::spawn(async move { ticking.tick().await }).await.unwrap().unwrap();
        }
        world.assert_converged(&format!("stopped after call {at}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_keeps_a_second_portal_from_working_on_the_same_exposure() {
    let world = World::new().await;
    // Its sixth call would be the first one that makes something.
    let faults = Faults::at(6, Fault::StopBefore);
    let sleeping = serve(&world, &faults);
    let opened = open(&sleeping, "alice", wish("my-app", "web", None, None));
    let _ = tokio::time::timeout(Duration::from_mins(2), opened).await;
    let other = world.portal();
    other.pass().await.unwrap();
    assert!(world.routes().await.is_empty() && world.marked().is_empty());
    world.clock.advance(Duration::from_secs(30));
    other.pass().await.unwrap();
    world.assert_converged("after the lease").await;
}

#[tokio::test(start_paused = true)]
async fn what_a_sleeping_process_brings_back_is_swept_away() {
    let world = Arc::new(World::new().await);
    let portal = world.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let records = world.a.records();
    let route = world.cluster.route("friend-alice", "expose-my-app").unwrap();
    close(&portal, "alice", "my-app").await.unwrap();
    for (name, record) in &records {
        world.a.insert_record(name, record.clone());
    }
    world.cluster.put_route("friend-alice", route.clone());
    let report = portal.pass().await.unwrap();
    assert_eq!((report.swept, &*report.orphans), (2, &[][..]));
    world.assert_converged("swept").await;

    world.clock.advance(Duration::from_hours(25));
    portal.pass().await.unwrap();
    world.a.insert_record(&records.first().unwrap().0, records.first().unwrap().1.clone());
    let report = portal.pass().await.unwrap();
    assert_eq!((report.swept, report.orphans.len()), (0, 1), "after a day an operator has to decide");
    assert_eq!(world.a.records(), records);
    let orphans = world.orphans();
    let found = orphans.find(world.a.domain()).await.unwrap();
    assert_eq!(found.iter().map(|orphan| orphan.hostname.to_string()).collect::<Vec<_>>(), ["my-app-alice.a.net"]);
    let orphan = found.first().unwrap();
    assert_eq!(orphans.remove(orphan, world.audit(Action::OrphanDelete)).await.unwrap(), OrphanRemoved::Done);
    assert_eq!(orphans.remove(orphan, world.audit(Action::OrphanDelete)).await.unwrap(), OrphanRemoved::Absent);
    assert!(world.a.records().is_empty());
    assert_eq!(world.audited(Action::OrphanDelete).await, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_orphan_any_more_or_worked_on_elsewhere_is_left_alone() {
    let world = World::new().await;
    let portal = world.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let orphans = world.orphans();
    assert_eq!(orphans.find(world.a.domain()).await.unwrap(), []);
    let (name, record) = world.a.records().into_iter().next().unwrap();
    let ZoneRecord::Marked(state) = record.clone() else { panic!("{record:?}") };
    let owned = Orphan {
        domain: world.a.domain().clone(),
        hostname: Hostname::parse(&name).unwrap(),
        marker: state.marker.clone(),
    };
    let audit = || world.audit(Action::OrphanDelete);
    assert_eq!(orphans.remove(&owned, audit()).await.unwrap(), OrphanRemoved::Kept);

    // The marker was copied to another name, while its exposure lives on.
    world.a.insert_record("copy-alice.a.net", record);
    let found = orphans.find(world.a.domain()).await.unwrap();
    assert_eq!(found.len(), 1);
    let copy = found.first().unwrap();
    assert_eq!(orphans.remove(copy, audit()).await.unwrap(), OrphanRemoved::Busy, "the lease of the refused removal");
    world.wait_long();
    assert_eq!(orphans.remove(copy, audit()).await.unwrap(), OrphanRemoved::Done);
    assert_eq!(world.audited(Action::OrphanDelete).await, 1);
    world.wait_long();
    portal.pass().await.unwrap();
    world.assert_converged("the exposure itself").await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_at_a_name_that_was_given_up_in_a_move_is_swept_away() {
    let world = World::new().await;
    let portal = world.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let records = world.a.records();
    open(&portal, "alice", wish("my-app", "web", None, Some("b.net"))).await.unwrap();
    for (name, record) in &records {
        world.a.insert_record(name, record.clone());
    }
    assert_eq!(portal.pass().await.unwrap().swept, 1);
    world.assert_converged("swept").await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_does_not_keep_the_name_from_its_next_owner() {
    let world = World::new().await;
    let portal = world.portal();
    open(&portal, "a-b", wish("c", "web", None, None)).await.unwrap();
    let records = world.a.records();
    let route = world.cluster.route("friend-a-b", "expose-c").unwrap();
    close(&portal, "a-b", "c").await.unwrap();
    for (name, record) in &records {
        world.a.insert_record(name, record.clone());
    }
    world.cluster.put_route("friend-a-b", route);
    world.add_friend("b").await;
    let opened = open(&portal, "b", wish("c-a", "web", None, None)).await.unwrap();
    assert_eq!(opened.exposure.status, Status::Active);
    world.assert_converged("the next owner").await;
}
