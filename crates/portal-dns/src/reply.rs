//! The answer to a request whose work may go on after it.

use std::time::Duration;

use portal_core::{Backend, BackendError};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::DnsError;

/// The worker's end of a request. The request is answered once, at the latest at its deadline.
pub(crate) struct Reply<T> {
    sender: Option<oneshot::Sender<Result<T, DnsError>>>,
    deadline: Instant,
}

/// The caller's end of a request. Dropping it leaves the work alone.
pub(crate) struct Pending<T>(oneshot::Receiver<Result<T, DnsError>>);

/// Makes both ends of a request that is to be answered within `timeout`.
pub(crate) fn channel<T>(timeout: Duration) -> (Reply<T>, Pending<T>) {
    let (sender, receiver) = oneshot::channel();
    (Reply { sender: Some(sender), deadline: Instant::now() + timeout }, Pending(receiver))
}

impl<T> Reply<T> {
    /// Returns the time by which the caller has to be answered.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// True until the caller was answered.
    pub(crate) fn is_open(&self) -> bool {
        self.sender.is_some()
    }

    /// Answers the caller; only the first answer counts.
    pub(crate) fn send(&mut self, result: Result<T, DnsError>) {
        if let Some(sender) = self.sender.take() {
            // The receiver is gone if the friend hung up.
            let _ = sender.send(result);
        }
    }
}

impl<T> Pending<T> {
    /// Waits for the answer.
    pub(crate) async fn result(self) -> Result<T, DnsError> {
        // A worker that died: a later pass finishes what it had stored.
        self.0.await.unwrap_or_else(|dropped| Err(BackendError::failed(Backend::Database, dropped).into()))
    }
}
