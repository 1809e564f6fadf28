//! Exposures over a database and a cluster in memory, and zones in memory or, in `over_http`, at a scripted Cloudflare.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its premise fails")]

mod change;
mod close;
mod crash;
mod drift;
mod faults;
mod fixture;
mod open;
mod operation;
mod over_http;
mod owner;
mod simulation;
mod snapshot;
mod timeouts;
