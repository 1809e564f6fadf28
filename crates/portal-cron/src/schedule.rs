//! Fire times: of five fields of cron, of one moment, of an interval.
//!
//! The next fire time of an expression is found in two steps, so that no expression costs more than a bounded walk:
//! 1. The day: each day's date is matched against the three date fields, for at most 1,827 days.
//! 2. The time on a day that matches: croner searches minute and hour alone, which match on every day.
//!
//! croner alone would search for `0 0 30 2 *` up to the year 5000.

use std::iter;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, CronDateTime as _, JobType};
use jiff::civil::{self, Date};
use jiff::tz::{AmbiguousOffset, TimeZone};
use portal_core::Invalid;

use crate::time_zone::Local;
use crate::timing::echo;
use crate::{Interval, Moment, TimeZones, Timing, TimingKind};

/// Longest expression, in bytes: every minute of an hour spelled out is shorter.
const CRON_MAX: usize = 256;
/// Number of days, today included, within which a schedule has to fire: five years.
const HORIZON_DAYS: u16 = 1827;

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

/// A timing that somebody proposes, not yet parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimingDraft {
    /// An expression of cron.
    pub cron: Option<String>,
    /// RFC 3339, or local time in `tz` such as `2026-12-24T14:30`.
    pub at: Option<String>,
    /// An interval such as `15m`.
    pub every: Option<String>,
}

impl TimingDraft {
    /// Returns whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the draft as it is meant at `now` in `tz`.
    ///
    /// # Errors
    /// Refuses, naming the member: none or several of the three; an expression that is not five fields or an alias; a
    /// moment that is past or beyond five years; an interval below a minute; what does not fire within five years, such
    /// as 30 February; what is not the exact name of an IANA time zone.
    pub fn parse(self, tz: &str, zones: &TimeZones, now: DateTime<Utc>) -> Result<Timing, Invalid> {
        let zone = zones.find(tz)?;
        // Not the first one that is given: a client that sends two means something else than the portal would guess.
        let kind = match (self.cron, self.at, self.every) {
            (Some(cron), None, None) => {
                let cron = cron.trim();
                check_expression(cron)?;
                TimingKind::Cron(cron.to_owned())
            }
            (None, Some(at), None) => {
                let moment = read_moment(at.trim(), &zone)?;
                if moment.at <= now || moment.at > horizon(now) {
                    let message = format!("at must be in the future and within five years, not {:?}", echo(&at));
                    return Err(Invalid::new("at", message));
                }
                TimingKind::At(moment)
            }
            (None, None, Some(every)) => TimingKind::Every(Interval::parse(&every)?),
            _ => return Err(Invalid::new("cron", "cron, at and every: give exactly one of them")),
        };
        let timing = Timing { kind, tz: tz.to_owned() };
        // A moment and an interval were bounded above; only an expression can name no time at all.
        if let TimingKind::Cron(cron) = &timing.kind
            && Schedule::new(&timing, now, zones)?.next_after(now).is_none()
        {
            let message = format!("cron must name a time within the next five years, but {:?} does not", echo(cron));
            return Err(Invalid::new("cron", message));
        }
        Ok(timing)
    }
}

/// Reads RFC 3339, or local time by the clock of `zone`: in a gap the first moment after it, in an overlap the first of
/// the two.
fn read_moment(text: &str, zone: &TimeZone) -> Result<Moment, Invalid> {
    let exact = || DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc().trunc_subsecs(3).into());
    let local = || {
        // jiff would read a date alone as its midnight, and leave an offset without seconds unheeded.
        let (_, time) = text.split_once(['T', 't', ' '])?;
        let is_plain = time.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
        let shown = is_plain.then(|| text.parse::<civil::DateTime>().ok()).flatten()?;
        Some(Moment { at: moment_of(shown, zone)?, local: Some(shown.to_string()) })
    };
    exact().or_else(local).ok_or_else(|| {
        Invalid::new(
            "at",
            format!(
                "at must be a time such as 2026-12-24T14:30:00Z, or 2026-12-24T14:30 by the clock of tz, not {:?}",
                echo(text)
            ),
        )
    })
}

/// The fire times of a job.
///
/// An expression whose minute and hour are one single value each fires exactly once on every day it names: at the first
/// of two equal times when clocks go back, and at the first moment after the gap when they go forward over its time.
/// Any other expression follows the clock: what the clock skips is skipped, what it shows twice fires twice.
#[derive(Debug, Clone)]
pub struct Schedule(Rule);

#[derive(Debug, Clone)]
enum Rule {
    Calendar(Box<Calendar>),
    Once(DateTime<Utc>),
    Interval { anchor: DateTime<Utc>, every: TimeDelta },
}

impl Schedule {
    /// Reads the schedule of a job that was created at `created_at`, from which intervals are counted.
    ///
    /// # Errors
    /// Names `cron` or `tz`: only for a timing that [`TimingDraft::parse`] did not check, or a time zone that a later
    /// release no longer has.
    pub fn new(timing: &Timing, created_at: DateTime<Utc>, zones: &TimeZones) -> Result<Self, Invalid> {
        Ok(Self(match &timing.kind {
            TimingKind::Cron(expression) => {
                Rule::Calendar(Box::new(Calendar::new(expression, zones.find(&timing.tz)?)?))
            }
            TimingKind::At(moment) => Rule::Once(by_present_rules(moment, &timing.tz, zones)),
            TimingKind::Every(interval) => Rule::Interval { anchor: created_at, every: interval.length() },
        }))
    }

    /// Returns the first fire time after `t`; `None` if there is none within five years.
    #[must_use]
    pub fn next_after(&self, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.0 {
            Rule::Calendar(calendar) => calendar.next_after(t),
            Rule::Once(at) => Some(*at).filter(|at| *at > t),
            Rule::Interval { anchor, every } => {
                let every = every.num_milliseconds();
                let passed = (t - *anchor).num_milliseconds().div_euclid(every);
                // An interval of one hour fires for the first time one hour after the job was created.
                let count = passed.checked_add(1)?.max(1);
                anchor.checked_add_signed(TimeDelta::try_milliseconds(count.checked_mul(every)?)?)
            }
        }
    }

    /// Returns the fire times from `from` to `to`, both included, in their order.
    pub fn due(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        let before = from.checked_sub_signed(TimeDelta::milliseconds(1)).unwrap_or(from);
        iter::successors(self.next_after(before), |last| self.next_after(*last)).take_while(move |at| *at <= to)
    }

    /// Returns the moment of a job that fires once; `None` for the other kinds.
    #[must_use]
    pub fn moment(&self) -> Option<DateTime<Utc>> {
        match &self.0 {
            Rule::Once(at) => Some(*at),
            Rule::Calendar(_) | Rule::Interval { .. } => None,
        }
    }

    /// The calendar of an expression; `None` for the other kinds.
    pub(crate) fn calendar(&self) -> Option<&Calendar> {
        match &self.0 {
            Rule::Calendar(calendar) => Some(calendar),
            Rule::Once(_) | Rule::Interval { .. } => None,
        }
    }
}

/// Returns a moment that was given by a clock where that clock shows it now.
fn by_present_rules(moment: &Moment, tz: &str, zones: &TimeZones) -> DateTime<Utc> {
    let now_shown = || moment_of(moment.local.as_ref()?.parse().ok()?, &zones.find(tz).ok()?);
    // A time zone that a later release no longer has leaves the moment as it was planned.
    now_shown().unwrap_or(moment.at)
}

/// An expression in a time zone.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    zone: TimeZone,
    /// Midnight on each day that the date fields name.
    days: Cron,
    /// The times that minute and hour name, on every day.
    times: Cron,
    /// The only time of day, where minute and hour are one value each.
    single: Option<civil::Time>,
}

impl Calendar {
    fn new(expression: &str, zone: TimeZone) -> Result<Self, Invalid> {
        let refuse = || Invalid::new("cron", format!("cron {:?} cannot be read", echo(expression)));
        let fields: Vec<&str> = fields_of(expression).split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else { return Err(refuse()) };
        let days = croner_parse(&format!("0 0 {day} {month} {weekday}")).ok_or_else(refuse)?;
        let times = croner_parse(&format!("{minute} {hour} * * *")).ok_or_else(refuse)?;
        let single = (times.determine_job_type() == JobType::FixedTime).then(|| single_time(&times)).flatten();
        Ok(Self { zone, days, times, single })
    }

    fn next_after(&self, t: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let from = Local::new(t, &self.zone)?;
        let mut day = from.0.date();
        for _ in 0..HORIZON_DAYS {
            if self.fires_on(day) {
                let first = match self.single {
                    Some(time) => self.moment_of(day.to_datetime(time)),
                    None => self.first_on(day, &from),
                };
                if let Some(found) = first.filter(|found| *found > t) {
                    return Some(found);
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// Returns whether the date fields name `day`.
    pub(crate) fn fires_on(&self, day: Date) -> bool {
        #[cfg(test)]
        tests::count_a_match();
        Local::start_of(day, &TimeZone::UTC).is_some_and(|day| self.days.is_time_matching(&day).unwrap_or(false))
    }

    /// Returns the first of the times on `day` that is after `from`.
    fn first_on(&self, day: Date, from: &Local) -> Option<DateTime<Utc>> {
        let start = Local::start_of(day, &self.zone)?;
        let next = if start.cmp_instant(from).is_gt() {
            self.times.find_next_occurrence(&start, true)
        } else {
            self.times.find_next_occurrence(from, false)
        };
        // The clock may skip all of the day's times: the search then finds one of a later day.
        next.ok().filter(|next| next.0.date() == day)?.to_utc()
    }

    /// Returns the moment at which the clock shows `shown`: the first one if it does so twice, the end of the gap if
    /// never.
    pub(crate) fn moment_of(&self, shown: civil::DateTime) -> Option<DateTime<Utc>> {
        moment_of(shown, &self.zone)
    }

    /// Returns whether a time from `from` until before `to`, by the clock's face alone, is named.
    pub(crate) fn names_a_time(&self, from: civil::DateTime, to: civil::DateTime) -> bool {
        let Ok(mut at) = from.to_zoned_datetime(TimeZone::UTC).map(Local) else { return false };
        let mut inclusive = true;
        // A day has fewer minutes than this, and no clock is changed by more than a day.
        for _ in 0..24 * 60 {
            match self.times.find_next_occurrence(&at, inclusive) {
                Ok(next) if next.0.datetime() < to => at = next,
                _ => return false,
            }
            if self.fires_on(at.0.date()) {
                return true;
            }
            inclusive = false;
        }
        false
    }

    /// The only time of day, where minute and hour are one value each.
    pub(crate) fn single(&self) -> Option<civil::Time> {
        self.single
    }

    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

/// Returns the moment at which the clock of `zone` shows `shown`: the first one if it does so twice, the end of the gap
/// if never.
pub(crate) fn moment_of(shown: civil::DateTime, zone: &TimeZone) -> Option<DateTime<Utc>> {
    let moment = zone.to_ambiguous_timestamp(shown);
    let found = match moment.offset() {
        AmbiguousOffset::Gap { after, .. } => {
            // `earlier` is before the gap; the change itself is the first moment after it.
            let before = moment.earlier().ok()?;
            zone.following(before).find(|change| change.offset() == after)?.timestamp()
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => moment.earlier().ok()?,
    };
    DateTime::from_timestamp_millis(found.as_millisecond())
}

fn single_time(times: &Cron) -> Option<civil::Time> {
    let midnight = Local::start_of(Date::new(2000, 1, 1).ok()?, &TimeZone::UTC)?;
    times.find_next_occurrence(&midnight, true).ok().map(|first| first.0.datetime().time())
}

/// Refuses, naming `cron`, all but five fields or an alias such as `@daily`, among it seconds, years and `?`, which
/// other programs read in different ways.
fn check_expression(cron: &str) -> Result<(), Invalid> {
    let refuse = |message: String| Err(Invalid::new("cron", message));
    if cron.len() > CRON_MAX || !cron.bytes().all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t') {
        return refuse(format!("cron must be at most {CRON_MAX} plain ASCII characters on one line"));
    }
    if cron.contains('?') {
        return refuse("cron must not use ?, which programs read in different ways; use * instead".to_owned());
    }
    if cron.starts_with('@') {
        return check_alias(cron);
    }
    let fields: Vec<&str> = cron.split_ascii_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return refuse(format!(
            "cron must be five fields (minute, hour, day of month, month, day of week; no seconds, no year) or an alias such as @daily, but {:?} has {}",
            echo(cron),
            fields.len()
        ));
    }
    let misread = |(place, field): (usize, &&str)| parse_alone(place, field).is_none();
    let wrong = fields.iter().enumerate().find(|(place, field)| misread((*place, field)));
    if let Some((place, field)) = wrong
        && let Some((name, values)) = FIELDS.get(place)
    {
        return refuse(format!(
            "cron's {name} must be *, {values}, or lists, ranges and steps of these such as 1,5 or 1-5 or */2, not {:?}",
            echo(field)
        ));
    }
    Ok(())
}

fn check_alias(cron: &str) -> Result<(), Invalid> {
    if ALIASES.iter().any(|(alias, _)| alias.eq_ignore_ascii_case(cron)) {
        return Ok(());
    }
    let known = ALIASES.map(|(alias, _)| alias).join(", ");
    Err(Invalid::new("cron", format!("cron must be five fields or one of {known}, not {:?}", echo(cron))))
}

/// The five fields that an alias stands for, or `cron` itself.
fn fields_of(cron: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(cron)).map_or(cron, |(_, fields)| fields)
}

/// Reads one field with `*` in all others, so that a refusal can name the field.
fn parse_alone(place: usize, field: &str) -> Option<Cron> {
    // croner skips an empty item of a list; a typing error must not become a schedule.
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

/// Returns the last moment that lies within the horizon at `now`.
fn horizon(now: DateTime<Utc>) -> DateTime<Utc> {
    now.checked_add_signed(TimeDelta::days(HORIZON_DAYS.into())).unwrap_or(DateTime::<Utc>::MAX_UTC).trunc_subsecs(0)
}

#[cfg(test)]
pub(crate) use tests::cron_schedule;

#[cfg(test)]
mod tests;
