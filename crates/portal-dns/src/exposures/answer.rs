//! One answer to a request whose work may outlast the caller's patience.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use portal_core::{Backend, BackendError};
use tokio::sync::oneshot;

use crate::{DnsError, Exposure};

/// How long a request waits for its exposure.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How far a request has got, as both ends know it.
#[derive(Default)]
struct Progress {
    /// Somebody has the say about the answer: the worker, to refuse, or the caller, who gave up waiting.
    is_claimed: AtomicBool,
    /// The exposure, once what was asked for is stored.
    stored: OnceLock<Exposure>,
}

/// The worker's end.
pub(super) struct Answer<T> {
    progress: Arc<Progress>,
    tell: oneshot::Sender<Result<T, DnsError>>,
}

/// The caller's end.
pub(super) struct Question<T> {
    progress: Arc<Progress>,
    told: oneshot::Receiver<Result<T, DnsError>>,
}

/// What waiting came to.
pub(super) enum Waited<T> {
    Answered(Result<T, DnsError>),
    /// Patience is over, and no refusal will follow. The exposure is as it was stored; `None` if nothing is yet.
    TooLong(Option<Exposure>),
}

/// The two ends of one request.
pub(super) fn channel<T>() -> (Answer<T>, Question<T>) {
    let (tell, told) = oneshot::channel();
    let progress = Arc::<Progress>::default();
    (Answer { progress: progress.clone(), tell }, Question { progress, told })
}

impl<T> Answer<T> {
    /// Notes that what was asked for is stored.
    pub(super) fn note_stored(&self, exposure: &Exposure) {
        self.progress.stored.get_or_init(|| exposure.clone());
    }

    /// Takes the right to refuse; `false` if the caller was told already that the request is stored.
    pub(super) fn claim(&self) -> bool {
        !self.progress.is_claimed.swap(true, Ordering::AcqRel)
    }

    /// Tells the caller, if there still is one.
    pub(super) fn give(self, answer: Result<T, DnsError>) {
        // Nobody listens any more: they hung up, or were told that it goes on.
        let _ = self.tell.send(answer);
    }
}

impl<T> Question<T> {
    /// Waits for the answer.
    pub(super) async fn wait(mut self) -> Waited<T> {
        if let Ok(told) = tokio::time::timeout(PATIENCE, &mut self.told).await {
            return Waited::Answered(told.unwrap_or_else(|dropped| Err(lost(dropped))));
        }
        if !self.progress.is_claimed.swap(true, Ordering::AcqRel) {
            return Waited::TooLong(self.progress.stored.get().cloned());
        }
        Waited::Answered(self.told.await.unwrap_or_else(|dropped| Err(lost(dropped))))
    }
}

/// The worker died; what it had stored is finished by a later pass.
fn lost(dropped: oneshot::error::RecvError) -> DnsError {
    DnsError::Unavailable(BackendError::failed(Backend::Database, dropped))
}
