//! Ends of runs in a gateway, in words for the friend. A gateway's own texts hold paths of its host: they are compared,
//! and never handed on.

use portal_cron::{RunStatus, Sent};

/// The error of a job that the gateway has switched off.
pub(super) const SWITCHED_OFF: &str =
    "the agent's gateway switched this job off after too many failed runs in a row; enable it once the cause is mended";
/// The error of a run that a gateway does not know.
pub(super) const UNKNOWN: &str = "the agent's gateway has no record of this run; it may or may not have taken place";
/// The error of a run whose answer has not reached the chat.
const NOT_SENT: &str = "the agent has answered, and the answer is not sent to your chat yet";

/// Texts by which gateways tell two ends for which they have no word.
const INTERRUPTED: &str = "cron: job interrupted by gateway restart";
const SWITCHED_OFF_BY_HAND: &str = "Cron job disabled by operator.";

/// Delivery of the agent's answer, as a gateway tells it.
pub(super) struct DeliveryStatus<'a> {
    /// Whether it was to be sent.
    pub(super) asked: bool,
    /// The gateway's word.
    pub(super) status: Option<&'a str>,
    /// Whether the agent decided to say nothing.
    pub(super) suppressed: bool,
}

impl DeliveryStatus<'_> {
    /// Returns the delivery of the answer to a run that succeeded; `is_reliable` says that the gateway tells apart what it
    /// did not send.
    pub(super) fn sent(&self, is_reliable: bool) -> Option<Sent> {
        if !is_reliable {
            return (!self.asked).then_some(Sent::Nowhere);
        }
        match self.status? {
            "delivered" => Some(Sent::Sent),
            "not-requested" => Some(Sent::Nowhere),
            _ if self.is_pending() => Some(Sent::Pending),
            "not-delivered" if self.suppressed => Some(Sent::Silent),
            // The job was changed since the run, or is gone.
            "not-delivered" => Some(Sent::Pending),
            _ => None,
        }
    }

    fn is_pending(&self) -> bool {
        // Not final: the gateway may send a queued answer ten minutes later.
        self.asked && !self.suppressed && matches!(self.status, Some("not-delivered" | "unknown"))
    }
}

/// Returns the end of a run by the gateway's word.
pub(super) fn status(word: &str) -> RunStatus {
    match word {
        "ok" => RunStatus::Delivered,
        // A skipped run did not do what the friend asked for either.
        _ => RunStatus::Failed,
    }
}

/// Returns whether the agent finished; `None` for a run that did not reach it.
pub(super) fn finished(word: &str) -> Option<bool> {
    match word {
        "ok" => Some(true),
        "skipped" => None,
        _ => Some(false),
    }
}

/// Returns the error of a run, in words for the friend.
pub(super) fn error(
    status: Option<&str>,
    reason: Option<&str>,
    text: Option<&str>,
    sent: &DeliveryStatus<'_>,
) -> Option<String> {
    let sentence = match (status?, reason, text) {
        // Execution and delivery are two things: the first succeeded.
        ("ok", ..) if sent.is_pending() => NOT_SENT,
        ("ok", ..) => return None,
        ("skipped", ..) => "the agent's gateway skipped this run",
        (_, Some("auth" | "billing"), _) => {
            "the agent's model does not accept the agent's account; the operator has to look at it"
        }
        (_, Some("rate_limit"), _) => "the agent's model has too much to do; it may work again later",
        (_, Some("timeout"), _) => "the agent did not finish in time",
        (_, Some("model_not_found"), _) => {
            "the agent's model does not exist any more; the operator has to choose another"
        }
        (_, _, Some(INTERRUPTED)) => "the agent's gateway was restarted while this run was under way",
        (_, _, Some(SWITCHED_OFF_BY_HAND)) => "switched off while it ran",
        _ => "the agent could not finish; the log of its gateway says why",
    };
    Some(sentence.to_owned())
}

#[cfg(test)]
mod tests {
    use portal_cron::Sent;

    use super::{DeliveryStatus, error};

    #[track_caller]
    fn check(status: &str, reason: Option<&str>, text: Option<&str>, part: Option<&str>) {
        let sent = DeliveryStatus { asked: true, status: Some("delivered"), suppressed: false };
        let said = error(Some(status), reason, text, &sent);
        assert_eq!(said.is_some(), part.is_some(), "{said:?}");
        assert!(said.as_deref().unwrap_or_default().contains(part.unwrap_or_default()), "{said:?}");
        assert!(!said.unwrap_or_default().contains("/var/lib"), "{status}");
    }

    #[test]
    fn an_error_is_told_in_our_words() {
        check("ok", None, None, None);
        check(
            "error",
            Some("timeout"),
            Some("cron: job execution timed out (last phase: /var/lib/x)"),
            Some("in time"),
        );
        check("error", Some("auth"), Some("401 /var/lib/.key"), Some("account"));
        check("error", Some("rate_limit"), None, Some("too much to do"));
        check("error", Some("model_not_found"), None, Some("does not exist"));
        check("error", None, Some("cron: job interrupted by gateway restart"), Some("restarted"));
        check("error", None, Some("Cron job disabled by operator."), Some("switched off while it ran"));
        check("error", Some("a reason of next year"), Some("/var/lib/file"), Some("could not finish"));
        check("skipped", None, None, Some("skipped"));
    }

    #[test]
    fn an_answer_that_did_not_reach_the_chat_is_told_beside_a_run_that_did() {
        for (asked, status, suppressed, told) in [
            (true, "not-delivered", false, true),
            (true, "unknown", false, true),
            (true, "not-delivered", true, false),
            (true, "delivered", false, false),
            (false, "not-requested", false, false),
        ] {
            let sent = DeliveryStatus { asked, status: Some(status), suppressed };
            let said = error(Some("ok"), None, None, &sent);
            assert_eq!(said.is_some_and(|said| said.contains("not sent")), told, "{asked} {status} {suppressed}");
            // The sentence and the word never differ.
            assert_eq!(sent.sent(true) == Some(Sent::Pending), told, "{asked} {status} {suppressed}");
        }
    }

    #[test]
    fn a_gateway_that_says_delivered_of_everything_is_not_believed() {
        let sent = |asked, status, suppressed, is_reliable| {
            DeliveryStatus { asked, status: Some(status), suppressed }.sent(is_reliable)
        };
        assert_eq!(sent(true, "delivered", false, true), Some(Sent::Sent));
        assert_eq!(sent(true, "delivered", false, false), None);
        assert_eq!(sent(true, "not-delivered", false, false), None);
        assert_eq!(sent(false, "not-delivered", false, false), Some(Sent::Nowhere));
        assert_eq!(sent(false, "not-requested", false, true), Some(Sent::Nowhere));
        assert_eq!(sent(true, "not-delivered", true, true), Some(Sent::Silent));
        assert_eq!(sent(true, "a word of next year", false, true), None);
        // The job's answers went to the chat when it ran, and do not any more.
        assert_eq!(sent(false, "not-delivered", false, true), Some(Sent::Pending));
    }
}
