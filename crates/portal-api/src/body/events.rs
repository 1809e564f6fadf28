//! Event streams.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Wishes for a stream.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// `memory` to hear of what the session's agent itself writes into MEMORY.md too, within seconds.
    #[param(inline, required = false)]
    pub(crate) watch: Option<Watch>,
}

/// Something that costs the portal a look at each interval.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Watch {
    /// MEMORY.md.
    Memory,
}
