//! Documents on real files beside a real database: several portals and an agent at once, processes killed at any
//! moment, and file systems that are not as one would wish.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its premise fails")]

mod concurrent_writers;
mod disk;
mod fixture;
mod kill;
mod mounts;
mod node;
mod open_file;
#[path = "../contract/postgres.rs"]
mod postgres;
mod unshare;
