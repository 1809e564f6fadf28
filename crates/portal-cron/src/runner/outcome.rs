//! Storing the ends of attempts in groups.

use std::sync::Arc;

use parking_lot::Mutex;
use portal_core::{Backend, BackendError};
use tokio::sync::oneshot;

use crate::{CompletedAttempt, RunQueue};

/// Most ends that one transaction stores.
const GROUP: usize = 100;

type Reply = Result<bool, Arc<BackendError>>;

/// Stores ends of attempts; those that come while a transaction is under way share the next one.
///
/// 1. A caller queues its end.
/// 2. The first caller to get the commit lock takes up to [`GROUP`] of them, its own or not, and stores them.
/// 3. The others find their result when they get the lock in turn, or take the next group.
pub(super) struct OutcomeWriter {
    queue: Arc<dyn RunQueue>,
    waiting: Mutex<Vec<(CompletedAttempt, oneshot::Sender<Reply>)>>,
    commit: tokio::sync::Mutex<()>,
}

impl OutcomeWriter {
    pub(super) fn new(queue: Arc<dyn RunQueue>) -> Self {
        Self { queue, waiting: Mutex::default(), commit: tokio::sync::Mutex::default() }
    }

    /// Stores the end of an attempt; `false` if the queue refused it as superseded.
    ///
    /// # Errors
    /// The queue failed; the end may or may not be stored. Storing it again is safe.
    pub(super) async fn record(&self, completed: CompletedAttempt) -> Reply {
        let (sender, mut reply) = oneshot::channel();
        self.waiting.lock().push((completed, sender));
        loop {
            let _turn = self.commit.lock().await;
            match reply.try_recv() {
                Ok(reply) => return reply,
                // The task that had taken this end was aborted in the middle of its transaction.
                Err(oneshot::error::TryRecvError::Closed) => {
                    return Err(Arc::new(BackendError::unavailable(
                        Backend::Database,
                        "the transaction was abandoned",
                    )));
                }
                Err(oneshot::error::TryRecvError::Empty) => self.commit_group().await,
            }
        }
    }

    async fn commit_group(&self) {
        let group: Vec<_> = {
            let mut waiting = self.waiting.lock();
            let end = waiting.len().min(GROUP);
            waiting.drain(..end).collect()
        };
        let (completed, senders): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let results = match self.queue.complete_attempts(completed).await {
            Ok(stored) => stored.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(Arc::new(error)); senders.len()],
        };
        for (sender, result) in senders.into_iter().zip(results) {
            // A caller that was aborted no longer waits; its end is stored all the same.
            drop(sender.send(result));
        }
    }
}
