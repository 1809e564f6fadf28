//! Health and readiness.

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

impl Health {
    /// The health of this process.
    pub(crate) const NOW: Self = Self { ok: true, version: env!("CARGO_PKG_VERSION") };
}

/// The portal takes requests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Always `true`.
    #[schema(example = true)]
    pub(crate) ready: bool,
}

/// Readiness as operators see it.
#[derive(Debug, Serialize)]
pub(crate) struct Probes {
    /// `true` if the portal takes requests.
    pub(crate) ready: bool,
    /// Names of what it lacks for that.
    pub(crate) missing: Vec<&'static str>,
    /// Everything that it depends on; operations that need what is missing answer 503.
    pub(crate) checks: Vec<ProbeResult>,
}

/// Result of one probe.
#[derive(Debug, Serialize)]
pub(crate) struct ProbeResult {
    /// Name of the backend.
    name: &'static str,
    /// `true` if the portal takes no requests without it.
    required: bool,
    /// `true` if it answered in time.
    ok: bool,
}

impl From<Check> for ProbeResult {
    fn from(check: Check) -> Self {
        Self { name: check.name, required: check.required, ok: check.ok }
    }
}
