//! Faults at a chosen call of the ports.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use portal_core::{Backend, BackendError};

use crate::intercepted::{Call, Effect, Interceptor};

/// A way in which a call can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens, and the caller gets an error.
    Error,
    /// Nothing happens, and the caller gets no answer.
    Timeout,
    /// It happens, and the caller gets an error.
    LostAnswer,
    /// The process ends before it happens.
    StopBefore,
    /// The process ends after it happened.
    StopAfter,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 5] = [Self::Error, Self::Timeout, Self::LostAnswer, Self::StopBefore, Self::StopAfter];

    /// Returns true if the process does not survive it.
    #[must_use]
    pub fn ends_the_process(self) -> bool {
        matches!(self, Self::StopBefore | Self::StopAfter)
    }

    fn has_effect(self) -> bool {
        matches!(self, Self::LostAnswer | Self::StopAfter)
    }
}

type Before = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Counts the calls of one process to all its ports, and lets one of them fail.
///
/// After a fault that ends the process no call has an effect any more: its callers wait for ever, as a killed process
/// does, or get errors, where [`Faults::answering_the_dead`] says so.
pub struct Faults {
    calls: AtomicUsize,
    at: usize,
    fault: Option<Fault>,
    before: Option<Before>,
    after: Option<Box<dyn Fn() + Send + Sync>>,
    answers_the_dead: bool,
    dies_of_errors: bool,
    is_dead: AtomicBool,
    is_over: AtomicBool,
}

impl Faults {
    /// Strikes at call number `at`, counted from 0; with `None` all calls succeed.
    #[must_use]
    pub fn new(at: usize, fault: Option<Fault>) -> Self {
        Self {
            calls: AtomicUsize::new(0),
            at,
            fault,
            before: None,
            after: None,
            answers_the_dead: false,
            dies_of_errors: false,
            is_dead: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }
    }

    /// Counts calls and lets all of them through.
    #[must_use]
    pub fn none() -> Self {
        Self::new(usize::MAX, None)
    }

    /// Runs `work` right before the chosen call: what others do in that moment.
    #[must_use]
    pub fn before_it<F: Future<Output = ()> + Send + 'static>(
        mut self,
        work: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        self.before = Some(Box::new(move || work().boxed()));
        self
    }

    /// Runs `work` after each call that had its effect.
    #[must_use]
    pub fn after_each(mut self, work: impl Fn() + Send + Sync + 'static) -> Self {
        self.after = Some(Box::new(work));
        self
    }

    /// Gives callers in an ended process errors, so that a test need not wait for them with a timeout.
    #[must_use]
    pub fn answering_the_dead(mut self) -> Self {
        self.answers_the_dead = true;
        self
    }

    /// Ends the process at the first error of a port itself.
    #[must_use]
    pub fn dying_of_errors(mut self) -> Self {
        self.dies_of_errors = true;
        self
    }

    /// Lets the ports share these faults.
    #[must_use]
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }

    /// Lets every later call succeed, unless the process has ended.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Returns the number of calls so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Returns true if the chosen call was made.
    pub fn was_reached(&self) -> bool {
        self.calls() > self.at
    }

    async fn without_fault(&self, effect: Effect<'_>) -> Result<(), BackendError> {
        let result = effect.await;
        self.is_dead.fetch_or(self.dies_of_errors && result.is_err(), Ordering::SeqCst);
        if let Some(after) = &self.after {
            after();
        }
        result
    }

    async fn unanswered(&self, backend: Backend) -> Result<(), BackendError> {
        if self.answers_the_dead { Err(injected(backend)) } else { pending().await }
    }
}

fn injected(backend: Backend) -> BackendError {
    BackendError::unavailable(backend, "an injected fault")
}

#[async_trait]
impl Interceptor for Faults {
    async fn intercept(&self, call: Call, effect: Effect<'_>) -> Result<(), BackendError> {
        let strikes = self.calls.fetch_add(1, Ordering::SeqCst) == self.at && !self.is_over.load(Ordering::SeqCst);
        if self.is_dead.load(Ordering::SeqCst) {
            return self.unanswered(call.backend).await;
        }
        if strikes && let Some(before) = &self.before {
            before().await;
        }
        let Some(fault) = self.fault.filter(|_| strikes) else { return self.without_fault(effect).await };
        if fault.has_effect() {
            // Its answer is lost in any case.
            let _ = self.without_fault(effect).await;
        }
        if fault.ends_the_process() {
            self.is_dead.store(true, Ordering::SeqCst);
            return self.unanswered(call.backend).await;
        }
        // A database adapter ends its calls by itself.
        if fault == Fault::Timeout && call.backend != Backend::Database {
            return pending().await;
        }
        Err(injected(call.backend))
    }
}
