//! Whether the portal is there.

use serde::Serialize;
use utoipa::ToSchema;

use crate::readiness::Check;

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

/// The portal takes requests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Always `true`.
    #[schema(example = true)]
    pub(crate) ready: bool,
    /// What it stands on; operations that need what is not there answer 503.
    pub(crate) checks: Vec<CheckItem>,
}

/// One thing that the portal stands on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckItem {
    /// What it is.
    #[schema(example = "database")]
    name: &'static str,
    /// Whether the portal takes no requests without it.
    #[schema(example = true)]
    required: bool,
    /// Whether it is there.
    #[schema(example = true)]
    ok: bool,
}

impl From<Check> for CheckItem {
    fn from(check: Check) -> Self {
        Self { name: check.name, required: check.required, ok: check.ok }
    }
}
