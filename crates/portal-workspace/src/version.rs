//! Versions of documents and their retention; conditions of a write.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use portal_core::{Actor, AgentId, FriendId};

use crate::Tag;

/// Number of the newest versions of each author that are retained.
pub const VERSIONS_RETAINED: usize = 20;
/// Number of days, today included, for which the last version of each day and author is retained beside them.
pub const DAYS_RETAINED: i64 = 14;

/// Author of a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Author {
    /// A friend, through the portal.
    Friend(FriendId),
    /// Any process that wrote the file itself: the agent, as a rule.
    Agent(AgentId),
}

impl Author {
    /// Returns the author as the audit log writes them.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Self::Friend(id) => Actor::Friend(id.clone()),
            Self::Agent(id) => Actor::Agent(id.clone()),
        }
    }
}

/// Stored text of a document, without the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Id, 32 hexadecimal digits.
    pub id: String,
    /// Time of the write, or the time at which a text of the agent was found.
    pub saved_at: DateTime<Utc>,
    /// Author of the text.
    pub author: Author,
    /// Tag of the text.
    pub tag: Tag,
    /// Length in bytes.
    pub bytes: u64,
}

/// Condition that a writer sets for the text that is replaced (RFC 9110, section 13.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Precondition {
    /// No condition.
    #[default]
    None,
    /// The document exists (`If-Match: *`).
    Exists,
    /// Its tag is one of these (`If-Match`).
    OneOf(Vec<Tag>),
    /// The document does not exist (`If-None-Match: *`).
    Absent,
}

impl Precondition {
    /// Returns `true` if it holds for a document with this tag; `None` stands for no document.
    #[must_use]
    pub fn holds(&self, current: Option<&Tag>) -> bool {
        match self {
            Self::None => true,
            Self::Exists => current.is_some(),
            // Tags of other servers or of an older format name no text of ours, so an empty list never holds.
            Self::OneOf(tags) => current.is_some_and(|current| tags.contains(current)),
            Self::Absent => current.is_none(),
        }
    }

    /// Returns `true` if the writer named the text that they saw. `If-Match: *` names none: it holds for any text.
    pub(crate) fn names_a_text(&self) -> bool {
        matches!(self, Self::OneOf(_) | Self::Absent)
    }
}

/// Returns the ids of those versions, given the newest first, that retention deletes: all but the
/// [`VERSIONS_RETAINED`] newest of each author and the last of each day (UTC) of the past [`DAYS_RETAINED`] days. Each
/// author is counted alone, so that nobody's texts are pushed out by another's.
#[must_use]
pub fn expired(versions: &[Version], now: DateTime<Utc>) -> Vec<String> {
    let mut days = HashSet::new();
    let mut counts = HashMap::new();
    let mut expired = Vec::new();
    for version in versions {
        let count = counts.entry(&version.author).or_insert(0_usize);
        *count += 1;
        let day = version.saved_at.date_naive();
        // The list runs from new to old, so the first of a day that is met is its last one.
        let last_of_day = days.insert((&version.author, day));
        let recent = (now.date_naive() - day).num_days() < DAYS_RETAINED;
        if *count > VERSIONS_RETAINED && !(last_of_day && recent) {
            expired.push(version.id.clone());
        }
    }
    expired
}

#[cfg(test)]
mod tests;
