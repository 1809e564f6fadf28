//! The friend's own entries of the audit log.

use portal_core::{Actor, AuditRecord, FriendId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::time;

/// Most entries in one answer.
pub(crate) const ACTIVITY_PAGE: u32 = 50;

/// Which entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ActivityQuery {
    /// Only entries older than the one of this id; the last id of an answer leads to the next one.
    #[param(value_type = i64, required = false, example = 4711)]
    pub(crate) before: Option<i64>,
}

/// What happened to the friend's things.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActivityList {
    /// At most 50 entries, newest first; fewer if there are no older ones.
    pub(crate) activity: Vec<ActivityItem>,
}

/// A change or a login.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActivityItem {
    /// The entry's place in the log.
    #[schema(example = 4711)]
    id: i64,
    /// Time of the change.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime)]
    at: String,
    /// The originator: `you`, `agent:<id>`, `operator`, or `friend` for another friend of the same agent.
    #[schema(example = "you")]
    actor: String,
    /// The kind of the change, `<noun>.<verb>`. More may be added.
    #[schema(example = "exposure.open")]
    action: String,
    /// Name of what was changed: an exposure's, a document's or a job's name, a session's id.
    #[schema(example = "my-app")]
    subject: String,
    /// The change in a few words; may be empty.
    #[schema(example = "agent main")]
    detail: String,
}

impl ActivityItem {
    /// An entry as `friend` sees it: neither the operator's login name nor another friend's id is theirs to know.
    pub(crate) fn new(record: AuditRecord, friend: &FriendId) -> Self {
        let actor = match &record.actor {
            Actor::Friend(id) if id == friend => "you".to_owned(),
            Actor::Friend(_) => "friend".to_owned(),
            Actor::Agent(_) | Actor::Operator(_) => record.actor.without_login_name(),
        };
        let AuditRecord { id, action, subject, detail, .. } = record;
        Self { id, at: time(record.at), actor, action, subject, detail }
    }
}
