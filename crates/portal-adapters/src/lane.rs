//! Work that blocks, off the threads that serve requests.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portal_core::{Backend, PortError};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A thread that was held up this long by one piece of work is helped by another one.
const STALL: Duration = Duration::from_millis(1);

/// Runs short pieces of work that may block, each in its turn, on as few threads as keep up with them.
///
/// Most pieces are done sooner than a sleeping thread is woken, which is what `spawn_blocking` does for each of them:
/// here one thread takes piece after piece while there are any, and another one joins it only when it is held up.
#[derive(Clone)]
pub(crate) struct Lane(Arc<Inner>);

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
pub(crate) struct Patience {
    /// Until its turn comes.
    pub(crate) turn: Duration,
    /// From then on.
    pub(crate) work: Duration,
}

/// Why work has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undone {
    /// Its turn did not come in time, and will not come any more.
    #[error("everything that could have done it was busy for too long")]
    Late,
    /// It was begun and goes on, but takes too long to be waited for.
    #[error("it takes too long")]
    Slow,
    /// It was begun and panicked, or the process is ending.
    #[error("the work was given up")]
    GivenUp,
}

impl Undone {
    /// As the trouble of whatever the work was done on.
    pub(crate) fn at(self, backend: Backend) -> PortError {
        match self {
            Self::Late | Self::Slow => PortError::unavailable(backend, self),
            Self::GivenUp => PortError::backend(backend, self),
        }
    }
}

impl Lane {
    /// A lane of at most so many threads.
    pub(crate) fn new(most: usize) -> Self {
        let state = State { waiting: VecDeque::new(), threads: 0, taken_at: Instant::now() };
        Self(Arc::new(Inner { most, state: Mutex::new(state) }))
    }

    /// Runs work to its end, whatever becomes of the caller, unless its turn does not come in time.
    pub(crate) fn run<T, W>(
        &self,
        patience: Patience,
        work: W,
    ) -> impl Future<Output = Result<T, Undone>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let (tell, mut told) = oneshot::channel();
        let is_decided = Arc::new(AtomicBool::new(false));
        let has_begun = is_decided.clone();
        self.submit(Box::new(move || {
            if has_begun.swap(true, Ordering::AcqRel) {
                return;
            }
            if let Ok(done) = catch_unwind(AssertUnwindSafe(work)) {
                // Nobody may be waiting any more.
                let _ = tell.send(done);
            }
        }));
        async move {
            let mut done = timeout(patience.turn, &mut told).await;
            if done.is_err() {
                if !is_decided.swap(true, Ordering::AcqRel) {
                    return Err(Undone::Late);
                }
                done = timeout(patience.work, &mut told).await;
            }
            done.map_err(|_| Undone::Slow)?.map_err(|_| Undone::GivenUp)
        }
    }

    fn submit(&self, work: Box<dyn FnOnce() + Send>) {
        let mut state = self.0.state();
        state.waiting.push_back(work);
        let is_moving = state.threads > 0 && state.taken_at.elapsed() < STALL;
        if is_moving || state.threads == self.0.most {
            return;
        }
        state.threads += 1;
        state.taken_at = Instant::now();
        drop(state);
        let seat = Seat { lane: Arc::clone(&self.0), is_left: false };
        tokio::task::spawn_blocking(move || seat.work_off());
    }
}

/// A thread's place in the lane; a runtime that ends drops it unused.
struct Seat {
    lane: Arc<Inner>,
    is_left: bool,
}

impl Seat {
    fn work_off(mut self) {
        while !self.is_left {
            while let Some(work) = self.lane.next() {
                work();
            }
            // Whoever has work to bring may only be waiting for a processor.
            std::thread::yield_now();
            self.leave();
        }
    }

    /// Leaves the place, unless there is work: what comes later is to find it empty.
    fn leave(&mut self) {
        let mut state = self.lane.state();
        if state.waiting.is_empty() {
            state.threads -= 1;
            self.is_left = true;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.is_left {
            self.lane.state().threads -= 1;
        }
    }
}

impl Inner {
    fn next(&self) -> Option<Box<dyn FnOnce() + Send>> {
        let mut state = self.state();
        let work = state.waiting.pop_front()?;
        state.taken_at = Instant::now();
        Some(work)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
