//! The words of error codes, each written once: the API, the domain crates and the admin tool take them from here.
//!
//! Programs act on a word, so none is ever renamed or given another meaning; a new kind of failure gets a new word.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)+) => {
        $($(#[$doc])* pub const $name: &str = $word;)+

        /// Every word, in the order of this list.
        pub const ALL: &[&str] = &[$($name),+];
    };
}

codes! {
    /// The body is not JSON, or not what the operation takes.
    BODY_MALFORMED = "body-malformed";
    /// The query cannot be read.
    QUERY_MALFORMED = "query-malformed";
    /// A header cannot be read.
    HEADER_MALFORMED = "header-malformed";
    /// The request as a whole cannot be read, or its origin may not send it.
    REQUEST_REFUSED = "request-refused";
    /// The request carries no session token.
    SESSION_MISSING = "session-missing";
    /// The database said that the session is unknown, expired or revoked, or its friendship is not active.
    SESSION_INVALID = "session-invalid";
    /// The agent token is unknown.
    AGENT_TOKEN_INVALID = "agent-token-invalid";
    /// The code of a login link is unknown, used or expired.
    LOGIN_CODE_INVALID = "login-code-invalid";
    /// The agent may not log friends in.
    LOGIN_NOT_ALLOWED = "login-not-allowed";
    /// The conversation is not the friend's own.
    SESSION_NOT_OWNED = "session-not-owned";
    /// The friend may read the document and not write it.
    DOCUMENT_READ_ONLY = "document-read-only";
    /// The agent made the job for itself, in a way that friends cannot change.
    JOB_READ_ONLY = "job-read-only";
    /// Nothing is under this address.
    NOT_FOUND = "not-found";
    /// There is no such friend, or the agent has none.
    FRIEND_NOT_FOUND = "friend-not-found";
    /// The agent is unknown, or does not work for the friend.
    AGENT_NOT_FOUND = "agent-not-found";
    /// The document has no such version.
    VERSION_UNKNOWN = "version-unknown";
    /// The friend has no such session.
    SESSION_NOT_FOUND = "session-not-found";
    /// The namespace does not exist.
    NAMESPACE_NOT_FOUND = "namespace-not-found";
    /// The namespace has no such Service.
    SERVICE_NOT_FOUND = "service-not-found";
    /// The friend has no such exposure.
    EXPOSURE_NOT_FOUND = "exposure-not-found";
    /// The friend has no such job with this agent.
    JOB_NOT_FOUND = "job-not-found";
    /// The address does not take this method.
    METHOD_NOT_ALLOWED = "method-not-allowed";
    /// No representation satisfies the Accept headers.
    NOT_ACCEPTABLE = "not-acceptable";
    /// The body did not arrive in time.
    BODY_LATE = "body-late";
    /// A store has no such friend, or no friendship of theirs with the agent.
    FRIEND_UNKNOWN = "friend-unknown";
    /// The hostname belongs to somebody else.
    HOSTNAME_TAKEN = "hostname-taken";
    /// The friend has as many exposures as allowed.
    EXPOSURE_LIMIT_REACHED = "exposure-limit-reached";
    /// The friend has a job of this name with this agent.
    JOB_NAME_TAKEN = "job-name-taken";
    /// The friend has as many jobs as allowed.
    JOB_LIMIT_REACHED = "job-limit-reached";
    /// A run of the job is open.
    RUN_OPEN = "run-open";
    /// Another change of the job is under way.
    JOB_BUSY = "job-busy";
    /// The agent's gateway is too old to do as it was asked.
    GATEWAY_TOO_OLD = "gateway-too-old";
    /// The document is not UTF-8 text of the allowed size.
    DOCUMENT_UNREADABLE = "document-unreadable";
    /// The friend has an exposure of this name already.
    EXPOSURE_EXISTS = "exposure-exists";
    /// Another text stands there than the condition names.
    DOCUMENT_CHANGED = "document-changed";
    /// The job has another revision than the condition names.
    JOB_CHANGED = "job-changed";
    /// The body is too large.
    BODY_TOO_LARGE = "body-too-large";
    /// The body is not JSON by its media type, or is compressed.
    MEDIA_TYPE_UNSUPPORTED = "media-type-unsupported";
    /// A value breaks its rule.
    VALUE_INVALID = "value-invalid";
    /// A member that other schedulers know and this one does not.
    UNSUPPORTED = "unsupported";
    /// The write needs a condition.
    PRECONDITION_REQUIRED = "precondition-required";
    /// The friend sends more requests than allowed.
    RATE_LIMITED = "rate-limited";
    /// A fault of the portal itself.
    INTERNAL = "internal";
    /// The portal should get no requests.
    NOT_READY = "not-ready";
    /// The portal receives more at once than it stores.
    OVERLOADED = "overloaded";
    /// The database cannot be asked.
    DATABASE_UNAVAILABLE = "database-unavailable";
    /// The cluster cannot be asked.
    CLUSTER_UNAVAILABLE = "cluster-unavailable";
    /// The DNS provider cannot be asked.
    DNS_UNAVAILABLE = "dns-unavailable";
    /// The agent's workspace cannot be reached.
    WORKSPACE_UNAVAILABLE = "workspace-unavailable";
    /// The agent's gateway cannot be reached.
    GATEWAY_UNAVAILABLE = "gateway-unavailable";
    /// Messages cannot be delivered.
    DELIVERY_UNAVAILABLE = "delivery-unavailable";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn no_word_means_two_things() {
        let mut words = ALL.to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ALL.len());
    }
}
