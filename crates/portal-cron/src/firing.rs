//! Decisions about a job whose fire time has come: pure.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{MissedWindow, Schedule};

/// Most fire times that are looked at in one step (a week of minutes), so that a long outage costs many short steps and
/// not one long one.
const LOOK_MAX: u32 = 10_000;

/// A decision about a job that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiringPlan {
    /// The fire times that are missed for good.
    pub missed: Option<MissedWindow>,
    /// The fire time to run now.
    pub run: Option<DateTime<Utc>>,
    /// The next fire time. It is already past if there were too many to look at in one step.
    pub next_due: Option<DateTime<Utc>>,
}

/// Decides at `now` about a schedule whose fire times before `due_since` have rows.
///
/// Of the fire times that have passed, the newest runs if it is at most `window` old; all others are missed.
#[must_use]
pub fn plan_firing(schedule: &Schedule, due_since: DateTime<Utc>, now: DateTime<Utc>, window: TimeDelta) -> FiringPlan {
    let mut passed = Passed::default();
    for at in schedule.due(due_since, now) {
        if passed.count == LOOK_MAX {
            // Those looked at are older than a week of minutes, so none of them is the newest.
            return FiringPlan { missed: passed.all(), run: None, next_due: Some(at) };
        }
        passed.push(at);
    }
    let run = passed.newest.filter(|newest| now - *newest <= window);
    let missed = if run.is_some() { passed.all_but_newest() } else { passed.all() };
    FiringPlan { missed, run, next_due: schedule.next_after(now) }
}

/// Returns the fire times from `due_since` to `now`, as missed.
pub(crate) fn all_missed(schedule: &Schedule, due_since: DateTime<Utc>, now: DateTime<Utc>) -> Option<MissedWindow> {
    let mut passed = Passed::default();
    schedule.due(due_since, now).for_each(|at| passed.push(at));
    passed.all()
}

/// Fire times in their order, of which only the ends are stored.
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

    fn all(&self) -> Option<MissedWindow> {
        Some(MissedWindow { from: self.oldest?, to: self.newest?, count: self.count })
    }

    fn all_but_newest(&self) -> Option<MissedWindow> {
        Some(MissedWindow { from: self.oldest?, to: self.before_newest?, count: self.count - 1 })
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{FiringPlan, all_missed, plan_firing};
    use crate::schedule::cron_schedule;
    use crate::{MissedWindow, Schedule};

    const WINDOW: TimeDelta = TimeDelta::hours(1);

    fn utc(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(&format!("2026-01-01T{text}Z")).unwrap().to_utc()
    }

    fn hourly() -> Schedule {
        cron_schedule("@hourly", "UTC")
    }

    #[track_caller]
    fn check(now: &str, missed: Option<(&str, &str, u32)>, run: Option<&str>, next: &str) {
        let missed = missed.map(|(from, to, count)| MissedWindow { from: utc(from), to: utc(to), count });
        let expected = FiringPlan { missed, run: run.map(utc), next_due: Some(utc(next)) };
        assert_eq!(plan_firing(&hourly(), utc("09:00:00"), utc(now), WINDOW), expected, "at {now}");
    }

    #[test]
    fn the_newest_fire_time_within_the_window_runs_and_those_before_it_are_missed() {
        check("09:00:00", None, Some("09:00:00"), "10:00:00");
        check("09:59:59", None, Some("09:00:00"), "10:00:00");
        check("10:00:00", Some(("09:00:00", "09:00:00", 1)), Some("10:00:00"), "11:00:00");
        check("12:30:00", Some(("09:00:00", "11:00:00", 3)), Some("12:00:00"), "13:00:00");
    }

    #[test]
    fn a_fire_time_older_than_the_window_is_missed() {
        let daily = cron_schedule("0 9 * * *", "UTC");
        let plan_at = |now: &str| plan_firing(&daily, utc("09:00:00"), utc(now), WINDOW);
        assert_eq!(plan_at("10:00:00").run, Some(utc("09:00:00")));
        let late = plan_at("10:00:00.001");
        assert_eq!((late.run, late.missed.map(|missed| missed.count)), (None, Some(1)));
    }

    #[test]
    fn nothing_passed_means_nothing_to_do() {
        check("08:59:59", None, None, "09:00:00");
    }

    #[test]
    fn an_outage_of_months_is_looked_at_in_pieces_that_lose_nothing() {
        let minutely = cron_schedule("* * * * *", "UTC");
        let (start, now) = (utc("00:00:00"), utc("00:00:00") + TimeDelta::minutes(25_000));
        let (mut since, mut missed, mut ran) = (start, 0, Vec::new());
        while since <= now {
            let plan = plan_firing(&minutely, since, now, WINDOW);
            missed += plan.missed.map_or(0, |missed| missed.count);
            ran.extend(plan.run);
            since = plan.next_due.unwrap();
        }
        assert_eq!((missed, ran), (25_000, vec![now]));
    }

    proptest! {
        #[test]
        fn every_fire_time_is_either_run_or_missed_once(minutes in 0..600_i64, step in 1..40_u32, window in 0..90_i64) {
            let schedule = cron_schedule(&format!("*/{step} * * * *"), "Europe/Berlin");
            let (since, now) = (utc("09:00:00"), utc("09:00:00") + TimeDelta::minutes(minutes));
            let plan = plan_firing(&schedule, since, now, TimeDelta::minutes(window));
            let recorded = plan.missed.map_or(0, |missed| missed.count) + u32::from(plan.run.is_some());
            prop_assert_eq!(Some(recorded), all_missed(&schedule, since, now).map_or(Some(0), |all| Some(all.count)));
            prop_assert_eq!(plan.next_due, schedule.next_after(now));
        }
    }
}
