//! The newest use of a gateway's conversations.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::client::{CallError, CallKind, GatewayClient};

/// Method by which a gateway lists its conversations.
const METHOD: &str = "sessions.list";
/// Most conversations of one list: a search finds the one and those whose keys begin with its key.
const LIMIT: usize = 50;

/// Returns when the conversation `key` was last used, by people where the gateway tells that apart from scheduled messages;
/// `None` for a conversation that the gateway does not have.
///
/// # Errors
/// [`CallError`].
pub async fn last_use(client: &GatewayClient, key: &str) -> Result<Option<DateTime<Utc>>, CallError> {
    let answer = client.call(CallKind::Read, METHOD, json!({"search": key, "limit": LIMIT})).await?;
    Ok(find(&answer, key))
}

fn find(answer: &Value, key: &str) -> Option<DateTime<Utc>> {
    let sessions = answer.get("sessions").and_then(Value::as_array)?;
    let found = sessions.iter().find(|session| {
        session.get("key").and_then(Value::as_str).is_some_and(|listed| listed.eq_ignore_ascii_case(key))
    })?;
    // `updatedAt` moves with scheduled messages too, and is all that older gateways have.
    let time = |member| found.get(member).and_then(Value::as_i64).and_then(DateTime::from_timestamp_millis);
    time("lastInteractionAt").or_else(|| time("updatedAt"))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::find;

    #[test]
    fn the_use_by_people_comes_before_any_other() {
        let answer = json!({"sessions": [
            {"key": "agent:main:direct:alice2", "updatedAt": 9_000},
            {"key": "agent:main:direct:alice", "updatedAt": 5_000, "lastInteractionAt": 2_000},
            {"key": "agent:main:direct:Bob", "updatedAt": 3_000},
            {"key": "agent:main:direct:carol"}, {"updatedAt": 1},
        ]});
        for (friend, seconds) in [("alice", Some(2)), ("bob", Some(3)), ("carol", None), ("dave", None)] {
            let expected = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
            assert_eq!(find(&answer, &format!("agent:main:direct:{friend}")), expected, "{friend}");
        }
        assert_eq!(find(&json!({}), "agent:main:direct:alice"), None);
    }
}
