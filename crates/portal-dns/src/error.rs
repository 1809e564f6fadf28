//! Why something about exposures was not done.

use portal_core::{BackendError, FriendId, Invalid, code};

use crate::{ExposureName, Hostname, ServiceName};

/// Why something about exposures was not done.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// A value was refused.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The friend's namespace has no such Service.
    #[error("namespace {} has no service {service}", friend.namespace())]
    ServiceNotFound {
        /// Whose namespace.
        friend: FriendId,
        /// Which Service.
        service: ServiceName,
    },
    /// The friend's namespace does not exist, or is being deleted.
    #[error("namespace {} does not exist or is being deleted", friend.namespace())]
    NamespaceNotFound {
        /// Whose namespace.
        friend: FriendId,
    },
    /// The friend has no exposure of that name.
    #[error("there is no exposure {name}")]
    ExposureNotFound {
        /// The name, as it was given.
        name: String,
    },
    /// The hostname belongs to another exposure, or something that is not the portal's stands there.
    #[error("hostname {hostname} is taken")]
    HostnameTaken {
        /// The hostname.
        hostname: Hostname,
    },
    /// The friend has as many exposures as they may have.
    #[error("the limit of {} exposures is reached", crate::EXPOSURES_PER_FRIEND)]
    LimitReached,
    /// The portal does not know the friend.
    #[error("there is no friend {friend}")]
    FriendNotFound {
        /// Who was meant.
        friend: FriendId,
    },
    /// Something that was needed is in trouble; nothing was stored, or it is not known whether it was.
    #[error("what exposing needs is not available")]
    Unavailable(#[from] BackendError),
}

impl DnsError {
    /// The stable word for this failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => code::VALUE_INVALID,
            Self::ServiceNotFound { .. } => code::SERVICE_NOT_FOUND,
            Self::NamespaceNotFound { .. } => code::NAMESPACE_NOT_FOUND,
            Self::ExposureNotFound { .. } => code::EXPOSURE_NOT_FOUND,
            Self::HostnameTaken { .. } => code::HOSTNAME_TAKEN,
            Self::LimitReached => code::EXPOSURE_LIMIT_REACHED,
            Self::FriendNotFound { .. } => code::FRIEND_UNKNOWN,
            Self::Unavailable(trouble) => trouble.code(),
        }
    }

    pub(crate) fn not_found(name: &ExposureName) -> Self {
        Self::ExposureNotFound { name: name.to_string() }
    }
}
