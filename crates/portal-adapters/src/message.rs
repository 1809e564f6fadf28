//! A scheduled message as receivers get it: one JSON object, whose members stay as they are.

use chrono::SecondsFormat;
use portal_core::{Backend, BackendError};
use portal_cron::{LeasedRun, SessionKey, Thinking};
use serde::Serialize;

#[derive(Serialize)]
struct Body<'a> {
    run_id: &'a str,
    attempt: u32,
    trigger: &'static str,
    due_at: String,
    job_id: &'a str,
    job_name: &'a str,
    friend_id: &'a str,
    agent_id: &'a str,
    session: &'a str,
    message: &'a str,
    thinking: Option<&'static str>,
    timeout_seconds: Option<u16>,
}

/// Returns the message of `run` in one line.
pub(crate) fn to_line(run: &LeasedRun, session: &SessionKey) -> Result<String, BackendError> {
    let spec = &run.job.spec;
    let body = Body {
        run_id: &run.id,
        attempt: run.attempt,
        trigger: run.trigger.as_str(),
        due_at: run.due_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        job_id: &run.job.id,
        job_name: spec.name.as_str(),
        friend_id: run.job.owner.friend.as_str(),
        agent_id: run.job.owner.agent.as_str(),
        session: session.as_str(),
        message: &spec.message,
        thinking: spec.thinking.map(Thinking::as_str),
        timeout_seconds: spec.timeout_seconds,
    };
    serde_json::to_string(&body).map_err(|error| BackendError::failed(Backend::Delivery, error))
}

/// A claimed run and its session, for the tests of the deliveries.
#[cfg(test)]
pub(crate) fn sample() -> (LeasedRun, SessionKey) {
    use chrono::DateTime;
    use portal_core::{AgentId, FriendId, FriendshipKey};
    use portal_cron::{AnswerTo, Claimant, Job, JobName, JobSpec, JobState, Timing, TimingKind, Trigger};

    let owner = FriendshipKey { friend: FriendId::parse("alice").unwrap(), agent: AgentId::parse("main").unwrap() };
    let claimant = Claimant { agent: &owner.agent, friend: &owner.friend, contacts: &[], channels: &[] };
    let session = claimant.own("isolated").unwrap();
    let spec = JobSpec {
        name: JobName::parse("daily-check").unwrap(),
        description: None,
        message: "Check my portfolio".to_owned(),
        timing: Timing { kind: TimingKind::Cron("0 9 * * *".to_owned()), tz: "Europe/Berlin".to_owned() },
        session: "isolated".to_owned(),
        thinking: Some(Thinking::Low),
        timeout_seconds: None,
        answer_to: AnswerTo::Nowhere,
    };
    let (id, state) = ("9c4e".to_owned(), JobState::default());
    let job =
        Job { id, owner, spec, enabled: true, read_only: false, created_at: DateTime::UNIX_EPOCH, revision: 1, state };
    let due_at = DateTime::from_timestamp(1_772_438_400, 0).unwrap();
    (LeasedRun { id: "5f2a".to_owned(), attempt: 1, trigger: Trigger::Schedule, due_at, job }, session)
}
