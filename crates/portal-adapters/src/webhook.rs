//! Deliveries to a webhook: signed, and safe to be sent twice. `docs/webhooks.md` is the receiver's side.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use portal_core::{Backend, BackendError, Clock, Contact, Invalid};
use portal_cron::{Delivery, LeasedRun, Receipt, SessionKey};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;
use url::Url;

use crate::http_retry::retry_after;
use crate::message::to_line;

/// Fewest bytes of a legacy secret: a shorter one could be guessed from one signature.
const LEGACY_SECRET_MIN: usize = 32;
/// Beginning of a Standard Webhooks secret.
const STANDARD_PREFIX: &str = "whsec_";
/// Fewest and most bytes of a Standard Webhooks key.
const STANDARD_KEY: std::ops::RangeInclusive<usize> = 24..=64;
/// Header with the run's id, the same whenever the message is sent again.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Way in which deliveries are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signature {
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature` over id, timestamp and body.
    #[default]
    Standard,
    /// `X-Portal-Timestamp` and `X-Portal-Signature` over timestamp and body; the run's id is not covered.
    Legacy,
}

impl Signature {
    /// Reads a way.
    ///
    /// # Errors
    /// Refuses all but `standard` and `legacy`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "standard" => Ok(Self::Standard),
            "legacy" => Ok(Self::Legacy),
            _ => Err(Invalid::new("signature", "must be standard or legacy")),
        }
    }
}

/// The key that signs deliveries, shared with the receiver.
#[derive(Debug, Clone)]
pub struct SigningKey {
    signature: Signature,
    key: SecretSlice<u8>,
}

impl SigningKey {
    /// Reads the key of `secret`.
    ///
    /// # Errors
    /// Refuses a secret that is not `whsec_` and the base 64 of 24 to 64 bytes (standard), or that has less than 32
    /// bytes (legacy).
    pub fn parse(signature: Signature, secret: &SecretString) -> Result<Self, Invalid> {
        let text = secret.expose_secret();
        let key = match signature {
            Signature::Standard => {
                let encoded = text.strip_prefix(STANDARD_PREFIX);
                encoded.and_then(|text| STANDARD.decode(text).ok()).filter(|key| STANDARD_KEY.contains(&key.len()))
            }
            Signature::Legacy => Some(text.as_bytes().to_vec()).filter(|key| key.len() >= LEGACY_SECRET_MIN),
        };
        let rule = match signature {
            Signature::Standard => {
                "must be whsec_ and the base 64 of 24 to 64 random bytes, such as `echo whsec_$(openssl rand -base64 32)` \
                 prints; a receiver that checks X-Portal-Signature needs delivery.signature = \"legacy\""
            }
            Signature::Legacy => "must have at least 32 bytes, from a source of randomness",
        };
        let key = key.ok_or_else(|| Invalid::new("webhook_secret", rule))?;
        Ok(Self { signature, key: key.into() })
    }

    /// Adds the signature of `body`, as it is sent at `timestamp` for the run `id`.
    fn sign(
        &self,
        request: RequestBuilder,
        id: &str,
        timestamp: i64,
        body: &[u8],
    ) -> Result<RequestBuilder, BackendError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret())
            .map_err(|error| BackendError::failed(Backend::Delivery, error))?;
        // The older way leaves the id out, so only the id in the body is proven.
        if self.signature == Signature::Standard {
            mac.update(format!("{id}.").as_bytes());
        }
        mac.update(format!("{timestamp}.").as_bytes());
        mac.update(body);
        let digest = mac.finalize().into_bytes();
        Ok(match self.signature {
            Signature::Standard => request
                .header("webhook-id", id)
                .header("webhook-timestamp", timestamp)
                .header("webhook-signature", format!("v1,{}", STANDARD.encode(digest))),
            Signature::Legacy => request
                .header("X-Portal-Timestamp", timestamp)
                .header("X-Portal-Signature", format!("v1={}", hex::encode(digest))),
        })
    }
}

/// A webhook and the portal's credentials there.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// `http` or `https`.
    pub url: Url,
    /// Signs deliveries.
    pub key: SigningKey,
    /// Sent as `Authorization: Bearer`, for a receiver or a proxy that asks for it.
    pub bearer_token: Option<SecretString>,
    /// Longest time for an answer.
    pub timeout: Duration,
}

/// A receiver behind a webhook.
///
/// 2xx means that it has the message. 408, 425, 429 and 5xx mean that it may want it later, after `Retry-After` if it
/// sends one. Everything else means that it does not want it, redirects included: a message is signed for one receiver.
pub struct WebhookDelivery {
    client: Client,
    settings: WebhookSettings,
    clock: Arc<dyn Clock>,
}

impl WebhookDelivery {
    /// The way to this webhook.
    ///
    /// # Errors
    /// Refuses a machine on which no client can be made.
    pub fn new(settings: WebhookSettings, clock: Arc<dyn Clock>) -> Result<Self, Invalid> {
        let client = Client::builder()
            // A message is signed for one receiver.
            .redirect(Policy::none())
            .timeout(settings.timeout)
            // A proxy of the environment is for the machine's users, and would read the messages.
            .no_proxy()
            .user_agent("friend-portal")
            .build()
            .map_err(|error| Invalid::new("webhook_url", format!("no client for webhook_url: {error}")))?;
        Ok(Self { client, settings, clock })
    }
}

#[async_trait]
impl Delivery for WebhookDelivery {
    async fn deliver(
        &self,
        run: &LeasedRun,
        session: &SessionKey,
        // A receiver of its own decides what becomes of the agent's answer.
        _answer: Option<&Contact>,
    ) -> Result<Receipt, BackendError> {
        let now = self.clock.now();
        let body = to_line(run, session)?.into_bytes();
        let request = self
            .client
            .post(self.settings.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, &run.id);
        let request = match &self.settings.bearer_token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        let request = self.settings.key.sign(request, &run.id, now.timestamp(), &body)?.body(body);
        // The address may hold a key of its own, so it stays out of the error.
        let answer =
            request.send().await.map_err(|error| BackendError::unavailable(Backend::Delivery, error.without_url()))?;
        receipt(&answer, now)
    }
}

fn receipt(answer: &Response, now: DateTime<Utc>) -> Result<Receipt, BackendError> {
    let status = answer.status();
    // Too early, too many, too slow: the receiver may want the message another time.
    let later = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    if status.is_success() {
        Ok(Receipt::Accepted)
    } else if later || status.is_server_error() {
        let source = format!("the webhook answered {status}");
        Err(BackendError::unavailable(Backend::Delivery, source).with_retry_after(retry_after(answer.headers(), now)))
    } else {
        Ok(Receipt::Refused(format!("the receiver refused the message with status {}", status.as_u16())))
    }
}

#[cfg(test)]
mod tests;
