//! What is on the internet.

use portal_core::Invalid;
use portal_dns::{Exposure, OpenExposure, Status};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Word, time};

// Aliases, since utoipa takes an argument of a generic type for a schema of its own.
type StatusWord = Word<Status>;

/// A Service that is to be on the internet.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExposeService {
    /// What to call it: 1 to 20 lower-case letters, digits and inner hyphens.
    #[schema(example = "my-app")]
    name: String,
    /// The Service of the friend's namespace that requests go to.
    #[schema(example = "my-app")]
    service: String,
    /// The Service's TCP port; by default 80 if the Service has it, else its only one.
    #[schema(example = 80, minimum = 1, maximum = 65535)]
    port: Option<i64>,
    /// One of the domains on offer; by default the one where it stands already, else the first on offer.
    #[schema(example = "your-domain.net")]
    domain: Option<String>,
}

impl ExposeService {
    /// What is asked for.
    ///
    /// # Errors
    /// Refuses a value that breaks its rule.
    pub(crate) fn parse(self) -> Result<OpenExposure, Invalid> {
        OpenExposure::parse(&self.name, &self.service, self.port, self.domain.as_deref())
    }
}

/// A service under a hostname, as far as the portal has got with it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Exposure)]
pub(crate) struct ExposureBody {
    /// Whether what was last asked for is done.
    #[schema(example = true)]
    ok: bool,
    #[schema(example = "my-app")]
    name: String,
    #[schema(example = "my-app-alice.your-domain.net")]
    hostname: String,
    #[schema(example = "https://my-app-alice.your-domain.net")]
    url: String,
    #[schema(example = "my-app")]
    service: String,
    #[schema(example = 80)]
    port: u16,
    #[schema(example = "your-domain.net")]
    domain: String,
    /// Progress of what was last asked for.
    #[schema(inline, example = "active")]
    status: StatusWord,
    /// Why it is not done: a word, a colon and a sentence.
    #[schema(example = json!(null), required)]
    reason: Option<String>,
    /// The same as `reason`, where pages look for it.
    #[schema(example = json!(null), required)]
    error: Option<String>,
    /// Since when there is an exposure of this name.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime)]
    created_at: String,
}

impl From<&Exposure> for ExposureBody {
    fn from(exposure: &Exposure) -> Self {
        let reason = exposure.explanation();
        Self {
            ok: exposure.is_done(),
            name: exposure.name.to_string(),
            hostname: exposure.hostname.to_string(),
            url: exposure.url(),
            service: exposure.service.to_string(),
            port: exposure.port.number(),
            domain: exposure.domain.to_string(),
            status: Word(exposure.status),
            error: reason.clone().filter(|_| !exposure.is_done()),
            reason,
            created_at: time(exposure.created_at),
        }
    }
}
