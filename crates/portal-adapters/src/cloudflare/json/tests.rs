use portal_dns::{DomainName, Hostname, Observed, OwnershipMarker, RecordState, Target, Ttl};
use serde_json::{Value, json};

use super::{WireRecord, body, observed};

const MARKER: &str = "friend-portal/00112233445566778899aabbccddeeff/ffeeddccbbaa99887766554433221100";

fn ttl(seconds: u32) -> Ttl {
    Ttl::parse(seconds).unwrap()
}

fn state(target: Target, seconds: u32, proxied: bool) -> RecordState {
    RecordState { marker: OwnershipMarker::parse(MARKER).unwrap(), target, ttl: ttl(seconds), proxied }
}

fn tunnel() -> Target {
    Target::Cname(DomainName::parse("tunnel.example.net").unwrap())
}

fn record(kind: &str, content: &str, seconds: u32, proxied: bool) -> Value {
    let name = "app-alice.example.org";
    json!({"id": "a1", "name": name, "type": kind, "content": content, "ttl": seconds, "proxied": proxied, "comment": MARKER})
}

#[track_caller]
fn check(record: &Value, expected: &Observed) {
    let read = WireRecord::read(record, ttl(600));
    assert_eq!(read.name, "app-alice.example.org");
    assert_eq!(observed(&[read]), *expected, "{record}");
}

#[test]
fn a_record_of_ours_is_read_as_it_was_written() {
    let host = Hostname::parse("app-alice.example.org").unwrap();
    for wanted in [
        state(tunnel(), 600, true),
        state(tunnel(), 600, false),
        state(Target::A([192, 0, 2, 7].into()), 60, false),
        state(Target::Aaaa("2001:db8::7".parse().unwrap()), 86_400, false),
    ] {
        let mut written = serde_json::to_value(body(&host, &wanted, MARKER)).unwrap();
        written["id"] = json!("a1");
        check(&written, &Observed::Marked(wanted));
    }
}

#[test]
fn what_was_edited_by_hand_differs_from_what_is_wanted() {
    for (edited, wanted) in [
        (record("CNAME", "elsewhere.example.net", 600, false), state(tunnel(), 600, false)),
        (record("CNAME", "_odd_.example.net", 600, false), state(tunnel(), 600, false)),
        (record("CNAME", "tunnel.example.net", 600, true), state(tunnel(), 600, false)),
        (record("CNAME", "tunnel.example.net", 1, false), state(tunnel(), 600, false)),
        (record("A", "192.0.2.1", 600, false), state(tunnel(), 600, false)),
    ] {
        let Observed::Marked(told) = observed(&[WireRecord::read(&edited, ttl(600))]) else { panic!("{edited}") };
        assert_ne!(told, wanted, "{edited}");
    }
}

#[test]
fn a_record_is_the_same_however_cloudflare_spells_it() {
    let mut spelled = record("CNAME", "Tunnel.Example.NET.", 1, true);
    spelled["name"] = json!("App-Alice.Example.Org");
    check(&spelled, &Observed::Marked(state(tunnel(), 600, true)));
}

#[test]
fn whatever_is_not_plainly_ours_is_foreign() {
    let mut odd = vec![record("TXT", "v=spf1", 600, false), record("MX", "mail.example.net", 600, false)];
    for (member, value) in [
        ("comment", Value::Null),
        ("comment", json!("made by hand")),
        ("comment", json!({"text": MARKER})),
        ("id", json!(17)),
        ("id", json!("../../zones/0")),
        ("content", Value::Null),
        ("type", json!("A6")),
    ] {
        let mut record = record("CNAME", "tunnel.example.net", 600, false);
        record[member] = value;
        odd.push(record);
    }
    for record in &odd {
        check(record, &Observed::Foreign);
    }
    assert_eq!(observed(&[WireRecord::read(&json!("what"), ttl(600))]), Observed::Foreign);
}

#[test]
fn marks_are_seen_beside_others_and_beside_each_other() {
    let read = |record: &Value| WireRecord::read(record, ttl(600));
    let (one, two) = (record("A", "192.0.2.7", 60, false), record("A", "192.0.2.8", 60, false));
    let [state_one, state_two] = [7, 8].map(|last| state(Target::A([192, 0, 2, last].into()), 60, false));
    let theirs = json!({"name": "app-alice.example.org", "type": "TXT"});
    let beside = Observed::Several { marked: vec![state_one.clone()], others: true };
    assert_eq!(observed(&[read(&theirs), read(&one)]), beside);
    let twins = Observed::Several { marked: vec![state_one, state_two], others: false };
    assert_eq!(observed(&[read(&one), read(&two)]), twins);
    assert_eq!(observed(&[read(&theirs), read(&theirs)]), Observed::Foreign);
    assert_eq!(observed(&[]), Observed::Absent);
}
