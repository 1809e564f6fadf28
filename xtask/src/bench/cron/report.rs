//! The table at the end.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::time::Duration;

use super::{CronOptions, JOBS, MINUTE, Measured};
use crate::bench::report::{divide, goal_met, number};
use crate::table;

/// Messages that are going out may make the slowest hundredth of requests this much slower.
const ME_GOAL: f64 = 3.0;

/// Prints what was measured.
pub(super) fn write(options: &CronOptions, measured: &[Measured]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if options.unoptimised {
        writeln!(out, "{}", crate::bench::UNOPTIMISED)?;
    }
    let (jobs, minutes) = (options.friends * JOBS, options.minutes);
    writeln!(out, "{jobs} jobs of one minute, all due at its start; {minutes} minute(s)")?;
    writeln!(out)?;
    let rows: Vec<_> = measured.iter().map(deliveries).collect();
    let head = ["database", "replicas", "fire times", "in time", "late p50 s", "p99", "max", "doubled", "goal"];
    table::write(&mut out, head, &rows)?;
    writeln!(out)?;
    let rows: Vec<_> = measured.iter().map(requests).collect();
    let head = ["database", "replicas", "/me p99 ms idle", "loaded", "ratio", "goal", "CPU % of one core", "us/run"];
    table::write(&mut out, head, &rows)?;
    writeln!(out)?;
    writeln!(
        out,
        "in time: accepted within the minute; doubled: run ids received twice, and fire times with two of them"
    )?;
    writeln!(out, "CPU: of all portals together, the database's own apart")?;
    Ok(())
}

fn deliveries(measured: &Measured) -> [String; 9] {
    let Measured { database, replicas, expected, messages, .. } = measured;
    let mut lateness: Vec<Duration> = messages.iter().map(|it| it.at.saturating_sub(it.due_at)).collect();
    lateness.sort();
    let in_time: HashSet<_> =
        messages.iter().filter(|it| it.at.saturating_sub(it.due_at) < MINUTE).map(|it| (&it.job, it.due_at)).collect();
    let runs: HashSet<_> = messages.iter().map(|it| &it.run).collect();
    let fire_times: HashSet<_> = messages.iter().map(|it| (&it.job, it.due_at)).collect();
    let doubled = (messages.len() - runs.len()) + (runs.len() - fire_times.len());
    let seconds = |per_mille| number(percentile(&lateness, per_mille).map(|it| it.as_secs_f64()), 1);
    let is_met = in_time.len() == *expected && doubled == 0;
    [
        database.clone(),
        replicas.to_string(),
        expected.to_string(),
        in_time.len().to_string(),
        seconds(500),
        seconds(990),
        seconds(1000),
        doubled.to_string(),
        if is_met { "met" } else { "missed" }.to_owned(),
    ]
}

fn requests(measured: &Measured) -> [String; 8] {
    let Measured { database, replicas, idle, loaded, cpu, elapsed, messages, .. } = measured;
    let milliseconds = |times: &[Duration]| percentile(times, 990).map(|it| it.as_secs_f64() * 1e3);
    let (before, under_load) = (milliseconds(idle), milliseconds(loaded));
    let ratio = divide(under_load, before);
    let runs = u32::try_from(messages.len()).unwrap_or(u32::MAX);
    let share = divide(Some(cpu.as_secs_f64() * 100.0), Some(elapsed.as_secs_f64()));
    [
        database.clone(),
        replicas.to_string(),
        number(before, 2),
        number(under_load, 2),
        number(ratio, 2),
        goal_met(ratio, ME_GOAL),
        number(share, 0),
        number(divide(Some(cpu.as_secs_f64() * 1e6), Some(f64::from(runs))), 0),
    ]
}

/// The value that so many thousandths of the sorted values do not exceed.
fn percentile(sorted: &[Duration], per_mille: usize) -> Option<Duration> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((sorted.len() * per_mille).div_ceil(1000).saturating_sub(1).min(last)).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::percentile;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 500), Some(Duration::from_millis(100)));
        assert_eq!(percentile(&values, 990), Some(Duration::from_millis(198)));
        assert_eq!(percentile(&values, 1000), Some(Duration::from_millis(200)));
        assert_eq!(percentile(&[], 990), None);
    }
}
