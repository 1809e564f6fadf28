//! Timings, as the owner of a job wrote them.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use portal_core::Invalid;

/// Most characters of input that a refusal repeats.
const ECHO_MAX: usize = 100;

/// The `cron`, `at` or `every` of a job, with its time zone. Stored as it is; [`crate::Schedule::new`] makes fire times of it.
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
    At(Moment),
    /// A fixed interval, counted from the job's creation.
    Every(Interval),
}

/// The moment of a job that fires once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The moment, by the time zone rules with which the job was planned.
    pub at: DateTime<Utc>,
    /// The time by the clock of the job's time zone, such as `2026-12-24T14:30:00`, where it was given so: newer rules may
    /// put it at another moment.
    pub local: Option<String>,
}

impl From<DateTime<Utc>> for Moment {
    fn from(at: DateTime<Utc>) -> Self {
        Self { at, local: None }
    }
}

/// Length of time between two fire times: 1 minute to 1,827 days, in whole minutes. An agent may give one of its own jobs
/// any length of whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    milliseconds: i64,
}

impl Interval {
    /// Most minutes: five years.
    const MAX: u32 = 1827 * 24 * 60;
    /// Milliseconds of a minute.
    const MINUTE: i64 = 60_000;
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
        (1..=Self::MAX).contains(&minutes).then_some(Self { milliseconds: i64::from(minutes) * Self::MINUTE })
    }

    /// The interval of a job of the agent's own; `None` for less than a millisecond.
    #[must_use]
    pub fn of_agent(milliseconds: i64) -> Option<Self> {
        (milliseconds >= 1).then_some(Self { milliseconds })
    }

    /// The number of minutes, rounded down.
    #[must_use]
    pub fn minutes(self) -> u32 {
        u32::try_from(self.milliseconds / Self::MINUTE).unwrap_or(u32::MAX)
    }

    /// The length on the time line, which no clock change alters.
    #[must_use]
    pub fn length(self) -> TimeDelta {
        TimeDelta::try_milliseconds(self.milliseconds).unwrap_or(TimeDelta::MAX)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |minutes: u32| i64::from(minutes) * Self::MINUTE;
        match Self::UNITS.into_iter().find(|(_, minutes)| self.milliseconds % length(*minutes) == 0) {
            Some((unit, minutes)) => write!(formatter, "{}{unit}", self.milliseconds / length(minutes)),
            None => write!(formatter, "{}ms", self.milliseconds),
        }
    }
}

/// The beginning of what was sent, for a sentence that repeats it.
pub(crate) fn echo(text: &str) -> &str {
    text.char_indices().nth(ECHO_MAX).map_or(text, |(end, _)| text.get(..end).unwrap_or_default())
}
