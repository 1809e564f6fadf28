//! A real OpenClaw gateway, and what the portal sends to it (tier `gateway`), and the plugin that it runs for
//! friends (tier `node`).

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends where its premise fails")]

mod engine;
mod fake;
mod gateway;
mod node;
mod people;
mod real;
mod scopes;
