use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{AgentId, FriendId};

use super::{Author, Precondition, Version, expired};
use crate::Tag;

fn minute(minutes: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
}

fn friend(id: &str) -> FriendId {
    FriendId::parse(id).unwrap()
}

fn version(id: usize, saved_at: DateTime<Utc>, author: Author) -> Version {
    Version { id: id.to_string(), saved_at, author, tag: Tag::of(b"a"), bytes: 1 }
}

#[track_caller]
fn check_expired(versions: &[Version], now: DateTime<Utc>, expected: &[usize]) {
    let expected: Vec<_> = expected.iter().map(usize::to_string).collect();
    assert_eq!(expired(versions, now), expected);
}

#[test]
fn twenty_versions_stay_and_the_last_of_each_day_for_fourteen_days() {
    let alice = || Author::Friend(friend("alice"));
    let same_day: Vec<_> = (0..23).map(|id| version(id, minute(0), alice())).collect();
    check_expired(&same_day, minute(0), &[20, 21, 22]);

    let mut older = same_day[..20].to_vec();
    older.extend((20..40).map(|id| version(id, minute(0) - TimeDelta::days(i64::try_from(id).unwrap() - 19), alice())));
    older.push(version(40, minute(0) - TimeDelta::days(20), alice()));
    check_expired(&older, minute(0), &[33, 34, 35, 36, 37, 38, 39, 40]);
}

#[test]
fn nobodys_versions_are_pushed_out_by_anothers() {
    let agent = Author::Agent(AgentId::parse("main").unwrap());
    let mut versions: Vec<_> = (0..30).map(|id| version(id, minute(0), agent.clone())).collect();
    versions.push(version(30, minute(0) - TimeDelta::days(100), Author::Friend(friend("alice"))));
    check_expired(&versions, minute(0), &[20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
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
