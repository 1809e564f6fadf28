//! Answers of a gateway's hooks, for the friend, the log and the operator.

use reqwest::StatusCode;

use super::ResponseBody;

/// Longest text of a gateway in the log, in characters.
const TEXT_MAX: usize = 300;

/// An answer that will not change by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The gateway has the message.
    Accepted,
    /// It does not know the token.
    Token,
    /// It has no such path, or takes nothing there.
    Off(u16),
    /// Its configuration refuses the message, for the reason that it gives.
    Refused(String),
    /// The message is larger than it takes.
    TooLarge,
    /// It would start the conversation anew.
    FreshSession,
    /// Something else than a gateway answered, with this status.
    NoGateway(u16),
}

/// Result of asking a gateway's hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookFinding {
    /// It takes messages into the friends' conversations.
    Ready,
    /// It takes messages and starts the conversation anew for each, as `fresh_session` allows.
    FreshSession,
    /// It takes none: why, and what to change.
    Refused(String),
}

/// Returns whether the gateway may want the message another time.
pub(super) fn passes(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            // The session is just being renewed.
            | StatusCode::CONFLICT
            | StatusCode::TOO_EARLY
            | StatusCode::TOO_MANY_REQUESTS
    ) || status.is_server_error()
}

/// Reads an answer that does not pass.
pub(super) fn of(status: StatusCode, body: &[u8]) -> Outcome {
    let answer = serde_json::from_slice::<ResponseBody>(body);
    match (status, answer) {
        (StatusCode::OK | StatusCode::ACCEPTED, Ok(ResponseBody { ok: true, .. })) => Outcome::Accepted,
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Outcome::Token,
        (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) => Outcome::Off(status.as_u16()),
        (StatusCode::PAYLOAD_TOO_LARGE, _) => Outcome::TooLarge,
        (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, Ok(answer)) => {
            Outcome::Refused(answer.error.chars().filter(|letter| !letter.is_control()).take(TEXT_MAX).collect())
        }
        // A page of a proxy, a redirect, a success without the gateway's words: nobody has said that the agent has it.
        (status, _) => Outcome::NoGateway(status.as_u16()),
    }
}

impl Outcome {
    /// Returns the reason for the friend; `None` if the message was accepted. It holds nothing that the gateway said.
    pub(super) fn sentence(&self) -> Option<&'static str> {
        Some(match self {
            Self::Accepted => return None,
            Self::Token => "the agent's gateway does not accept the portal's token; the operator has to correct it",
            Self::Off(_) => "the agent's gateway takes no messages; the operator has to enable them",
            Self::Refused(text) if is_about_channel(text) => {
                "the agent's gateway cannot send answers to your channel; choose answer_to nowhere, or ask the operator"
            }
            Self::Refused(_) => {
                "the agent's gateway refused the message; the operator has to correct its configuration"
            }
            Self::TooLarge => "the message is too large for the agent's gateway",
            Self::FreshSession => {
                "the agent's gateway is too old to put a message into the conversation; the operator has to update it"
            }
            Self::NoGateway(_) => "the address of the agent's gateway leads elsewhere; the operator has to correct it",
        })
    }

    /// Returns what the operator is to change, for the log and for `check`.
    pub(super) fn advice(&self) -> String {
        match self {
            Self::Accepted => "nothing".to_owned(),
            Self::Token => "it refused the token (401); agents.hook.token_file must hold the text of the gateway's \
                            hooks.token, which is another one than gateway.auth.token"
                .to_owned(),
            Self::Off(status) => format!(
                "it has no hooks at this address ({status}); set hooks.enabled = true and hooks.token in openclaw.json, \
                 and end agents.hook.url in hooks.path, by default /hooks"
            ),
            Self::Refused(text) => format!("{} in openclaw.json refuses it: {text}", deciding_key(text)),
            Self::TooLarge => "the message is larger than a body may be (413)".to_owned(),
            Self::FreshSession => "it does not know sessionMode (OpenClaw before 2026.9), so each message would start \
                                   the friend's conversation anew; update it, or accept that by agents.hook.fresh_session \
                                   = true"
                .to_owned(),
            Self::NoGateway(status) => format!(
                "what answered ({status}) is no OpenClaw gateway; agents.hook.url must name its hooks without a redirect"
            ),
        }
    }

    /// An impossible message that was accepted was not read by a gateway.
    pub(super) fn unless_accepted(self) -> Self {
        if self == Self::Accepted { Self::NoGateway(StatusCode::OK.as_u16()) } else { self }
    }

    pub(super) fn finding(&self) -> HookFinding {
        // An empty message that is accepted was not read by a gateway either.
        HookFinding::Refused(self.clone().unless_accepted().advice())
    }
}

fn is_about_channel(text: &str) -> bool {
    text.starts_with("channel ")
}

/// Returns the key of the gateway's configuration that decides about a refusal. The texts are the gateway's, so that an
/// unknown one only makes the hint less exact.
fn deciding_key(text: &str) -> &'static str {
    if text.contains("allowRequestSessionKey") || text.contains("sessionKey is disabled") {
        "hooks.allowRequestSessionKey"
    } else if text.contains("allowedSessionKeyPrefixes") || text.contains("sessionKey must start") {
        "hooks.allowedSessionKeyPrefixes"
    } else if text.contains("agentId") {
        "agents or hooks.allowedAgentIds"
    } else if is_about_channel(text) {
        "channels"
    } else {
        "a key"
    }
}
