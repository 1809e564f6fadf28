//! Scheduled messages.

use chrono::{DateTime, Utc};
use portal_cron::{CronError, JobDraft, RunStatus, Trigger, Unsupported};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Word, time};
use crate::error::ApiError;

// Aliases, since utoipa takes an argument of a generic type for a schema of its own.
type RunStatusWord = Word<RunStatus>;
type TriggerWord = Word<Trigger>;

/// A job to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateJob {
    /// 1 to 64 letters, digits, spaces, dots, underscores or hyphens, a letter or digit at both ends; unique among the
    /// friend's jobs with this agent.
    #[schema(example = "daily-check", pattern = "^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?$")]
    name: String,
    /// What the agent is told, up to 8 KiB.
    #[schema(example = "Check my portfolio")]
    message: String,
    /// When: five fields of cron (minute, hour, day of month, month, day of week) or an alias such as `@daily`.
    #[schema(required, value_type = String, example = "0 9 * * *")]
    cron: Option<String>,
    /// The conversation in which it is told: one of the friend's own with this agent, or `isolated` for the default
    /// one, which is also meant if nothing is said.
    #[schema(example = "agent:main:direct:channel:alice")]
    session: Option<String>,
    /// IANA time zone of `cron`; by default the friend's own, else UTC.
    #[schema(example = "Europe/Berlin")]
    tz: Option<String>,
    /// What it is for, up to 512 bytes.
    #[schema(example = "Before the market opens")]
    description: Option<String>,
    /// How hard the agent should think: `off`, `low`, `medium` or `high`.
    #[schema(example = "low")]
    thinking: Option<String>,
    /// How long the agent may take, in seconds, 1 to 3600.
    #[serde(rename = "timeoutSeconds")]
    #[schema(example = 120, minimum = 1, maximum = 3600)]
    timeout_seconds: Option<i64>,
    #[schema(ignore)]
    every: Option<Value>,
    #[schema(ignore)]
    at: Option<Value>,
    #[schema(ignore)]
    announce: Option<Value>,
    #[schema(ignore)]
    to: Option<Value>,
    #[schema(ignore)]
    channel: Option<Value>,
    #[schema(ignore)]
    model: Option<Value>,
}

impl CreateJob {
    /// The draft.
    ///
    /// # Errors
    /// A member that other schedulers have, with the way out; no `cron`.
    pub(crate) fn parse(self) -> Result<JobDraft, ApiError> {
        if let Some(member) = self.unsupported() {
            return Err(CronError::Unsupported(member).into());
        }
        let Some(cron) = self.cron else {
            return Err(ApiError::body_member(
                "cron",
                "required",
                "The body is not what this operation takes: missing field `cron`.",
            ));
        };
        let Self { name, message, session, tz, description, thinking, timeout_seconds, .. } = self;
        Ok(JobDraft { name, message, cron, session, tz, description, thinking, timeout_seconds })
    }

    fn unsupported(&self) -> Option<Unsupported> {
        let members = [
            (&self.every, Unsupported::Every),
            (&self.at, Unsupported::At),
            (&self.announce, Unsupported::Announce),
            (&self.to, Unsupported::To),
            (&self.channel, Unsupported::Channel),
            (&self.model, Unsupported::Model),
        ];
        members.into_iter().find_map(|(value, member)| value.is_some().then_some(member))
    }
}

/// Whether a job is to count.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToggleJob {
    /// `true` to enable it, `false` to disable it.
    #[schema(example = false)]
    pub(crate) enabled: bool,
}

/// The friend's jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobList {
    /// All of them with this agent, disabled ones included, sorted by name.
    pub(crate) jobs: Vec<Job>,
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Job {
    /// Its id.
    #[schema(example = "0f8c1d7a94f35f7a2b6ad1fd1d6f2f3c")]
    id: String,
    /// Its name.
    #[schema(example = "daily-check")]
    name: String,
    /// The agent that is told.
    #[schema(example = "main")]
    agent_id: String,
    /// What it is for.
    #[schema(example = "Before the market opens", required)]
    description: Option<String>,
    /// What the agent is told.
    #[schema(example = "Check my portfolio")]
    message: String,
    /// When; `null` for a job of another kind, that the agent made for itself.
    #[schema(example = "0 9 * * *", required)]
    cron: Option<String>,
    /// Time zone of `cron`.
    #[schema(example = "Europe/Berlin")]
    tz: String,
    /// The conversation, as it was typed.
    #[schema(example = "agent:main:direct:channel:alice")]
    session: String,
    /// Whether its schedule counts.
    #[schema(example = true)]
    enabled: bool,
    /// Since when there is this job.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime)]
    created_at: String,
    /// When it is due next; `null` while it is disabled.
    #[schema(example = "2026-03-02T08:00:00Z", format = DateTime, required)]
    next_run: Option<String>,
    /// When its newest run began.
    #[schema(example = "2026-03-01T08:00:00Z", format = DateTime, required)]
    last_run: Option<String>,
    /// How the newest run that has ended did so: `delivered`, `failed` or `missed`.
    #[schema(inline, example = "delivered", required)]
    last_status: Option<RunStatusWord>,
    /// For older pages: see `cron` and `tz`.
    #[schema(deprecated)]
    schedule: LegacySchedule,
    /// For older pages: see `session`.
    #[serde(rename = "sessionTarget")]
    #[schema(deprecated, example = "agent:main:direct:channel:alice")]
    session_target: String,
    /// For older pages: see `message`.
    #[schema(deprecated)]
    payload: LegacyPayload,
    /// For older pages: see `next_run`, `last_run` and `last_status`.
    #[schema(deprecated)]
    state: LegacyState,
}

/// When, as older pages read it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LegacySchedule {
    /// Always `cron`.
    #[schema(example = "cron")]
    kind: &'static str,
    /// The expression.
    #[schema(example = "0 9 * * *", required)]
    expr: Option<String>,
    /// Its time zone.
    #[schema(example = "Europe/Berlin", required)]
    tz: Option<String>,
    /// The single moment of another kind of job.
    #[schema(required)]
    at: Option<String>,
    /// The interval of another kind of job, in milliseconds.
    #[serde(rename = "everyMs")]
    #[schema(required)]
    every_ms: Option<u64>,
}

/// What the agent is told, as older pages read it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LegacyPayload {
    /// The message.
    #[schema(example = "Check my portfolio")]
    message: String,
}

/// How a job stands, as older pages read it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LegacyState {
    /// When it is due next, in milliseconds since 1970.
    #[schema(example = 1_772_438_400_000_i64, required)]
    next_run_at_ms: Option<i64>,
    /// When its newest run began, in milliseconds since 1970.
    #[schema(example = 1_772_352_000_000_i64, required)]
    last_run_at_ms: Option<i64>,
    /// `ok`, `error` or `skipped`.
    #[schema(example = "ok", required)]
    last_status: Option<&'static str>,
    /// How many runs have failed since one was delivered.
    #[schema(example = 0)]
    consecutive_errors: u32,
}

impl From<portal_cron::Job> for Job {
    fn from(job: portal_cron::Job) -> Self {
        let (spec, state) = (job.spec, job.state);
        let (cron, tz) = (spec.schedule.cron().to_owned(), spec.schedule.tz().to_owned());
        let schedule =
            LegacySchedule { kind: "cron", expr: Some(cron.clone()), tz: Some(tz.clone()), at: None, every_ms: None };
        let milliseconds = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_millis());
        Self {
            id: job.id,
            name: spec.name.to_string(),
            agent_id: job.owner.agent.to_string(),
            description: spec.description,
            payload: LegacyPayload { message: spec.message.clone() },
            message: spec.message,
            cron: Some(cron),
            tz,
            session_target: spec.session.clone(),
            session: spec.session,
            enabled: job.enabled,
            created_at: time(job.created_at),
            next_run: state.next_run.map(time),
            last_run: state.last_run.map(time),
            last_status: state.last_status.map(Word),
            schedule,
            state: LegacyState {
                next_run_at_ms: milliseconds(state.next_run),
                last_run_at_ms: milliseconds(state.last_run),
                last_status: state.last_status.map(legacy_status),
                consecutive_errors: state.consecutive_errors,
            },
        }
    }
}

/// The word of the agent gateway.
fn legacy_status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Delivered => "ok",
        RunStatus::Missed => "skipped",
        RunStatus::Failed | RunStatus::Queued | RunStatus::Running | RunStatus::Retrying => "error",
    }
}

/// A run has been stored and will be begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunStarted {
    /// Always `true`.
    #[schema(example = true)]
    pub(crate) ok: bool,
    /// The run, to be followed in the job's list of runs.
    #[schema(example = "5f2a1d7a94f35f7a2b6ad1fd1d6f2f3c")]
    pub(crate) run_id: String,
}

/// What became of a job's instants.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunList {
    /// The newest 100 runs, newest first.
    pub(crate) runs: Vec<Run>,
}

/// One run of a job, or a stretch of instants that it missed.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "`run_id` is the member's name on the wire")]
pub(crate) struct Run {
    /// Its id, which receivers get as the idempotency key.
    #[schema(example = "5f2a1d7a94f35f7a2b6ad1fd1d6f2f3c")]
    run_id: String,
    /// `schedule`, or `manual` if somebody asked for it.
    #[schema(inline, example = "schedule")]
    trigger: TriggerWord,
    /// Its instant; of a missed stretch the last one.
    #[schema(example = "2026-03-01T08:00:00Z", format = DateTime)]
    due_at: String,
    /// When the first attempt began.
    #[schema(example = "2026-03-01T08:00:00Z", format = DateTime, required)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(example = "2026-03-01T08:00:01Z", format = DateTime, required)]
    finished_at: Option<String>,
    /// `queued`, `running` or `retrying` while it is open; then `delivered` (the receiver has the message), `failed` or
    /// `missed`.
    #[schema(inline, example = "delivered")]
    status: RunStatusWord,
    /// How many attempts were begun.
    #[schema(example = 1)]
    attempts: u32,
    /// What went wrong; of a missed stretch how many instants it has, from when to when.
    #[schema(example = "the receiver did not answer in time", required)]
    error: Option<String>,
}

impl From<portal_cron::Run> for Run {
    fn from(run: portal_cron::Run) -> Self {
        Self {
            error: run.explanation(),
            run_id: run.id,
            trigger: Word(run.trigger),
            due_at: time(run.due_at),
            started_at: run.started_at.map(time),
            finished_at: run.finished_at.map(time),
            status: Word(run.status),
            attempts: run.attempts,
        }
    }
}
