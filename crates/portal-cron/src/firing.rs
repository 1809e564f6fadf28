//! What is to happen to a job whose time has come: pure.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Schedule, Stretch};

/// At most so many instants are looked at in one go (a week of minutes), so that a long standstill costs many short
/// moments and not one long one.
const LOOK_MAX: u32 = 10_000;

/// What is to happen to a job that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The instants that are missed for good.
    pub missed: Option<Stretch>,
    /// The instant to run now.
    pub run: Option<DateTime<Utc>>,
    /// The instant that is due next. It is already past if there were too many to look at in one go.
    pub next_due: Option<DateTime<Utc>>,
}

/// What is to happen at `now` to a schedule whose instants before `due_since` are settled.
///
/// Of the instants that have passed the newest is run if it is at most `window` old; all others are missed.
#[must_use]
pub fn plan(schedule: &Schedule, due_since: DateTime<Utc>, now: DateTime<Utc>, window: TimeDelta) -> Plan {
    let mut passed = Passed::default();
    for at in schedule.due(due_since, now) {
        if passed.count == LOOK_MAX {
            return Plan { missed: passed.stretch(), run: None, next_due: Some(at) };
        }
        passed.push(at);
    }
    let run = passed.newest.filter(|newest| now - *newest <= window);
    let missed = if run.is_some() { passed.without_newest() } else { passed.stretch() };
    Plan { missed, run, next_due: schedule.next_after(now) }
}

/// The instants from `due_since` to `now`, as missed.
pub(crate) fn all_missed(schedule: &Schedule, due_since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Stretch> {
    let mut passed = Passed::default();
    schedule.due(due_since, now).for_each(|at| passed.push(at));
    passed.stretch()
}

/// Instants in their order, of which only the ends are kept.
#[derive(Default)]
struct Passed {
    oldest: Option<DateTime<Utc>>,
    before_newest: Option<DateTime<Utc>>,
    newest: Option<DateTime<Utc>>,
    count: u32,
}

impl Passed {
    fn push(&mut self, at: DateTime<Utc>) {
        self.oldest.get_or_insert(at);
        self.before_newest = self.newest.replace(at);
        self.count = self.count.saturating_add(1);
    }

    fn stretch(&self) -> Option<Stretch> {
        Some(Stretch { from: self.oldest?, to: self.newest?, count: self.count })
    }

    fn without_newest(&self) -> Option<Stretch> {
        Some(Stretch { from: self.oldest?, to: self.before_newest?, count: self.count - 1 })
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{Plan, all_missed, plan};
    use crate::{Schedule, Stretch};

    const WINDOW: TimeDelta = TimeDelta::hours(1);

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(&format!("2026-01-01T{text}Z")).unwrap().to_utc()
    }

    fn hourly() -> Schedule {
        Schedule::parse("@hourly", "UTC").unwrap()
    }

    #[track_caller]
    fn check(now: &str, missed: Option<(&str, &str, u32)>, run: Option<&str>, next: &str) {
        let missed = missed.map(|(from, to, count)| Stretch { from: at(from), to: at(to), count });
        let expected = Plan { missed, run: run.map(at), next_due: Some(at(next)) };
        assert_eq!(plan(&hourly(), at("09:00:00"), at(now), WINDOW), expected, "at {now}");
    }

    #[test]
    fn the_newest_instant_within_the_window_runs_and_those_before_it_are_missed() {
        check("09:00:00", None, Some("09:00:00"), "10:00:00");
        check("09:59:59", None, Some("09:00:00"), "10:00:00");
        check("10:00:00", Some(("09:00:00", "09:00:00", 1)), Some("10:00:00"), "11:00:00");
        check("12:30:00", Some(("09:00:00", "11:00:00", 3)), Some("12:00:00"), "13:00:00");
    }

    #[test]
    fn an_instant_older_than_the_window_is_missed() {
        let daily = Schedule::parse("0 9 * * *", "UTC").unwrap();
        let plan_at = |now: &str| plan(&daily, at("09:00:00"), at(now), WINDOW);
        assert_eq!(plan_at("10:00:00").run, Some(at("09:00:00")));
        let late = plan_at("10:00:00.001");
        assert_eq!((late.run, late.missed.map(|stretch| stretch.count)), (None, Some(1)));
    }

    #[test]
    fn nothing_passed_means_nothing_to_do() {
        check("08:59:59", None, None, "09:00:00");
    }

    #[test]
    fn a_standstill_of_months_is_looked_at_in_pieces_that_lose_nothing() {
        let minutely = Schedule::parse("* * * * *", "UTC").unwrap();
        let (start, now) = (at("00:00:00"), at("00:00:00") + TimeDelta::minutes(25_000));
        let (mut since, mut missed, mut ran) = (start, 0, Vec::new());
        while since <= now {
            let plan = plan(&minutely, since, now, WINDOW);
            missed += plan.missed.map_or(0, |stretch| stretch.count);
            ran.extend(plan.run);
            since = plan.next_due.unwrap();
        }
        assert_eq!((missed, ran), (25_000, vec![now]));
    }

    proptest! {
        #[test]
        fn every_instant_is_either_run_or_missed_once(minutes in 0..600_i64, step in 1..40_u32, window in 0..90_i64) {
            let schedule = Schedule::parse(&format!("*/{step} * * * *"), "Europe/Berlin").unwrap();
            let (since, now) = (at("09:00:00"), at("09:00:00") + TimeDelta::minutes(minutes));
            let plan = plan(&schedule, since, now, TimeDelta::minutes(window));
            let told = plan.missed.map_or(0, |stretch| stretch.count) + u32::from(plan.run.is_some());
            prop_assert_eq!(Some(told), all_missed(&schedule, since, now).map_or(Some(0), |all| Some(all.count)));
            prop_assert_eq!(plan.next_due, schedule.next_after(now));
        }
    }
}
