//! The next fire times of a timing, with the clock changes that bear on them.

use chrono::{DateTime, Utc};
use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan as _};

use crate::schedule::Calendar;
use crate::{Schedule, TimeZones, Timing};
use portal_core::Invalid;

/// Most fire times of a preview.
pub const PREVIEW_MAX: u8 = 20;
/// Most notes of a preview.
const NOTES_MAX: usize = 10;

/// The server's own reading of a timing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The next fire times, in their order.
    pub next: Vec<DateTime<Utc>>,
    /// A sentence for each clock change, up to the last of the fire times, that moves, drops or doubles one.
    pub notes: Vec<String>,
}

impl Preview {
    /// Returns the `count` fire times after `now`, as a job has them that is created at `now`.
    ///
    /// # Errors
    /// As [`Schedule::new`].
    pub fn new(timing: &Timing, zones: &TimeZones, now: DateTime<Utc>, count: u8) -> Result<Self, Invalid> {
        let schedule = Schedule::new(timing, now, zones)?;
        let times = std::iter::successors(schedule.next_after(now), |last| schedule.next_after(*last));
        let next: Vec<_> = times.take(count.min(PREVIEW_MAX).into()).collect();
        let notes = match (schedule.calendar(), next.last()) {
            (Some(calendar), Some(last)) => notes(calendar, &timing.tz, now, *last),
            _ => Vec::new(),
        };
        Ok(Self { next, notes })
    }
}

fn notes(calendar: &Calendar, tz: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<String> {
    let zone = calendar.zone();
    let at = |at: DateTime<Utc>| Timestamp::from_millisecond(at.timestamp_millis()).ok();
    let (Some(from), Some(to)) = (at(from), at(to)) else { return Vec::new() };
    // The last fire time may be the end of a gap, so a change at that very moment counts.
    let changes = zone.following(from).take_while(|change| change.timestamp() <= to);
    changes.filter_map(|change| note(calendar, tz, &Change::new(change.timestamp(), zone)?)).take(NOTES_MAX).collect()
}

/// A clock that is put from `before` to `after`.
struct Change {
    before: civil::DateTime,
    after: civil::DateTime,
}

impl Change {
    fn new(moment: Timestamp, zone: &TimeZone) -> Option<Self> {
        // The rules tell the offset from a moment on, so the one before is asked for a second earlier.
        let just_before = moment.checked_sub(1.second()).ok()?;
        let shown = |offset: Offset| offset.to_datetime(moment);
        let change = Self { before: shown(zone.to_offset(just_before)), after: shown(zone.to_offset(moment)) };
        // A change of the name or of the daylight saving flag alone moves no clock.
        (change.before != change.after).then_some(change)
    }
}

/// The sentence for a change that bears on the schedule.
fn note(calendar: &Calendar, tz: &str, Change { before, after }: &Change) -> Option<String> {
    let is_forward = before < after;
    let (first, end) = if is_forward { (*before, *after) } else { (*after, *before) };
    if !calendar.names_a_time(first, end) {
        return None;
    }
    let hour = |shown: &civil::DateTime| shown.strftime("%H:%M").to_string();
    let effect = match (calendar.single(), is_forward) {
        (Some(time), true) => format!("it fires at {} instead of {}", hour(after), time.strftime("%H:%M")),
        (Some(time), false) => format!("it fires once, at the first {}", time.strftime("%H:%M")),
        (None, true) => "the times between are skipped".to_owned(),
        (None, false) => "the times between come twice".to_owned(),
    };
    let (day, before, after) = (before.date(), hour(before), hour(after));
    Some(format!("On {day} the clock in {tz} is put from {before} to {after}: {effect}."))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::Preview;
    use crate::{TimeZones, TimingDraft};

    #[track_caller]
    fn check(cron: &str, now: &str, expected: &[&str]) {
        let (zones, now) = (TimeZones::bundled(), DateTime::parse_from_rfc3339(now).unwrap().to_utc());
        let draft = TimingDraft { cron: Some(cron.to_owned()), ..TimingDraft::default() };
        let timing = draft.parse("Europe/Berlin", &zones, now).unwrap();
        let preview = Preview::new(&timing, &zones, now, 3).unwrap();
        assert_eq!(
            (preview.next.len(), preview.notes),
            (3, expected.iter().map(ToString::to_string).collect()),
            "{cron}"
        );
    }

    #[test]
    fn a_clock_change_that_bears_on_the_schedule_is_named() {
        let (spring, autumn) = ("2026-03-27T12:00:00Z", "2026-10-23T12:00:00Z");
        let put = |day, from, to| format!("On {day} the clock in Europe/Berlin is put from {from} to {to}: ");
        let (forward, back) = (put("2026-03-29", "02:00", "03:00"), put("2026-10-25", "03:00", "02:00"));
        check("30 2 * * *", spring, &[&format!("{forward}it fires at 03:00 instead of 02:30.")]);
        check("30 2 * * *", autumn, &[&format!("{back}it fires once, at the first 02:30.")]);
        check("15,45 2 * * *", "2026-03-28T12:00:00Z", &[&format!("{forward}the times between are skipped.")]);
        check("15,45 2 * * *", "2026-10-24T12:00:00Z", &[&format!("{back}the times between come twice.")]);
    }

    #[test]
    fn a_clock_change_that_does_not_is_left_out() {
        check("0 9 * * *", "2026-03-27T12:00:00Z", &[]);
        check("30 2 * * MON-FRI", "2026-03-26T12:00:00Z", &[]);
        check("0 3 * * *", "2026-03-27T12:00:00Z", &[]);
    }
}
