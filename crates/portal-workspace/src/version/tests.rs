use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{AgentId, FriendId};

use super::{Author, BURST, Plan, Precondition, Version, plan, surplus};
use crate::{Held, LastWrite, Tag};

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
}

fn friend(id: &str) -> FriendId {
    FriendId::parse(id).unwrap()
}

/// A document that session `s1` of alice wrote last, at minute 0.
fn written(text: &str) -> Held {
    let last = LastWrite {
        version: "v1".to_owned(),
        tag: Tag::of(text.as_bytes()),
        friend: friend("alice"),
        session: "s1".to_owned(),
        burst_since: at(0),
    };
    Held { newest: Some(last.tag.clone()), last: Some(last), ..Held::default() }
}

#[track_caller]
fn check_plan(held: &Held, previous: Option<&str>, session: &str, now: DateTime<Utc>, expected: (bool, Option<&str>)) {
    let Plan { keep_previous, replaces, burst_since } =
        plan(held, previous.map(|text| Tag::of(text.as_bytes())).as_ref(), session, now);
    assert_eq!((keep_previous, replaces.as_deref()), expected);
    assert_eq!(burst_since, if replaces.is_some() { at(0) } else { now });
}

#[test]
fn writes_of_one_session_within_ten_minutes_of_the_first_are_one_version() {
    check_plan(&written("a"), Some("a"), "s1", at(9), (false, Some("v1")));
    check_plan(&written("a"), Some("a"), "s1", at(0) + BURST, (false, None));
    check_plan(&written("a"), Some("a"), "s2", at(1), (false, None));
}

#[test]
fn the_text_before_is_kept_unless_a_version_holds_it() {
    check_plan(&written("a"), Some("the agent's"), "s1", at(1), (true, None));
    check_plan(&Held::default(), Some("the agent's"), "s1", at(1), (true, None));
    check_plan(&Held::default(), None, "s1", at(1), (false, None));
    let found = Held { newest: Some(Tag::of(b"the agent's")), ..written("a") };
    check_plan(&found, Some("the agent's"), "s1", at(1), (false, None));
}

fn version(id: usize, saved_at: DateTime<Utc>, author: Author) -> Version {
    Version { id: id.to_string(), saved_at, author, bytes: 1 }
}

#[track_caller]
fn check_surplus(versions: &[Version], now: DateTime<Utc>, expected: &[usize]) {
    let expected: Vec<_> = expected.iter().map(usize::to_string).collect();
    assert_eq!(surplus(versions, now), expected);
}

#[test]
fn twenty_versions_stay_and_the_last_of_each_day_for_fourteen_days() {
    let alice = || Author::Friend(friend("alice"));
    let same_day: Vec<_> = (0..23).map(|id| version(id, at(0), alice())).collect();
    check_surplus(&same_day, at(0), &[20, 21, 22]);

    let mut older = same_day[..20].to_vec();
    older.extend((20..40).map(|id| version(id, at(0) - TimeDelta::days(i64::try_from(id).unwrap() - 19), alice())));
    older.push(version(40, at(0) - TimeDelta::days(20), alice()));
    check_surplus(&older, at(0), &[33, 34, 35, 36, 37, 38, 39, 40]);
}

#[test]
fn nobodys_versions_are_pushed_out_by_anothers() {
    let agent = Author::Agent(AgentId::parse("main").unwrap());
    let mut versions: Vec<_> = (0..30).map(|id| version(id, at(0), agent.clone())).collect();
    versions.push(version(30, at(0) - TimeDelta::days(100), Author::Friend(friend("alice"))));
    check_surplus(&versions, at(0), &[20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
}

#[test]
fn a_precondition_speaks_of_the_text_that_stands_there() {
    let (ours, theirs) = (Tag::of(b"ours"), Tag::of(b"theirs"));
    let one_of = Precondition::OneOf(vec![ours.clone()]);
    for (precondition, current, holds) in [
        (&Precondition::None, None, true),
        (&Precondition::None, Some(&ours), true),
        (&Precondition::Exists, None, false),
        (&Precondition::Exists, Some(&theirs), true),
        (&one_of, Some(&ours), true),
        (&one_of, Some(&theirs), false),
        (&one_of, None, false),
        (&Precondition::Absent, None, true),
        (&Precondition::Absent, Some(&ours), false),
    ] {
        assert_eq!(precondition.holds(current), holds, "{precondition:?} {current:?}");
    }
}
