//! Frames between the portal and a gateway: JSON text, protocols 3 and 4.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

/// A gateway's refusal of a call. Decide by its codes; its text is for the log, and never for a friend.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Refusal {
    /// Such as `INVALID_REQUEST` or `UNAVAILABLE`.
    pub code: String,
    /// The gateway's words.
    pub message: String,
    /// Members that depend on the code.
    pub details: Value,
    /// True if the same call may succeed later.
    pub retryable: bool,
    retry_after_ms: Option<u64>,
}

impl Refusal {
    /// Returns the more exact code, such as `CRON_JOB_NOT_FOUND`; empty without one.
    #[must_use]
    pub fn detail_code(&self) -> &str {
        self.detail("code")
    }

    pub(super) fn detail(&self, member: &str) -> &str {
        self.details.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the time until another attempt, if the gateway named one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }
}

/// A frame from a gateway.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Something happened.
    Event { name: String, payload: Value },
    /// The answer to the call of this id.
    Response { id: String, result: Result<Value, Refusal> },
    /// A frame of a kind that this portal does not know.
    Unknown,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    event: String,
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    error: Option<Refusal>,
}

impl Frame {
    /// Reads a frame; `None` for what is no JSON object with members of their types.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // An array would be read as the members in their order.
        let raw: Raw = serde_json::from_str(text).ok().filter(|_| text.trim_start().starts_with('{'))?;
        Some(match raw.kind.as_str() {
            "event" => Self::Event { name: raw.event, payload: raw.payload },
            "res" => {
                let result = if raw.ok { Ok(raw.payload) } else { Err(raw.error.unwrap_or_default()) };
                Self::Response { id: raw.id, result }
            }
            _ => Self::Unknown,
        })
    }
}

/// Returns the frame of a call.
pub(super) fn request(id: &str, method: &str, params: &Value) -> String {
    json!({"type": "req", "id": id, "method": method, "params": params}).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::Frame;

    #[test]
    fn a_refusal_is_read_by_its_codes() {
        let text = r#"{"type":"res","id":"r41","ok":false,"error":{"code":"UNAVAILABLE","message":"rate limit exceeded",
            "retryable":true,"retryAfterMs":52280,"details":{"method":"cron.add","limit":"30 per 60s"}}}"#;
        let Some(Frame::Response { id, result: Err(refusal) }) = Frame::parse(text) else { panic!("no refusal") };
        assert_eq!((id.as_str(), refusal.code.as_str(), refusal.retryable), ("r41", "UNAVAILABLE", true));
        assert_eq!(refusal.retry_after(), Some(Duration::from_millis(52_280)));
        assert_eq!((refusal.detail_code(), refusal.detail("limit")), ("", "30 per 60s"));
    }

    #[test]
    fn frames_with_missing_parts_are_read_and_what_is_no_frame_is_not() {
        let answered = |result| Some(Frame::Response { id: "1".to_owned(), result });
        assert_eq!(Frame::parse(r#"{"type":"res","id":"1","ok":true}"#), answered(Ok(Value::Null)));
        assert_eq!(Frame::parse(r#"{"type":"res","id":"1","ok":false}"#), answered(Err(super::Refusal::default())));
        assert_eq!(Frame::parse(r#"{"type":"hello"}"#), Some(Frame::Unknown));
        assert_eq!(Frame::parse("{}"), Some(Frame::Unknown));
        let tick = Frame::Event { name: "tick".to_owned(), payload: json!({"ts": 1}) };
        assert_eq!(Frame::parse(r#"{"type":"event","event":"tick","payload":{"ts":1},"seq":3}"#), Some(tick));
        for text in ["", "{", "[]", "1", "{\"type\":\"res\"}{}", "{\"type\":1}", "{\"type\":\"res\",\"ok\":\"yes\"}"] {
            assert_eq!(Frame::parse(text), None, "{text}");
        }
    }
}
