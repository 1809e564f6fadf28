//! A scheduled message as receivers get it: one JSON object, whose members stay as they are.

use chrono::SecondsFormat;
use portal_core::{Backend, BackendError};
use portal_cron::{ScheduledMessage, Thinking};
use serde::Serialize;

#[derive(Serialize)]
struct Wire<'a> {
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

/// The message in one line.
pub(crate) fn to_line(message: &ScheduledMessage) -> Result<String, BackendError> {
    let wire = Wire {
        run_id: &message.run,
        attempt: message.attempt,
        trigger: message.trigger.as_str(),
        due_at: message.due_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        job_id: &message.job,
        job_name: &message.name,
        friend_id: message.owner.friend.as_str(),
        agent_id: message.owner.agent.as_str(),
        session: message.session.as_str(),
        message: &message.text,
        thinking: message.thinking.map(Thinking::as_str),
        timeout_seconds: message.timeout_seconds,
    };
    serde_json::to_string(&wire).map_err(|error| BackendError::failed(Backend::Delivery, error))
}

/// A message, for the tests of the deliveries.
#[cfg(test)]
pub(crate) fn sample() -> ScheduledMessage {
    use chrono::DateTime;
    use portal_core::{AgentId, FriendId, FriendshipKey};
    use portal_cron::{Claimant, Trigger};

    let owner = FriendshipKey { friend: FriendId::parse("alice").unwrap(), agent: AgentId::parse("main").unwrap() };
    let claimant = Claimant { agent: &owner.agent, friend: &owner.friend, contacts: &[], channels: &[] };
    ScheduledMessage {
        run: "5f2a".to_owned(),
        attempt: 1,
        job: "9c4e".to_owned(),
        name: "daily-check".to_owned(),
        session: claimant.own("isolated").unwrap(),
        text: "Check my portfolio".to_owned(),
        trigger: Trigger::Schedule,
        due_at: DateTime::from_timestamp(1_772_438_400, 0).unwrap(),
        thinking: Some(Thinking::Low),
        timeout_seconds: None,
        owner,
    }
}
