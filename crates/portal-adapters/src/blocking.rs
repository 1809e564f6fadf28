//! Work that blocks, off the threads that serve requests.
//!
//! 1. *Queue*: a piece of work is put behind the others. If no thread takes pieces, or the last one taken has held its
//!    thread up for a millisecond, one more thread joins, unless as many as there may be have joined.
//! 2. *Claim*: a thread takes the first piece and claims it. A caller whose turn does not come in time claims it instead,
//!    and the piece will never run.
//! 3. *Run*: the piece runs to its end, whatever becomes of its caller. A panic ends the piece and not the thread.
//! 4. *Answer*: the caller gets the result, or an error after its time limit while the piece goes on.
//! 5. *Leave*: a thread that finds the queue empty leaves, under the lock of the queue: what comes later finds its place
//!    free.
//!
//! A caller that has waited for half a second sees to step 1 again, because the threads may be held up since it queued.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use portal_core::{Backend, BackendError};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A thread that was held up this long by one piece of work is helped by another one.
const STALL: Duration = Duration::from_millis(1);
/// Pause after which a waiting caller has another thread join if need be; what is queued later does so at once. A shorter
/// one would cost each piece of work a call of the kernel: a timer that ends before all others wakes tokio's driver.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs short pieces of work that may block, each in its turn, on as few threads as keep up with them.
///
/// Most pieces are done sooner than a sleeping thread is woken, which is what `spawn_blocking` does for each of them:
/// here one thread takes piece after piece while there are any, and another one joins it only when it is held up.
#[derive(Clone)]
pub(crate) struct BlockingPool(Arc<Inner>);

struct Inner {
    most: usize,
    state: Mutex<State>,
}

struct State {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    threads: usize,
    taken_at: Instant,
}

/// How long work is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// Until its turn comes.
    pub(crate) queue: Duration,
    /// From then on.
    pub(crate) work: Duration,
}

/// Why work has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PoolError {
    /// Its turn did not come in time, and will not come any more.
    #[error("everything that could have done it was busy for too long")]
    QueueTimeout,
    /// It was begun and goes on, but takes too long to be waited for.
    #[error("it takes too long")]
    Timeout,
    /// It was begun and panicked, or the process is ending.
    #[error("the work was given up")]
    Panicked,
}

impl PoolError {
    /// Returns the same as an error of the backend on which the work was done.
    pub(crate) fn of(self, backend: Backend) -> BackendError {
        match self {
            Self::QueueTimeout | Self::Timeout => BackendError::unavailable(backend, self),
            Self::Panicked => BackendError::failed(backend, self),
        }
    }
}

impl BlockingPool {
    /// A pool of at most so many threads.
    pub(crate) fn new(most: usize) -> Self {
        let state = State { waiting: VecDeque::new(), threads: 0, taken_at: Instant::now() };
        Self(Arc::new(Inner { most, state: Mutex::new(state) }))
    }

    /// Runs work to its end, whatever becomes of the caller, unless its turn does not come in time.
    pub(crate) fn run<T, W>(
        &self,
        timeouts: Timeouts,
        work: W,
    ) -> impl Future<Output = Result<T, PoolError>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let (sender, mut receiver) = oneshot::channel();
        let is_claimed = Arc::new(AtomicBool::new(false));
        let claim = is_claimed.clone();
        self.submit(Box::new(move || {
            if claim.swap(true, Ordering::AcqRel) {
                return;
            }
            if let Ok(done) = catch_unwind(AssertUnwindSafe(work)) {
                // Nobody may be waiting any more.
                let _ = sender.send(done);
            }
        }));
        let pool = Arc::clone(&self.0);
        async move {
            let mut left = timeouts.queue;
            while !is_claimed.load(Ordering::Acquire) {
                if let Ok(done) = timeout(left.min(PAUSE), &mut receiver).await {
                    return done.map_err(|_| PoolError::Panicked);
                }
                left = left.saturating_sub(PAUSE);
                if left.is_zero() && !is_claimed.swap(true, Ordering::AcqRel) {
                    return Err(PoolError::QueueTimeout);
                }
                pool.keep_moving();
            }
            timeout(timeouts.work, receiver).await.map_err(|_| PoolError::Timeout)?.map_err(|_| PoolError::Panicked)
        }
    }

    fn submit(&self, work: Box<dyn FnOnce() + Send>) {
        self.0.state().waiting.push_back(work);
        self.0.keep_moving();
    }
}

/// A thread's place in the pool; a runtime that ends drops it unused.
struct Worker {
    pool: Arc<Inner>,
    is_gone: bool,
}

impl Worker {
    fn run(mut self) {
        while !self.is_gone {
            while let Some(work) = self.pool.next() {
                work();
            }
            // Whoever has work to bring may only be waiting for a processor.
            std::thread::yield_now();
            self.leave();
        }
    }

    /// Leaves the pool, unless there is work: what comes later is to find it empty.
    fn leave(&mut self) {
        let mut state = self.pool.state();
        if state.waiting.is_empty() {
            state.threads -= 1;
            self.is_gone = true;
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.is_gone {
            self.pool.state().threads -= 1;
        }
    }
}

impl Inner {
    /// Has a thread take up what waits, unless one does, or all are busy.
    fn keep_moving(self: &Arc<Self>) {
        let mut state = self.state();
        let is_moving = state.threads > 0 && state.taken_at.elapsed() < STALL;
        if state.waiting.is_empty() || is_moving || state.threads == self.most {
            return;
        }
        state.threads += 1;
        state.taken_at = Instant::now();
        drop(state);
        let worker = Worker { pool: Arc::clone(self), is_gone: false };
        tokio::task::spawn_blocking(move || worker.run());
    }

    fn next(&self) -> Option<Box<dyn FnOnce() + Send>> {
        let mut state = self.state();
        let work = state.waiting.pop_front()?;
        state.taken_at = Instant::now();
        Some(work)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests;
