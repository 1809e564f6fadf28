//! A real OpenClaw gateway, and what the portal sends to it (tier `gateway`).

mod gateway;
mod people;
mod real;
