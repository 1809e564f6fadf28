//! Bodies of the probes.

use serde::Serialize;
use utoipa::ToSchema;

/// The portal is there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `true`.
    #[schema(example = true)]
    pub(crate) ok: bool,
    /// The portal's version.
    #[schema(example = "0.1.0")]
    pub(crate) version: &'static str,
}

/// The reply of a successful probe.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Probed {
    /// Always `true`.
    #[schema(example = true)]
    pub(crate) ok: bool,
}
