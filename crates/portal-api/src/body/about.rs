//! Version, limits and features of this portal.

use portal_core::WordEnum as _;
use portal_cron::{JOBS_PER_FRIEND, MANUAL_RUNS_PER_MINUTE, MESSAGE_MAX, Thinking};
use portal_dns::EXPOSURES_PER_FRIEND;
use portal_workspace::DOCUMENT_MAX_BYTES;
use serde::Serialize;
use utoipa::ToSchema;

/// What this portal is and allows, so that no page has to know it by heart.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct About {
    /// The portal's version.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Limits of what friends send and have.
    limits: AboutLimits,
    /// The channels that friends may be written to on.
    #[schema(example = json!(["signal"]))]
    channels: Vec<String>,
    /// The words of a job's `thinking`.
    #[schema(example = json!(["off", "minimal", "low", "medium", "high", "xhigh"]))]
    thinking: Vec<&'static str>,
    /// What this portal can do beside what every portal can, in stable words. More may be added.
    #[schema(example = json!(["login-links"]))]
    features: Vec<&'static str>,
}

/// Limits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AboutLimits {
    /// Most bytes of a document.
    #[schema(example = 262_144)]
    document_bytes: usize,
    /// Most bytes of a message.
    #[schema(example = 8192)]
    message_bytes: usize,
    /// Most jobs of a friend.
    #[schema(example = 50)]
    jobs: u32,
    /// Most runs that a friend may ask for in a minute, messages among them.
    #[schema(example = 10)]
    runs_per_minute: u32,
    /// Most exposures of a friend.
    #[schema(example = 10)]
    exposures: usize,
}

impl About {
    /// Describes a portal with these channels and features.
    pub(crate) fn new(channels: Vec<String>, features: Vec<&'static str>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            limits: AboutLimits {
                document_bytes: DOCUMENT_MAX_BYTES,
                message_bytes: MESSAGE_MAX,
                jobs: JOBS_PER_FRIEND,
                runs_per_minute: MANUAL_RUNS_PER_MINUTE,
                exposures: EXPOSURES_PER_FRIEND,
            },
            channels,
            thinking: Thinking::WORDS.to_vec(),
            features,
        }
    }
}
