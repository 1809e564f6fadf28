//! Backends that are gone for a while.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use portal_core::BackendError;

use crate::intercepted::{Call, Effect, Interceptor};

/// Lets calls through until [`Outage::go_down`], and has every one fail from then on.
#[derive(Default)]
pub struct Outage(Mutex<Option<String>>);

impl Outage {
    /// Creates an interceptor behind which everything works.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Makes every later call fail as if its backend were gone, with `cause` as the source.
    pub fn go_down(&self, cause: &str) {
        *self.0.lock() = Some(cause.to_owned());
    }

    /// Ends the outage; nothing is lost.
    pub fn come_back(&self) {
        *self.0.lock() = None;
    }
}

#[async_trait]
impl Interceptor for Outage {
    async fn intercept(&self, call: Call, effect: Effect<'_>) -> Result<(), BackendError> {
        let cause = self.0.lock().clone();
        match cause {
            Some(cause) => Err(BackendError::unavailable(call.backend, cause)),
            None => effect.await,
        }
    }
}
