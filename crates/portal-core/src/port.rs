//! Trouble behind a port.

use std::fmt;
use std::time::Duration;

/// The error that a backend's client raised, kept for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What stands behind a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// The portal's own database.
    Database,
    /// The Kubernetes API server.
    Cluster,
    /// The provider of a DNS zone.
    Dns,
    /// The folder in which agents keep their documents.
    Workspace,
    /// The agent gateway.
    Gateway,
    /// The receiver of scheduled messages.
    Delivery,
}

impl fmt::Display for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Database => "database",
            Self::Cluster => "cluster",
            Self::Dns => "dns provider",
            Self::Workspace => "workspace",
            Self::Gateway => "agent gateway",
            Self::Delivery => "delivery",
        })
    }
}

/// Trouble behind a port: the backend did not do, or did not say, what was asked of it.
///
/// Expected outcomes (absent, taken, stale) are never errors; a port says them in an `Ok` enum. What a caller may
/// conclude from an error is only that it does not know whether the effect happened.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The backend refuses the portal's own credentials or rights; an operator has to act.
    #[error("the {backend} refused the portal")]
    Denied {
        /// Who refused.
        backend: Backend,
        /// What its client said.
        source: BoxError,
    },
    /// The backend cannot be reached, does not answer in time, or asks to be left alone for a while.
    #[error("the {backend} is unavailable")]
    Unavailable {
        /// Who is unavailable.
        backend: Backend,
        /// When to try again, where the backend said so.
        retry_after: Option<Duration>,
        /// What its client said.
        source: BoxError,
    },
    /// The backend answered with an error or with something that makes no sense.
    #[error("the {backend} failed")]
    Backend {
        /// Who failed.
        backend: Backend,
        /// What its client said.
        source: BoxError,
    },
}

impl PortError {
    /// The backend refuses the portal's credentials or rights.
    pub fn denied(backend: Backend, source: impl Into<BoxError>) -> Self {
        Self::Denied { backend, source: source.into() }
    }

    /// The backend cannot be reached or did not answer in time.
    pub fn unavailable(backend: Backend, source: impl Into<BoxError>) -> Self {
        Self::Unavailable { backend, retry_after: None, source: source.into() }
    }

    /// The backend answered with an error or with nonsense.
    pub fn backend(backend: Backend, source: impl Into<BoxError>) -> Self {
        Self::Backend { backend, source: source.into() }
    }

    /// Which backend is in trouble.
    #[must_use]
    pub fn at(&self) -> Backend {
        match self {
            Self::Denied { backend, .. } | Self::Unavailable { backend, .. } | Self::Backend { backend, .. } => {
                *backend
            }
        }
    }

    /// The stable word for trouble with this backend, `<backend>-unavailable`: what a caller can do is the same
    /// whether it refused, failed or stayed silent.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.at() {
            Backend::Database => "database-unavailable",
            Backend::Cluster => "cluster-unavailable",
            Backend::Dns => "dns-unavailable",
            Backend::Workspace => "workspace-unavailable",
            Backend::Gateway => "gateway-unavailable",
            Backend::Delivery => "delivery-unavailable",
        }
    }

    /// When to try again, where the backend said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            Self::Denied { .. } | Self::Backend { .. } => None,
        }
    }
}
