//! Members of a job that older pages read. Newer ones read the members of the job itself.

use chrono::{DateTime, Utc};
use portal_cron::{JobState, RunStatus, Timing, TimingKind};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::one_of;
use crate::body::time;

/// A timing, as older pages read it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LegacySchedule {
    /// `cron`, `at` or `every`.
    #[schema(schema_with = kind)]
    kind: &'static str,
    /// The expression.
    #[schema(example = "0 9 * * *", required)]
    expr: Option<String>,
    /// Its time zone.
    #[schema(example = "Europe/Berlin", required)]
    tz: Option<String>,
    /// The moment.
    #[schema(required)]
    at: Option<String>,
    /// The interval, in milliseconds.
    #[serde(rename = "everyMs")]
    #[schema(required)]
    every_ms: Option<i64>,
}

/// The text that the agent gets, as older pages read it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LegacyPayload {
    /// The text.
    #[schema(example = "Check my portfolio")]
    message: String,
}

/// The state of a job, as older pages read it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LegacyState {
    /// Next fire time, in milliseconds since 1970.
    #[schema(example = 1_772_438_400_000_i64, required)]
    next_run_at_ms: Option<i64>,
    /// Begin of its newest run, in milliseconds since 1970.
    #[schema(example = 1_772_352_000_000_i64, required)]
    last_run_at_ms: Option<i64>,
    /// `ok`, `error` or `skipped`.
    #[schema(example = "ok", required)]
    last_status: Option<&'static str>,
    /// Number of runs that have failed since one was delivered.
    #[schema(example = 0)]
    consecutive_errors: u32,
}

impl LegacySchedule {
    pub(super) fn new(timing: &Timing) -> Self {
        // Older pages read every member, so those of the other kinds are there as null.
        let mut schedule = Self { kind: "cron", expr: None, tz: None, at: None, every_ms: None };
        match &timing.kind {
            TimingKind::Cron(cron) => {
                schedule.expr = Some(cron.clone());
                schedule.tz = Some(timing.tz.clone());
            }
            TimingKind::At(at) => {
                schedule.kind = "at";
                schedule.at = Some(time(*at));
            }
            TimingKind::Every(interval) => {
                schedule.kind = "every";
                schedule.every_ms = Some(interval.length().num_milliseconds());
            }
        }
        schedule
    }

    /// Returns the cron expression, if there is one.
    pub(super) fn expression(&self) -> Option<String> {
        self.expr.clone()
    }
}

impl LegacyPayload {
    pub(super) fn new(message: String) -> Self {
        Self { message }
    }
}

impl LegacyState {
    pub(super) fn new(state: &JobState) -> Self {
        let milliseconds = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_millis());
        Self {
            next_run_at_ms: milliseconds(state.next_run),
            last_run_at_ms: milliseconds(state.last_run),
            last_status: state.last_status.map(legacy_status),
            consecutive_errors: state.consecutive_errors,
        }
    }
}

/// Returns the word of the agent gateway.
fn legacy_status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Delivered => "ok",
        RunStatus::Missed => "skipped",
        // An open run is never the last one that ended.
        RunStatus::Failed | RunStatus::Queued | RunStatus::Running | RunStatus::Retrying => "error",
    }
}

fn kind() -> Object {
    one_of(&["cron", "at", "every"])
}
