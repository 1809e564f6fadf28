//! The database under every store: its tables are those that the code declares, its failures are never taken for
//! answers, nothing acknowledged is lost, and no caller who leaves hurts it.

#![expect(clippy::unwrap_used, reason = "a test ends where its premise fails")]
#![expect(clippy::print_stdout, reason = "a test of many jobs says how late they were")]

mod audit;
mod durability;
mod hang_up;
mod instance;
mod load;
mod outage;
#[path = "../contract/postgres.rs"]
mod postgres;
mod racing;
mod registration;
mod retention;
mod revocation;
mod runners;
mod schema;
mod tables;
#[path = "../documents/unshare.rs"]
mod unshare;
mod upgrade;
