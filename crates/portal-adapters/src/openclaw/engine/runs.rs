//! Runs as a gateway lists them, and the ones among them that friends asked for.
//!
//! A gateway lists a run when it has ended. Older ones do not tell its id, nor does a newer one for a run that a restart
//! interrupted: such a run is the first that began after it was asked for.

use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{Backend, BackendError};
use portal_cron::{RemoteRun, RemoteRunEnd, Run, RunStatus, Sent, Trigger};
use serde_json::{Value, json};

use super::job::{GatewayJob, cut, text, time};
use super::outcome::{self, DeliveryStatus};
use crate::openclaw::client::{CallError, CallKind, GatewayClient};

/// Runs in one page.
pub(super) const PAGE: usize = 200;
/// Difference of two machines' clocks up to which a run is recognized by its begin.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(2);
/// Longest time until a run begins that was admitted under an id. A run that begins later is one of the schedule: a gateway
/// that forgot a run at a restart must not seem to have done it.
const BEGIN_AFTER_ADMISSION: TimeDelta = TimeDelta::seconds(10);
/// Longest time until a run begins whose admission was not heard of.
const BEGIN_AFTER_REQUEST: TimeDelta = TimeDelta::seconds(30);

/// Longest part of an agent's answer that is shown, in bytes.
const ANSWER_MAX: usize = 2 * 1024;

/// The parts of a job by which its runs are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunsOf<'a> {
    job: &'a str,
    /// True if its answers go to a chat.
    answers: bool,
    /// True if the agent works on its message.
    is_agent_turn: bool,
    /// True if the gateway tells apart the answers that it did not send.
    is_reliable: bool,
}

impl<'a> RunsOf<'a> {
    /// The runs of the job `id`; `job` is `None` if it is gone. `is_reliable` says that the gateway tells apart the answers
    /// that it did not send.
    pub(super) fn new(id: &'a str, job: Option<&GatewayJob>, is_reliable: bool) -> Self {
        let answers = job.is_some_and(GatewayJob::answers);
        // Of a job that is gone only the runs are read that friends asked for, and they run no other kind.
        let is_agent_turn = job.is_none_or(GatewayJob::is_agent_turn);
        Self { job: id, answers, is_agent_turn, is_reliable }
    }
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    run_id: Option<String>,
    session_key: Option<String>,
    answer: Option<String>,
    pub(super) end: RemoteRunEnd,
    run_at: DateTime<Utc>,
}

impl Entry {
    /// Reads a run; `None` for anything but a run of this job.
    fn parse(value: &Value, of: RunsOf<'_>) -> Option<Self> {
        // The gateway lists everybody's runs where it is asked in a wrong way.
        if text(value, "jobId") != Some(of.job) {
            return None;
        }
        let run_at = time(&value["runAtMs"]).or_else(|| time(&value["ts"]))?;
        let word = text(value, "status").unwrap_or("error");
        let sent = DeliveryStatus {
            asked: of.answers,
            status: text(value, "deliveryStatus"),
            suppressed: value.get("deliverySuppressionReason").is_some_and(Value::is_string),
        };
        let has_answered = of.is_agent_turn && word == "ok";
        let delivery = if has_answered { sent.sent(of.is_reliable) } else { None };
        let end = RemoteRunEnd {
            status: outcome::status(word),
            started_at: Some(run_at),
            finished_at: time(&value["ts"]).unwrap_or(run_at),
            finished: outcome::finished(word).filter(|_| of.is_agent_turn),
            sent: delivery,
            error: outcome::error(Some(word), text(value, "errorReason"), text(value, "error"), &sent),
        };
        // The last text of an agent that says nothing is a sign to its gateway.
        let answer = text(value, "summary").filter(|_| has_answered && delivery != Some(Sent::Silent));
        Some(Self {
            run_id: text(value, "runId").map(str::to_owned),
            session_key: text(value, "sessionKey").map(str::to_owned),
            answer: answer.and_then(printable),
            end,
            run_at,
        })
    }

    /// Returns the run as far as it took place where `may_see` looks: a job that was another friend's has runs of that
    /// time.
    pub(super) fn visible(mut self, job: &str, may_see: impl Fn(&str) -> bool) -> Option<Self> {
        if self.session_key.as_deref().is_some_and(may_see) {
            return Some(self);
        }
        // A run that failed early has no session, and one of an isolated job has a session of its own. Neither says whose
        // the job was at that time, so the answer may be to somebody else.
        self.answer = None;
        let own_session = format!(":cron:{job}");
        self.session_key.as_deref().is_none_or(|key| key.contains(&own_session)).then_some(self)
    }

    fn to_run(&self, id: String, trigger: Trigger, due_at: DateTime<Utc>) -> Run {
        Run { answer: self.answer.clone(), ..run(id, trigger, due_at, Some(self.end.clone())) }
    }
}

/// Returns up to 200 ended runs of a job, newest first, those beyond the first `offset` of them; and whether there are
/// more.
pub(super) async fn entries(
    client: &GatewayClient,
    of: RunsOf<'_>,
    offset: usize,
) -> Result<(Vec<Entry>, bool), BackendError> {
    // Never without the id: the gateway would list everybody's.
    let params = json!({"id": of.job, "limit": PAGE, "offset": offset});
    let page = match client.call(CallKind::Read, "cron.runs", params).await {
        // A job that never ran is unknown there.
        Err(CallError::Refused(refusal)) if refusal.detail_code() == "CRON_JOB_NOT_FOUND" => {
            return Ok((Vec::new(), false));
        }
        answered => answered?,
    };
    let Some(listed) = page.get("entries").and_then(Value::as_array) else {
        return Err(BackendError::failed(Backend::Gateway, "the list of runs has no runs"));
    };
    let mut entries: Vec<_> = listed.iter().filter_map(|entry| Entry::parse(entry, of)).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.run_at));
    Ok((entries, page["hasMore"] == true))
}

/// Returns the position of the ended run that `asked` became.
pub(super) fn position(entries: &[Entry], asked: &RemoteRun) -> Option<usize> {
    let by_id = |entry: &Entry| entry.run_id.is_some() && entry.run_id == asked.remote_id;
    if let Some(found) = entries.iter().position(by_id) {
        return Some(found);
    }
    let begun = match asked.remote_id.as_deref() {
        Some(id) => {
            // `manual:<job>:<milliseconds>:<number>`, by the gateway's own clock.
            let admitted_at = time(&id.rsplit(':').nth(1)?.parse::<i64>().ok()?.into())?;
            admitted_at..=admitted_at + BEGIN_AFTER_ADMISSION
        }
        None => asked.requested_at - CLOCK_SKEW..=asked.requested_at + BEGIN_AFTER_REQUEST,
    };
    let may_be_it =
        |entry: &Entry| begun.contains(&entry.run_at) && (entry.run_id.is_none() || asked.remote_id.is_none());
    let unnamed = entries.iter().enumerate().filter(|(_, entry)| may_be_it(entry));
    unnamed.min_by_key(|(_, entry)| entry.run_at).map(|(position, _)| position)
}

/// Returns the runs of a job, newest first: those of `entries`, and those of `asked` that are not among them. `is_running`
/// says that one is under way.
pub(super) fn merge(mut entries: Vec<Entry>, asked: Vec<RemoteRun>, is_running: bool) -> Vec<Run> {
    let mut runs = Vec::new();
    // The oldest first: each takes the first run after it, and none takes another's.
    for asked in asked.into_iter().rev() {
        if let Some(position) = position(&entries, &asked) {
            runs.push(entries.remove(position).to_run(asked.id, Trigger::Manual, asked.requested_at));
            continue;
        }
        let mut open = run(asked.id, Trigger::Manual, asked.requested_at, asked.end);
        if is_running && open.finished_at.is_none() {
            open.status = RunStatus::Running;
        }
        runs.push(open);
    }
    for entry in entries {
        let trigger = match &entry.run_id {
            Some(id) if id.starts_with("manual:") => Trigger::Manual,
            _ => Trigger::Schedule,
        };
        let id = entry.run_id.clone().unwrap_or_else(|| entry.run_at.timestamp_millis().to_string());
        runs.push(entry.to_run(id, trigger, entry.run_at));
    }
    runs.sort_by(|one, other| (other.due_at, &other.id).cmp(&(one.due_at, &one.id)));
    runs
}

fn run(id: String, trigger: Trigger, due_at: DateTime<Utc>, end: Option<RemoteRunEnd>) -> Run {
    let open = Run {
        id,
        trigger,
        due_at,
        started_at: None,
        finished_at: None,
        status: RunStatus::Queued,
        finished: None,
        sent: None,
        answer: None,
        attempts: 1,
        error: None,
        missed: None,
    };
    match end {
        Some(RemoteRunEnd { status, started_at, finished_at, finished, sent, error }) => {
            Run { started_at, finished_at: Some(finished_at), status, finished, sent, error, ..open }
        }
        None => open,
    }
}

/// Returns the beginning of an agent's answer without control characters; `None` if nothing is left.
fn printable(answer: &str) -> Option<String> {
    let mut shown = cut(answer, ANSWER_MAX);
    shown.retain(|letter| !letter.is_control() || matches!(letter, '\n' | '\t'));
    Some(shown).filter(|shown| !shown.trim().is_empty())
}

#[cfg(test)]
mod tests;
