//! Services in a friend's namespace, as exposing one needs them.

use std::fmt;

use async_trait::async_trait;
use portal_core::{BackendError, FriendId, Invalid};

use crate::hostname::is_label;

/// The name of a Service: a DNS label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(String);

portal_core::string_newtype!(ServiceName);

impl ServiceName {
    /// Reads the name of a Service.
    ///
    /// # Errors
    /// Refuses what Kubernetes would not accept: other than 1 to 63 lower-case letters, digits and inner hyphens.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_label(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(
            "service",
            "service must be 1 to 63 lower-case letters, digits or hyphens, and neither begin nor end with a hyphen",
        ))
    }
}

/// The port of a Service: 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServicePort(u16);

impl ServicePort {
    /// Reads a port.
    ///
    /// # Errors
    /// Refuses all but 1 to 65535.
    pub fn parse(number: i64) -> Result<Self, Invalid> {
        match u16::try_from(number) {
            Ok(port) if port > 0 => Ok(Self(port)),
            _ => Err(Invalid::new("port", "port must be a whole number from 1 to 65535")),
        }
    }

    /// The port as a number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ServicePort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// How fresh an answer of the cluster has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Asked of the API server now: before anything is refused or changed.
    Live,
    /// What a watch last told, not older than the adapter's limit of staleness: to find out where to look closer.
    Watched,
}

/// What is known of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceState {
    /// The namespace does not exist or is being deleted.
    NamespaceGone,
    /// The namespace has no such Service.
    Absent,
    /// A Service that only names another host, to which no route may lead.
    ExternalName,
    /// A Service with these TCP ports, sorted; possibly none.
    Tcp(Vec<ServicePort>),
}

/// The Services of the friends' namespaces.
#[async_trait]
pub trait Services: Send + Sync {
    /// What is known of a Service of a friend.
    async fn look(
        &self,
        friend: &FriendId,
        service: &ServiceName,
        freshness: Freshness,
    ) -> Result<ServiceState, BackendError>;
}

#[cfg(test)]
mod tests {
    use super::{ServiceName, ServicePort};

    #[test]
    fn a_service_is_named_as_kubernetes_names_it() {
        for (text, accepted) in [
            ("my-app", true),
            ("a", true),
            (&*"a".repeat(63), true),
            (&*"a".repeat(64), false),
            ("", false),
            ("My-app", false),
            ("a.b", false),
            ("../a", false),
            ("--all", false),
        ] {
            assert_eq!(ServiceName::parse(text).is_ok(), accepted, "{text:?}");
        }
    }

    #[test]
    fn a_port_is_1_to_65535() {
        for (number, accepted) in
            [(-1, false), (0, false), (1, true), (65_535, true), (65_536, false), (i64::MAX, false)]
        {
            assert_eq!(ServicePort::parse(number).is_ok(), accepted, "{number}");
        }
    }
}
