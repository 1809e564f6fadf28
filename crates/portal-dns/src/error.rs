//! Errors of exposure operations.

use portal_core::{BackendError, FriendId, Invalid};

use crate::hostname::{ExposureName, Hostname};
use crate::service::ServiceName;
use crate::store::EXPOSURES_PER_FRIEND;
use crate::tombstone::TOMBSTONES_PER_FRIEND;

/// Error of an exposure operation.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// A value was refused.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The friend's namespace has no such Service.
    #[error("namespace {} has no service {service}", friend.namespace())]
    ServiceNotFound {
        /// Owner of the namespace.
        friend: FriendId,
        /// The missing Service.
        service: ServiceName,
    },
    /// The friend's namespace does not exist, or is being deleted.
    #[error("namespace {} does not exist or is being deleted", friend.namespace())]
    NamespaceNotFound {
        /// Owner of the namespace.
        friend: FriendId,
    },
    /// The friend has no exposure of that name.
    #[error("there is no exposure {name}")]
    ExposureNotFound {
        /// The name as given; it may not be well-formed.
        name: String,
    },
    /// The hostname belongs to another exposure, or something that is not the portal's uses it.
    #[error("hostname {hostname} is taken")]
    HostnameTaken {
        /// The hostname that was asked for.
        hostname: Hostname,
    },
    /// The friend has [`EXPOSURES_PER_FRIEND`] exposures.
    #[error("the limit of {EXPOSURES_PER_FRIEND} exposures is reached")]
    LimitReached,
    /// The name is new, and the friend removed [`TOMBSTONES_PER_FRIEND`] others within the last day.
    #[error("the limit of {TOMBSTONES_PER_FRIEND} removed hostnames a day is reached")]
    TooManyRemoved,
    /// An exposure of that name exists, and only a new one was asked for.
    #[error("there is an exposure {name} already")]
    Exists {
        /// Name of the exposure.
        name: ExposureName,
    },
    /// The store does not know the friend.
    #[error("there is no friend {friend}")]
    FriendNotFound {
        /// The unknown friend.
        friend: FriendId,
    },
    /// A backend is not available; nothing was stored, or that is not known.
    #[error("what exposing needs is not available")]
    Unavailable(#[from] BackendError),
}

impl DnsError {
    /// Returns the stable word for this failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "value-invalid",
            Self::ServiceNotFound { .. } => "service-not-found",
            Self::NamespaceNotFound { .. } => "namespace-not-found",
            Self::ExposureNotFound { .. } => "exposure-not-found",
            Self::HostnameTaken { .. } => "hostname-taken",
            Self::LimitReached | Self::TooManyRemoved => "exposure-limit-reached",
            Self::Exists { .. } => "exposure-exists",
            Self::FriendNotFound { .. } => "friend-not-found",
            Self::Unavailable(error) => error.code(),
        }
    }

    pub(crate) fn not_found(name: &ExposureName) -> Self {
        Self::ExposureNotFound { name: name.to_string() }
    }
}
