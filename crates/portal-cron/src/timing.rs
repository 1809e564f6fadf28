//! Timings, as the owner of a job wrote them.

use std::fmt;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use jiff::civil;
use portal_core::Invalid;

use crate::schedule::{check_expression, echo, horizon, moment_of};
use crate::{Schedule, TimeZones};

/// The `cron`, `at` or `every` of a job, with its time zone. Stored as it is; [`Schedule::new`] makes fire times of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// Exactly one of three kinds.
    pub kind: TimingKind,
    /// IANA name of the time zone in which it is meant and shown.
    pub tz: String,
}

/// One of the three ways to say when a job fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimingKind {
    /// Five fields or an alias such as `@daily`, as it was typed.
    Cron(String),
    /// One moment.
    At(DateTime<Utc>),
    /// A fixed interval, counted from the job's creation.
    Every(Interval),
}

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
                if moment <= now || moment > horizon(now) {
                    let message = format!("at must be in the future and within five years, not {:?}", echo(&at));
                    return Err(Invalid::new("at", message));
                }
                TimingKind::At(moment)
            }
            (None, None, Some(every)) => TimingKind::Every(Interval::parse(&every)?),
            _ => return Err(Invalid::new("cron", "give exactly one of cron, at and every")),
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
fn read_moment(text: &str, zone: &jiff::tz::TimeZone) -> Result<DateTime<Utc>, Invalid> {
    let exact = || DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc().trunc_subsecs(3));
    let local = || {
        // jiff would read a date alone as its midnight, and leave an offset without seconds unheeded.
        let (_, time) = text.split_once(['T', 't', ' '])?;
        let is_plain = time.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
        moment_of(is_plain.then(|| text.parse::<civil::DateTime>().ok()).flatten()?, zone)
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

/// Length of time between two fire times: 1 minute to 1,827 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    minutes: u32,
}

impl Interval {
    /// Most minutes: five years.
    const MAX: u32 = 1827 * 24 * 60;
    /// The units, the largest first, with their minutes.
    const UNITS: [(char, u32); 3] = [('d', 24 * 60), ('h', 60), ('m', 1)];

    /// Reads `15m`, `2h` or `1d`.
    ///
    /// # Errors
    /// Refuses, naming `every`, all else, less than a minute and more than five years.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let read = || {
            let (_, minutes) = Self::UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
            let count = text.get(..text.len() - 1)?;
            let count = count.bytes().all(|byte| byte.is_ascii_digit()).then(|| count.parse::<u32>().ok()).flatten()?;
            Self::from_minutes(count.checked_mul(minutes)?)
        };
        read().ok_or_else(|| {
            let rule = "every must be an interval such as 15m, 2h or 1d, from 1m to 1827d";
            Invalid::new("every", format!("{rule}, not {:?}", echo(text)))
        })
    }

    /// The interval of so many minutes, as a store has it; `None` out of range.
    #[must_use]
    pub fn from_minutes(minutes: u32) -> Option<Self> {
        (1..=Self::MAX).contains(&minutes).then_some(Self { minutes })
    }

    /// The number of minutes.
    #[must_use]
    pub fn minutes(self) -> u32 {
        self.minutes
    }

    /// The length on the time line, which no clock change alters.
    #[must_use]
    pub fn length(self) -> TimeDelta {
        TimeDelta::minutes(self.minutes.into())
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = Self::UNITS.into_iter().find(|(_, minutes)| self.minutes.is_multiple_of(*minutes));
        let (unit, minutes) = whole.unwrap_or(('m', 1));
        write!(formatter, "{}{unit}", self.minutes / minutes)
    }
}
