//! Runs queries to their end, whether or not the caller still waits for them.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use portal_core::{Backend, BackendError, BackendErrorKind, error_text};
use tokio::runtime::{EnterGuard, Handle};
use tokio::task::{JoinError, JoinHandle};
use tracing::{Instrument, Span};

use super::DbSettings;
use super::error::QueryError;
use crate::blocking::{BlockingPool, Timeouts};

/// A query whose future may move between threads, which `AsyncFnOnce` alone cannot say. To be written as the bound
/// `AsyncFnOnce(&mut Conn) -> Result<T, QueryError> + for<'c> SendQuery<&'c mut Conn, T>`: the first half is what the
/// compiler reads a closure's types from.
pub(super) trait SendQuery<C, T>: FnOnce(C) -> Self::Running + Send + 'static {
    type Running: Future<Output = Result<T, QueryError>> + Send;
}

impl<C, T, Q, A> SendQuery<C, T> for Q
where
    Q: FnOnce(C) -> A + Send + 'static,
    A: Future<Output = Result<T, QueryError>> + Send,
{
    type Running = A;
}

/// A failed write counts as recent for this many statement timeouts.
const RECENT: u32 = 6;

struct FailedWrite {
    at: Instant,
    error: String,
}

/// The runtime that queries run on, and their limits.
#[derive(Clone)]
pub(super) struct Executor {
    handle: Handle,
    timeouts: Timeouts,
    /// The last write, if it failed for a reason outside the portal, such as a full disk.
    failed_write: Arc<Mutex<Option<FailedWrite>>>,
}

impl Executor {
    /// `handle` must be of a multi-thread runtime, unless the database is in memory.
    pub(super) fn of(settings: &DbSettings, handle: Handle) -> Self {
        let timeouts = Timeouts { queue: settings.acquire_timeout, work: settings.statement_timeout };
        Self { handle, timeouts, failed_write: Arc::default() }
    }

    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Returns the moment until which a task that is spawned now is waited for.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeouts.queue + self.timeouts.work
    }

    /// Runs a future as a task.
    pub(super) async fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, BackendError>> + Send + 'static,
    ) -> Result<T, BackendError> {
        self.join(self.handle.spawn(work.in_current_span())).await
    }

    /// Runs a function on one of tokio's own blocking threads.
    pub(super) async fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        self.join(self.handle.spawn_blocking(work)).await
    }

    /// Runs a future that blocks the thread which polls it, on a thread of `threads`.
    pub(super) async fn block<T: Send + 'static>(
        &self,
        threads: &BlockingPool,
        work: impl AsyncFnOnce() -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let (handle, span) = (self.handle.clone(), Span::current());
        let done = threads.run(self.timeouts, move || span.in_scope(|| handle.block_on(work())));
        done.await.unwrap_or_else(|error| Err(error.of(Backend::Database)))
    }

    /// Runs a future as a task, however long it takes.
    pub(super) async fn spawn_without_limit<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, BackendError>> + Send + 'static,
    ) -> Result<T, BackendError> {
        self.handle.spawn(work.in_current_span()).await.unwrap_or_else(|panicked| Err(panic_error(panicked)))
    }

    /// Runs a function on one of tokio's own blocking threads, however long it takes.
    pub(super) async fn spawn_blocking_without_limit<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        self.handle.spawn_blocking(work).await.unwrap_or_else(|panicked| Err(panic_error(panicked)))
    }

    /// Remembers whether writes succeed, and returns the result of one.
    pub(super) fn record_write<T>(&self, result: Result<T, BackendError>) -> Result<T, BackendError> {
        let failed = match &result {
            Ok(_) => None,
            Err(error) if error.kind == BackendErrorKind::Unavailable => {
                Some(FailedWrite { at: Instant::now(), error: error_text(error) })
            }
            // A statement that the database refused says nothing about the next one.
            Err(_) => return result,
        };
        *self.failed_write.lock() = failed;
        result
    }

    /// Returns how the last write failed, if it did, and whether that is recent: a full disk may take a small write
    /// between two that it refuses, so that trying one at once would prove nothing.
    pub(super) fn failed_write(&self) -> Option<(String, bool)> {
        let failed = self.failed_write.lock();
        failed.as_ref().map(|failed| (failed.error.clone(), failed.at.elapsed() < RECENT * self.timeouts.work))
    }

    /// Waits for a task, within the limits.
    async fn join<T>(&self, task: JoinHandle<Result<T, BackendError>>) -> Result<T, BackendError> {
        match tokio::time::timeout(self.timeouts.queue + self.timeouts.work, task).await {
            Ok(joined) => joined.unwrap_or_else(|panicked| Err(panic_error(panicked))),
            Err(elapsed) => Err(BackendError::unavailable(Backend::Database, elapsed)),
        }
    }
}

fn panic_error(panicked: JoinError) -> BackendError {
    BackendError::failed(Backend::Database, panicked)
}
