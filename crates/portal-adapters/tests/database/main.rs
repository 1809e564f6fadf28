//! What the database itself promises, whatever is kept in it: its tables are what the code believes, its trouble is
//! told apart from its answers, nothing acknowledged is lost, and no caller who leaves hurts it.

#![expect(clippy::unwrap_used, reason = "a test ends where its premise fails")]

mod audit;
mod door;
mod durability;
mod hang_up;
mod instance;
mod newcomer;
mod outage;
#[path = "../contract/postgres.rs"]
mod postgres;
mod racing;
mod runners;
mod schema;
mod tables;
mod upgrade;
