//! Status and title of every error code. The words themselves stand in [`portal_core::code`].

use actix_web::http::StatusCode;
use portal_core::code;

/// A kind of failure: its stable word, the status and the title that go with it.
///
/// An operation of your own has kinds of its own: a `static` each, raised with [`ApiError::new`](super::ApiError::new).
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Code {
    /// The word that callers may act on.
    pub word: &'static str,
    /// The status.
    pub status: StatusCode,
    /// The title: the kind of failure in a few words.
    pub title: &'static str,
}

impl Code {
    /// Creates a kind of failure. `word` is lower case with hyphens, `status` from 400 to 599.
    #[must_use]
    pub const fn new(word: &'static str, status: StatusCode, title: &'static str) -> Self {
        Self { word, status, title }
    }
}

macro_rules! codes {
    ($($name:ident, $status:ident, $title:literal;)+) => {
        $(pub(crate) static $name: Code = Code::new(code::$name, StatusCode::$status, $title);)+

        /// Every kind of failure there is, by status.
        pub(crate) static ALL: &[&Code] = &[$(&$name),+];
    };
}

codes! {
    BODY_MALFORMED, BAD_REQUEST, "The body is not what this operation takes";
    QUERY_MALFORMED, BAD_REQUEST, "The query is not what this operation takes";
    HEADER_MALFORMED, BAD_REQUEST, "A header cannot be read";
    REQUEST_REFUSED, BAD_REQUEST, "The request cannot be read";
    SESSION_MISSING, UNAUTHORIZED, "No session token was sent";
    SESSION_INVALID, UNAUTHORIZED, "The session is not valid any more";
    AGENT_TOKEN_INVALID, UNAUTHORIZED, "The agent token is not valid";
    LOGIN_CODE_INVALID, UNAUTHORIZED, "The login link is not valid any more";
    LOGIN_NOT_ALLOWED, FORBIDDEN, "The agent may not log friends in";
    SESSION_NOT_OWNED, FORBIDDEN, "The session is not the friend's own";
    DOCUMENT_READ_ONLY, FORBIDDEN, "The document may only be read";
    JOB_READ_ONLY, FORBIDDEN, "The job is the agent's own";
    NOT_FOUND, NOT_FOUND, "There is nothing here";
    FRIEND_NOT_FOUND, NOT_FOUND, "There is no such friend";
    AGENT_NOT_FOUND, NOT_FOUND, "There is no such agent";
    VERSION_UNKNOWN, NOT_FOUND, "There is no such version";
    SESSION_NOT_FOUND, NOT_FOUND, "There is no such session";
    NAMESPACE_NOT_FOUND, NOT_FOUND, "There is no such namespace";
    SERVICE_NOT_FOUND, NOT_FOUND, "There is no such Service";
    EXPOSURE_NOT_FOUND, NOT_FOUND, "There is no such exposure";
    JOB_NOT_FOUND, NOT_FOUND, "There is no such job";
    METHOD_NOT_ALLOWED, METHOD_NOT_ALLOWED, "There is no such operation here";
    NOT_ACCEPTABLE, NOT_ACCEPTABLE, "The answer cannot be put that way";
    BODY_LATE, REQUEST_TIMEOUT, "The body did not come in time";
    FRIEND_UNKNOWN, CONFLICT, "The friend is not registered";
    HOSTNAME_TAKEN, CONFLICT, "The hostname is taken";
    EXPOSURE_LIMIT_REACHED, CONFLICT, "There are as many exposures as there may be";
    JOB_NAME_TAKEN, CONFLICT, "The name is taken";
    JOB_LIMIT_REACHED, CONFLICT, "There are as many jobs as there may be";
    RUN_OPEN, CONFLICT, "An earlier run has not ended";
    JOB_BUSY, CONFLICT, "The job is being changed";
    GATEWAY_TOO_OLD, CONFLICT, "The agent's gateway is too old";
    DOCUMENT_UNREADABLE, CONFLICT, "The document is not a text";
    EXPOSURE_EXISTS, PRECONDITION_FAILED, "There is an exposure of this name already";
    DOCUMENT_CHANGED, PRECONDITION_FAILED, "The document has changed";
    JOB_CHANGED, PRECONDITION_FAILED, "The job has changed";
    BODY_TOO_LARGE, PAYLOAD_TOO_LARGE, "The body is too large";
    MEDIA_TYPE_UNSUPPORTED, UNSUPPORTED_MEDIA_TYPE, "The body is not JSON";
    VALUE_INVALID, UNPROCESSABLE_ENTITY, "A value was refused";
    UNSUPPORTED, UNPROCESSABLE_ENTITY, "A member is not supported";
    PRECONDITION_REQUIRED, PRECONDITION_REQUIRED, "Say which text is to be replaced";
    RATE_LIMITED, TOO_MANY_REQUESTS, "Too many requests";
    INTERNAL, INTERNAL_SERVER_ERROR, "Something went wrong inside the portal";
    NOT_READY, SERVICE_UNAVAILABLE, "The portal is not ready";
    OVERLOADED, SERVICE_UNAVAILABLE, "The portal has too much to do";
    DATABASE_UNAVAILABLE, SERVICE_UNAVAILABLE, "The database is not available";
    CLUSTER_UNAVAILABLE, SERVICE_UNAVAILABLE, "The cluster is not available";
    DNS_UNAVAILABLE, SERVICE_UNAVAILABLE, "The DNS provider is not available";
    WORKSPACE_UNAVAILABLE, SERVICE_UNAVAILABLE, "The workspace is not available";
    GATEWAY_UNAVAILABLE, SERVICE_UNAVAILABLE, "The agent gateway is not available";
    DELIVERY_UNAVAILABLE, SERVICE_UNAVAILABLE, "Deliveries are not available";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    /// Pages act on these words: a line may be added here, never changed or removed.
    const GOLDEN: &str = "\
400 body-malformed
400 query-malformed
400 header-malformed
400 request-refused
401 session-missing
401 session-invalid
401 agent-token-invalid
401 login-code-invalid
403 login-not-allowed
403 session-not-owned
403 document-read-only
403 job-read-only
404 not-found
404 friend-not-found
404 agent-not-found
404 version-unknown
404 session-not-found
404 namespace-not-found
404 service-not-found
404 exposure-not-found
404 job-not-found
405 method-not-allowed
406 not-acceptable
408 body-late
409 friend-unknown
409 hostname-taken
409 exposure-limit-reached
409 job-name-taken
409 job-limit-reached
409 run-open
409 job-busy
409 gateway-too-old
409 document-unreadable
412 exposure-exists
412 document-changed
412 job-changed
413 body-too-large
415 media-type-unsupported
422 value-invalid
422 unsupported
428 precondition-required
429 rate-limited
500 internal
503 not-ready
503 overloaded
503 database-unavailable
503 cluster-unavailable
503 dns-unavailable
503 workspace-unavailable
503 gateway-unavailable
503 delivery-unavailable
";

    #[test]
    fn the_words_are_the_ones_that_pages_know() {
        let listed: Vec<_> = ALL.iter().map(|code| format!("{} {}", code.status.as_u16(), code.word)).collect();
        assert_eq!(listed, GOLDEN.lines().collect::<Vec<_>>());
    }

    #[test]
    fn every_word_of_the_list_has_a_status() {
        let mut words: Vec<_> = ALL.iter().map(|code| code.word).collect();
        let mut listed = portal_core::code::ALL.to_vec();
        words.sort_unstable();
        listed.sort_unstable();
        assert_eq!(words, listed);
    }
}
