//! The API over HTTP on adapters in memory: a module per resource.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod cron;
mod events;
mod exposing;
mod exposure;
mod fixture;
mod friend;
mod guesses;
mod health;
mod isolation;
mod limits;
mod logs;
mod metrics;
mod middleware;
mod mounted;
mod namespace;
mod openapi;
mod operations;
mod session;
mod settings;
mod walk;
mod workspace;
