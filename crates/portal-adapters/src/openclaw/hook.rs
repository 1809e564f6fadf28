//! Messages to an agent by its gateway's `POST <hooks>/agent`.
//!
//! 1. *ability*: a gateway that does not know `sessionMode` starts the friend's conversation anew for each message. It is
//!    asked for that with a request that no gateway runs: an impossible `sessionMode` and an impossible channel, of which
//!    it names the one that it checks first. The answer is remembered for ten minutes.
//! 2. *message*: sent into the friend's own conversation under the run's id, by which the gateway leaves out what it has.
//! 3. *outcome*: 200 and 202 with `ok` mean that the gateway has the message. Whatever may pass is tried again; what the
//!    operator has to correct ends the run with a sentence, and the log says which key of the gateway decides it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use portal_core::{Backend, BackendError, Clock, Contact, Invalid};
use portal_cron::{Delivery, LeasedRun, Receipt, SessionKey, Thinking};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

use crate::http_retry::retry_after;

mod outcome;

pub use outcome::HookFinding;
use outcome::Outcome;

/// Longest time for an answer: a gateway admits a message within 15 s or says 503.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Time for which a gateway is known to have what it was asked for.
const ABILITY_LIFETIME: Duration = Duration::from_mins(10);
/// Pause after a refused token: a gateway locks everybody out after 20 wrong ones within a minute.
const TOKEN_PAUSE: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read.
const ANSWER_MAX: usize = 16 * 1024;
/// Value that is neither a mode of a session nor a channel in any gateway.
const IMPOSSIBLE: &str = "friend-portal-probe";

/// A gateway's hooks and the portal's token there.
#[derive(Debug, Clone)]
pub struct HookSettings {
    /// Address of the hooks, such as `http://127.0.0.1:18789/hooks`; `/agent` is added.
    pub url: Url,
    /// The token of the gateway's `hooks.token`.
    pub token: SecretString,
    /// Accepts that an older gateway starts the conversation anew for each message.
    pub fresh_session: bool,
}

/// An agent behind its gateway's hooks.
pub struct HookDelivery {
    client: Client,
    settings: HookSettings,
    clock: Arc<dyn Clock>,
    /// The moment until which the gateway is known to keep conversations. Held while it is asked, so that many messages
    /// that are due at once ask once.
    keeps_until: tokio::sync::Mutex<Option<Instant>>,
    /// The moment until which the token is not shown again.
    paused_until: Mutex<Option<Instant>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(rename = "message")]
    text: &'a str,
    name: &'a str,
    agent_id: &'a str,
    session_key: &'a str,
    session_mode: &'static str,
    deliver: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u16>,
}

impl<'a> Message<'a> {
    fn new(run: &'a LeasedRun, session: &'a SessionKey, answer: Option<&'a Contact>) -> Self {
        let spec = &run.job.spec;
        Self {
            text: &spec.message,
            name: spec.name.as_str(),
            agent_id: run.job.owner.agent.as_str(),
            session_key: session.as_str(),
            session_mode: "persistent",
            // Unset, the answer would be announced in the agent's main conversation.
            deliver: answer.is_some(),
            // The gateway takes both or neither.
            channel: answer.map(|contact| contact.channel.as_str()),
            to: answer.map(|contact| contact.typed.as_str()),
            thinking: spec.thinking.map(Thinking::as_str),
            timeout_seconds: spec.timeout_seconds,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AbilityProbe {
    message: &'static str,
    session_mode: &'static str,
    channel: &'static str,
}

/// An answer of the hooks.
#[derive(Deserialize, Default)]
struct ResponseBody {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    error: String,
}

impl HookDelivery {
    /// The way to an agent behind these hooks.
    ///
    /// # Errors
    /// Refuses an address that cannot have paths, and a machine on which no client can be made.
    pub fn new(mut settings: HookSettings, clock: Arc<dyn Clock>) -> Result<Self, Invalid> {
        let refused = || Invalid::new("url", "must be an address such as http://127.0.0.1:18789/hooks");
        settings.url.path_segments_mut().map_err(|()| refused())?.pop_if_empty().push("agent");
        let client = Client::builder()
            // The token is for this gateway, and no other address may read it.
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            // A proxy of the environment is for the machine's users, and would read the messages.
            .no_proxy()
            .user_agent("friend-portal")
            .build()
            .map_err(|error| Invalid::new("url", format!("no client for the hooks: {error}")))?;
        Ok(Self { client, settings, clock, keeps_until: tokio::sync::Mutex::default(), paused_until: Mutex::default() })
    }

    /// Asks what the gateway would do with a message, without sending one.
    ///
    /// # Errors
    /// The gateway cannot be reached, or asks to be left alone for a while.
    pub async fn check(&self) -> Result<HookFinding, BackendError> {
        // The token first: only whoever knows it is told that a message is missing.
        let (status, answer) = self.ask(self.request(&serde_json::json!({"message": ""}))).await?;
        if status != StatusCode::BAD_REQUEST {
            return Ok(outcome::of(status, &answer).finding());
        }
        let keeps = self.asks_ability().await?;
        Ok(match keeps {
            Ok(()) => HookFinding::Ready,
            Err(Outcome::FreshSession) if self.settings.fresh_session => HookFinding::FreshSession,
            Err(outcome) => outcome.finding(),
        })
    }

    /// Returns the way in which the gateway fails to keep conversations, if it does.
    async fn keeps_conversations(&self) -> Result<Result<(), Outcome>, BackendError> {
        let mut keeps_until = self.keeps_until.lock().await;
        if self.settings.fresh_session || keeps_until.is_some_and(|until| Instant::now() < until) {
            return Ok(Ok(()));
        }
        let keeps = self.asks_ability().await?;
        // Only good news is remembered: an operator who updates the gateway needs not wait.
        *keeps_until = keeps.is_ok().then(|| Instant::now() + ABILITY_LIFETIME);
        Ok(keeps)
    }

    async fn asks_ability(&self) -> Result<Result<(), Outcome>, BackendError> {
        let probe = AbilityProbe { message: "probe", session_mode: IMPOSSIBLE, channel: IMPOSSIBLE };
        let (status, answer) = self.ask(self.request(&probe)).await?;
        if status != StatusCode::BAD_REQUEST {
            return Ok(Err(outcome::of(status, &answer).unless_accepted()));
        }
        Ok(match serde_json::from_slice::<ResponseBody>(&answer) {
            Ok(body) if body.error.contains("sessionMode") => Ok(()),
            Ok(_) => Err(Outcome::FreshSession),
            Err(_) => Err(Outcome::NoGateway(status.as_u16())),
        })
    }

    fn request(&self, body: &impl Serialize) -> RequestBuilder {
        self.client.post(self.settings.url.clone()).bearer_auth(self.settings.token.expose_secret()).json(body)
    }

    /// Returns the answer's status and the begin of its body.
    async fn ask(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), BackendError> {
        if let Some(until) = *self.paused_until.lock()
            && let Some(left) = until.checked_duration_since(Instant::now())
        {
            let source = "the gateway refused the portal's token a moment ago";
            return Err(BackendError::unavailable(Backend::Delivery, source).with_retry_after(Some(left)));
        }
        let answer = request.send().await.map_err(unavailable)?;
        let status = answer.status();
        if status == StatusCode::UNAUTHORIZED {
            *self.paused_until.lock() = Some(Instant::now() + TOKEN_PAUSE);
        }
        if outcome::passes(status) {
            return Err(later(&answer, self.clock.now()));
        }
        Ok((status, beginning(answer).await?))
    }
}

#[async_trait]
impl Delivery for HookDelivery {
    async fn deliver(
        &self,
        run: &LeasedRun,
        session: &SessionKey,
        answer: Option<&Contact>,
    ) -> Result<Receipt, BackendError> {
        let outcome = if let Err(outcome) = self.keeps_conversations().await? {
            outcome
        } else {
            let request = self.request(&Message::new(run, session, answer)).header("Idempotency-Key", &run.id);
            let (status, answer) = self.ask(request).await?;
            outcome::of(status, &answer)
        };
        let Some(sentence) = outcome.sentence() else { return Ok(Receipt::Accepted) };
        tracing::error!(
            run.id = %run.id, agent.id = %run.job.owner.agent,
            "the agent's gateway did not take a message: {}", outcome.advice()
        );
        Ok(Receipt::Refused(sentence.to_owned()))
    }
}

fn unavailable(error: reqwest::Error) -> BackendError {
    // The address is the operator's, and may hold more than a friend's log reader should see.
    BackendError::unavailable(Backend::Delivery, error.without_url())
}

fn later(answer: &Response, now: DateTime<Utc>) -> BackendError {
    let source = format!("the gateway answered {}", answer.status());
    BackendError::unavailable(Backend::Delivery, source).with_retry_after(retry_after(answer.headers(), now))
}

async fn beginning(mut answer: Response) -> Result<Vec<u8>, BackendError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unavailable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= ANSWER_MAX {
            // Not a gateway's: its answers are some hundred bytes.
            break;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
