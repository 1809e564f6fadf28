//! Guarantees of documents, on the adapters in memory and on real files.

#![expect(clippy::unwrap_used, reason = "a test ends where its premise fails")]

mod crash;
mod displaced;
mod expired_lease;
mod faults;
mod fixture;
mod heartbeat;
mod mount_points;
mod replace;
mod versions;
