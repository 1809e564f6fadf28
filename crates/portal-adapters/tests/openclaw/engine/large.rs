//! Jobs of many megabytes, which agents may make.

use serde_json::{Value, json};

use super::fixture::Fixture;
use crate::fake::Version;

fn job(name: &str, friend: &str, megabytes: usize) -> Value {
    json!({
        "name": name, "sessionTarget": format!("session:agent:main:direct:{friend}"),
        "payload": {"kind": "agentTurn", "message": "m".repeat(megabytes << 20)},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_do_not_fit_into_one_frame_are_listed_in_several() {
    let fixture = Fixture::new(Version::New).await;
    fixture.fake.with(|gateway| {
        gateway.insert(job("first", "alice", 0));
        for name in ["a", "b", "c"] {
            gateway.insert(job(name, "bob", 9));
        }
        gateway.insert(job("last", "alice", 0));
    });
    assert_eq!(fixture.names("alice").await, ["first", "last"]);
    assert_eq!(fixture.names("bob").await, ["a", "b", "c"]);
    // The connection ended for the first list, and for none after it.
    let lived = fixture.client.connected_for().unwrap();
    fixture.create("alice", "daily").await.unwrap();
    assert_eq!(fixture.names("alice").await, ["daily", "first", "last"]);
    assert!(fixture.client.connected_for().is_some_and(|now| now > lived), "connected again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_too_large_alone_hides_no_other() {
    let fixture = Fixture::new(Version::Mid).await;
    let monster = fixture.fake.with(|gateway| {
        gateway.insert(job("first", "alice", 0));
        let monster = gateway.insert(job("monster", "bob", 26));
        gateway.insert(job("last", "alice", 0));
        monster
    });
    assert_eq!(fixture.names("alice").await, ["first", "last"]);
    assert_eq!(fixture.names("bob").await, [""; 0]);
    let lived = fixture.client.connected_for().unwrap();
    fixture.fake.with(|gateway| gateway.job(&monster)["description"] = "x".into());
    assert_eq!(fixture.names("alice").await, ["first", "last"]);
    assert!(fixture.client.connected_for().is_some_and(|now| now > lived), "connected again");
    // Another job at its place is shown: the list is another one.
    fixture.fake.with(|gateway| {
        gateway.jobs.retain(|job| job["id"] != monster.as_str());
        gateway.jobs.insert(1, json!({"id": "new", "name": "new", "sessionTarget": "session:agent:main:direct:alice",
            "enabled": true, "schedule": {"kind": "every", "everyMs": 60_000}, "payload": {"kind": "agentTurn", "message": "x"}}));
        gateway.insert(job("other", "alice", 0));
    });
    let mut tries = 0;
    while fixture.names("alice").await != ["first", "last", "new", "other"] {
        tries += 1;
        assert!(tries < 100, "{:?}", fixture.names("alice").await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
