//! Exposures over a zone, a cluster and stores in memory.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its premise fails")]

mod change;
mod close;
mod crash;
mod drift;
mod faults;
mod open;
mod owner;
mod patience;
mod snapshot;
mod world;
