//! What the portal's ports are made of: the machine's clock, and one feature per backend, each with the adapters that
//! speak to it.
//!
//! An adapter translates and decides nothing: whose record it is, who may write, what is due, all that is decided in
//! the domain crates. Every port also has an adapter in memory (feature `memory`) that keeps the same promises, shown
//! by the same contract tests; it serves tests, examples and the demo.

#[cfg(any(feature = "db", feature = "files"))]
mod blocking;
#[cfg(any(feature = "kube", feature = "memory"))]
mod ingress_route;
#[cfg(any(feature = "log", feature = "webhook"))]
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
#[cfg(feature = "reach")]
pub mod reach;
#[cfg(feature = "rfc2136")]
pub mod rfc2136;
#[cfg(feature = "webhook")]
pub mod webhook;

pub use system::{RandomIds, SystemClock};
