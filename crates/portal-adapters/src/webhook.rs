//! Deliveries to a webhook: signed, and safe to be sent twice. `docs/webhooks.md` is the receiver's side.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use portal_core::{Backend, BackendError, Clock, Invalid};
use portal_cron::{Delivery, Receipt, ScheduledMessage};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use url::Url;

use crate::message::to_line;

/// The fewest bytes of a secret: a shorter one could be guessed from one signature.
pub const SECRET_MIN: usize = 32;
/// Header with the moment of signing, in seconds since 1970.
const TIMESTAMP: &str = "X-Portal-Timestamp";
/// Header with the signature, `v1=` and 64 hexadecimal digits.
const SIGNATURE: &str = "X-Portal-Signature";
/// Header with the run's id, the same whenever the message is sent again.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Where a webhook is and how it knows us.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Its address, `http` or `https`.
    pub url: Url,
    /// The key with which deliveries are signed, shared with the receiver; at least 32 bytes.
    pub secret: SecretString,
    /// How long it may take to answer.
    pub timeout: Duration,
}

/// A receiver behind a webhook.
///
/// 2xx means that it has the message. 408, 425, 429 and 5xx mean that it may want it later, after `Retry-After` if it
/// says so. Everything else means that it does not want it, redirects included: a message is signed for one receiver.
pub struct WebhookDelivery {
    client: Client,
    settings: WebhookSettings,
    clock: Arc<dyn Clock>,
}

impl WebhookDelivery {
    /// The way to this webhook.
    ///
    /// # Errors
    /// Refuses a secret of less than 32 bytes, and a machine on which no client can be made.
    pub fn new(settings: WebhookSettings, clock: Arc<dyn Clock>) -> Result<Self, Invalid> {
        if settings.secret.expose_secret().len() < SECRET_MIN {
            let rule = format!("webhook_secret must have at least {SECRET_MIN} bytes, from a source of randomness");
            return Err(Invalid::new("webhook_secret", rule));
        }
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(settings.timeout)
            .no_proxy()
            .user_agent("friend-portal")
            .build()
            .map_err(|error| Invalid::new("webhook_url", format!("no client for webhook_url: {error}")))?;
        Ok(Self { client, settings, clock })
    }

    /// `v1=` and the HMAC-SHA256 of the timestamp, a dot and the body, in hexadecimal digits.
    fn signature(&self, timestamp: i64, body: &[u8]) -> Result<String, BackendError> {
        let key = self.settings.secret.expose_secret().as_bytes();
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key).map_err(|error| BackendError::failed(Backend::Delivery, error))?;
        mac.update(format!("{timestamp}.").as_bytes());
        mac.update(body);
        Ok(format!("v1={}", hex::encode(mac.finalize().into_bytes())))
    }
}

#[async_trait]
impl Delivery for WebhookDelivery {
    async fn deliver(&self, message: &ScheduledMessage) -> Result<Receipt, BackendError> {
        let now = self.clock.now();
        let body = to_line(message)?.into_bytes();
        let signature = self.signature(now.timestamp(), &body)?;
        let request = self
            .client
            .post(self.settings.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, &message.run)
            .header(TIMESTAMP, now.timestamp())
            .header(SIGNATURE, signature)
            .body(body);
        // The address may hold a key of its own.
        let answer =
            request.send().await.map_err(|error| BackendError::unavailable(Backend::Delivery, error.without_url()))?;
        receipt(&answer, now)
    }
}

fn receipt(answer: &Response, now: DateTime<Utc>) -> Result<Receipt, BackendError> {
    let status = answer.status();
    let later = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    if status.is_success() {
        Ok(Receipt::Accepted)
    } else if later || status.is_server_error() {
        let source = format!("the webhook answered {status}");
        Err(BackendError::unavailable(Backend::Delivery, source).with_retry_after(retry_after(answer, now)))
    } else {
        Ok(Receipt::Refused(format!("the receiver refused the message with status {}", status.as_u16())))
    }
}

/// `Retry-After` in either of its forms, seconds or a date.
fn retry_after(answer: &Response, now: DateTime<Utc>) -> Option<Duration> {
    let text = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    DateTime::parse_from_rfc2822(text).ok().and_then(|at| (at.to_utc() - now).to_std().ok())
}

#[cfg(test)]
mod tests;
