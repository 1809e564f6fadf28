//! Test equipment for the portal and for anyone who implements one of its ports: fixtures, and the contract of each port
//! as a suite of tests.
//!
//! A port is a promise; its suite is the proof. This crate is a development dependency only: nothing here decides
//! anything, and everything panics where a premise of a test fails. Start reading at [`Fixture`] and [`contract`].

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends where its premise fails")]
#![expect(clippy::missing_panics_doc, reason = "every function panics where a premise of its test fails")]

pub mod contract;
mod fixture;

pub use fixture::{Fixture, Stores, fixture_clock, friend_id};
