//! Puts the portal together: reads the configuration, chooses the adapters, serves the API, runs the background passes.
//!
//! This is the only crate that names adapters. It decides nothing about friends, hostnames, documents or jobs. Start
//! reading at [`compose`] for what depends on what, and at [`demo`] for the portal that needs nothing but a folder.

pub mod admin;
pub mod background;
pub mod check;
mod command_error;
pub mod commands;
pub mod compose;
pub mod config;
mod connections;
mod console;
mod database_file;
pub mod demo;
mod hangup;
mod metrics;
mod operations;
pub mod server;
mod signing;
pub mod telemetry;
