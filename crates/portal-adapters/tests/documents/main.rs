//! Documents on real files beside a real database: several portals and an agent at once, processes killed at any
//! moment, and file systems that are not as one would wish.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its premise fails")]

mod disk;
mod ground;
mod hammer;
mod kill;
mod mounts;
#[path = "../contract/postgres.rs"]
mod postgres;
