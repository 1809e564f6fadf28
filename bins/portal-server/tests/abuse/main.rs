//! Hostile and unlucky clients against a demo of its own on loopback, which has one CPU and so one worker.
//!
//! These tests assert order and bounds, never latency: which request is answered first, how much memory and how many
//! descriptors are held, and when a connection ends. Every client is bounded and ends with its test.

mod abuse;
mod server;
