//! Answers that are lost, late, refused or broken off, at every call of every operation.

use std::time::Duration;

use portal_adapters::cloudflare::{CloudflareRecords, Fault, SCRIPTED_TOKEN, ScriptedCloudflare, ZoneName};
use portal_dns::{Ensured, Hostname, Observed, RecordState, Records, Removed};
use serde_json::json;
use tokio::time::Instant;

use super::{ZONE, address, alice, host, records, tunnel};

struct Fixture {
    cloudflare: ScriptedCloudflare,
    records: CloudflareRecords,
}

/// A zone with a record of somebody else's, whose id is known, so that the first call is about records.
async fn fixture() -> Fixture {
    let cloudflare = ScriptedCloudflare::start(&[ZONE]).await.unwrap();
    let record = json!({"name": "www.example.org", "type": "A", "content": "198.51.100.1", "ttl": 1});
    assert!(cloudflare.put(ZONE, record).is_some());
    let records = records(cloudflare.url(), SCRIPTED_TOKEN, ZoneName::Id(format!("{:032x}", 0)));
    Fixture { cloudflare, records }
}

impl Fixture {
    async fn ensure(&self, wanted: &RecordState) -> Ensured {
        let seen = self.records.look(&host(), &alice()).await.unwrap();
        match self.records.ensure(&host(), wanted, &seen, &alice()).await.unwrap() {
            Ensured::CreatedUnverified => Ensured::Created,
            ensured => ensured,
        }
    }

    /// How many records stand beside somebody else's.
    fn ours(&self) -> usize {
        self.cloudflare.records(ZONE).len() - 1
    }

    /// What was made but must not be touched by anything.
    fn foreign(&self) -> String {
        self.cloudflare.records(ZONE).first().unwrap().to_string()
    }
}

fn faults() -> [Fault; 8] {
    [
        Fault::Delay(Duration::from_millis(600)),
        Fault::LoseAnswer,
        Fault::CutBefore,
        Fault::CutAfter,
        Fault::TooMany(Some(0)),
        Fault::Broken,
        Fault::BrokenAfter,
        Fault::Babble,
    ]
}

/// Fails the call with this number, counted from the next one.
fn fail(fixture: &Fixture, call: usize, fault: &Fault) {
    fixture.cloudflare.script((0..call).map(|_| None).chain([Some(fault.clone())]));
}

async fn check_making(wanted: &RecordState, fault: &Fault, call: usize) {
    let fixture = fixture().await;
    let foreign = fixture.foreign();
    fail(&fixture, call, fault);
    if let Ok(seen) = fixture.records.look(&host(), &alice()).await {
        fixture.records.ensure(&host(), wanted, &seen, &alice()).await.ok();
    }
    fixture.cloudflare.forget_faults();
    assert_ne!(fixture.ensure(wanted).await, Ensured::Foreign, "{fault:?} at {call}");
    assert_eq!(fixture.records.look(&host(), &alice()).await.unwrap(), Observed::Marked(wanted.clone()));
    assert_eq!((fixture.ours(), fixture.foreign()), (1, foreign), "{fault:?} at {call}");
}

async fn check_changing(wanted: &RecordState, fault: &Fault, call: usize) {
    let fixture = fixture().await;
    assert_eq!(fixture.ensure(&address(7)).await, Ensured::Created);
    fail(&fixture, call, fault);
    fixture.records.ensure(&host(), wanted, &Observed::Marked(address(7)), &alice()).await.ok();
    fixture.cloudflare.forget_faults();
    assert_eq!(fixture.ours(), 1, "never without a record: {fault:?} at {call}");
    fixture.ensure(wanted).await;
    assert_eq!(fixture.records.look(&host(), &alice()).await.unwrap(), Observed::Marked(wanted.clone()));
    assert_eq!(fixture.ours(), 1, "{fault:?} at {call}");
}

#[tokio::test]
async fn whatever_goes_wrong_while_a_record_is_made_doing_it_again_makes_one() {
    for (fault, call) in faults().into_iter().flat_map(|fault| (0..3).map(move |call| (fault.clone(), call))) {
        check_making(&tunnel(true), &fault, call).await;
        check_making(&address(7), &fault, call).await;
    }
}

#[tokio::test]
async fn whatever_goes_wrong_while_a_record_is_changed_doing_it_again_changes_it() {
    for (fault, call) in faults().into_iter().flat_map(|fault| (0..2).map(move |call| (fault.clone(), call))) {
        check_changing(&address(8), &fault, call).await;
        check_changing(&tunnel(false), &fault, call).await;
    }
}

#[tokio::test]
async fn whatever_goes_wrong_while_a_record_is_removed_doing_it_again_removes_it() {
    for fault in faults() {
        for call in 0..2 {
            let fixture = fixture().await;
            let (foreign, wanted) = (fixture.foreign(), tunnel(true));
            assert_eq!(fixture.ensure(&wanted).await, Ensured::Created);
            fail(&fixture, call, &fault);
            fixture.records.remove(&host(), &wanted.marker, &alice()).await.ok();
            fixture.cloudflare.forget_faults();
            let removed = fixture.records.remove(&host(), &wanted.marker, &alice()).await.unwrap();
            assert!(matches!(removed, Removed::Done | Removed::Absent), "{fault:?} at {call}: {removed:?}");
            assert_eq!((fixture.ours(), fixture.foreign()), (0, foreign), "{fault:?} at {call}");
        }
    }
}

#[tokio::test]
async fn a_record_whose_answer_was_lost_is_found_again_by_its_mark() {
    let fixture = fixture().await;
    fixture.cloudflare.script([Some(Fault::LoseAnswer)]);
    assert!(fixture.records.ensure(&host(), &tunnel(true), &Observed::Absent, &alice()).await.is_err());
    assert_eq!(fixture.records.look(&host(), &alice()).await.unwrap(), Observed::Marked(tunnel(true)));
    assert_eq!(fixture.ensure(&tunnel(true)).await, Ensured::Same);
}

#[tokio::test]
async fn an_address_beside_one_that_came_in_the_same_moment_is_seen_by_the_next_look_and_taken_back() {
    let fixture = fixture().await;
    let theirs = json!({"name": host().as_str(), "type": "A", "content": "198.51.100.9", "ttl": 1});
    assert!(fixture.cloudflare.put(ZONE, theirs).is_some());
    let ensured = fixture.records.ensure(&host(), &address(7), &Observed::Absent, &alice()).await.unwrap();
    assert_eq!(ensured, Ensured::CreatedUnverified);
    let crowded = Observed::Several { marked: vec![address(7)], others: true };
    assert_eq!(fixture.records.look(&host(), &alice()).await.unwrap(), crowded);
    assert_eq!(fixture.records.remove(&host(), &address(7).marker, &alice()).await.unwrap(), Removed::Done);
    assert_eq!((fixture.records.look(&host(), &alice()).await.unwrap(), fixture.ours()), (Observed::Foreign, 1));
}

#[tokio::test]
async fn a_second_record_with_our_mark_is_cleared_away() {
    let fixture = fixture().await;
    assert_eq!(fixture.ensure(&address(7)).await, Ensured::Created);
    let comment = address(7).marker.to_string();
    let twin = json!({"name": host().as_str(), "type": "A", "content": "192.0.2.8", "ttl": 600, "proxied": false, "comment": comment});
    assert!(fixture.cloudflare.put(ZONE, twin).is_some());
    assert_eq!(fixture.ensure(&address(7)).await, Ensured::Changed);
    assert_eq!((fixture.ours(), fixture.ensure(&address(7)).await), (1, Ensured::Same));
}

#[tokio::test]
async fn a_new_exposure_costs_two_calls() {
    for wanted in [tunnel(true), address(7)] {
        let fixture = fixture().await;
        assert_eq!(fixture.ensure(&wanted).await, Ensured::Created);
        assert_eq!(fixture.cloudflare.calls().len(), 2);
    }
}

#[tokio::test]
async fn a_zone_of_a_thousand_exposures_is_listed_in_less_than_ten_calls() {
    let fixture = fixture().await;
    let wanted = tunnel(true);
    for index in 0..2500 {
        let comment = wanted.marker.to_string();
        let record = json!({"name": format!("app-{index}.example.org"), "type": "CNAME", "content": "tunnel.example.net",
            "ttl": 1, "proxied": true, "comment": comment});
        assert!(fixture.cloudflare.put(ZONE, record).is_some());
    }
    let listed = fixture.records.list().await.unwrap();
    assert_eq!((listed.len(), fixture.cloudflare.calls().len()), (2501, 3));
    let last = Hostname::parse("app-2499.example.org").unwrap();
    assert!(listed.contains(&(last, Observed::Marked(wanted))));
}

#[tokio::test]
async fn a_limit_delays_the_work_and_stops_none_of_it() {
    let fixture = fixture().await;
    fixture.cloudflare.limit(3, Duration::from_secs(1));
    let (began, mut refusals) = (Instant::now(), 0);
    for index in 0..6 {
        let name = Hostname::parse(&format!("app-{index}.example.org")).unwrap();
        while let Err(error) = fixture.records.ensure(&name, &tunnel(true), &Observed::Absent, &alice()).await {
            assert!(began.elapsed() < Duration::from_secs(30), "{error:?}");
            tokio::time::sleep(error.retry_after.unwrap()).await;
            refusals += 1;
        }
    }
    let refused = fixture.cloudflare.calls().len() - 6;
    assert_eq!((fixture.ours(), refused), (6, refusals));
    assert!((1..=3).contains(&refusals), "each refusal is heeded: {refusals}");
}
