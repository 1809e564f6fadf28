//! Time limit of a single call to a zone or to the cluster.

use std::future::Future;
use std::time::Duration;

use portal_core::{Backend, BackendError};

/// Time limit of one call to a zone or to the cluster. A cluster call alone would wait 10 s; it is cut off here.
pub(crate) const STEP_TIMEOUT: Duration = Duration::from_secs(8);

/// Awaits a call for at most [`STEP_TIMEOUT`]; the backend counts as unavailable after that.
pub(crate) async fn with_timeout<T>(
    backend: Backend,
    call: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    match tokio::time::timeout(STEP_TIMEOUT, call).await {
        Ok(result) => result,
        Err(elapsed) => Err(BackendError::unavailable(backend, elapsed)),
    }
}
