//! A real OpenClaw gateway, and what the portal sends to it (tier `gateway`), and the plugin that it runs for
//! friends (tier `node`).

mod gateway;
mod node;
mod people;
mod real;
