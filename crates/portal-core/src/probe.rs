//! Probes of the backends.

use async_trait::async_trait;

use crate::BackendError;

/// A probe of one backend.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Returns the backend's name, one stable word such as `database` or `cluster`.
    fn name(&self) -> &'static str;
    /// Returns `true` if the portal should get no requests without it; what only some operations need is not required.
    fn required(&self) -> bool;
    /// Asks now; `Ok` only when it answered as it should.
    async fn probe(&self) -> Result<(), BackendError>;
}
