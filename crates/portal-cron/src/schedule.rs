//! When a job is due: five fields of cron in an IANA time zone.

use std::iter;

use chrono::{DateTime, Months, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, JobType};
use portal_core::Invalid;

/// Longest expression, in bytes: every minute of an hour spelled out is shorter.
const CRON_MAX: usize = 256;
/// A schedule has to fire within so many months, or it is taken for a mistake.
const HORIZON_MONTHS: u32 = 5 * 12;
/// No change of a clock skips more minutes than this: a country that crosses the date line loses one day.
const GAP_MAX_MINUTES: i64 = 26 * 60;

const ALIASES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// The fields in their order, with the values that each accepts.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of month", "1-31, L or 15W"),
    ("month", "1-12 or JAN-DEC"),
    ("day of week", "0-7 (0 and 7 are Sunday), SUN-SAT, MON#2 or FRI#L"),
];

/// Instants at which something is due, forever.
///
/// A schedule whose minute and hour are one single value each fires exactly once on every day it names: at the first of
/// two equal times when clocks go back, and at the first moment after the gap when they go forward over its time. Any
/// other schedule follows the clock: what the clock skips is skipped, what it shows twice fires twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    cron: String,
    zone: Tz,
    pattern: Cron,
}

impl Schedule {
    /// Reads an expression and the time zone it is meant in.
    ///
    /// # Errors
    /// Refuses, naming `cron`, all but five fields or an alias such as `@daily`, among it seconds, years and `?`, which
    /// other programs read in different ways; refuses, naming `tz`, what is not the exact name of an IANA time zone.
    pub fn parse(cron: &str, tz: &str) -> Result<Self, Invalid> {
        let cron = cron.trim();
        let pattern = parse_pattern(cron)?;
        let zone = parse_zone(tz)?;
        Ok(Self { cron: cron.to_owned(), zone, pattern })
    }

    /// Reads a schedule that somebody proposes at `now`.
    ///
    /// # Errors
    /// As [`Schedule::parse`]; also refuses a schedule that does not fire within five years, such as 30 February.
    pub fn propose(cron: &str, tz: &str, now: DateTime<Utc>) -> Result<Self, Invalid> {
        let schedule = Self::parse(cron, tz)?;
        let horizon = now.checked_add_months(Months::new(HORIZON_MONTHS));
        let fires = schedule.next_after(now).is_some_and(|next| horizon.is_none_or(|horizon| next <= horizon));
        if fires {
            return Ok(schedule);
        }
        Err(Invalid::new("cron", format!("cron must name a time within the next five years, but {cron:?} does not")))
    }

    /// The expression, as it was written.
    #[must_use]
    pub fn cron(&self) -> &str {
        &self.cron
    }

    /// The time zone's IANA name.
    #[must_use]
    pub fn tz(&self) -> &'static str {
        self.zone.name()
    }

    /// The first instant after `t`; `None` if there is none that a calendar can hold.
    #[must_use]
    pub fn next_after(&self, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = t.with_timezone(&self.zone);
        if self.pattern.determine_job_type() == JobType::IntervalWildcard {
            return self.pattern.find_next_occurrence(&local, false).ok().map(|next| next.to_utc());
        }
        // The civil times are walked without the zone, so that each of them becomes exactly one instant whatever the
        // clocks do around it. Only the second showing of a repeated hour can meet civil times that are already past.
        let mut civil = self.pattern.find_next_occurrence(&local.naive_local(), true).ok()?;
        loop {
            match self.resolve(civil) {
                Some(instant) if instant > t => return Some(instant),
                _ => civil = self.pattern.find_next_occurrence(&civil, false).ok()?,
            }
        }
    }

    /// The instants from `from` to `to`, both included, in their order.
    pub fn due(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        let before = from.checked_sub_signed(TimeDelta::milliseconds(1)).unwrap_or(from);
        iter::successors(self.next_after(before), |last| self.next_after(*last)).take_while(move |at| *at <= to)
    }

    /// The instant at which the clock shows `civil`: the first one if it does so twice, the end of the gap if never.
    fn resolve(&self, civil: NaiveDateTime) -> Option<DateTime<Utc>> {
        (0..=GAP_MAX_MINUTES)
            .filter_map(|minutes| civil.checked_add_signed(TimeDelta::minutes(minutes)))
            .find_map(|shown| self.zone.from_local_datetime(&shown).earliest())
            .map(|instant| instant.to_utc())
    }
}

pub(crate) fn parse_zone(tz: &str) -> Result<Tz, Invalid> {
    tz.parse().map_err(|_| {
        Invalid::new("tz", format!("tz must be the name of an IANA time zone such as Europe/Berlin or UTC, not {tz:?}"))
    })
}

fn parse_pattern(cron: &str) -> Result<Cron, Invalid> {
    let refuse = |message: String| Err(Invalid::new("cron", message));
    if cron.len() > CRON_MAX || !cron.bytes().all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t') {
        return refuse(format!("cron must be at most {CRON_MAX} plain ASCII characters on one line"));
    }
    if cron.contains('?') {
        return refuse("cron must not use ?, which programs read in different ways; write * for any value".to_owned());
    }
    if cron.starts_with('@') {
        return parse_alias(cron);
    }
    let fields: Vec<&str> = cron.split_ascii_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return refuse(format!(
            "cron must be five fields (minute, hour, day of month, month, day of week; no seconds, no year) or an alias such as @daily, but {cron:?} has {}",
            fields.len()
        ));
    }
    let misread = |(place, field): (usize, &&str)| parse_alone(place, field).is_none();
    let wrong = fields.iter().enumerate().find(|(place, field)| misread((*place, field)));
    if let Some((place, field)) = wrong
        && let Some((name, values)) = FIELDS.get(place)
    {
        return refuse(format!(
            "cron's {name} must be *, {values}, or lists, ranges and steps of these such as 1,5 or 1-5 or */2, not {field:?}"
        ));
    }
    croner_parse(&fields.join(" ")).map_or_else(|| refuse(format!("cron {cron:?} cannot be read")), Ok)
}

fn parse_alias(cron: &str) -> Result<Cron, Invalid> {
    let meant = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(cron));
    meant.and_then(|(_, fields)| croner_parse(fields)).ok_or_else(|| {
        let known = ALIASES.map(|(alias, _)| alias).join(", ");
        Invalid::new("cron", format!("cron must be five fields or one of {known}, not {cron:?}"))
    })
}

/// Reads one field with `*` in all others, so that a refusal can name the field.
fn parse_alone(place: usize, field: &str) -> Option<Cron> {
    // croner skips an empty item of a list; a slip of the finger is no schedule.
    if field.split(',').any(str::is_empty) {
        return None;
    }
    let mut fields = ["*"; FIELDS.len()];
    *fields.get_mut(place)? = field;
    croner_parse(&fields.join(" "))
}

fn croner_parse(fields: &str) -> Option<Cron> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(fields).ok()
}

#[cfg(test)]
mod tests;
