//! Blocks of a stream, as the HTML standard has them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use portal_core::{AgentId, LoggedChange, Topic};
use serde_json::json;

/// The namespace, or whether it can be shown, changed.
pub(super) const NAMESPACE: &str = "event: namespace\ndata: {}\n\n";
/// Anything may have changed.
pub(super) const RESET: &str = "event: reset\ndata: {}\n\n";
/// Shortest pause of a client whose stream ended.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest addition to it, chosen by chance.
const RETRY_SPREAD: Duration = Duration::from_secs(4);

/// Returns the block of a change.
pub(super) fn event(change: &LoggedChange) -> String {
    let agent = change.agent.as_ref().map(AgentId::as_str);
    match change.topic {
        Topic::Exposure => exposure(&change.subject),
        Topic::Document => document(agent, &change.subject),
        Topic::Job | Topic::Run => of_topic(change.topic, &json!({"agent_id": agent, "id": change.subject})),
        Topic::SessionEnded => of_topic(change.topic, &json!({"id": change.subject})),
    }
}

/// Returns the block of an exposure that changed.
pub(super) fn exposure(name: &str) -> String {
    of_topic(Topic::Exposure, &json!({"name": name}))
}

/// Returns the block of a document that changed.
pub(super) fn document(agent: Option<&str>, name: &str) -> String {
    of_topic(Topic::Document, &json!({"agent_id": agent, "name": name}))
}

fn of_topic(topic: Topic, data: &serde_json::Value) -> String {
    format!("event: {}\ndata: {data}\n\n", topic.as_str())
}

/// Returns `block` with the id under which a client resumes after it. An empty block is no event: the client only notes
/// how far it has heard.
pub(super) fn with_id(read_at: DateTime<Utc>, block: &str) -> String {
    let end = if block.is_empty() { "\n" } else { block };
    format!("id: {}\n{end}", read_at.timestamp_millis())
}

/// Returns the block that tells a client its pause before it comes back.
pub(super) fn retry() -> String {
    let pause = RETRY_MIN + RETRY_SPREAD.mul_f64(rand::random());
    format!("retry: {}\n\n", pause.as_millis())
}
