//! Earlier texts: which writes are one version, and which versions stay.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{Actor, AgentId, FriendId};

use crate::{Held, LastWrite, Tag};

/// Writes of one session within this time of the first of them are one version.
pub const BURST: TimeDelta = TimeDelta::minutes(10);
/// So many of the newest versions of each author stay.
pub const NEWEST_KEPT: usize = 20;
/// For so many days the last version of each day and author stays beside them.
pub const DAYS_KEPT: i64 = 14;

/// Who put a text there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Author {
    /// A friend, through the portal.
    Friend(FriendId),
    /// Somebody at the file itself: the agent, as a rule.
    Agent(AgentId),
}

impl Author {
    /// The author, as the audit log writes them.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Self::Friend(id) => Actor::Friend(id.clone()),
            Self::Agent(id) => Actor::Agent(id.clone()),
        }
    }
}

/// A kept text, without the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// When it was saved; for a text found in the file, when it was found.
    pub saved_at: DateTime<Utc>,
    /// Who saved it.
    pub author: Author,
    /// Its length in bytes.
    pub bytes: u64,
}

/// What a writer says about the text that they mean to replace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing: whatever it is.
    #[default]
    None,
    /// There is one, whatever it is.
    Exists,
    /// It is one of these.
    OneOf(Vec<Tag>),
    /// There is none.
    Absent,
}

impl Precondition {
    /// Whether it holds for what stands there now.
    #[must_use]
    pub fn holds(&self, current: Option<&Tag>) -> bool {
        match self {
            Self::None => true,
            Self::Exists => current.is_some(),
            Self::OneOf(tags) => current.is_some_and(|current| tags.contains(current)),
            Self::Absent => current.is_none(),
        }
    }
}

/// What a write does to the versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Whether the text before is in no version yet.
    pub(crate) keep_previous: bool,
    /// The version of the same burst that the new text takes the place of.
    pub(crate) replaces: Option<String>,
    /// Since when the burst lasts.
    pub(crate) burst_since: DateTime<Utc>,
}

/// Decides what a write of `session` at `now` over the text `previous` does to the versions. A burst ends when
/// anybody else writes, so no text of another is ever taken for an unfinished one.
pub(crate) fn plan(held: &Held, previous: Option<&Tag>, session: &str, now: DateTime<Utc>) -> Plan {
    let own = held.last.as_ref().filter(|last| previous == Some(&last.tag));
    let continued = |last: &&LastWrite| last.session == session && now < last.burst_since + BURST;
    let burst = own.filter(continued);
    Plan {
        keep_previous: previous.is_some() && own.is_none() && held.newest.as_ref() != previous,
        replaces: burst.map(|last| last.version.clone()),
        burst_since: burst.map_or(now, |last| last.burst_since),
    }
}

/// Which of these versions, the newest first, are not kept any longer: of each author the [`NEWEST_KEPT`] newest stay,
/// and the last of each day (in UTC) for [`DAYS_KEPT`] days. An author is counted alone, so that nobody's texts are
/// pushed out by another's.
#[must_use]
pub fn surplus(versions: &[Version], now: DateTime<Utc>) -> Vec<String> {
    let mut days = HashSet::new();
    let mut counts = std::collections::HashMap::new();
    let mut gone = Vec::new();
    for version in versions {
        let count = counts.entry(&version.author).or_insert(0_usize);
        *count += 1;
        let day = version.saved_at.date_naive();
        let last_of_day = days.insert((&version.author, day));
        let recent = (now.date_naive() - day).num_days() < DAYS_KEPT;
        if *count > NEWEST_KEPT && !(last_of_day && recent) {
            gone.push(version.id.clone());
        }
    }
    gone
}

#[cfg(test)]
mod tests;
