//! One answer to a request whose work may outlast the caller's patience.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portal_core::{Backend, PortError};
use tokio::sync::oneshot;

use crate::DnsError;

/// How long a request waits for its exposure.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The worker's end.
pub(super) struct Answer<T> {
    is_given: Arc<AtomicBool>,
    tell: oneshot::Sender<Result<T, DnsError>>,
}

/// The caller's end.
pub(super) struct Question<T> {
    is_given: Arc<AtomicBool>,
    told: oneshot::Receiver<Result<T, DnsError>>,
}

/// The two ends of one request.
pub(super) fn channel<T>() -> (Answer<T>, Question<T>) {
    let (tell, told) = oneshot::channel();
    let is_given = Arc::new(AtomicBool::new(false));
    (Answer { is_given: is_given.clone(), tell }, Question { is_given, told })
}

impl<T> Answer<T> {
    /// Takes the right to refuse; `false` if the caller was told already that the request is stored.
    pub(super) fn claim(&self) -> bool {
        !self.is_given.swap(true, Ordering::AcqRel)
    }

    /// Tells the caller, if there still is one.
    pub(super) fn give(self, answer: Result<T, DnsError>) {
        // Nobody listens any more: they hung up, or were told that it goes on.
        let _ = self.tell.send(answer);
    }
}

impl<T> Question<T> {
    /// The answer; `None` once patience is over, and then no refusal will follow.
    pub(super) async fn wait(mut self) -> Option<Result<T, DnsError>> {
        if let Ok(told) = tokio::time::timeout(PATIENCE, &mut self.told).await {
            return Some(told.unwrap_or_else(|dropped| Err(lost(dropped))));
        }
        if !self.is_given.swap(true, Ordering::AcqRel) {
            return None;
        }
        Some(self.told.await.unwrap_or_else(|dropped| Err(lost(dropped))))
    }
}

/// The worker died; what it had stored is finished by a later pass.
fn lost(dropped: oneshot::error::RecvError) -> DnsError {
    DnsError::Unavailable(PortError::backend(Backend::Database, dropped))
}
