//! Metrics of the runner of jobs.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use portal_cron::{AttemptEnd, Backlog, RunnerObserver};

/// Upper bounds of the buckets of lateness, in seconds: a fire time runs within the hour or not at all.
pub(super) const LATENESS_SECONDS: [f64; 10] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0];
/// Upper bounds of the buckets of delivery durations, in seconds.
pub(super) const DELIVERY_SECONDS: [f64; 9] = [0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
pub(super) const LATENESS: &str = "portal_run_lateness_seconds";
pub(super) const DELIVERY: &str = "portal_delivery_duration_seconds";
const ENDED: &str = "portal_runs_ended_total";
const MISSED: &str = "portal_fire_times_missed_total";
const SLOTS: &str = "portal_runner_slots";
const SLOTS_USED: &str = "portal_runner_slots_used";
const LAST_PASS: &str = "portal_runner_last_pass_timestamp_seconds";
const DUE: &str = "portal_jobs_due";
const OPEN: &str = "portal_runs_open";

pub(super) fn describe() {
    describe_histogram!(LATENESS, "Time from a fire time to the claim of its run by this replica, in seconds");
    describe_histogram!(DELIVERY, "Time of an attempt at a run by this replica, by outcome, in seconds");
    describe_counter!(ENDED, "Runs that this replica ended, by outcome");
    describe_counter!(MISSED, "Fire times that this replica recorded as missed");
    describe_gauge!(SLOTS, "Most deliveries of this replica in flight at once");
    describe_gauge!(SLOTS_USED, "Deliveries of this replica in flight, at its last pass");
    describe_gauge!(LAST_PASS, "Time of the runner's last pass, by the clock of the queue, in seconds since 1970");
    describe_gauge!(DUE, "Jobs of all friends that are due and not claimed, counted every 15 s");
    describe_gauge!(OPEN, "Runs of all friends that are queued, running or to be tried again, counted every 15 s");
}

/// Records what the runner does.
#[derive(Debug)]
pub(crate) struct RunnerMetrics;

impl RunnerObserver for RunnerMetrics {
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats, and no count here is that large")]
    fn pass_ended(&self, now: DateTime<Utc>, slots: u32, in_flight: usize) {
        gauge!(SLOTS).set(slots);
        gauge!(SLOTS_USED).set(in_flight as f64);
        gauge!(LAST_PASS).set(now.timestamp() as f64);
    }

    fn claimed(&self, lateness: TimeDelta) {
        // A run that is asked for by hand may be claimed in the millisecond before its own time.
        histogram!(LATENESS).record(lateness.to_std().unwrap_or_default());
    }

    fn attempt_ended(&self, end: AttemptEnd, took: Duration) {
        histogram!(DELIVERY, "outcome" => end.as_str()).record(took);
        // A run that is tried again is counted when it ends.
        if end != AttemptEnd::Retried {
            counter!(ENDED, "outcome" => end.as_str()).increment(1);
        }
    }

    fn missed(&self, count: u32) {
        counter!(MISSED).increment(count.into());
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floats, and no count here is that large")]
    fn backlog(&self, backlog: Backlog) {
        gauge!(DUE).set(backlog.due as f64);
        gauge!(OPEN).set(backlog.open as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics::with_local_recorder;
    use portal_cron::{AttemptEnd, RunnerObserver};

    use super::{RunnerMetrics, describe};

    #[test]
    fn a_run_is_counted_when_it_ends_and_not_when_it_is_tried_again() {
        let recorder = crate::metrics::builder().unwrap().build_recorder();
        let handle = recorder.handle();
        with_local_recorder(&recorder, || {
            describe();
            for end in [AttemptEnd::Retried, AttemptEnd::Delivered, AttemptEnd::Delivered, AttemptEnd::Failed] {
                RunnerMetrics.attempt_ended(end, Duration::from_millis(20));
            }
            RunnerMetrics.missed(7);
        });
        let text = handle.render();
        for expected in [
            "portal_runs_ended_total{outcome=\"delivered\"} 2",
            "portal_runs_ended_total{outcome=\"failed\"} 1",
            "portal_fire_times_missed_total 7",
            "portal_delivery_duration_seconds_bucket{outcome=\"retried\",le=\"0.05\"} 1",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected} is not in {text}");
        }
        assert!(!text.contains("portal_runs_ended_total{outcome=\"retried\"}"), "{text}");
    }
}
