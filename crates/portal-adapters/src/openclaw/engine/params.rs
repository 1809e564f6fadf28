//! Parameters of calls about jobs. Every member is written here: what a client sent is never passed on, since kinds of
//! payloads and schedules exist that run programs on the gateway's host.

use chrono::SecondsFormat;
use portal_core::{AgentId, Contact};
use portal_cron::{AnswerTo, Destination, JobSpec, Thinking, Timing, TimingKind};
use serde_json::{Map, Value, json};

use super::job::GatewayJob;

/// Returns the parameters of `cron.add` for an enabled job.
pub(super) fn add(agent: &AgentId, spec: &JobSpec, to: &Destination<'_>, declaration_key: Option<String>) -> Value {
    let key = &to.session;
    let answer = to.answer.filter(|_| spec.answer_to == AnswerTo::Chat);
    let mut params = json!({
        "name": spec.name.as_str(),
        "agentId": agent.as_str(),
        "enabled": true,
        "schedule": schedule(&spec.timing),
        "sessionTarget": format!("session:{key}"),
        "sessionKey": key.as_str(),
        "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": spec.message},
        // Left out, the answer would be announced in the agent's main conversation.
        "delivery": delivery(answer),
    });
    if let Some(description) = &spec.description {
        params["description"] = description.as_str().into();
    }
    if let Some(thinking) = spec.thinking {
        params["payload"]["thinking"] = thinking.as_str().into();
    }
    if let Some(seconds) = spec.timeout_seconds {
        params["payload"]["timeoutSeconds"] = seconds.into();
    }
    if let Some(key) = declaration_key {
        params["declarationKey"] = key.into();
    }
    params
}

/// Returns the parameters of `cron.update` for a job as it was read, with its revision where the gateway has them.
pub(super) fn update(job: &GatewayJob, patch: &Value) -> Value {
    let mut params = json!({"id": job.id, "patch": patch});
    if let Some(revision) = &job.config_revision {
        params["expectedConfigRevision"] = revision.as_str().into();
    }
    params
}

/// A change of a job.
pub(super) struct Patch {
    /// The `patch` of `cron.update`.
    pub(super) members: Map<String, Value>,
    /// Whether it takes a member away, which older gateways cannot.
    pub(super) clears: bool,
}

/// Returns the changes from `old` to `new`, and the switch if it is to be set. Members that stay are left out: what the
/// portal shows of them may be less than what the gateway has.
pub(super) fn patch(old: &JobSpec, new: &JobSpec, enabled: Option<bool>, answer: Option<&Contact>) -> Patch {
    let (mut members, mut payload) = (Map::new(), Map::new());
    let mut clears = false;
    if let Some(enabled) = enabled {
        members.insert("enabled".to_owned(), enabled.into());
    }
    if old.description != new.description {
        members.insert("description".to_owned(), new.description.clone().unwrap_or_default().into());
    }
    if old.timing != new.timing {
        members.insert("schedule".to_owned(), schedule(&new.timing));
    }
    if old.answer_to != new.answer_to {
        members.insert("delivery".to_owned(), delivery(answer));
    }
    if old.message != new.message {
        payload.insert("message".to_owned(), new.message.as_str().into());
    }
    if old.thinking != new.thinking {
        clears |= new.thinking.is_none();
        payload.insert("thinking".to_owned(), new.thinking.map(Thinking::as_str).into());
    }
    if old.timeout_seconds != new.timeout_seconds {
        clears |= new.timeout_seconds.is_none();
        payload.insert("timeoutSeconds".to_owned(), new.timeout_seconds.into());
    }
    if !payload.is_empty() {
        payload.insert("kind".to_owned(), "agentTurn".into());
        members.insert("payload".to_owned(), payload.into());
    }
    Patch { members, clears }
}

fn schedule(timing: &Timing) -> Value {
    match &timing.kind {
        // Without `staggerMs` a gateway moves what is due on the hour by up to five minutes.
        TimingKind::Cron(expression) => json!({"kind": "cron", "expr": expression, "tz": timing.tz, "staggerMs": 0}),
        TimingKind::At(moment) => {
            json!({"kind": "at", "at": moment.at.to_rfc3339_opts(SecondsFormat::Millis, true)})
        }
        TimingKind::Every(interval) => json!({"kind": "every", "everyMs": interval.length().num_milliseconds()}),
    }
}

fn delivery(answer: Option<&Contact>) -> Value {
    match answer {
        // Without both members a gateway chooses the last chat of the conversation.
        Some(contact) => json!({"mode": "announce", "channel": contact.channel.as_str(), "to": contact.typed}),
        None => json!({"mode": "none"}),
    }
}
