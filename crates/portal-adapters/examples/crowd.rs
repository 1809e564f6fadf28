//! Adds very many friends of the agent `main` to a portal's `SQLite` database: `crowd DATABASE FRIENDS`.
//!
//! `cargo xtask bench api` uses it to show that a request costs the same however many friends there are. Creating them
//! one by one would take a transaction and an `fsync` each.

use std::error::Error;

use diesel::connection::{Connection, SimpleConnection as _};
use diesel::sqlite::SqliteConnection;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(database), Some(friends)) = (arguments.next(), arguments.next()) else {
        return Err("usage: crowd DATABASE FRIENDS".into());
    };
    let friends: u32 = friends.parse()?;
    let script = include_str!("crowd.sql").replace("FRIENDS", &friends.to_string());
    SqliteConnection::establish(&database)?.batch_execute(&script)?;
    Ok(())
}
