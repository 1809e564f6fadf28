use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{AgentId, FriendId, FriendshipKey};
use portal_cron::{RemoteRun, Sent};
use serde_json::{Value, json};

use super::{ANSWER_MAX, Entry, RunsOf, position};

/// A job of the agent's work, whose answers go to a chat.
const OF_CHAT: RunsOf<'_> = RunsOf { job: "j", answers: true, is_agent_turn: true, is_reliable: true };

fn moment(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap()
}

fn entry(run_id: Option<&str>, run_at: i64) -> Entry {
    let mut value = json!({"jobId": "j", "status": "ok", "runAtMs": run_at, "ts": run_at + 5});
    if let Some(id) = run_id {
        value["runId"] = id.into();
    }
    Entry::parse(&value, OF_CHAT).unwrap()
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
    assert_eq!(Entry::parse(&json!({"jobId": "other", "status": "ok", "runAtMs": 1}), OF_CHAT), None);
    assert_eq!(Entry::parse(&json!({"status": "ok", "runAtMs": 1}), OF_CHAT), None);
}

/// An entry of 2026.9.6, as it was captured, with other members.
fn captured(members: &Value) -> Value {
    let mut entry = json!({
        "ts": 1_795_630_494_542_i64, "jobId": "j", "action": "finished", "status": "ok", "completionStatus": "succeeded",
        "summary": "Hello from the fake model.", "runAtMs": 1_795_630_458_725_i64, "durationMs": 35_817,
        "delivered": true, "deliveryStatus": "delivered", "sessionKey": "agent:main:direct:alice",
    });
    for (member, value) in members.as_object().unwrap() {
        entry[member] = value.clone();
    }
    entry
}

/// Returns the answer as alice sees it.
fn shown_to_alice(members: &Value, of: RunsOf<'_>) -> Option<String> {
    let entry = Entry::parse(&captured(members), of).unwrap();
    entry.visible("j", |key| key == "agent:main:direct:alice")?.answer
}

#[test]
fn an_answer_is_shown_in_the_friends_own_conversation_alone() {
    let hello = Some("Hello from the fake model.".to_owned());
    assert_eq!(shown_to_alice(&json!({}), OF_CHAT), hello);
    for members in [
        json!({"sessionKey": "agent:main:direct:bob"}),
        json!({"sessionKey": "agent:main:cron:j:run:71fdb76c"}),
        json!({"sessionKey": null}),
        json!({"sessionKey": ""}),
        json!({"status": "error", "summary": "500 nope"}),
        json!({"status": "skipped"}),
        json!({"summary": " \u{0}\r"}),
        json!({"summary": 5}),
        json!({"deliveryStatus": "not-delivered", "deliverySuppressionReason": "silent", "summary": "NO_REPLY"}),
    ] {
        assert_eq!(shown_to_alice(&members, OF_CHAT), None, "{members}");
    }
    assert_eq!(shown_to_alice(&json!({}), RunsOf { is_agent_turn: false, ..OF_CHAT }), None);
}

#[test]
fn an_answer_is_cut_and_holds_nothing_that_a_terminal_obeys() {
    let shown = |summary: &str| shown_to_alice(&json!({ "summary": summary }), OF_CHAT);
    assert_eq!(shown("a\u{0}b\tc\r\nd\u{1b}[2J\u{9b}e").as_deref(), Some("ab\tc\nd[2Je"));
    assert_eq!(shown(&"a".repeat(ANSWER_MAX)), Some("a".repeat(ANSWER_MAX)));
    let long = shown(&"\u{e4}".repeat(ANSWER_MAX)).unwrap();
    assert!(long.len() <= ANSWER_MAX && long.len() > ANSWER_MAX - 4 && long.ends_with('\u{2026}'), "{}", long.len());
}

#[test]
fn the_end_of_the_work_and_the_delivery_of_the_answer_are_two_things() {
    let read = |members: &Value, of| {
        let end = Entry::parse(&captured(members), of).unwrap().end;
        (end.finished, end.sent)
    };
    let old = RunsOf { is_reliable: false, ..OF_CHAT };
    for (members, of, expected) in [
        (json!({}), OF_CHAT, (Some(true), Some(Sent::Sent))),
        (json!({"deliveryStatus": "not-delivered"}), OF_CHAT, (Some(true), Some(Sent::Pending))),
        (json!({"deliveryStatus": "not-requested"}), OF_CHAT, (Some(true), Some(Sent::Nowhere))),
        (json!({"status": "error", "deliveryStatus": "not-delivered"}), OF_CHAT, (Some(false), None)),
        (json!({"status": "skipped"}), OF_CHAT, (None, None)),
        (json!({"deliveryStatus": null}), OF_CHAT, (Some(true), None)),
        (json!({}), old, (Some(true), None)),
        (
            json!({"deliveryStatus": "not-delivered"}),
            RunsOf { answers: false, ..old },
            (Some(true), Some(Sent::Nowhere)),
        ),
        (json!({}), RunsOf { is_agent_turn: false, ..OF_CHAT }, (None, None)),
    ] {
        assert_eq!(read(&members, of), expected, "{members} {of:?}");
    }
}
