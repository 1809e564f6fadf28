//! Whether what the portal stands on is there.

use async_trait::async_trait;

use crate::BackendError;

/// Something the portal stands on, that can be asked whether it is there.
#[async_trait]
pub trait Probe: Send + Sync {
    /// What is asked, as one stable word such as `database` or `cluster`.
    fn name(&self) -> &'static str;
    /// Whether the portal should get no requests without it; what only some operations need is not required.
    fn required(&self) -> bool;
    /// Asks now; `Ok` only when it answered as it should.
    async fn probe(&self) -> Result<(), BackendError>;
}
