//! A job as its gateway describes it, and the friend to whom it belongs.
//!
//! Agents make jobs as well, and nobody checks those: any member may be missing, of another type or very long. A job that
//! cannot be read is nobody's.

use chrono::{DateTime, Utc};
use portal_core::{AgentId, Contact, FriendshipKey};
use portal_cron::{
    AnswerTo, Interval, Job, JobName, JobSpec, JobState, MESSAGE_MAX, RecentRun, SessionKey, SessionKeys, Thinking,
    Timing, TimingKind,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::outcome::{self, DeliveryStatus};

/// Longest id, in bytes; gateways give UUIDs.
const ID_MAX: usize = 200;
/// Longest description that is shown, in bytes.
const DESCRIPTION_MAX: usize = 512;
/// Longest expression that is shown, in bytes.
const EXPRESSION_MAX: usize = 256;
/// End of a text that is shown in part.
const CUT: &str = "\u{2026}";

/// A job of the gateway.
#[derive(Debug, Clone)]
pub(super) struct GatewayJob {
    pub(super) id: String,
    pub(super) name: JobName,
    description: Option<String>,
    pub(super) enabled: bool,
    created_at: DateTime<Utc>,
    /// `None` for a kind that friends have none of, such as one that runs a program.
    timing: Option<Timing>,
    target: String,
    session_key: Option<String>,
    /// Every agent that the job names, in lower case.
    agents: Vec<String>,
    payload: Payload,
    answers: bool,
    pub(super) declaration_key: Option<String>,
    /// Named by newer gateways, which refuse to change a job that has another one.
    pub(super) config_revision: Option<String>,
    /// Changes with the job's definition, on every gateway.
    pub(super) revision: u32,
    /// Whether everything that its owner decided is shown.
    pub(super) is_whole: bool,
    /// Begin of the run that is under way.
    pub(super) running_at: Option<DateTime<Utc>>,
    state: JobState,
}

#[derive(Debug, Clone)]
enum Payload {
    AgentTurn {
        message: String,
        thinking: Option<Thinking>,
        timeout_seconds: Option<u16>,
    },
    /// A line that is put before the next message of a conversation.
    SystemEvent {
        text: String,
    },
    /// Such as a program of the host.
    Other,
}

/// Everything that decides to whom a job belongs.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) owner: &'a FriendshipKey,
    pub(super) contacts: &'a [Contact],
    pub(super) keys: &'a SessionKeys,
    /// Beginning of the keys under which this portal declares the owner's jobs.
    pub(super) declared: &'a str,
}

impl GatewayJob {
    /// Reads a job; `None` for what has no id by which it could be named.
    pub(super) fn parse(value: &Value) -> Option<Self> {
        let id = text(value, "id").filter(|id| !id.is_empty() && id.len() <= ID_MAX && !id.contains(['/', '\\']))?;
        let (state, delivery) = (&value["state"], &value["delivery"]);
        let agents = ["agentId", "effectiveAgentId"].iter().filter_map(|member| text(value, member));
        let answers = delivery["mode"] == "announce";
        let mut job = Self {
            id: id.to_owned(),
            name: JobName::of_agent(text(value, "name").unwrap_or_default()),
            description: text(value, "description")
                .filter(|text| !text.is_empty())
                .map(|text| cut(text, DESCRIPTION_MAX)),
            enabled: value["enabled"] == true,
            created_at: time(&value["createdAtMs"]).unwrap_or_default(),
            timing: timing(&value["schedule"]),
            target: text(value, "sessionTarget").unwrap_or_default().to_owned(),
            session_key: text(value, "sessionKey").filter(|key| !key.is_empty()).map(str::to_owned),
            agents: agents.filter(|agent| !agent.is_empty()).map(str::to_lowercase).collect(),
            payload: Payload::parse(&value["payload"]),
            answers,
            declaration_key: text(value, "declarationKey").map(str::to_owned),
            config_revision: text(value, "configRevision").map(str::to_owned),
            revision: revision(value),
            is_whole: false,
            running_at: time(&state["runningAtMs"]),
            state: JobState::default(),
        };
        job.state = job.read_state(value);
        job.is_whole = job.shows_all_of(value);
        Some(job)
    }

    /// Returns the owner's own conversation in which the job runs; `None` for a job that is not theirs.
    ///
    /// The gateway checks no ownership, so every part of the job that names somebody has to name the owner.
    pub(super) fn own(&self, claim: &Claim<'_>) -> Option<SessionKey> {
        let Claim { owner, contacts, keys, declared } = *claim;
        if !self.names(&owner.agent) {
            return None;
        }
        if self.declaration_key.as_ref().is_some_and(|key| !key.starts_with(declared)) {
            return None;
        }
        let own = |key: &str| keys.own_in_gateway(owner, contacts, key);
        let named = self.session_key.as_deref().map(own);
        let target = self.target.to_ascii_lowercase();
        match (target.strip_prefix("session:"), &self.payload) {
            (_, Payload::Other) => None,
            // The key as it is stored: lower-casing is the comparison's affair.
            (Some(_), _) if named != Some(None) => own(self.target.get("session:".len()..)?),
            (None, Payload::AgentTurn { .. }) if matches!(target.as_str(), "isolated" | "current") => named.flatten(),
            (None, Payload::SystemEvent { .. }) if target == "main" => named.flatten(),
            _ => None,
        }
    }

    /// Returns whether the agent works on its message, and friends may change and run it. Of other kinds a run ends when
    /// the line stands in the conversation.
    pub(super) fn is_agent_turn(&self) -> bool {
        matches!(self.payload, Payload::AgentTurn { .. })
    }

    /// Returns whether it runs in exactly the conversation `key`.
    pub(super) fn is_in(&self, key: &SessionKey) -> bool {
        let target = self.target.get(.."session:".len()).zip(self.target.get("session:".len()..));
        target.is_some_and(|(prefix, rest)| prefix.eq_ignore_ascii_case("session:") && rest == key.as_str())
    }

    /// Returns the job as its owner sees it, in their conversation `key`; `None` for a timing that friends have none of.
    pub(super) fn to_job(&self, owner: &FriendshipKey, key: &SessionKey) -> Option<Job> {
        let (message, thinking, timeout_seconds) = match &self.payload {
            Payload::AgentTurn { message, thinking, timeout_seconds } => (message, *thinking, *timeout_seconds),
            Payload::SystemEvent { text } => (text, None, None),
            Payload::Other => return None,
        };
        let spec = JobSpec {
            name: self.name.clone(),
            description: self.description.clone(),
            message: message.clone(),
            timing: self.timing.clone()?,
            session: key.as_str().to_owned(),
            thinking,
            timeout_seconds,
            answer_to: if self.answers { AnswerTo::Chat } else { AnswerTo::Nowhere },
        };
        Some(Job {
            id: self.id.clone(),
            owner: owner.clone(),
            spec,
            enabled: self.enabled,
            read_only: !self.is_agent_turn(),
            created_at: self.created_at,
            revision: self.revision,
            state: self.state.clone(),
        })
    }

    /// Returns whether name, description, message and limits are shown as the gateway has them.
    fn shows_all_of(&self, value: &Value) -> bool {
        let payload = &value["payload"];
        let fits = |text: Option<&str>, most: usize| text.is_none_or(|text| text.len() <= most);
        let Payload::AgentTurn { thinking, timeout_seconds, .. } = &self.payload else { return false };
        text(value, "name") == Some(self.name.as_str())
            && fits(text(value, "description"), DESCRIPTION_MAX)
            && fits(text(payload, "message"), MESSAGE_MAX)
            && thinking.is_none() == payload["thinking"].is_null()
            && timeout_seconds.is_none() == payload["timeoutSeconds"].is_null()
    }

    /// Returns whether it is the agent's own by everything that it says about agents.
    pub(super) fn names(&self, agent: &AgentId) -> bool {
        self.agents.iter().all(|named| named == agent.as_str())
    }

    /// Returns what orders jobs of one name, the oldest first.
    pub(super) fn age(&self) -> (DateTime<Utc>, &str) {
        (self.created_at, &self.id)
    }

    /// Returns the longest time that its agent may work on one message, in seconds.
    pub(super) fn timeout_seconds(&self) -> Option<u16> {
        match self.payload {
            Payload::AgentTurn { timeout_seconds, .. } => timeout_seconds,
            Payload::SystemEvent { .. } | Payload::Other => None,
        }
    }

    /// Returns whether its answers go to a chat.
    pub(super) fn answers(&self) -> bool {
        self.answers
    }

    fn read_state(&self, value: &Value) -> JobState {
        let state = &value["state"];
        let status = text(state, "lastRunStatus").or_else(|| text(state, "lastStatus"));
        let last_status = status.map(outcome::status);
        let last_run = time(&state["lastRunAtMs"]);
        let sent = DeliveryStatus {
            asked: self.answers,
            status: text(state, "lastDeliveryStatus"),
            suppressed: state.get("deliverySuppressionReason").is_some_and(Value::is_string),
        };
        let last_error = outcome::error(status, text(state, "lastErrorReason"), text(state, "lastError"), &sent);
        let is_switched_off = !self.enabled && state["autoDisabled"].is_object();
        JobState {
            next_run: time(&value["nextRunAtMs"]).or_else(|| time(&state["nextRunAtMs"])).filter(|_| self.enabled),
            last_run,
            last_status,
            last_error: if is_switched_off { Some(outcome::SWITCHED_OFF.to_owned()) } else { last_error },
            consecutive_errors: count(&state["consecutiveErrors"]),
            recent: last_status
                .zip(last_run)
                .map(|(status, due_at)| RecentRun { status, due_at })
                .into_iter()
                .collect(),
        }
    }
}

impl Payload {
    fn parse(value: &Value) -> Self {
        match text(value, "kind") {
            Some("agentTurn") => Self::AgentTurn {
                message: cut(text(value, "message").unwrap_or_default(), MESSAGE_MAX),
                thinking: text(value, "thinking").and_then(|word| Thinking::parse(word).ok()),
                timeout_seconds: value["timeoutSeconds"].as_u64().and_then(|seconds| seconds.try_into().ok()),
            },
            Some("systemEvent") => {
                Self::SystemEvent { text: cut(text(value, "text").unwrap_or_default(), MESSAGE_MAX) }
            }
            _ => Self::Other,
        }
    }
}

fn timing(schedule: &Value) -> Option<Timing> {
    let utc = |kind| Timing { kind, tz: "UTC".to_owned() };
    match text(schedule, "kind")? {
        "cron" => {
            // Without a zone the gateway takes its host's, which it does not tell.
            let tz = text(schedule, "tz").unwrap_or_default().trim();
            let expression = cut(text(schedule, "expr")?.trim(), EXPRESSION_MAX);
            Some(Timing { kind: TimingKind::Cron(expression), tz: cut(tz, EXPRESSION_MAX) })
        }
        "at" => {
            let at = text(schedule, "at").and_then(|at| DateTime::parse_from_rfc3339(at).ok()).map(|at| at.to_utc());
            Some(utc(TimingKind::At(at.or_else(|| time(&schedule["atMs"]))?.into())))
        }
        "every" => Some(utc(TimingKind::Every(Interval::of_agent(schedule["everyMs"].as_i64()?)?))),
        _ => None,
    }
}

/// Returns a timing as gateways tell it: only an expression has a time zone there.
pub(super) fn as_told(timing: &Timing) -> Timing {
    let kind = match &timing.kind {
        TimingKind::Cron(_) => return timing.clone(),
        TimingKind::At(moment) => TimingKind::At(moment.at.into()),
        TimingKind::Every(interval) => TimingKind::Every(*interval),
    };
    Timing { kind, tz: "UTC".to_owned() }
}

/// Returns a number that changes with the job's definition and not with its runs.
fn revision(value: &Value) -> u32 {
    let members = [
        "name",
        "description",
        "enabled",
        "schedule",
        "sessionTarget",
        "sessionKey",
        "agentId",
        "payload",
        "delivery",
        "wakeMode",
        "trigger",
        "pacing",
        "deleteAfterRun",
        "declarationKey",
    ];
    let definition: Vec<&Value> = members.iter().map(|member| &value[*member]).collect();
    let digest: [u8; 32] = Sha256::digest(json!(definition).to_string()).into();
    let [first, second, third, fourth, ..] = digest;
    u32::from_be_bytes([first, second, third, fourth])
}

/// Returns as much of a text as is shown.
pub(super) fn cut(text: &str, most_bytes: usize) -> String {
    if text.len() <= most_bytes {
        return text.to_owned();
    }
    let end = (0..=most_bytes.saturating_sub(CUT.len())).rev().find(|end| text.is_char_boundary(*end));
    format!("{}{CUT}", text.get(..end.unwrap_or_default()).unwrap_or_default())
}

pub(super) fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

/// Reads a moment, in milliseconds since 1970.
pub(super) fn time(value: &Value) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(value.as_i64()?)
}

fn count(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap_or_default()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
