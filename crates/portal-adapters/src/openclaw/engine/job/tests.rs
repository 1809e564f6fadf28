use serde_json::json;

use super::{GatewayJob, cut};

#[test]
fn a_revision_changes_with_the_definition_alone() {
    let job = json!({
        "id": "1", "name": "daily", "enabled": true, "schedule": {"kind": "cron", "expr": "0 9 * * *", "tz": "UTC"},
        "sessionTarget": "session:agent:main:direct:alice", "payload": {"kind": "agentTurn", "message": "x"},
        "state": {"nextRunAtMs": 1}, "updatedAtMs": 1, "configRevision": "sha256:a",
    });
    let revision = |member: &str, value: serde_json::Value| {
        let mut job = job.clone();
        job[member] = value;
        GatewayJob::parse(&job).unwrap().revision
    };
    let first = GatewayJob::parse(&job).unwrap().revision;
    for (member, value) in [("state", json!({})), ("updatedAtMs", json!(2)), ("configRevision", json!("sha256:b"))] {
        assert_eq!(revision(member, value), first, "{member}");
    }
    for (member, value) in [
        ("name", json!("weekly")),
        ("enabled", json!(false)),
        ("schedule", json!({"kind": "every", "everyMs": 60_000})),
        ("sessionTarget", json!("session:agent:main:direct:bob")),
        ("payload", json!({"kind": "agentTurn", "message": "y"})),
        ("delivery", json!({"mode": "none"})),
    ] {
        assert_ne!(revision(member, value), first, "{member}");
    }
}

#[test]
fn a_text_is_cut_between_letters() {
    assert_eq!(cut("short", 5), "short");
    assert_eq!(cut("\u{e4}\u{e4}\u{e4}\u{e4}", 7), "\u{e4}\u{e4}\u{2026}");
    assert_eq!(cut("abcdef", 3), "\u{2026}");
}

#[test]
fn a_job_that_the_gateway_switched_off_says_so() {
    let job = |enabled: bool| {
        let state = json!({
            "lastRunStatus": "error", "lastErrorReason": "auth", "consecutiveErrors": 10,
            "autoDisabled": {"reason": "consecutive-failures", "atMs": 1, "consecutiveErrors": 10},
        });
        GatewayJob::parse(&json!({"id": "1", "enabled": enabled, "state": state, "nextRunAtMs": 5})).unwrap().state
    };
    assert!(job(false).last_error.unwrap().contains("switched this job off"));
    assert!(job(true).last_error.unwrap().contains("account"));
    assert_eq!((job(false).next_run, job(true).next_run.map(|at| at.timestamp_millis())), (None, Some(5)));
    assert_eq!(job(false).consecutive_errors, 10);
}
