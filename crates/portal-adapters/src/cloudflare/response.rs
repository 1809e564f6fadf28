//! Responses of Cloudflare: the envelope around every result, and the meaning of its error codes.

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use portal_core::{Backend, BackendError};
use serde::Deserialize;
use serde_json::Value;

/// Pause of all calls after a 429 without `Retry-After`: Cloudflare blocks for at most five minutes.
const DEFAULT_PAUSE: Duration = Duration::from_mins(5);
/// Limit of every pause, whatever a response asks for.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Envelope around every result.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Envelope {
    #[serde(default)]
    success: Option<bool>,
    #[serde(default)]
    pub(super) result: Value,
    #[serde(default)]
    pub(super) result_info: Value,
    #[serde(default)]
    errors: Value,
}

impl Envelope {
    /// True unless Cloudflare said that the call failed.
    pub(super) fn is_success(&self) -> bool {
        self.success != Some(false)
    }

    /// Returns the number of items on all pages, where the response says so.
    pub(super) fn total_count(&self) -> Option<u64> {
        self.result_info.get("total_count").and_then(Value::as_u64)
    }
}

/// Cloudflare understood a call and refused it.
#[derive(Debug, thiserror::Error)]
#[error("cloudflare answered with status {status}{errors}")]
pub(super) struct Refusal {
    status: u16,
    errors: ApiErrors,
}

#[derive(Debug)]
struct ApiErrors(Vec<ApiError>);

#[derive(Debug)]
struct ApiError {
    code: u64,
    message: String,
}

/// Meaning of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The token is unknown, or may not do this.
    Denied,
    /// Too many calls were made.
    TooMany,
    /// Something that rules the record out stands at the name.
    Occupied,
    /// The record is gone.
    Missing,
    /// Cloudflare itself failed.
    Down,
    /// Anything else: the call was wrong.
    Wrong,
}

impl Refusal {
    /// Makes a refusal from the status and whatever could be read of the body.
    pub(super) fn new(status: u16, envelope: &Envelope) -> Self {
        let mut errors = Vec::new();
        collect(&envelope.errors, &mut errors);
        Self { status, errors: ApiErrors(errors) }
    }

    /// Returns the meaning of the refusal; known codes count before the status.
    pub(super) fn meaning(&self) -> Meaning {
        // Statuses are coarse: Cloudflare uses 400 both for a wrong record and for an occupied name.
        let by_code = self.errors.0.iter().find_map(|error| match error.code {
            971 | 10100 | 10429 => Some(Meaning::TooMany),
            9106 | 9107 | 9109 | 10000 | 10001 => Some(Meaning::Denied),
            81053..=81058 => Some(Meaning::Occupied),
            81044 => Some(Meaning::Missing),
            _ => None,
        });
        by_code.unwrap_or(match self.status {
            401 | 403 => Meaning::Denied,
            429 => Meaning::TooMany,
            408 | 500.. => Meaning::Down,
            _ => Meaning::Wrong,
        })
    }

    /// Returns the refusal as an error of the port.
    pub(super) fn into_backend_error(self, retry_after: Option<Duration>) -> BackendError {
        match self.meaning() {
            Meaning::Denied => BackendError::denied(Backend::Dns, self),
            Meaning::TooMany | Meaning::Down => {
                BackendError::unavailable(Backend::Dns, self).with_retry_after(retry_after)
            }
            Meaning::Occupied | Meaning::Missing | Meaning::Wrong => BackendError::failed(Backend::Dns, self),
        }
    }
}

/// Reads errors with their chains; one of an odd shape hides none of the others.
fn collect(errors: &Value, into: &mut Vec<ApiError>) {
    for error in errors.as_array().into_iter().flatten() {
        let code = error.get("code").and_then(Value::as_u64).unwrap_or_default();
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        into.push(ApiError { code, message });
        // DNS errors come as a chain below the generic code 1004.
        if let Some(chain) = error.get("error_chain") {
            collect(chain, into);
        }
    }
}

impl fmt::Display for ApiErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| write!(formatter, ", {}: {}", error.code, error.message))
    }
}

/// Returns the pause after a 429.
pub(super) fn pause_after_refusal(headers: &HeaderMap) -> Duration {
    retry_after(headers)
        .or_else(|| quota(headers).map(|(_, resets_in)| resets_in))
        .unwrap_or(DEFAULT_PAUSE)
        .min(LONGEST_PAUSE)
}

/// Returns the pause after a response that used up the last call: somebody else with the same token may have made the
/// others.
pub(super) fn pause_of_last_call(headers: &HeaderMap) -> Option<Duration> {
    quota(headers).filter(|(left, _)| *left == 0).map(|(_, resets_in)| resets_in.min(LONGEST_PAUSE))
}

/// `Retry-After` in seconds, or as a date, which is then compared with the answer's own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    let now = chrono::DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some((until - now).to_std().unwrap_or_default())
}

/// The smallest quota of the `Ratelimit` header, `"name";r=<left>;t=<seconds until reset>`, and when it is renewed.
fn quota(headers: &HeaderMap) -> Option<(u64, Duration)> {
    let items = headers.get("ratelimit")?.to_str().ok()?.split(',');
    items.filter_map(quota_item).min_by_key(|(left, _)| *left)
}

fn quota_item(item: &str) -> Option<(u64, Duration)> {
    let parameter = |name: &str| {
        let mut parameters = item.split(';').map(str::trim);
        parameters.find_map(|parameter| parameter.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    };
    Some((parameter("r")?, Duration::from_secs(parameter("t")?)))
}

#[cfg(test)]
mod tests;
