//! The stores, one file each. This folder is compiled twice: inside `sqlite.rs` and inside `postgres.rs`, which define
//! what `use super::{..}` below names, and the macros `for_update!` and `for_update_skip_locked!`.

use std::sync::Arc;

use portal_core::Clock;

#[path = "stores/agents.rs"]
mod agents;
#[path = "stores/audit.rs"]
mod audit;
#[path = "stores/changes.rs"]
mod changes;
#[path = "stores/contacts.rs"]
mod contacts;
#[path = "stores/documents.rs"]
mod documents;
#[path = "stores/ended_runs.rs"]
mod ended_runs;
#[path = "stores/exposure_requests.rs"]
mod exposure_requests;
#[path = "stores/exposure_rows.rs"]
mod exposure_rows;
#[path = "stores/exposure_work.rs"]
mod exposure_work;
#[path = "stores/friends.rs"]
mod friends;
#[path = "stores/friendships.rs"]
mod friendships;
#[path = "stores/jobs.rs"]
mod jobs;
#[path = "stores/logins.rs"]
mod logins;
#[path = "stores/manual_runs.rs"]
mod manual_runs;
#[path = "stores/messages.rs"]
mod messages;
#[path = "stores/parking.rs"]
mod parking;
#[path = "stores/portal.rs"]
mod portal;
#[path = "stores/remote.rs"]
mod remote;
#[path = "stores/retention.rs"]
mod retention;
#[path = "stores/runs.rs"]
mod runs;
#[path = "stores/sessions.rs"]
mod sessions;
#[path = "stores/versions.rs"]
mod versions;

use super::{Conn, Pools, lock_names, now, trigger_time};

/// Every store of the portal, in one database; each file of this folder implements a port for it.
#[derive(Clone)]
pub(in crate::db) struct Store {
    pub(in crate::db) pools: Pools,
    pub(in crate::db) clock: Arc<dyn Clock>,
}
