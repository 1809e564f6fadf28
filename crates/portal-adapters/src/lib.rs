//! Implementations of the portal's ports: the machine's clock, and one feature per backend, each with the adapters that
//! speak to it.
//!
//! An adapter translates and decides nothing: whose record it is, who may write, what is due, all that is decided in
//! the domain crates. The feature `memory` has a cluster, zones and agents' folders in memory. They pass the same contract
//! suites as the real ones (`portal-testkit`), and serve tests, examples and the demo.

#[cfg(any(feature = "db", feature = "files"))]
mod blocking;
#[cfg(any(feature = "webhook", feature = "openclaw"))]
mod http_retry;
#[cfg(any(feature = "kube", feature = "memory"))]
mod ingress_route;
#[cfg(any(feature = "log", feature = "webhook", all(test, feature = "openclaw")))]
mod message;
#[cfg(any(feature = "kube", feature = "memory"))]
mod service_state;
mod system;

#[cfg(feature = "cloudflare")]
pub mod cloudflare;
#[cfg(feature = "kube")]
pub mod kube;

#[cfg(feature = "db")]
pub mod db;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "openclaw")]
pub mod openclaw;
#[cfg(feature = "reach")]
pub mod reach;
#[cfg(feature = "rfc2136")]
pub mod rfc2136;
#[cfg(feature = "webhook")]
pub mod webhook;

pub use system::{RandomIds, SystemClock};
