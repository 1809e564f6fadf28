//! Recording outcomes in groups.

use std::sync::Arc;

use parking_lot::Mutex;
use portal_core::{Backend, BackendError};
use tokio::sync::oneshot;

use crate::{RunQueue, Settled, Settlement};

/// Most outcomes that one transaction records.
const GROUP: usize = 100;

type Reply = Result<Settled, Arc<BackendError>>;

/// Records outcomes; those that come while a transaction is under way share the next one.
///
/// 1. A caller queues its outcome.
/// 2. The first caller to get the commit lock takes up to [`GROUP`] outcomes, its own or not, and records them.
/// 3. The others find their result when they get the lock in turn, or take the next group.
pub(super) struct OutcomeWriter {
    queue: Arc<dyn RunQueue>,
    waiting: Mutex<Vec<(Settlement, oneshot::Sender<Reply>)>>,
    commit: tokio::sync::Mutex<()>,
}

impl OutcomeWriter {
    pub(super) fn new(queue: Arc<dyn RunQueue>) -> Self {
        Self { queue, waiting: Mutex::default(), commit: tokio::sync::Mutex::default() }
    }

    /// Records an outcome.
    ///
    /// # Errors
    /// The queue failed; the outcome may or may not be recorded. Recording it again is safe.
    pub(super) async fn record(&self, outcome: Settlement) -> Reply {
        let (sender, mut reply) = oneshot::channel();
        self.waiting.lock().push((outcome, sender));
        loop {
            let _turn = self.commit.lock().await;
            match reply.try_recv() {
                Ok(reply) => return reply,
                // The task that had taken this outcome was aborted in the middle of its transaction.
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
        let (outcomes, senders): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let results = match self.queue.settle(outcomes).await {
            Ok(settled) => settled.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(Arc::new(error)); senders.len()],
        };
        for (sender, result) in senders.into_iter().zip(results) {
            // A caller that was aborted no longer waits; its outcome is recorded all the same.
            drop(sender.send(result));
        }
    }
}
