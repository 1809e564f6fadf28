//! One call to the API server: its time limit, and its failures as the ports return them.

use std::future::Future;
use std::time::Duration;

use kube::Error;
use kube::core::Status;
use portal_core::{Backend, BackendError};
use tokio::time::timeout;

/// Longest time that the API server may take for one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits for one call.
pub(super) async fn call<T>(calling: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    timeout(CALL_TIMEOUT, calling).await.unwrap_or_else(|late| Err(Error::Service(late.into())))
}

/// Converts a failed call to a backend error.
pub(super) fn backend_error(error: Error) -> BackendError {
    match &error {
        Error::Api(status) => refused(status.code, retry_after(&error), error),
        Error::Auth(_) => BackendError::denied(Backend::Cluster, error),
        Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) => unavailable(None, error),
        _ => BackendError::failed(Backend::Cluster, error),
    }
}

fn refused(code: u16, retry_after: Option<Duration>, error: Error) -> BackendError {
    match code {
        401 | 403 => BackendError::denied(Backend::Cluster, error),
        // 500 too: an API server answers it while its etcd has no leader.
        429 | 500 | 502..=504 => unavailable(retry_after, error),
        _ => BackendError::failed(Backend::Cluster, error),
    }
}

fn unavailable(retry_after: Option<Duration>, error: Error) -> BackendError {
    BackendError::unavailable(Backend::Cluster, error).with_retry_after(retry_after)
}

/// Returns the time until another attempt, where the API server named one.
pub(super) fn retry_after(error: &Error) -> Option<Duration> {
    let seconds = status(error)?.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// Returns the API server's status of a call that it refused.
pub(super) fn status(error: &Error) -> Option<&Status> {
    match error {
        Error::Api(status) => Some(status),
        _ => None,
    }
}
