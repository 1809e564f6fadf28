//! The friend's logins.

use portal_core::{Origin, Session};
use serde::Serialize;
use utoipa::ToSchema;

use super::time;

/// The friend's sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionList {
    /// Those that are valid, newest first.
    pub(crate) sessions: Vec<SessionItem>,
}

/// One login.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionItem {
    /// The session's id, which opens nothing.
    #[schema(example = "0f8c1d7a94f35f7a2b6ad1fd1d6f2f3c")]
    id: String,
    /// The agent to which it is bound.
    #[schema(example = "main")]
    agent_id: String,
    /// Since when.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime)]
    created_at: String,
    /// Until when, at the latest.
    #[schema(example = "2026-03-31T10:00:00Z", format = DateTime)]
    expires_at: String,
    /// How it began: `link` of its agent, `operator`, or null if that is not known.
    #[schema(example = "link")]
    origin: Option<&'static str>,
    /// Whether it is the one that asks.
    #[schema(example = true)]
    current: bool,
}

impl SessionItem {
    /// A session as the one with the id `current` sees it.
    pub(crate) fn new(session: Session, current: &str) -> Self {
        Self {
            origin: session.origin.map(Origin::as_str),
            current: session.id == current,
            agent_id: session.agent.to_string(),
            created_at: time(session.created_at),
            expires_at: time(session.expires_at),
            id: session.id,
        }
    }
}
