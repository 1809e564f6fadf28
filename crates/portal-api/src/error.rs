//! Failures as HTTP says them: the only place with status codes of failures.
//!
//! A handler returns [`ApiError`] and nothing else; `From` turns refusals and errors of the layers below into one.
//! The sentence of a failure below 500 is for the person who asked. Above, it is fixed: the cause goes to the log,
//! once, under the request id.

mod codes;
mod cron;
mod dns;
mod examples;
mod problem;
mod responses;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use portal_core::{Backend, BackendError, BoxError, Invalid, SessionError};
use portal_workspace::{PreconditionReason, WorkspaceError};

use crate::request_id;

pub(crate) use codes::ALL as CODES;
pub use codes::Code;
pub(crate) use examples::add as add_examples;
pub use problem::{FieldError, Problem};
pub use responses::{
    ChangesJob, Guarded, Guessed, NotFound, Open, PROBLEM_JSON, ShowsDocument, TakesAgent, TakesBody, Unready,
    WritesDocument,
};

/// Default of `Retry-After`, for a backend that named no time.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);
/// Seconds until another attempt where the portal itself has too much to do.
const RETRY_SOON: Duration = Duration::from_secs(1);
static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Sentence about a fault of the portal.
const FAULT: &str = "Something went wrong inside the portal. Name the request id when you ask its operator.";

/// A failure on its way to the caller, answered as a problem document.
///
/// An operation of your own raises one with a [`Code`] of its own:
///
/// ```
/// use actix_web::http::StatusCode;
/// use portal_api::{ApiError, Code};
///
/// static SHELF_FULL: Code = Code::new("shelf-full", StatusCode::CONFLICT, "The shelf is full");
///
/// fn put_on(shelf: &[&str]) -> Result<(), ApiError> {
///     if shelf.len() < 3 { Ok(()) } else { Err(ApiError::new(&SHELF_FULL, "Take a book off the shelf first.")) }
/// }
/// ```
#[derive(Debug)]
pub struct ApiError {
    code: &'static Code,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<BoxError>,
}

impl ApiError {
    /// Creates a failure of this kind. `detail` is a whole sentence for the person who asked; of a 5xx it must not
    /// name the cause.
    pub fn new(code: &'static Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), headers: Vec::new(), cause: None }
    }

    /// Adds what is wrong with one member, parameter or header.
    #[must_use]
    pub fn with_field(mut self, error: FieldError) -> Self {
        self.errors.push(error);
        self
    }

    /// Adds a header of the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds `Retry-After`, at least one second.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        // With 0 all clients would come back at once.
        let seconds = wait.as_secs().max(1);
        self.with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Adds the cause, which reaches the log and never the caller.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<BoxError>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The body is not what the operation takes.
    pub(crate) fn body_malformed(detail: impl Into<String>) -> Self {
        Self::new(&codes::BODY_MALFORMED, detail)
    }

    /// One member of the body is not what the operation takes.
    pub(crate) fn body_member(path: &str, rule: &'static str, detail: impl Into<String>) -> Self {
        let error = Self::body_malformed(detail);
        let field = FieldError { rule, ..FieldError::new(path, error.detail.clone()) };
        error.with_field(field)
    }

    pub(crate) fn query_malformed(detail: impl Into<String>) -> Self {
        Self::new(&codes::QUERY_MALFORMED, detail)
    }

    pub(crate) fn header_malformed(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(&codes::HEADER_MALFORMED, detail).of_field(name)
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        Self::new(&codes::BODY_TOO_LARGE, format!("The body of this operation may have at most {limit} bytes."))
    }

    /// The body did not come in time. What may still come of it is not waited for.
    pub(crate) fn body_late() -> Self {
        let detail = "The body did not arrive in time; send the request again.";
        Self::new(&codes::BODY_LATE, detail).with_header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    pub(crate) fn media_type_unsupported(detail: impl Into<String>) -> Self {
        Self::new(&codes::MEDIA_TYPE_UNSUPPORTED, detail)
    }

    pub(crate) fn session_missing() -> Self {
        let detail = "This operation needs a session token: send `Authorization: Bearer <token>`.";
        Self::new(&codes::SESSION_MISSING, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"friend-portal\""))
    }

    /// A store does not know the friend, who is logged in all the same.
    pub(crate) fn friend_unknown() -> Self {
        let detail = "You are logged in and not registered with this portal. Ask its operator to register you.";
        Self::new(&codes::FRIEND_UNKNOWN, detail)
    }

    /// The database said that the session opens nothing. Pages throw their token away on this.
    pub(crate) fn session_invalid() -> Self {
        let detail = "The session has ended. Ask your agent for a new link to the portal.";
        let challenge = "Bearer realm=\"friend-portal\", error=\"invalid_token\"";
        Self::new(&codes::SESSION_INVALID, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    pub(crate) fn not_found() -> Self {
        Self::new(&codes::NOT_FOUND, "There is nothing under this address.")
    }

    pub(crate) fn agent_not_found() -> Self {
        Self::new(
            &codes::AGENT_NOT_FOUND,
            "agent must be one of your agents whose status is active; see /api/portal/agents.",
        )
        .of_field("agent")
    }

    pub(crate) fn agent_token_invalid() -> Self {
        let detail = "This operation needs the token of an agent: send `Authorization: Bearer fpa_..`.";
        Self::new(&codes::AGENT_TOKEN_INVALID, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"friend-portal-agents\""))
    }

    pub(crate) fn login_not_allowed() -> Self {
        Self::new(&codes::LOGIN_NOT_ALLOWED, "The operator of this portal does not let this agent log friends in.")
    }

    /// The friend is unknown, somebody else's, or the friendship is not active: the same answer for all three.
    pub(crate) fn friend_not_found() -> Self {
        Self::new(&codes::FRIEND_NOT_FOUND, "This agent has no active friend of that id or contact.")
    }

    pub(crate) fn login_code_invalid() -> Self {
        let detail = "This link was already used or is older than 10 minutes. Ask your agent for a new one.";
        Self::new(&codes::LOGIN_CODE_INVALID, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"friend-portal\""))
    }

    pub(crate) fn session_not_found() -> Self {
        Self::new(&codes::SESSION_NOT_FOUND, "You have no session with this id; see /api/portal/sessions.")
    }

    pub(crate) fn method_not_allowed(allowed: &str) -> Self {
        let error = Self::new(&codes::METHOD_NOT_ALLOWED, format!("This address takes only {allowed}."));
        match HeaderValue::from_str(allowed) {
            Ok(value) => error.with_header(header::ALLOW, value),
            Err(_) => error,
        }
    }

    /// The portal is not ready for requests. Strangers may ask, so that this names no backend.
    pub(crate) fn not_ready() -> Self {
        Self::new(&codes::NOT_READY, "The portal is not ready; try again soon.").with_retry_after(RETRY_AFTER_DEFAULT)
    }

    /// A fault of the portal itself.
    pub(crate) fn internal(cause: impl Into<BoxError>) -> Self {
        Self::new(&codes::INTERNAL, FAULT).with_cause(cause)
    }

    /// A failure that actix-web or another middleware produced.
    pub(crate) fn foreign(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(&codes::BODY_TOO_LARGE, "The body is too large."),
            StatusCode::NOT_ACCEPTABLE => {
                Self::new(&codes::NOT_ACCEPTABLE, "Accept-Encoding must leave gzip, br or identity acceptable.")
            }
            status if status.is_client_error() => {
                Self::new(&codes::REQUEST_REFUSED, "The request cannot be read, or its origin may not ask this.")
            }
            status => Self::internal(format!("a middleware answered {status}")),
        }
    }

    /// More is received at once than the portal stores.
    pub(crate) fn overloaded() -> Self {
        Self::new(&codes::OVERLOADED, "The portal is receiving too much at once. Try again soon.")
            .with_retry_after(RETRY_SOON)
    }

    /// Adds a field of which the detail says what is wrong.
    fn of_field(self, field: &str) -> Self {
        let error = FieldError::new(field, self.detail.clone());
        self.with_field(error)
    }

    /// Names the text that stands there now, as reading it would.
    fn tagged(self, current: Option<&impl fmt::Display>) -> Self {
        match current.map(|tag| HeaderValue::from_str(&format!("\"{tag}\""))) {
            Some(Ok(etag)) => self.with_header(header::ETAG, etag),
            // A tag that no header can carry is left out; the refusal stands without it.
            _ => self,
        }
    }

    /// Logs a failure that is not the caller's, with its cause.
    pub(crate) fn log(&self) {
        // What is not ready was logged when that was found; a probe asks for it over and over.
        if self.code.status.is_server_error() && ![&codes::NOT_READY, &codes::OVERLOADED].contains(&self.code) {
            let error = self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static));
            tracing::error!(code = self.code.word, error, "a request failed");
        }
    }

    /// Builds the answer.
    pub(crate) fn respond(&self, request_id: &str) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.code.status);
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        let problem = self.problem(request_id);
        match serde_json::to_vec(&problem) {
            Ok(bytes) => response.content_type(PROBLEM_JSON).body(bytes),
            // Texts and numbers always serialize; if not, the status says what it can.
            Err(_) => response.finish(),
        }
    }

    /// The problem document.
    pub(crate) fn problem(&self, request_id: &str) -> Problem {
        Problem {
            kind: format!("urn:friend-portal:problem:{}", self.code.word),
            title: self.code.title,
            status: self.code.status.as_u16(),
            detail: self.detail.clone(),
            // Existing pages show this member and no other.
            error: self.detail.clone(),
            code: self.code.word,
            request_id: request_id.to_owned(),
            errors: self.errors.clone(),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code.word)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status
    }

    /// Answers with the whole problem document, so that it is whole also outside of the portal's own scope.
    fn error_response(&self) -> HttpResponse {
        // Within the scope the middleware logs it, once the route is known.
        if let Some(id) = request_id::current() {
            return self.respond(&id);
        }
        let id = request_id::made_up();
        tracing::error_span!("request", request_id = id).in_scope(|| self.log());
        self.respond(&id)
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        let mut error = Self::new(&codes::VALUE_INVALID, invalid.message.clone());
        error.errors.push(invalid.into());
        error
    }
}

/// A limit that a request exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// The limit's name in `RateLimit` and `RateLimit-Policy`.
    pub(crate) policy: &'static str,
    /// The most that it allows.
    pub(crate) quota: u32,
    /// The seconds to which the quota applies, if it is a rate.
    pub(crate) window: Option<u32>,
    /// Time after which to try again.
    pub(crate) retry_after: Duration,
}

impl From<Exceeded> for ApiError {
    fn from(exceeded: Exceeded) -> Self {
        let Exceeded { policy, quota, window, retry_after } = exceeded;
        // Rounded up: whoever comes back after whole seconds is not refused again.
        let seconds = retry_after.as_secs() + 1;
        let window = window.map(|seconds| format!(";w={seconds}")).unwrap_or_default();
        // Names of ours and numbers, so that the empty value is never sent.
        let header = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        metrics::counter!("portal_requests_limited_total", "policy" => policy).increment(1);
        Self::new(&codes::RATE_LIMITED, "You are sending too many requests at once. Try again in a moment.")
            .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
            .with_header(RATE_LIMIT.clone(), header(format!("\"{policy}\";r=0;t={seconds}")))
            .with_header(RATE_LIMIT_POLICY.clone(), header(format!("\"{policy}\";q={quota}{window}")))
    }
}

impl From<BackendError> for ApiError {
    fn from(error: BackendError) -> Self {
        unavailable(error.backend, error.retry_after, error)
    }
}

impl From<WorkspaceError> for ApiError {
    fn from(error: WorkspaceError) -> Self {
        match error {
            WorkspaceError::ReadOnly(name) => {
                Self::new(&codes::DOCUMENT_READ_ONLY, format!("You may read {name} and not write it."))
            }
            WorkspaceError::Unreadable(name, why) => {
                let detail = format!("{name} cannot be shown or replaced here: {why}. Ask your agent to put it right.");
                Self::new(&codes::DOCUMENT_UNREADABLE, detail)
            }
            WorkspaceError::Changed { name, current } => {
                let detail = format!("{name} is not the text that If-Match or If-None-Match names; read it again.");
                Self::new(&codes::DOCUMENT_CHANGED, detail).tagged(current.as_ref())
            }
            WorkspaceError::PreconditionRequired { name, current, reason } => {
                let detail = match reason {
                    PreconditionReason::OtherFriend => format!(
                        "Another friend wrote {name} last; read it, then send its ETag in If-Match to replace it."
                    ),
                    PreconditionReason::Configured => format!(
                        "Read {name}, then send its ETag in If-Match to replace it, or If-None-Match: * if there is none."
                    ),
                };
                Self::new(&codes::PRECONDITION_REQUIRED, detail).of_field("If-Match").tagged(current.as_ref())
            }
            WorkspaceError::UnknownVersion(name) => {
                Self::new(&codes::VERSION_UNKNOWN, format!("You have no version of {name} with this id."))
            }
            WorkspaceError::Port(error) => error.into(),
        }
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Invalid => Self::session_invalid(),
            SessionError::Unchecked(error) => unavailable(error.backend, error.retry_after, error),
        }
    }
}

/// Returns the failure of a backend, in one fixed sentence per backend.
fn unavailable(backend: Backend, retry_after: Option<Duration>, cause: impl Into<BoxError>) -> ApiError {
    let (code, detail) = match backend {
        Backend::Database => (&codes::DATABASE_UNAVAILABLE, "The portal's database is not available. Try again soon."),
        Backend::Cluster => (&codes::CLUSTER_UNAVAILABLE, "The cluster is not available. Try again soon."),
        Backend::Dns => (&codes::DNS_UNAVAILABLE, "The DNS provider is not available. Try again soon."),
        Backend::Workspace => {
            (&codes::WORKSPACE_UNAVAILABLE, "The agent's workspace is not available. Try again soon.")
        }
        Backend::Gateway => (&codes::GATEWAY_UNAVAILABLE, "The agent's gateway is not available. Try again soon."),
        Backend::Delivery => (&codes::DELIVERY_UNAVAILABLE, "Messages cannot be delivered now. Try again soon."),
    };
    ApiError::new(code, detail).with_retry_after(retry_after.unwrap_or(RETRY_AFTER_DEFAULT)).with_cause(cause)
}

#[cfg(test)]
mod tests;
