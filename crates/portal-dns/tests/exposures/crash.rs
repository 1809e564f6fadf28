//! Every step of every change, failing in every way: after a restart and one pass all is as wanted.

use std::sync::Arc;
use std::time::Duration;

use portal_adapters::memory::ZoneRecord;
use portal_core::Action;
use portal_dns::{Hostname, Orphan, OrphanRemoved, Priority, Records as _, Removed, Status};
use portal_testkit::{Fault, Faults};

use super::faults::serve;
use super::fixture::{Fixture, close, open, plain, wish};
use super::operation::Operation;

/// The fixture before a operation, with things in it that are not ours.
async fn before(operation: Operation) -> Fixture {
    let fixture = Fixture::new().await;
    fixture.a.insert_record("theirs-alice.a.net", plain("A", "192.0.2.7"));
    fixture.a.insert_record("*.a.net", plain("A", "192.0.2.8"));
    fixture.b.insert_record("_dmarc.b.net", plain("TXT", "v=DMARC1"));
    operation.prepare(&fixture, &fixture.portal(), || fixture.a.go_down("gone")).await;
    fixture.a.come_back();
    fixture
}

/// Everything that is not ours.
fn foreign(fixture: &Fixture) -> String {
    let records = fixture.a.records().into_iter().chain(fixture.b.records());
    let plain: Vec<_> =
        records.filter(|(_, record)| matches!(record, portal_adapters::memory::ZoneRecord::Plain { .. })).collect();
    format!("{plain:?} {:?}", fixture.cluster.route("friend-alice", "theirs"))
}

/// Lets `fault` strike at call number `at` of `operation`; tells whether there was such a call.
async fn strike(operation: Operation, at: usize, fault: Fault) -> bool {
    let context = format!("{operation:?}, {fault:?} at call {at}");
    let fixture = before(operation).await;
    let theirs = foreign(&fixture);
    let faults = Faults::new(at, Some(fault)).shared();
    let portal = serve(&fixture, &faults);
    let acknowledged = tokio::time::timeout(Duration::from_mins(2), operation.act(&portal)).await.unwrap_or(false);
    let struck = faults.was_reached();
    faults.end();
    fixture.assert_nothing_is_pretended(fixture.marked(), &context).await;
    fixture.wait_long();
    let survivor = if fault.ends_the_process() { fixture.portal() } else { portal };
    let report = tokio::spawn(async move { survivor.pass().await }).await.unwrap().unwrap();
    assert_eq!((report.errors, &*report.orphans), (0, &[][..]), "{context}: {report:?}");
    fixture.assert_converged(&context).await;
    assert_eq!(foreign(&fixture), theirs, "{context}: something that is not ours was changed");
    if acknowledged {
        operation.assert_kept(&fixture, &context).await;
    }
    struck
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_at_whichever_step_one_pass_puts_it_right() {
    for operation in Operation::ALL {
        for fault in Fault::ALL {
            let mut steps = 0;
            while strike(operation, steps, fault).await {
                steps += 1;
            }
            assert!(steps >= 7, "{operation:?} has only {steps} calls to fail at");
        }
    }
}

/// The ticks of every second finish it as well, without a pass.
#[tokio::test(start_paused = true)]
async fn a_restart_finishes_by_its_ticks_what_the_crash_left() {
    for at in 0..12 {
        let fixture = Fixture::new().await;
        let faults = Faults::new(at, Some(Fault::StopAfter)).shared();
        let portal = serve(&fixture, &faults);
        let opened = open(&portal, "alice", wish("my-app", "web", None, None));
        let _ = tokio::time::timeout(Duration::from_mins(2), opened).await;
        let restarted = fixture.portal();
        for _ in 0..40 {
            fixture.clock.advance(Duration::from_secs(1));
            let ticking = restarted.clone();
            tokio::spawn(async move { ticking.tick().await }).await.unwrap().unwrap();
        }
        fixture.assert_converged(&format!("stopped after call {at}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_keeps_a_second_portal_from_working_on_the_same_exposure() {
    let fixture = Fixture::new().await;
    // Its sixth call would be the first one that makes something.
    let faults = Faults::new(6, Some(Fault::StopBefore)).shared();
    let sleeping = serve(&fixture, &faults);
    let opened = open(&sleeping, "alice", wish("my-app", "web", None, None));
    let _ = tokio::time::timeout(Duration::from_mins(2), opened).await;
    let other = fixture.portal();
    other.pass().await.unwrap();
    assert!(fixture.routes().await.is_empty() && fixture.marked().is_empty());
    fixture.clock.advance(Duration::from_secs(30));
    other.pass().await.unwrap();
    fixture.assert_converged("after the lease").await;
}

#[tokio::test(start_paused = true)]
async fn what_a_sleeping_process_brings_back_is_swept_away() {
    let fixture = Arc::new(Fixture::new().await);
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let records = fixture.a.records();
    let route = fixture.cluster.route("friend-alice", "expose-my-app").unwrap();
    close(&portal, "alice", "my-app").await.unwrap();
    for (name, record) in &records {
        fixture.a.insert_record(name, record.clone());
    }
    fixture.cluster.put_route("friend-alice", route.clone());
    let report = portal.pass().await.unwrap();
    assert_eq!((report.swept, &*report.orphans), (2, &[][..]));
    fixture.assert_converged("swept").await;

    fixture.clock.advance(Duration::from_hours(25));
    portal.pass().await.unwrap();
    fixture.a.insert_record(&records.first().unwrap().0, records.first().unwrap().1.clone());
    let report = portal.pass().await.unwrap();
    assert_eq!((report.swept, report.orphans.len()), (0, 1), "after a day an operator has to decide");
    assert_eq!(fixture.a.records(), records);
    let orphans = fixture.orphans();
    let found = orphans.find(fixture.a.domain()).await.unwrap();
    assert_eq!(found.iter().map(|orphan| orphan.hostname.to_string()).collect::<Vec<_>>(), ["my-app-alice.a.net"]);
    let orphan = found.first().unwrap();
    assert_eq!(orphans.remove(orphan, fixture.audit(Action::OrphanDelete)).await.unwrap(), OrphanRemoved::Done);
    assert_eq!(orphans.remove(orphan, fixture.audit(Action::OrphanDelete)).await.unwrap(), OrphanRemoved::Absent);
    assert!(fixture.a.records().is_empty());
    assert_eq!(fixture.audited(Action::OrphanDelete).await, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_orphan_any_more_or_worked_on_elsewhere_is_left_alone() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let orphans = fixture.orphans();
    assert_eq!(orphans.find(fixture.a.domain()).await.unwrap(), []);
    let (name, record) = fixture.a.records().into_iter().next().unwrap();
    let ZoneRecord::Marked(state) = record.clone() else { panic!("{record:?}") };
    let owned = Orphan {
        domain: fixture.a.domain().clone(),
        hostname: Hostname::parse(&name).unwrap(),
        marker: state.marker.clone(),
    };
    let audit = || fixture.audit(Action::OrphanDelete);
    assert_eq!(orphans.remove(&owned, audit()).await.unwrap(), OrphanRemoved::LeftAlone);

    // The marker was copied to another name, while its exposure lives on.
    fixture.a.insert_record("copy-alice.a.net", record);
    let found = orphans.find(fixture.a.domain()).await.unwrap();
    assert_eq!(found.len(), 1);
    let copy = found.first().unwrap();
    assert_eq!(orphans.remove(copy, audit()).await.unwrap(), OrphanRemoved::Busy, "the lease of the refused removal");
    fixture.wait_long();
    assert_eq!(orphans.remove(copy, audit()).await.unwrap(), OrphanRemoved::Done);
    assert_eq!(fixture.audited(Action::OrphanDelete).await, 1);
    fixture.wait_long();
    portal.pass().await.unwrap();
    fixture.assert_converged("the exposure itself").await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_at_a_name_that_was_given_up_in_a_move_is_swept_away() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap();
    let records = fixture.a.records();
    open(&portal, "alice", wish("my-app", "web", None, Some("b.net"))).await.unwrap();
    for (name, record) in &records {
        fixture.a.insert_record(name, record.clone());
    }
    assert_eq!(portal.pass().await.unwrap().swept, 1);
    fixture.assert_converged("swept").await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_does_not_keep_the_name_from_its_next_owner() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    open(&portal, "a-b", wish("c", "web", None, None)).await.unwrap();
    let records = fixture.a.records();
    let route = fixture.cluster.route("friend-a-b", "expose-c").unwrap();
    close(&portal, "a-b", "c").await.unwrap();
    for (name, record) in &records {
        fixture.a.insert_record(name, record.clone());
    }
    fixture.cluster.put_route("friend-a-b", route);
    fixture.add_friend("b").await;
    let opened = open(&portal, "b", wish("c-a", "web", None, None)).await.unwrap();
    assert_eq!(opened.exposure.status, Status::Active);
    fixture.assert_converged("the next owner").await;
}

/// A name that lives again has the id, and so the marker, of its former life. A worker that was suspended while it
/// removed the former record takes the new one with it; the next pass puts it back.
#[tokio::test(start_paused = true)]
async fn a_late_removal_of_a_former_life_is_repaired_by_one_pass() {
    let fixture = Fixture::new().await;
    let portal = fixture.portal();
    let first = open(&portal, "alice", wish("my-app", "web", None, None)).await.unwrap().exposure;
    let (host, state) = fixture.marked().remove(0);
    close(&portal, "alice", "my-app").await.unwrap();
    let again = open(&portal, "alice", wish("my-app", "api", None, None)).await.unwrap().exposure;
    assert_eq!((&again.id, again.status), (&first.id, Status::Active));
    let removed = fixture.a.remove(&host, &state.marker, &Priority::Background).await.unwrap();
    assert_eq!((removed, fixture.marked().len()), (Removed::Done, 0), "the late removal");
    let report = portal.pass().await.unwrap();
    assert_eq!((report.repaired, report.errors, &*report.orphans), (1, 0, &[][..]), "{report:?}");
    fixture.assert_converged("after the late removal").await;
}
