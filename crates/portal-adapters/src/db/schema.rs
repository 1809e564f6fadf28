//! The tables, as both databases have them. `tests/schema.rs` compares them with the real ones.

mod cron;
mod exposing;
mod people;
mod workspace;

pub(super) use cron::{jobs, remote_changes, remote_pauses, remote_runs, runs};
pub(super) use exposing::{exposures, hostnames, tombstones};
pub(super) use people::{agents, audit_log, changes, contacts, friends, friendships, login_codes, portal, sessions};
pub(super) use workspace::{document_versions, documents};
