//! Numbers of calls.

use std::time::{Duration, Instant};

use futures::future::join_all;
use portal_cron::CronError;
use serde_json::json;

use super::fixture::{Fixture, owner};
use crate::fake::{Fault, Version};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_jobs_are_listed_by_five_calls() {
    for version in [Version::New, Version::Old] {
        let fixture = Fixture::new(version).await;
        let friend_of = |number| if number % 50 == 0 { "alice" } else { "bob" };
        fixture.fake.with(|gateway| {
            for number in 0..1000 {
                let friend = friend_of(number);
                let target = format!("session:agent:main:direct:{friend}");
                gateway.insert(
                    json!({"name": format!("job {number:04}"), "sessionTarget": target, "enabled": number % 2 == 0}),
                );
            }
        });
        let names = fixture.names("alice").await;
        assert_eq!((names.len(), names[0].as_str(), names[19].as_str()), (20, "job 0000", "job 0950"));
        assert_eq!(fixture.fake.calls().len(), 5, "{version:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_friends_who_ask_at_once_cause_one_list() {
    let fixture = Fixture::new(Version::New).await;
    fixture.fake.with(|gateway| gateway.insert(json!({})));
    fixture.client.hello().await.unwrap();
    let (release, held) = tokio::sync::oneshot::channel();
    fixture.fake.fail("cron.list", Fault::Hold(held));
    let readers = join_all((0..100).map(|_| fixture.list("alice")));
    let released = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        release.send(()).unwrap();
    };
    let (lists, ()) = tokio::join!(readers, released);
    assert!(lists.iter().all(|list| list.len() == 1));
    assert_eq!(fixture.fake.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_used_until_an_event_or_a_change_of_ours_and_for_a_second_at_most() {
    let fixture = Fixture::new(Version::New).await;
    let id = fixture.fake.with(|gateway| gateway.insert(json!({})));
    fixture.names("alice").await;
    fixture.names("alice").await;
    assert_eq!(fixture.fake.calls().len(), 1);
    // A change of ours is seen at once.
    fixture.create("alice", "daily").await.unwrap();
    assert_eq!(fixture.names("alice").await, ["daily", "reminder"]);
    // What the agent does is seen as soon as its event is there, a quarter of a second later at most.
    let begun = Instant::now();
    fixture.fake.with(|gateway| gateway.edit(&id, |job| job["name"] = "other".into()));
    while fixture.names("alice").await != ["daily", "other"] {
        assert!(begun.elapsed() < Duration::from_millis(900), "seen only by age");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Without an event it is seen by age.
    fixture.fake.with(|gateway| gateway.job(&id)["name"] = "silent".into());
    let begun = Instant::now();
    while fixture.names("alice").await != ["daily", "silent"] {
        assert!(begun.elapsed() < Duration::from_secs(2), "a list older than two seconds");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_events_causes_few_lists() {
    let fixture = Fixture::new(Version::New).await;
    fixture.names("alice").await;
    let begun = Instant::now();
    for _ in 0..100 {
        (0..100).for_each(|_| fixture.fake.event());
        fixture.names("alice").await;
    }
    let allowed = 2 + 4 * usize::try_from(begun.elapsed().as_secs() + 1).unwrap();
    assert!(fixture.fake.calls().len() <= allowed);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_change_between_two_pages_are_listed_again_and_not_for_ever() {
    for version in [Version::New, Version::Old] {
        let fixture = Fixture::new(version).await;
        fixture.fake.with(|gateway| (0..201).for_each(|_| drop(gateway.insert(json!({"name": "x"})))));
        let insert = || Fault::After(Box::new(|gateway| drop(gateway.insert(json!({"name": "new"})))));
        // The first page of each attempt is read before the fault of the second one.
        fixture.fake.fail("cron.list", Fault::After(Box::new(|_| ())));
        fixture.fake.fail("cron.list", insert());
        assert_eq!(fixture.list("alice").await.len(), 202, "{version:?}");
        assert_eq!(fixture.fake.calls().len(), 4);
        for _ in 0..3 {
            fixture.fake.fail("cron.list", Fault::After(Box::new(|_| ())));
            fixture.fake.fail("cron.list", insert());
        }
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let failed = fixture.jobs.list(&owner("alice")).await;
        assert!(matches!(failed, Err(CronError::Port(_))), "{failed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_costs_few_calls() {
    let fixture = Fixture::new(Version::New).await;
    fixture.create("alice", "daily").await.unwrap();
    let methods = |fixture: &Fixture| fixture.fake.calls().into_iter().map(|(method, _)| method).collect::<Vec<_>>();
    assert_eq!(methods(&fixture), ["cron.list", "cron.add"]);
    fixture.run("alice", "daily").await.unwrap();
    assert_eq!(methods(&fixture), ["cron.list", "cron.get", "cron.run"]);
    fixture.jobs.remove(&owner("alice"), "daily", super::fixture::actor("alice")).await.unwrap();
    assert_eq!(methods(&fixture), ["cron.list", "cron.get", "cron.remove"]);
}
