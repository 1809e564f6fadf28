//! What operations take and answer: the members on the wire, and nothing that decides.

pub(crate) mod cron;
pub(crate) mod exposure;
pub(crate) mod friend;
pub(crate) mod health;
pub(crate) mod login;
pub(crate) mod namespace;
pub(crate) mod session;
pub(crate) mod workspace;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// A time as it stands in every answer: UTC, to the second.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What was asked is done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    /// Always `true`.
    #[schema(example = true)]
    pub(crate) ok: bool,
}

impl Done {
    /// It is done.
    pub(crate) const YES: Self = Self { ok: true };
}
