//! Jobs and runs as operations answer with them.

use chrono::{DateTime, Utc};
use portal_cron::{AnswerTo, RunStatus, Sent, Thinking, Timing, TimingKind, Trigger};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use crate::body::time;

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
    /// The agent that gets the text.
    #[schema(example = "main")]
    agent_id: String,
    /// A note.
    #[schema(example = "Before the market opens", required)]
    description: Option<String>,
    /// The text that the agent gets.
    #[schema(example = "Check my portfolio")]
    message: String,
    /// The expression of cron; `null` for a job with a moment or an interval, which `schedule` shows.
    #[schema(example = "0 9 * * *", required)]
    cron: Option<String>,
    /// Time zone of `cron`.
    #[schema(example = "Europe/Berlin")]
    tz: String,
    /// The conversation, as it was typed.
    #[schema(example = "agent:main:direct:channel:alice")]
    session: String,
    /// State of its schedule; a disabled job runs by hand only.
    #[schema(example = true)]
    enabled: bool,
    /// `true` for the agent's own reminder: changing, running and deleting it is refused with `job-read-only`.
    #[schema(example = false)]
    read_only: bool,
    /// Depth of thought; `null` for the agent's own.
    #[schema(schema_with = thinking_or_null, required)]
    thinking: Option<&'static str>,
    /// Longest time for the agent's work, in seconds; `null` for the agent's own.
    #[schema(example = 120, required)]
    timeout_seconds: Option<u16>,
    /// Destination of the agent's answer: the friend's `chat`, or `nowhere`.
    #[schema(schema_with = answer_to)]
    answer_to: &'static str,
    /// Creation of the job.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime)]
    created_at: String,
    /// Next fire time; `null` while it is disabled.
    #[schema(example = "2026-03-02T08:00:00Z", format = DateTime, required)]
    next_run: Option<String>,
    /// Begin of its newest run.
    #[schema(example = "2026-03-01T08:00:00Z", format = DateTime, required)]
    last_run: Option<String>,
    /// End of the newest run that has ended.
    #[schema(schema_with = ended_or_null, required)]
    last_status: Option<&'static str>,
    /// The error of that run; `null` if its message was delivered.
    #[schema(example = "the receiver did not answer in time", required)]
    last_error: Option<String>,
    /// The newest runs that have ended, newest first, at most 10.
    recent: Vec<RecentRun>,
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

/// A run that has ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecentRun {
    /// Its end.
    #[schema(schema_with = ended)]
    status: &'static str,
    /// Its fire time; of a missed window the last one.
    #[schema(example = "2026-03-01T08:00:00Z", format = DateTime)]
    due_at: String,
}

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

impl From<portal_cron::Job> for Job {
    fn from(job: portal_cron::Job) -> Self {
        let (spec, state) = (job.spec, job.state);
        let schedule = LegacySchedule::new(&spec.timing);
        let milliseconds = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_millis());
        Self {
            id: job.id,
            name: spec.name.to_string(),
            agent_id: job.owner.agent.to_string(),
            description: spec.description,
            payload: LegacyPayload { message: spec.message.clone() },
            message: spec.message,
            cron: schedule.expr.clone(),
            tz: spec.timing.tz,
            session_target: spec.session.clone(),
            session: spec.session,
            enabled: job.enabled,
            read_only: job.read_only,
            thinking: spec.thinking.map(Thinking::as_str),
            timeout_seconds: spec.timeout_seconds,
            answer_to: spec.answer_to.as_str(),
            created_at: time(job.created_at),
            next_run: state.next_run.map(time),
            last_run: state.last_run.map(time),
            last_status: state.last_status.map(RunStatus::as_str),
            last_error: state.last_error,
            recent: state
                .recent
                .into_iter()
                .map(|run| RecentRun { status: run.status.as_str(), due_at: time(run.due_at) })
                .collect(),
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

impl LegacySchedule {
    fn new(timing: &Timing) -> Self {
        // Older pages read every member, so those of the other kinds are there as null.
        let mut schedule = Self { kind: "cron", expr: None, tz: None, at: None, every_ms: None };
        match &timing.kind {
            TimingKind::Cron(cron) => {
                schedule.expr = Some(cron.clone());
                schedule.tz = Some(timing.tz.clone());
            }
            TimingKind::At(moment) => {
                schedule.kind = "at";
                schedule.at = Some(time(moment.at));
            }
            TimingKind::Every(interval) => {
                schedule.kind = "every";
                schedule.every_ms = Some(interval.length().num_milliseconds());
            }
        }
        schedule
    }
}

/// Returns the word of the agent gateway.
fn legacy_status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Delivered => "ok",
        RunStatus::Missed => "skipped",
        // An open run is never the last one that ended.
        RunStatus::Failed | RunStatus::Unknown | RunStatus::Queued | RunStatus::Running | RunStatus::Retrying => {
            "error"
        }
    }
}

/// A run that is stored and will begin.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunStarted {
    /// Always `true`.
    #[schema(example = true)]
    pub(crate) ok: bool,
    /// The run, as the job's list of runs shows it.
    #[schema(example = "5f2a1d7a94f35f7a2b6ad1fd1d6f2f3c")]
    pub(crate) run_id: String,
}

/// The query of a list of runs.
#[derive(Debug, Deserialize)]
pub(crate) struct RunPage {
    /// Id of the run after which the page begins.
    pub(crate) before: Option<String>,
}

/// Runs of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunList {
    /// At most 100 runs, newest first. The `run_id` of the last one is `before` of the next page.
    pub(crate) runs: Vec<Run>,
}

/// One run of a job, or a window of fire times that it missed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Run {
    /// Its id, which receivers get as the idempotency key.
    #[schema(example = "5f2a1d7a94f35f7a2b6ad1fd1d6f2f3c")]
    #[serde(rename = "run_id")]
    id: String,
    /// `schedule`, or `manual` if somebody asked for it.
    #[schema(schema_with = trigger)]
    trigger: &'static str,
    /// Its fire time; of a missed window the last one.
    #[schema(example = "2026-03-01T08:00:00Z", format = DateTime)]
    due_at: String,
    /// Begin of the first attempt.
    #[schema(example = "2026-03-01T08:00:00Z", format = DateTime, required)]
    started_at: Option<String>,
    /// End of the run.
    #[schema(example = "2026-03-01T08:00:01Z", format = DateTime, required)]
    finished_at: Option<String>,
    /// `queued`, `running` or `retrying` while it is open; then `delivered` (the receiver has the message), `failed`,
    /// `missed`, or `unknown` where the agent's gateway lost track of it.
    #[schema(schema_with = status)]
    status: &'static str,
    /// Whether the receiver took the message; `null` while the run is open, and where it is not known.
    #[schema(example = true, required)]
    accepted: Option<bool>,
    /// Whether the agent finished its work; `null` while the run is open, and where nobody tells.
    #[schema(example = true, required)]
    finished: Option<bool>,
    /// Delivery of the agent's answer to the friend's chat: `sent`, `pending` (not sent so far, the agent's gateway may
    /// still do it), `silent` (the agent decided to say nothing) or `nowhere` (nobody asked for it to be sent); `null`
    /// where it is not known. None of them says that anybody has read it.
    #[schema(schema_with = sent_or_null, required)]
    sent: Option<&'static str>,
    /// The first 2 KiB of the agent's answer, if the agent finished in the friend's own conversation and its gateway gives
    /// the answer.
    #[schema(example = json!(null), required)]
    answer: Option<String>,
    /// Number of attempts that were begun.
    #[schema(example = 1)]
    attempts: u32,
    /// The newest error; of a missed window number and times of the fire times.
    #[schema(example = "the receiver did not answer in time", required)]
    error: Option<String>,
}

impl From<portal_cron::Run> for Run {
    fn from(run: portal_cron::Run) -> Self {
        Self {
            error: run.explanation(),
            accepted: run.accepted(),
            id: run.id,
            trigger: run.trigger.as_str(),
            due_at: time(run.due_at),
            started_at: run.started_at.map(time),
            finished_at: run.finished_at.map(time),
            status: run.status.as_str(),
            finished: run.finished,
            sent: run.sent.map(Sent::as_str),
            answer: run.answer,
            attempts: run.attempts,
        }
    }
}

/// Words of which a member is one, in the document; the code has them in portal-cron.
fn one_of(words: &[&'static str]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).build()
}

fn one_of_or_null(words: &[&'static str]) -> Object {
    let values = words.iter().map(|word| Value::from(*word)).chain([Value::Null]);
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).enum_values(Some(values)).build()
}

pub(super) fn thinking() -> Object {
    one_of(&Thinking::ALL.map(Thinking::as_str))
}

pub(super) fn thinking_or_null() -> Object {
    one_of_or_null(&Thinking::ALL.map(Thinking::as_str))
}

pub(super) fn answer_to() -> Object {
    one_of(&AnswerTo::ALL.map(AnswerTo::as_str))
}

fn trigger() -> Object {
    one_of(&Trigger::ALL.map(Trigger::as_str))
}

fn status() -> Object {
    one_of(&RunStatus::ALL.map(RunStatus::as_str))
}

fn ended() -> Object {
    one_of(&RunStatus::ENDED.map(RunStatus::as_str))
}

fn ended_or_null() -> Object {
    one_of_or_null(&RunStatus::ENDED.map(RunStatus::as_str))
}

fn sent_or_null() -> Object {
    one_of_or_null(&Sent::ALL.map(Sent::as_str))
}

fn kind() -> Object {
    one_of(&["cron", "at", "every"])
}
