//! Errors of queries, and their meaning to a caller.

use diesel::result::{DatabaseErrorKind, Error};
use diesel_async::pooled_connection::bb8::RunError;
use portal_core::{Backend, BackendError, Invalid};

/// Errors of the queries in `db/stores/`.
#[derive(Debug, thiserror::Error)]
pub(in crate::db) enum QueryError {
    /// A statement failed.
    #[error("a statement failed")]
    Statement(#[from] Error),
    /// A row holds a value that the portal never writes.
    #[error("a stored value is invalid")]
    Row(#[from] Invalid),
}

impl From<QueryError> for BackendError {
    /// Only what is certainly a fault of the portal's own is `Backend`: a broken constraint, a row or a statement that
    /// makes no sense. All else, from a lost connection to a full disk, passes without a change of the portal.
    fn from(error: QueryError) -> Self {
        let ours = match &error {
            QueryError::Statement(Error::DatabaseError(kind, _)) => is_constraint(*kind),
            QueryError::Statement(
                Error::RollbackErrorOnCommit { .. }
                | Error::RollbackTransaction
                | Error::BrokenTransactionManager
                | Error::AlreadyInTransaction
                | Error::NotInTransaction,
            ) => false,
            QueryError::Row(_) | QueryError::Statement(_) => true,
        };
        if ours { Self::failed(Backend::Database, error) } else { Self::unavailable(Backend::Database, error) }
    }
}

fn is_constraint(kind: DatabaseErrorKind) -> bool {
    matches!(
        kind,
        DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::CheckViolation
            | DatabaseErrorKind::RestrictViolation
            | DatabaseErrorKind::ExclusionViolation
    )
}

/// No connection within the time for it; `last` is what the latest attempt to make one ran into.
pub(super) fn no_connection(error: RunError, last: Option<String>) -> BackendError {
    match last {
        Some(last) => BackendError::unavailable(Backend::Database, last),
        None => BackendError::unavailable(Backend::Database, error),
    }
}
