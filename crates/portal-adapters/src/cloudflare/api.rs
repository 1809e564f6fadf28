//! Access to Cloudflare: one token, one connection pool, one budget.
//!
//! The requests are those of the `cloudflare` crate's endpoints, but they are sent from here: its client throws the
//! headers away, among them `Retry-After`, and cannot read any DNS error, whose codes do not fit its 16 bits.

use std::time::Duration;

use cloudflare::framework::Environment;
use cloudflare::framework::auth::{AuthClient, Credentials};
use cloudflare::framework::endpoint::RequestBody;
use cloudflare::framework::endpoint::spec::EndpointSpec;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use portal_core::{Backend, BackendError, Invalid};
use portal_dns::Priority;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::budget::Budget;
use super::endpoint::Call;
use super::response::{Envelope, Meaning, Refusal, pause_after_refusal, pause_of_last_call};

/// Limit of a response, in bytes; a full page of records is a tenth of it.
const MAX_RESPONSE: usize = 16 << 20;

/// Settings of an API token.
#[derive(Debug, Clone)]
pub struct CloudflareSettings {
    /// An API token that may read zones and edit their DNS.
    pub token: SecretString,
    /// Address of the API, if not Cloudflare's own.
    pub api_url: Option<String>,
    /// Time limit of one call, from its first byte to its last.
    pub timeout: Duration,
    /// Number of replicas of the portal that share the token, this one included.
    pub replicas: u16,
}

impl CloudflareSettings {
    /// The settings of a single portal that uses Cloudflare's own address and waits 5 seconds for an answer.
    #[must_use]
    pub fn with_token(token: SecretString) -> Self {
        Self { token, api_url: None, timeout: Duration::from_secs(5), replicas: 1 }
    }
}

/// One Cloudflare API token, as all zones use it that it serves: they share its connections and its budget.
pub struct CloudflareApi {
    http: reqwest::Client,
    credentials: Credentials,
    environment: Environment,
    budget: Budget,
}

/// Error of a call.
pub(super) enum CallError {
    /// Cloudflare refused it, with codes that may have a meaning to the caller.
    Refused(Refusal),
    /// It failed otherwise.
    Failed(BackendError),
}

impl CallError {
    /// True if the refusal means this.
    pub(super) fn means(&self, meaning: Meaning) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.meaning() == meaning)
    }
}

impl From<BackendError> for CallError {
    fn from(error: BackendError) -> Self {
        Self::Failed(error)
    }
}

impl From<CallError> for BackendError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refusal) => refusal.into_backend_error(None),
            CallError::Failed(error) => error,
        }
    }
}

impl CloudflareApi {
    /// Prepares the access; nothing is sent yet.
    ///
    /// # Errors
    /// Refuses a token that cannot stand in a header, and an address that is no URL of a folder.
    pub fn new(settings: &CloudflareSettings) -> Result<Self, Invalid> {
        let token = settings.token.expose_secret().trim();
        if token.is_empty() || HeaderValue::from_str(token).is_err() {
            return Err(Invalid::new("token", "token must be a Cloudflare API token: visible ASCII characters only"));
        }
        let http = reqwest::Client::builder()
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout.min(Duration::from_secs(5)))
            // The token must not follow a redirect to another host.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("friend-portal/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| Invalid::new("cloudflare", "the HTTP client cannot be set up on this machine"))?;
        Ok(Self {
            http,
            credentials: Credentials::UserAuthToken { token: token.to_owned() },
            environment: environment(settings.api_url.as_deref())?,
            budget: Budget::shared_by(settings.replicas),
        })
    }

    /// Returns the number of calls that this replica could make now.
    #[must_use]
    pub fn calls_left(&self) -> usize {
        self.budget.left()
    }

    /// Makes a call once its turn has come.
    pub(super) async fn call(&self, priority: &Priority, call: &Call<'_>) -> Result<Envelope, CallError> {
        self.budget.take(priority).await.map_err(|spent| {
            let retry_after = Some(spent.retry_after);
            CallError::Failed(BackendError::unavailable(Backend::Dns, spent).with_retry_after(retry_after))
        })?;
        let response = self.send(call).await.map_err(CallError::Failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response).await.map_err(CallError::Failed)?;
        // Also after a success: the next call would be refused.
        if let Some(pause) = pause_of_last_call(&headers) {
            self.budget.pause(pause);
        }
        let parsed = serde_json::from_slice::<Envelope>(&body);
        if status.is_success() {
            let envelope = parsed.map_err(|error| CallError::Failed(BackendError::failed(Backend::Dns, error)))?;
            // Cloudflare answers some refusals with status 200.
            if envelope.is_success() {
                return Ok(envelope);
            }
            return Err(CallError::Refused(Refusal::new(status.as_u16(), &envelope)));
        }
        let refusal = Refusal::new(status.as_u16(), &parsed.unwrap_or_default());
        if refusal.meaning() == Meaning::TooMany {
            let pause = pause_after_refusal(&headers);
            // All calls of the token pause, not only this one: Cloudflare counts them together.
            self.budget.pause(pause);
            return Err(CallError::Failed(refusal.into_backend_error(Some(pause))));
        }
        Err(CallError::Refused(refusal))
    }

    async fn send(&self, call: &Call<'_>) -> Result<reqwest::Response, BackendError> {
        let mut request = self.http.request(call.method(), call.url(&self.environment)).auth(&self.credentials);
        if let Some(RequestBody::Json(body)) = call.body() {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        request.send().await.map_err(send_error)
    }
}

fn environment(api_url: Option<&str>) -> Result<Environment, Invalid> {
    let Some(text) = api_url else { return Ok(Environment::Production) };
    let is_folder = |url: &Url| ["http", "https"].contains(&url.scheme()) && url.has_host() && url.query().is_none();
    let url = Url::parse(text).ok().filter(is_folder);
    let Some(url) = url else {
        return Err(Invalid::new(
            "api_url",
            "api_url must be an http or https URL such as https://api.cloudflare.com/client/v4/",
        ));
    };
    // Without the last slash, joining a path would replace the last segment.
    Ok(Environment::Custom(format!("{}/", url.as_str().trim_end_matches('/'))))
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, BackendError> {
    let mut body = Vec::new();
    // In chunks, so that an endless response ends at the limit.
    while let Some(chunk) = response.chunk().await.map_err(send_error)? {
        if body.len() + chunk.len() > MAX_RESPONSE {
            return Err(BackendError::failed(Backend::Dns, "the answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A call whose response did not arrive; its effect is unknown.
fn send_error(error: reqwest::Error) -> BackendError {
    // The request could not even be built, so trying again does not help.
    if error.is_builder() {
        BackendError::failed(Backend::Dns, error)
    } else {
        BackendError::unavailable(Backend::Dns, error)
    }
}
