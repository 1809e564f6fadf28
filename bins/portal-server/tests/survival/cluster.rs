//! The tests: all of them need the API server of the tier.

mod freeze;
mod kill;
mod race;
