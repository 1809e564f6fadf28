//! Every query, once. This file and its folder are compiled for SQLite inside `sqlite.rs` and for PostgreSQL inside
//! `postgres.rs`, which give them `Conn`, `now`, `lock_names` and the macros.

#[path = "queries/agents.rs"]
pub(in crate::db) mod agents;
#[path = "queries/audit.rs"]
pub(in crate::db) mod audit;
#[path = "queries/contacts.rs"]
pub(in crate::db) mod contacts;
#[path = "queries/documents.rs"]
pub(in crate::db) mod documents;
#[path = "queries/exposures.rs"]
pub(in crate::db) mod exposures;
#[path = "queries/friends.rs"]
pub(in crate::db) mod friends;
#[path = "queries/friendships.rs"]
pub(in crate::db) mod friendships;
#[path = "queries/intents.rs"]
pub(in crate::db) mod intents;
#[path = "queries/jobs.rs"]
pub(in crate::db) mod jobs;
#[path = "queries/portal.rs"]
pub(in crate::db) mod portal;
#[path = "queries/row_of_exposure.rs"]
mod row_of_exposure;
#[path = "queries/runs.rs"]
pub(in crate::db) mod runs;
#[path = "queries/sessions.rs"]
pub(in crate::db) mod sessions;
#[path = "queries/versions.rs"]
pub(in crate::db) mod versions;

use super::{Conn, lock_names, now};
