//! Problems of exposures.

use portal_dns::{DnsError, EXPOSURES_PER_FRIEND, TOMBSTONES_PER_FRIEND};

use super::{ApiError, codes};

impl From<DnsError> for ApiError {
    fn from(error: DnsError) -> Self {
        match error {
            DnsError::Invalid(invalid) => invalid.into(),
            DnsError::ServiceNotFound { service, .. } => {
                let detail =
                    format!("service must be a Service of your namespace, and there is none called {service}.");
                Self::new(&codes::SERVICE_NOT_FOUND, detail).of_field("service")
            }
            DnsError::NamespaceNotFound { .. } => {
                Self::new(&codes::NAMESPACE_NOT_FOUND, "Your namespace does not exist, or is being deleted.")
            }
            DnsError::ExposureNotFound { .. } => Self::new(
                &codes::EXPOSURE_NOT_FOUND,
                "You have no exposure of this name; GET /api/portal/namespace/expose lists them.",
            ),
            DnsError::HostnameTaken { hostname } => {
                let detail = format!("{hostname} is taken; choose another name or domain.");
                Self::new(&codes::HOSTNAME_TAKEN, detail).of_field("name")
            }
            DnsError::LimitReached => {
                let detail =
                    format!("You have {EXPOSURES_PER_FRIEND} exposures, and more are not allowed; remove one first.");
                Self::new(&codes::EXPOSURE_LIMIT_REACHED, detail)
            }
            DnsError::TooManyRemoved => {
                let detail = format!(
                    "You removed {TOMBSTONES_PER_FRIEND} names within the last day; use one of them again, or wait."
                );
                Self::new(&codes::EXPOSURE_LIMIT_REACHED, detail)
            }
            DnsError::Exists { name } => {
                let detail = format!("You have an exposure {name} already, and If-None-Match: * forbids to change it.");
                Self::new(&codes::EXPOSURE_EXISTS, detail).of_field("name")
            }
            // Never 401: the account may live elsewhere, and pages throw their token away on that.
            DnsError::FriendNotFound { .. } => Self::friend_unknown(),
            DnsError::Unavailable(error) => error.into(),
        }
    }
}
