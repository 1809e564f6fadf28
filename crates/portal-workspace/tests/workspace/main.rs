//! What is promised of documents, tried on the adapters in memory and on real files.

#![expect(clippy::unwrap_used, reason = "a test ends where its premise fails")]

mod crash;
mod faults;
mod heartbeat;
mod replace;
mod sleeper;
mod versions;
mod world;
