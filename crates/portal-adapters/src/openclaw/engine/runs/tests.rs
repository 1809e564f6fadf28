use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{AgentId, FriendId, FriendshipKey};
use portal_cron::RemoteRun;
use serde_json::json;

use super::{Entry, position};

fn moment(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap()
}

fn entry(run_id: Option<&str>, run_at: i64) -> Entry {
    let mut value = json!({"jobId": "j", "status": "ok", "runAtMs": run_at, "ts": run_at + 5});
    if let Some(id) = run_id {
        value["runId"] = id.into();
    }
    Entry::parse(&value, "j", false).unwrap()
}

fn asked(remote_id: Option<&str>, requested_at: i64) -> RemoteRun {
    let owner = FriendshipKey { friend: FriendId::parse("alice").unwrap(), agent: AgentId::parse("main").unwrap() };
    RemoteRun {
        id: "r".to_owned(),
        owner,
        job: "j".to_owned(),
        remote_id: remote_id.map(str::to_owned),
        requested_at: moment(requested_at),
        expected_by: moment(requested_at) + TimeDelta::hours(1),
        end: None,
    }
}

#[track_caller]
fn check(entries: &[Entry], asked: &RemoteRun, expected: Option<usize>) {
    assert_eq!(position(entries, asked), expected, "{asked:?}");
}

#[test]
fn a_run_is_known_by_its_id_else_by_its_begin() {
    let known = asked(Some("manual:j:10000:3"), 10_000);
    check(&[entry(None, 10_001), entry(Some("manual:j:10000:3"), 10_002)], &known, Some(1));
    // The first one that began after it was admitted, and soon.
    check(&[entry(None, 12_000), entry(None, 10_001), entry(None, 9_999)], &known, Some(1));
    check(&[entry(None, 9_999)], &known, None);
    check(&[entry(None, 70_000)], &known, None);
    check(&[entry(Some("manual:j:10000:4"), 10_001)], &known, None);
    check(&[], &known, None);
    check(&[entry(None, 10_001)], &asked(Some("a name of next year"), 10_000), None);
}

#[test]
fn a_run_whose_admission_was_not_heard_of_is_known_by_its_begin() {
    let lost = asked(None, 10_000);
    check(&[entry(Some("manual:j:10100:3"), 10_101)], &lost, Some(0));
    check(&[entry(None, 8_500)], &lost, Some(0));
    check(&[entry(None, 7_900)], &lost, None);
    check(&[entry(None, 40_100)], &lost, None);
}

#[test]
fn a_run_of_another_job_is_no_run() {
    assert_eq!(Entry::parse(&json!({"jobId": "other", "status": "ok", "runAtMs": 1}), "j", false), None);
    assert_eq!(Entry::parse(&json!({"status": "ok", "runAtMs": 1}), "j", false), None);
}
