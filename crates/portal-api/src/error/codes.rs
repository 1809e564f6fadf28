//! Every kind of failure, by its stable word. A page may act on a word, so none is ever renamed.

use actix_web::http::StatusCode;

/// A kind of failure: its stable word, the status and the title that go with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The word that callers may act on.
    pub word: &'static str,
    /// The status.
    pub status: StatusCode,
    /// The title: the kind of failure in a few words.
    pub title: &'static str,
}

macro_rules! codes {
    ($($name:ident = $word:literal, $status:ident, $title:literal;)+) => {
        $(pub(crate) static $name: Code = Code { word: $word, status: StatusCode::$status, title: $title };)+

        /// Every kind of failure there is, by status.
        pub(crate) static ALL: &[&Code] = &[$(&$name),+];
    };
}

codes! {
    BODY_MALFORMED = "body-malformed", BAD_REQUEST, "The body is not what this operation takes";
    QUERY_MALFORMED = "query-malformed", BAD_REQUEST, "The query is not what this operation takes";
    HEADER_MALFORMED = "header-malformed", BAD_REQUEST, "A header cannot be read";
    REQUEST_REFUSED = "request-refused", BAD_REQUEST, "The request cannot be read";
    SESSION_MISSING = "session-missing", UNAUTHORIZED, "No session token was sent";
    SESSION_INVALID = "session-invalid", UNAUTHORIZED, "The session is not valid any more";
    AGENT_TOKEN_INVALID = "agent-token-invalid", UNAUTHORIZED, "The agent token is not valid";
    LOGIN_CODE_INVALID = "login-code-invalid", UNAUTHORIZED, "The login link is not valid any more";
    LOGIN_NOT_ALLOWED = "login-not-allowed", FORBIDDEN, "The agent may not log friends in";
    SESSION_NOT_OWNED = "session-not-owned", FORBIDDEN, "The session is not the friend's own";
    DOCUMENT_READ_ONLY = "document-read-only", FORBIDDEN, "The document may only be read";
    NOT_FOUND = "not-found", NOT_FOUND, "There is nothing here";
    FRIEND_NOT_FOUND = "friend-not-found", NOT_FOUND, "There is no such friend";
    AGENT_NOT_FOUND = "agent-not-found", NOT_FOUND, "There is no such agent";
    VERSION_UNKNOWN = "version-unknown", NOT_FOUND, "There is no such version";
    SESSION_NOT_FOUND = "session-not-found", NOT_FOUND, "There is no such session";
    NAMESPACE_NOT_FOUND = "namespace-not-found", NOT_FOUND, "There is no such namespace";
    SERVICE_NOT_FOUND = "service-not-found", NOT_FOUND, "There is no such Service";
    EXPOSURE_NOT_FOUND = "exposure-not-found", NOT_FOUND, "There is no such exposure";
    JOB_NOT_FOUND = "job-not-found", NOT_FOUND, "There is no such job";
    METHOD_NOT_ALLOWED = "method-not-allowed", METHOD_NOT_ALLOWED, "There is no such operation here";
    NOT_ACCEPTABLE = "not-acceptable", NOT_ACCEPTABLE, "The answer cannot be put that way";
    BODY_LATE = "body-late", REQUEST_TIMEOUT, "The body did not come in time";
    HOSTNAME_TAKEN = "hostname-taken", CONFLICT, "The hostname is taken";
    EXPOSURE_LIMIT_REACHED = "exposure-limit-reached", CONFLICT, "There are as many exposures as there may be";
    JOB_NAME_TAKEN = "job-name-taken", CONFLICT, "The name is taken";
    JOB_LIMIT_REACHED = "job-limit-reached", CONFLICT, "There are as many jobs as there may be";
    RUN_OPEN = "run-open", CONFLICT, "An earlier run has not ended";
    DOCUMENT_UNREADABLE = "document-unreadable", CONFLICT, "The document is not a text";
    EXPOSURE_EXISTS = "exposure-exists", PRECONDITION_FAILED, "There is an exposure of this name already";
    DOCUMENT_CHANGED = "document-changed", PRECONDITION_FAILED, "The document has changed";
    JOB_CHANGED = "job-changed", PRECONDITION_FAILED, "The job has changed";
    BODY_TOO_LARGE = "body-too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    MEDIA_TYPE_UNSUPPORTED = "media-type-unsupported", UNSUPPORTED_MEDIA_TYPE, "The body is not JSON";
    VALUE_INVALID = "value-invalid", UNPROCESSABLE_ENTITY, "A value was refused";
    UNSUPPORTED = "unsupported", UNPROCESSABLE_ENTITY, "A member is not supported";
    PRECONDITION_REQUIRED = "precondition-required", PRECONDITION_REQUIRED, "Say which text is to be replaced";
    RATE_LIMITED = "rate-limited", TOO_MANY_REQUESTS, "Too many requests";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "Something went wrong inside the portal";
    NOT_READY = "not-ready", SERVICE_UNAVAILABLE, "The portal is not ready";
    OVERLOADED = "overloaded", SERVICE_UNAVAILABLE, "The portal has too much to do";
    DATABASE_UNAVAILABLE = "database-unavailable", SERVICE_UNAVAILABLE, "The database is not available";
    CLUSTER_UNAVAILABLE = "cluster-unavailable", SERVICE_UNAVAILABLE, "The cluster is not available";
    DNS_UNAVAILABLE = "dns-unavailable", SERVICE_UNAVAILABLE, "The DNS provider is not available";
    WORKSPACE_UNAVAILABLE = "workspace-unavailable", SERVICE_UNAVAILABLE, "The workspace is not available";
    GATEWAY_UNAVAILABLE = "gateway-unavailable", SERVICE_UNAVAILABLE, "The agent gateway is not available";
    DELIVERY_UNAVAILABLE = "delivery-unavailable", SERVICE_UNAVAILABLE, "Deliveries are not available";
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
409 hostname-taken
409 exposure-limit-reached
409 job-name-taken
409 job-limit-reached
409 run-open
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
    fn no_word_means_two_things() {
        let mut words: Vec<_> = ALL.iter().map(|code| code.word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ALL.len());
    }
}
