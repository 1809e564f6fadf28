//! Errors as text for people who operate a portal.

use std::error::Error;
use std::iter::successors;

/// Returns an error and all its causes in one line, separated by `: `.
///
/// For command output and stored texts. Log lines take the error itself, `error = &error as &dyn Error`: the log
/// writes its causes.
#[must_use]
pub fn error_text(error: &(dyn Error + 'static)) -> String {
    successors(Some(error), |&error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::error_text;
    use crate::{Backend, BackendError};

    #[test]
    fn every_cause_is_named_in_order() {
        let cause = BackendError::failed(Backend::Cluster, "no such table: runs");
        let error = BackendError::unavailable(Backend::Database, cause);
        assert_eq!(error_text(&error), "the database is unavailable: the cluster failed: no such table: runs");
    }
}
