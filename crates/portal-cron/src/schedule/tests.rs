use std::cell::Cell;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use portal_core::Invalid;
use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

use super::{HORIZON_DAYS, Schedule, moment_of};
use crate::{TimeZones, Timing, TimingDraft, TimingKind};

thread_local! {
    static MATCHES: Cell<usize> = const { Cell::new(0) };
}

/// Counts a call of croner's `is_time_matching`.
pub(super) fn count_a_match() {
    MATCHES.set(MATCHES.get() + 1);
}

/// The schedule of an expression, as a store has it.
pub(crate) fn cron_schedule(cron: &str, tz: &str) -> Schedule {
    let timing = Timing { kind: TimingKind::Cron(cron.to_owned()), tz: tz.to_owned() };
    Schedule::new(&timing, DateTime::UNIX_EPOCH, &TimeZones::bundled()).unwrap()
}

/// The timing of an expression, as somebody proposes it.
fn propose(cron: &str, tz: &str, now: DateTime<Utc>) -> Result<Timing, Invalid> {
    let draft = TimingDraft { cron: Some(cron.to_owned()), ..TimingDraft::default() };
    draft.parse(tz, &TimeZones::bundled(), now)
}

fn zone(tz: &str) -> TimeZone {
    TimeZones::bundled().find(tz).unwrap()
}

/// The moment as the clock of `zone` shows it.
fn shown(at: DateTime<Utc>, zone: &TimeZone) -> ZonedDateTime {
    Timestamp::from_millisecond(at.timestamp_millis()).unwrap().to_zoned_datetime(zone.clone())
}

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// Compares the fire times of local days `from` to `to` (both included), with the offset the clock had.
#[track_caller]
fn check(cron: &str, tz: &str, (from, to): (&str, &str), expected: &[&str]) {
    let zone = zone(tz);
    let schedule = cron_schedule(cron, tz);
    let midnight = |day: Date| moment_of(day.at(0, 0, 0, 0), &zone).unwrap();
    let from = midnight(from.parse().unwrap());
    let to = midnight(to.parse::<Date>().unwrap().tomorrow().unwrap()) - TimeDelta::seconds(1);
    let fired: Vec<String> =
        schedule.due(from, to).map(|at| shown(at, &zone).strftime("%d %H:%M %z").to_string()).collect();
    assert_eq!(fired, expected, "{cron} in {tz}");
}

const SPRING_BERLIN: (&str, &str) = ("2026-03-28", "2026-03-30");
const AUTUMN_BERLIN: (&str, &str) = ("2026-10-24", "2026-10-26");
const SPRING_NEW_YORK: (&str, &str) = ("2026-03-07", "2026-03-09");
const AUTUMN_NEW_YORK: (&str, &str) = ("2026-10-31", "2026-11-02");
const SPRING_LORD_HOWE: (&str, &str) = ("2026-10-03", "2026-10-05");
const AUTUMN_LORD_HOWE: (&str, &str) = ("2026-04-04", "2026-04-06");

#[test]
fn a_time_in_the_gap_fires_when_the_gap_ends() {
    check("30 2 * * *", "Europe/Berlin", SPRING_BERLIN, &["28 02:30 +0100", "29 03:00 +0200", "30 02:30 +0200"]);
    check("0 2 * * *", "Europe/Berlin", SPRING_BERLIN, &["28 02:00 +0100", "29 03:00 +0200", "30 02:00 +0200"]);
    check("30 2 * * *", "America/New_York", SPRING_NEW_YORK, &["07 02:30 -0500", "08 03:00 -0400", "09 02:30 -0400"]);
    check(
        "15 2 * * *",
        "Australia/Lord_Howe",
        SPRING_LORD_HOWE,
        &["03 02:15 +1030", "04 02:30 +1100", "05 02:15 +1100"],
    );
}

#[test]
fn a_time_that_the_clock_shows_twice_fires_at_the_first() {
    check("30 2 * * *", "Europe/Berlin", AUTUMN_BERLIN, &["24 02:30 +0200", "25 02:30 +0200", "26 02:30 +0100"]);
    check("30 1 * * *", "America/New_York", AUTUMN_NEW_YORK, &["31 01:30 -0400", "01 01:30 -0400", "02 01:30 -0500"]);
    check(
        "45 1 * * *",
        "Australia/Lord_Howe",
        AUTUMN_LORD_HOWE,
        &["04 01:45 +1100", "05 01:45 +1100", "06 01:45 +1030"],
    );
}

#[test]
fn a_time_outside_the_change_is_the_same_every_day() {
    check("0 9 * * *", "Europe/Berlin", SPRING_BERLIN, &["28 09:00 +0100", "29 09:00 +0200", "30 09:00 +0200"]);
    check("0 9 * * *", "Europe/Berlin", AUTUMN_BERLIN, &["24 09:00 +0200", "25 09:00 +0100", "26 09:00 +0100"]);
    check("0 9 * * *", "America/New_York", SPRING_NEW_YORK, &["07 09:00 -0500", "08 09:00 -0400", "09 09:00 -0400"]);
    check("0 9 * * *", "America/New_York", AUTUMN_NEW_YORK, &["31 09:00 -0400", "01 09:00 -0500", "02 09:00 -0500"]);
    check(
        "0 9 * * *",
        "Australia/Lord_Howe",
        SPRING_LORD_HOWE,
        &["03 09:00 +1030", "04 09:00 +1100", "05 09:00 +1100"],
    );
    check(
        "0 9 * * *",
        "Australia/Lord_Howe",
        AUTUMN_LORD_HOWE,
        &["04 09:00 +1100", "05 09:00 +1030", "06 09:00 +1030"],
    );
}

#[test]
fn several_times_a_day_follow_the_clock() {
    let berlin = "Europe/Berlin";
    check("30 2,3 * * *", berlin, ("2026-03-29", "2026-03-29"), &["29 03:30 +0200"]);
    check(
        "30 2,3 * * *",
        berlin,
        ("2026-10-25", "2026-10-25"),
        &["25 02:30 +0200", "25 02:30 +0100", "25 03:30 +0100"],
    );
    check("0 1-3 * * *", berlin, ("2026-03-29", "2026-03-29"), &["29 01:00 +0100", "29 03:00 +0200"]);
    let new_york = "America/New_York";
    check("0,30 2 * * *", new_york, ("2026-03-08", "2026-03-08"), &[]);
    check(
        "0,30 1 * * *",
        new_york,
        ("2026-11-01", "2026-11-01"),
        &["01 01:00 -0400", "01 01:30 -0400", "01 01:00 -0500", "01 01:30 -0500"],
    );
    let lord_howe = "Australia/Lord_Howe";
    check("*/15 2 * * *", lord_howe, ("2026-10-04", "2026-10-04"), &["04 02:30 +1100", "04 02:45 +1100"]);
    check(
        "*/15 1 * * *",
        lord_howe,
        ("2026-04-05", "2026-04-05"),
        &["05 01:00 +1100", "05 01:15 +1100", "05 01:30 +1100", "05 01:45 +1100", "05 01:30 +1030", "05 01:45 +1030"],
    );
}

#[test]
fn a_zone_without_changes_has_none() {
    for days in [SPRING_BERLIN, AUTUMN_BERLIN] {
        let schedule = cron_schedule("30 2 * * *", "Asia/Kolkata");
        let from = utc(&format!("{}T18:30:00Z", days.0));
        let fired: Vec<_> = schedule.due(from, from + TimeDelta::days(3)).map(|at| at.time().to_string()).collect();
        assert_eq!(fired, ["21:00:00", "21:00:00", "21:00:00"]);
    }
}

#[test]
fn a_weekday_holds_even_where_the_gap_ends_on_the_next_day() {
    // Nuuk goes from Saturday 23:00 to Sunday 00:00: Saturday's run must not be lost.
    let saturday = cron_schedule("30 23 * * 6", "America/Nuuk");
    let fired: Vec<_> = saturday.due(utc("2026-03-23T00:00:00Z"), utc("2026-04-06T00:00:00Z")).collect();
    assert_eq!(fired, [utc("2026-03-29T01:00:00Z"), utc("2026-04-05T00:30:00Z")]);
}

#[test]
fn the_next_fire_time_is_after_the_given_one() {
    let schedule = cron_schedule("0 9 * * *", "UTC");
    for (t, next) in [
        ("2026-01-01T08:59:59.999Z", "2026-01-01T09:00:00Z"),
        ("2026-01-01T09:00:00Z", "2026-01-02T09:00:00Z"),
        ("2026-01-01T09:00:00.001Z", "2026-01-02T09:00:00Z"),
    ] {
        assert_eq!(schedule.next_after(utc(t)), Some(utc(next)), "{t}");
    }
}

#[test]
fn both_ends_of_a_span_belong_to_it() {
    let schedule = cron_schedule("0 * * * *", "UTC");
    let hours: Vec<_> =
        schedule.due(utc("2026-01-01T08:00:00Z"), utc("2026-01-01T10:00:00Z")).map(|at| at.hour()).collect();
    assert_eq!(hours, [8, 9, 10]);
}

#[test]
fn aliases_mean_what_cron_says() {
    let now = utc("2026-07-15T10:20:30Z");
    for (alias, next) in [
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("@annually", "2027-01-01T00:00:00Z"),
        ("@monthly", "2026-08-01T00:00:00Z"),
        ("@weekly", "2026-07-19T00:00:00Z"),
        ("@daily", "2026-07-16T00:00:00Z"),
        ("@Midnight", "2026-07-16T00:00:00Z"),
        ("@hourly", "2026-07-15T11:00:00Z"),
    ] {
        assert_eq!(cron_schedule(alias, "UTC").next_after(now), Some(utc(next)), "{alias}");
    }
}

#[track_caller]
fn check_refused(cron: &str, tz: &str, field: &str, said: &str) {
    let refused = propose(cron, tz, utc("2026-01-01T00:00:00Z")).unwrap_err();
    assert_eq!(refused.field, field, "{cron:?} {tz:?}");
    assert!(refused.message.contains(said), "{cron:?} {tz:?}: {}", refused.message);
}

#[test]
fn what_is_no_schedule_is_refused_with_its_reason() {
    for (cron, said) in [
        ("", "five fields"),
        ("* * * *", "has 4"),
        ("0 0 9 * * *", "no seconds"),
        ("0 0 9 * * * 2027", "no year"),
        ("2027-05-01T00:00:00", "five fields"),
        ("0 9 ? * MON", "must not use ?"),
        ("@reboot", "@midnight"),
        ("@every 5m", "@midnight"),
        ("TZ=UTC 0 9 * * *", "has 6"),
        ("60 9 * * *", "minute must be *, 0-59"),
        ("0 24 * * *", "hour must be *, 0-23"),
        ("0 9 0 * *", "day of month"),
        ("0 9 * 13 *", "month must be *, 1-12"),
        ("0 9 * * 8", "day of week"),
        ("0 9 * * MONDAY", "day of week"),
        ("*/0 * * * *", "minute"),
        ("0/15 * * * *", "minute"),
        ("0 22-2 * * *", "hour"),
        ("0,,5 * * * *", "minute"),
        (", * * * *", "minute"),
        ("0 9 * * FRI-MON", "day of week"),
        ("0 9 * * \u{212a}", "plain ASCII"),
        ("0 9 * * *\n* * * * *", "plain ASCII"),
        ("0 0 30 2 *", "within the next five years"),
        ("0 0 31 4,6,9,11 *", "within the next five years"),
        ("0 0 29 2 +MON", "within the next five years"),
    ] {
        check_refused(cron, "UTC", "cron", said);
    }
    check_refused(&"0,".repeat(200), "UTC", "cron", "at most 256");
}

#[test]
fn what_is_no_time_zone_is_refused() {
    for tz in ["", "Mars/Olympus", "+02:00", "UTC+2", "europe/berlin", "local", "Europe/Berlin ", "../etc/passwd"] {
        check_refused("0 9 * * *", tz, "tz", "IANA");
    }
}

#[test]
fn what_is_accepted_stays_as_it_was_written() {
    let now = utc("2026-01-01T00:00:00Z");
    for cron in
        ["0 9 * * *", "*/15 8-18 * * MON-FRI", "0 0 L * *", "0 9 1,15W * *", "0 9 * * FRI#L", "0 0 29 2 *", "@daily"]
    {
        let timing = propose(&format!("  {cron} "), "Europe/Berlin", now).unwrap();
        assert_eq!(timing, Timing { kind: TimingKind::Cron(cron.to_owned()), tz: "Europe/Berlin".to_owned() });
    }
}

/// Zones that change by an hour, by half an hour, at midnight and not at all.
const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Nuuk",
    "Africa/Cairo",
    "America/Santiago",
    "Asia/Kolkata",
    "UTC",
];

fn zones() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&ZONES[..])
}

/// The changes of all zones' clocks in 2026, and New Year, which is none.
static CHANGES: LazyLock<Vec<(&str, DateTime<Utc>)>> = LazyLock::new(|| {
    let year = utc("2026-01-01T00:00:00Z");
    let hours = || (1..8760).map(|hour| year + TimeDelta::hours(hour));
    let changes = |tz: &'static str| {
        let zone = zone(tz);
        let offset = move |at: DateTime<Utc>| shown(at, &zone).offset();
        let changes = hours().filter(move |hour| offset(*hour - TimeDelta::hours(1)) != offset(*hour));
        changes.chain([year]).map(move |at| (tz, at))
    };
    ZONES.into_iter().flat_map(changes).collect()
});

/// A zone, and a minute within three hours of a change of its clocks.
fn around_a_change() -> impl Strategy<Value = (&'static str, DateTime<Utc>)> {
    (prop::sample::select(&CHANGES[..]), -180..180_i64)
        .prop_map(|((tz, change), minutes)| (tz, change + TimeDelta::minutes(minutes)))
}

proptest! {
    // Each case walks through a year.
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn one_single_time_of_day_fires_once_on_every_day(tz in zones(), minute in 0..60_i8, hour in 0..24_i8) {
        let zone = zone(tz);
        let schedule = cron_schedule(&format!("{minute} {hour} * * *"), tz);
        let days: Vec<Date> = schedule
            .due(utc("2026-01-01T00:00:00Z"), utc("2027-01-01T00:00:00Z"))
            // The end of a gap can be the next midnight; a run there is still the one of the day before.
            .map(|at| {
                let shown = shown(at, &zone);
                if shown.hour() < hour { shown.date().yesterday().unwrap() } else { shown.date() }
            })
            .collect();
        for pair in days.windows(2) {
            prop_assert_eq!(pair[0].tomorrow().unwrap(), pair[1], "{} {}:{}", tz, hour, minute);
        }
        prop_assert!((364..=366).contains(&days.len()));
    }
}

proptest! {
    #[test]
    fn several_times_of_day_fire_whenever_the_clock_shows_them((tz, start) in around_a_change(), step in 2..30_i8) {
        let zone = zone(tz);
        let schedule = cron_schedule(&format!("*/{step} * * * *"), tz);
        let end = start + TimeDelta::hours(3);
        let fired: Vec<_> = schedule.due(start, end).collect();
        let shown: Vec<_> = (0..=180)
            .map(|minute| start + TimeDelta::minutes(minute))
            .filter(|at| shown(*at, &zone).minute() % step == 0)
            .collect();
        prop_assert_eq!(fired, shown);
    }

    #[test]
    fn fire_times_rise_and_each_leads_to_the_next((tz, start) in around_a_change(), text in "[0-9*] [0-9*] \\* \\* \\*") {
        let schedule = cron_schedule(&text, tz);
        let fired: Vec<_> = schedule.due(start, start + TimeDelta::days(2)).take(200).collect();
        for pair in fired.windows(2) {
            prop_assert!(pair[0] < pair[1]);
            prop_assert_eq!(schedule.next_after(pair[1] - TimeDelta::milliseconds(1)), Some(pair[1]));
        }
    }

    #[test]
    fn no_text_breaks_the_parser(cron in any::<String>(), near in "[-0-9*/,LW#+A-Z@]{1,6}( [-0-9*/,LW#+A-Z]{1,6}){4}") {
        let now = utc("2026-01-01T00:00:00Z");
        for text in [cron, near] {
            MATCHES.set(0);
            let proposed = propose(&text, "Europe/Berlin", now);
            prop_assert!(MATCHES.get() <= usize::from(HORIZON_DAYS));
            if proposed.is_ok() {
                prop_assert!(cron_schedule(text.trim(), "Europe/Berlin").next_after(now).unwrap().year() <= 2031);
            }
        }
    }
}

#[test]
fn a_schedule_that_never_fires_costs_one_look_at_each_day() {
    let now = utc("2026-03-01T12:00:00Z");
    for cron in ["0 0 30 2 *", "0 0 31W 2 +MON", "0 0 31 4,6,9,11 *", "*/5 * 30 2 *"] {
        MATCHES.set(0);
        assert!(propose(cron, "America/Vancouver", now).is_err(), "{cron}");
        assert_eq!(MATCHES.get(), 1827, "{cron}");
        MATCHES.set(0);
        assert_eq!(cron_schedule(cron, "UTC").next_after(now), None, "{cron}");
        assert_eq!(MATCHES.get(), 1827, "{cron}");
    }
    MATCHES.set(0);
    assert_eq!(cron_schedule("* * * * *", "UTC").next_after(now), Some(now + TimeDelta::minutes(1)));
    assert_eq!(MATCHES.get(), 1);
}

#[test]
fn british_columbia_stays_at_seven_hours_behind() {
    let next = cron_schedule("0 9 * * *", "America/Vancouver").next_after(utc("2026-12-01T00:00:00Z"));
    assert_eq!(next, Some(utc("2026-12-01T16:00:00Z")));
}

#[test]
fn a_day_that_the_clock_skips_has_no_times() {
    // Samoa had no 30 December 2011.
    let twice = cron_schedule("0 6,18 * * *", "Pacific/Apia");
    let fired: Vec<_> = twice.due(utc("2011-12-29T10:00:00Z"), utc("2011-12-31T09:00:00Z")).collect();
    assert_eq!(
        fired,
        ["2011-12-29T16:00:00Z", "2011-12-30T04:00:00Z", "2011-12-30T16:00:00Z", "2011-12-31T04:00:00Z"].map(utc)
    );
    let once = cron_schedule("0 6 30 12 *", "Pacific/Apia");
    assert_eq!(once.next_after(utc("2011-12-29T00:00:00Z")), Some(utc("2011-12-30T10:00:00Z")));
}

fn at_timing(text: &str, tz: &str) -> Result<Timing, Invalid> {
    let draft = TimingDraft { at: Some(text.to_owned()), ..TimingDraft::default() };
    draft.parse(tz, &TimeZones::bundled(), utc("2026-01-01T00:00:00Z"))
}

#[test]
fn a_moment_is_read_by_its_offset_or_by_the_clock_of_its_zone() {
    for (text, moment) in [
        ("2026-12-24T14:30:00Z", "2026-12-24T14:30:00Z"),
        ("2026-12-24T14:30:00.5-08:00", "2026-12-24T22:30:00.5Z"),
        (" 2026-12-24T14:30 ", "2026-12-24T13:30:00Z"),
        ("2026-07-24 14:30:15", "2026-07-24T12:30:15Z"),
        // In the gap, and in the overlap.
        ("2026-03-29T02:30", "2026-03-29T01:00:00Z"),
        ("2026-10-25T02:30", "2026-10-25T00:30:00Z"),
    ] {
        let TimingKind::At(read) = at_timing(text, "Europe/Berlin").unwrap().kind else { panic!("no moment: {text}") };
        assert_eq!(read.at, utc(moment), "{text}");
        // What the clock shows is kept, since newer rules may put it at another moment.
        assert_eq!(read.local.is_some(), !text.contains('Z') && !text.contains("-08:00"), "{text}");
    }
}

#[test]
fn what_is_no_moment_to_come_is_refused() {
    for text in [
        "",
        "tomorrow",
        "2026-12-24",
        "14:30",
        "2026-12-24T14:30+01:00",
        "2026-12-24T14:30:00[Europe/Paris]",
        "2026-13-24T14:30",
        "2025-12-31T23:59:59Z",
        "2026-01-01T00:00:00Z",
        "2031-02-01T00:00:00Z",
    ] {
        assert_eq!(at_timing(text, "Europe/Berlin").unwrap_err().field, "at", "{text}");
    }
    assert_eq!(at_timing("2026-12-24T14:30", "Mars").unwrap_err().field, "tz");
}

#[test]
fn a_moment_fires_once() {
    let moment = utc("2026-12-24T14:30:00Z");
    let schedule =
        Schedule::new(&at_timing("2026-12-24T14:30:00Z", "UTC").unwrap(), moment, &TimeZones::bundled()).unwrap();
    assert_eq!(schedule.next_after(moment - TimeDelta::milliseconds(1)), Some(moment));
    assert_eq!(schedule.next_after(moment), None);
}

#[test]
fn an_interval_is_counted_from_the_creation_of_its_job() {
    let created = utc("2026-03-29T00:10:30Z");
    let every = |text: &str| {
        let draft = TimingDraft { every: Some(text.to_owned()), ..TimingDraft::default() };
        let timing = draft.parse("Europe/Berlin", &TimeZones::bundled(), created).unwrap();
        Schedule::new(&timing, created, &TimeZones::bundled()).unwrap()
    };
    // Clocks go forward in this very hour, and an interval does not care.
    let fired: Vec<_> = every("1h").due(created, utc("2026-03-29T03:00:00Z")).collect();
    assert_eq!(fired, [utc("2026-03-29T01:10:30Z"), utc("2026-03-29T02:10:30Z")]);
    assert_eq!(every("1d").next_after(created + TimeDelta::hours(240)), Some(created + TimeDelta::days(11)));
    assert_eq!(every("15m").next_after(utc("2020-01-01T00:00:00Z")), Some(created + TimeDelta::minutes(15)));
}

#[test]
fn what_is_no_interval_is_refused() {
    use crate::Interval;

    for (text, read) in [("15m", "15m"), (" 90m ", "90m"), ("120m", "2h"), ("48h", "2d"), ("1827d", "1827d")] {
        assert_eq!(Interval::parse(text).unwrap().to_string(), read, "{text}");
    }
    for text in ["", "m", "0m", "30s", "1", "-5m", "+5m", "1.5h", "1828d", "99999999999d", "1h30m", "5M", "5\u{661}m"] {
        assert_eq!(Interval::parse(text).unwrap_err().field, "every", "{text}");
    }
}
