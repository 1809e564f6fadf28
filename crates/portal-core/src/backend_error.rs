//! Errors of the backends behind the ports.

use std::fmt;
use std::time::Duration;

use crate::code;

/// The error that a backend's client raised, retained for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A system that the portal depends on.
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

/// Kind of a [`BackendError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BackendErrorKind {
    /// The backend refuses the portal's own credentials or rights; an operator has to act.
    Denied,
    /// The backend cannot be reached, does not answer in time, or asks to be left alone for a while.
    Unavailable,
    /// The backend answered with an error or with something that makes no sense.
    Failed,
}

/// Failure of a backend: it did not do, or did not answer, what was asked of it.
///
/// Expected outcomes (absent, taken, stale) are never errors; a port returns them in an `Ok` enum. A caller may
/// conclude from an error only that it does not know whether the effect happened.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackendError {
    /// The backend that failed.
    pub backend: Backend,
    /// Kind of the failure.
    pub kind: BackendErrorKind,
    /// Time until another attempt, if the backend named one.
    pub retry_after: Option<Duration>,
    /// Error of the backend's client.
    pub source: BoxError,
}

impl BackendError {
    /// Creates the error of a backend that refuses the portal's credentials or rights.
    pub fn denied(backend: Backend, source: impl Into<BoxError>) -> Self {
        Self::new(backend, BackendErrorKind::Denied, source)
    }

    /// Creates the error of a backend that cannot be reached or did not answer in time.
    pub fn unavailable(backend: Backend, source: impl Into<BoxError>) -> Self {
        Self::new(backend, BackendErrorKind::Unavailable, source)
    }

    /// Creates the error of a backend that answered with an error or with nonsense.
    pub fn failed(backend: Backend, source: impl Into<BoxError>) -> Self {
        Self::new(backend, BackendErrorKind::Failed, source)
    }

    fn new(backend: Backend, kind: BackendErrorKind, source: impl Into<BoxError>) -> Self {
        Self { backend, kind, retry_after: None, source: source.into() }
    }

    /// Adds the time until another attempt that the backend named.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Returns the stable error code of this backend, `<backend>-unavailable`: a client can do the same whether the
    /// backend refused, failed or did not answer.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.backend {
            Backend::Database => code::DATABASE_UNAVAILABLE,
            Backend::Cluster => code::CLUSTER_UNAVAILABLE,
            Backend::Dns => code::DNS_UNAVAILABLE,
            Backend::Workspace => code::WORKSPACE_UNAVAILABLE,
            Backend::Gateway => code::GATEWAY_UNAVAILABLE,
            Backend::Delivery => code::DELIVERY_UNAVAILABLE,
        }
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the source: the log writes all causes by itself, and would have this one twice.
        let backend = self.backend;
        match self.kind {
            BackendErrorKind::Denied => write!(formatter, "the {backend} refused the portal"),
            BackendErrorKind::Unavailable => write!(formatter, "the {backend} is unavailable"),
            BackendErrorKind::Failed => write!(formatter, "the {backend} failed"),
        }
    }
}

impl std::error::Error for BackendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}
