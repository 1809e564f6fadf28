//! Event streams.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Options of a stream.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// `memory` to hear of what the session's agent itself writes into MEMORY.md too, within seconds.
    #[param(inline, required = false)]
    pub(crate) watch: Option<Watch>,
}

/// A source of events that is off by default.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Watch {
    /// MEMORY.md.
    Memory,
}
