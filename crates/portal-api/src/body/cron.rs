//! Scheduled messages.

use portal_core::Change;
use portal_cron::{CronError, JobDraft, JobPatch, PREVIEW_MAX, Preview, TimingDraft, Unsupported};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{given, time};
use crate::error::ApiError;

mod view;

pub(crate) use view::{Job, JobList, Run, RunList, RunPage, RunStarted};
use view::{answer_to, thinking, thinking_or_null};

/// A job to be made. Exactly one of `cron`, `at` and `every` says when it fires.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateJob {
    /// 1 to 64 letters, digits, spaces, dots, underscores or hyphens, a letter or digit at both ends; unique among the
    /// friend's jobs with this agent.
    #[schema(example = "daily-check", pattern = "^[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?$")]
    name: String,
    /// The text that the agent gets, up to 8 KiB.
    #[schema(example = "Check my portfolio")]
    message: String,
    /// Five fields of cron (minute, hour, day of month, month, day of week) or an alias such as `@daily`.
    #[schema(value_type = String, required = false, example = "0 9 * * *")]
    cron: Option<String>,
    /// One moment in the future, within five years: RFC 3339, or local time in `tz` such as `2026-12-24T14:30`. The
    /// job is disabled when it has run, and goes a week later.
    #[schema(value_type = String, required = false)]
    at: Option<String>,
    /// An interval from `1m` to `1827d`, counted from the job's creation.
    #[schema(value_type = String, required = false, pattern = "^[0-9]+[mhd]$")]
    every: Option<String>,
    /// Conversation in which the agent gets the text: one of the friend's own with this agent, or `isolated` for the
    /// default one, which is also meant if nothing is said.
    #[schema(value_type = String, required = false, example = "agent:main:direct:channel:alice")]
    session: Option<String>,
    /// IANA time zone of `cron` and of a local `at`; by default the friend's own, else UTC.
    #[schema(value_type = String, required = false, example = "Europe/Berlin")]
    tz: Option<String>,
    /// A note, up to 512 bytes.
    #[schema(value_type = String, required = false, example = "Before the market opens")]
    description: Option<String>,
    /// Depth of thought.
    #[schema(schema_with = thinking, required = false)]
    thinking: Option<String>,
    /// Longest time for the agent's work, in seconds, 1 to 3600.
    #[serde(rename = "timeoutSeconds")]
    #[schema(value_type = i64, required = false, example = 120, minimum = 1, maximum = 3600)]
    timeout_seconds: Option<i64>,
    /// Destination of the agent's answer: the friend's own address (`chat`, the default where the friend has a contact)
    /// or `nowhere`.
    #[schema(schema_with = answer_to, required = false)]
    answer_to: Option<String>,
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
    /// Returns the draft, in `own_tz` unless the body says otherwise.
    ///
    /// # Errors
    /// Refuses a member that other schedulers have, with what to do instead; none of `cron`, `at` and `every`.
    pub(crate) fn parse(self, own_tz: Option<&str>) -> Result<JobDraft, ApiError> {
        let members = [
            (&self.announce, Unsupported::Announce),
            (&self.to, Unsupported::To),
            (&self.channel, Unsupported::Channel),
            (&self.model, Unsupported::Model),
        ];
        // `null` is what generated clients send for nothing, so it is no request for the member.
        if let Some((_, member)) = members.into_iter().find(|(value, _)| value.is_some()) {
            return Err(CronError::Unsupported(member).into());
        }
        let timing = TimingDraft { cron: self.cron, at: self.at, every: self.every };
        require_timing(&timing)?;
        Ok(JobDraft {
            name: self.name,
            message: self.message,
            timing,
            session: self.session,
            tz: self.tz.or_else(|| own_tz.map(str::to_owned)),
            description: self.description,
            thinking: self.thinking,
            timeout_seconds: self.timeout_seconds,
            answer_to: self.answer_to,
        })
    }
}

/// A body without a timing lacks a member, as one without a name does.
fn require_timing(timing: &TimingDraft) -> Result<(), ApiError> {
    if timing.is_empty() {
        let detail = "The body is not what this operation takes: give one of `cron`, `at` and `every`.";
        return Err(ApiError::body_member("cron", "required", detail));
    }
    Ok(())
}

/// Changes to a job; a member that is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatchJob {
    /// Another text, up to 8 KiB.
    #[schema(value_type = String, required = false, example = "Check my portfolio and the news")]
    message: Option<String>,
    /// Another expression of cron; also makes a job of another kind one of this kind.
    #[schema(value_type = String, required = false, example = "30 9 * * *")]
    cron: Option<String>,
    /// Another moment, or another kind.
    #[schema(value_type = String, required = false)]
    at: Option<String>,
    /// Another interval, or another kind.
    #[schema(value_type = String, required = false)]
    every: Option<String>,
    /// Another time zone.
    #[schema(value_type = String, required = false)]
    tz: Option<String>,
    /// Another note; `null` removes it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    description: Change<String>,
    /// Another depth of thought; `null` for the agent's own.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = thinking_or_null)]
    thinking: Change<String>,
    /// Another limit of time; `null` for the agent's own.
    #[serde(rename = "timeoutSeconds", default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 3600)]
    timeout_seconds: Change<i64>,
    /// Another destination of the agent's answer.
    #[schema(schema_with = answer_to, required = false)]
    answer_to: Option<String>,
    /// `true` to enable the job, `false` to disable it.
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
}

impl PatchJob {
    /// Returns the changes.
    ///
    /// # Errors
    /// Refuses a body without any.
    pub(crate) fn parse(self) -> Result<JobPatch, ApiError> {
        let patch = JobPatch {
            message: self.message,
            timing: TimingDraft { cron: self.cron, at: self.at, every: self.every },
            tz: self.tz,
            description: self.description,
            thinking: self.thinking,
            timeout_seconds: self.timeout_seconds,
            answer_to: self.answer_to,
            enabled: self.enabled,
            // `If-Match` names them, not the body.
            revisions: None,
        };
        if patch == JobPatch::default() {
            return Err(ApiError::body_malformed("The body must name at least one change of the job."));
        }
        Ok(patch)
    }
}

/// A job to be enabled or disabled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToggleJob {
    /// `true` to enable it, `false` to disable it.
    #[schema(example = false)]
    pub(crate) enabled: bool,
}

/// A message to the agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendMessage {
    /// The text that the agent gets, up to 8 KiB.
    #[schema(example = "my-app stops right after starting. What is wrong?")]
    pub(crate) message: String,
}

/// A timing to be tried. Exactly one of `cron`, `at` and `every` is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewJob {
    /// Five fields of cron or an alias.
    #[schema(value_type = String, required = false, example = "30 2 * * *")]
    cron: Option<String>,
    /// One moment.
    #[schema(value_type = String, required = false)]
    at: Option<String>,
    /// An interval, counted from now.
    #[schema(value_type = String, required = false)]
    every: Option<String>,
    /// IANA time zone; by default the friend's own, else UTC.
    #[schema(value_type = String, required = false, example = "Europe/Berlin")]
    pub(crate) tz: Option<String>,
    /// Number of fire times, 1 to 20; by default 5.
    #[schema(value_type = u8, required = false, example = 3, minimum = 1, maximum = 20)]
    count: Option<i64>,
}

/// Number of fire times in a preview that asks for none.
const PREVIEW_DEFAULT: u8 = 5;

impl PreviewJob {
    /// Returns the timing and the number of fire times.
    ///
    /// # Errors
    /// Refuses none of `cron`, `at` and `every`, and a count out of range.
    pub(crate) fn parse(self) -> Result<(TimingDraft, u8), ApiError> {
        let timing = TimingDraft { cron: self.cron, at: self.at, every: self.every };
        require_timing(&timing)?;
        let count = self.count.map_or(Some(PREVIEW_DEFAULT), |count| u8::try_from(count).ok());
        let count = count.filter(|count| (1..=PREVIEW_MAX).contains(count));
        let refusal = || portal_core::Invalid::new("count", format!("count must be 1 to {PREVIEW_MAX}"));
        Ok((timing, count.ok_or_else(refusal)?))
    }
}

/// The next fire times of a timing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobPreview {
    /// The fire times, in their order.
    #[schema(example = json!(["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]))]
    next: Vec<String>,
    /// A sentence for each clock change up to the last of them that moves, drops or doubles one.
    #[schema(example = json!(["On 2026-03-29 the clock in Europe/Berlin is put from 02:00 to 03:00: it fires at 03:00 instead of 02:30."]))]
    notes: Vec<String>,
}

impl From<Preview> for JobPreview {
    fn from(preview: Preview) -> Self {
        Self { next: preview.next.into_iter().map(time).collect(), notes: preview.notes }
    }
}
