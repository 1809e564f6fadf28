//! Grouping of writes: those of one session in quick succession are one version.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{DocumentState, LastWrite, Tag};

/// Time from the first write of a session in which its further writes are the same version.
pub const MERGE_WINDOW: TimeDelta = TimeDelta::minutes(10);

/// Effect of a write on the versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionChange {
    /// Set if no version has the text before.
    pub(crate) store_previous: bool,
    /// Version of the same burst that the new text replaces.
    pub(crate) replaces: Option<String>,
    /// Time of the burst's first write.
    pub(crate) burst_since: DateTime<Utc>,
}

/// Decides the effect that a write of `session` at `now` over the text `previous` has on the versions. A burst ends when
/// anybody else writes, so no text of another is ever taken for an unfinished one.
pub(crate) fn plan_versions(
    state: &DocumentState,
    previous: Option<&Tag>,
    session: &str,
    now: DateTime<Utc>,
) -> VersionChange {
    let own = state.last.as_ref().filter(|last| previous == Some(&last.tag));
    // Counted from the first write, so that saving every minute for hours still leaves a version every ten minutes.
    let continued = |last: &&LastWrite| last.session == session && now < last.burst_since + MERGE_WINDOW;
    let burst = own.filter(continued);
    VersionChange {
        // A text of the writer's own is a version already; one that the agent reverted to may be the newest.
        store_previous: previous.is_some() && own.is_none() && state.newest.as_ref() != previous,
        replaces: burst.map(|last| last.version.clone()),
        burst_since: burst.map_or(now, |last| last.burst_since),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use portal_core::FriendId;

    use super::{MERGE_WINDOW, VersionChange, plan_versions};
    use crate::{DocumentState, LastWrite, Tag};

    fn minute(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
    }

    /// A document that session `s1` of alice wrote last, at minute 0.
    fn written(text: &str) -> DocumentState {
        let last = LastWrite {
            version: "v1".to_owned(),
            tag: Tag::of(text.as_bytes()),
            friend: FriendId::parse("alice").unwrap(),
            session: "s1".to_owned(),
            burst_since: minute(0),
        };
        DocumentState { newest: Some(last.tag.clone()), last: Some(last), ..DocumentState::default() }
    }

    #[track_caller]
    fn check_change(
        state: &DocumentState,
        previous: Option<&str>,
        session: &str,
        now: DateTime<Utc>,
        expected: (bool, Option<&str>),
    ) {
        let VersionChange { store_previous, replaces, burst_since } =
            plan_versions(state, previous.map(|text| Tag::of(text.as_bytes())).as_ref(), session, now);
        assert_eq!((store_previous, replaces.as_deref()), expected);
        assert_eq!(burst_since, if replaces.is_some() { minute(0) } else { now });
    }

    #[test]
    fn writes_of_one_session_within_ten_minutes_of_the_first_are_one_version() {
        check_change(&written("a"), Some("a"), "s1", minute(9), (false, Some("v1")));
        check_change(&written("a"), Some("a"), "s1", minute(0) + MERGE_WINDOW, (false, None));
        check_change(&written("a"), Some("a"), "s2", minute(1), (false, None));
    }

    #[test]
    fn the_text_before_is_stored_unless_a_version_holds_it() {
        check_change(&written("a"), Some("the agent's"), "s1", minute(1), (true, None));
        check_change(&DocumentState::default(), Some("the agent's"), "s1", minute(1), (true, None));
        check_change(&DocumentState::default(), None, "s1", minute(1), (false, None));
        let found = DocumentState { newest: Some(Tag::of(b"the agent's")), ..written("a") };
        check_change(&found, Some("the agent's"), "s1", minute(1), (false, None));
    }
}
