//! Services in a friend's namespace.

use std::fmt;

use async_trait::async_trait;
use portal_core::{BackendError, FriendId, Invalid};

use crate::hostname::is_label;

/// Port of a Service that has several, where a request names none.
const DEFAULT_PORT: u16 = 80;

portal_core::string_newtype!(ServiceName);

/// Name of a Service: a DNS label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(String);

impl ServiceName {
    /// Parses the name of a Service.
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

    /// Chooses the port that was asked for, else 80, else the only one.
    pub(crate) fn choose_port(
        &self,
        wanted: Option<ServicePort>,
        ports: &[ServicePort],
    ) -> Result<ServicePort, Invalid> {
        if let Some(wanted) = wanted {
            return ports.iter().copied().find(|port| *port == wanted).ok_or_else(|| self.no_port(ports));
        }
        if let Some(default) = ports.iter().copied().find(|port| port.number() == DEFAULT_PORT) {
            return Ok(default);
        }
        match ports {
            [only] => Ok(*only),
            _ => Err(self.no_port(ports)),
        }
    }

    fn no_port(&self, ports: &[ServicePort]) -> Invalid {
        if ports.is_empty() {
            return Invalid::new("service", format!("service must have a TCP port, and {self} has none"));
        }
        let listed: Vec<_> = ports.iter().map(ToString::to_string).collect();
        Invalid::new("port", format!("port must be one of the TCP ports of service {self}: {}", listed.join(", ")))
    }

    /// Refusal of a Service that only names another host.
    pub(crate) fn external_name_refused(&self) -> Invalid {
        let message =
            format!("service must not be of type ExternalName, which {self} is; expose one with pods behind it");
        Invalid::new("service", message)
    }
}

/// Port of a Service: 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServicePort(u16);

impl ServicePort {
    /// Parses a port.
    ///
    /// # Errors
    /// Refuses all but 1 to 65535.
    pub fn parse(number: i64) -> Result<Self, Invalid> {
        match u16::try_from(number) {
            Ok(port) if port > 0 => Ok(Self(port)),
            _ => Err(Invalid::new("port", "port must be a whole number from 1 to 65535")),
        }
    }

    /// Returns the port as a number.
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

/// Freshness of a read from the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Read from the API server now; required before anything is refused or changed.
    Live,
    /// Read from a watch, not older than the adapter's limit of staleness; enough to decide where to look closer.
    Watched,
}

/// State of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceState {
    /// The namespace does not exist or is being deleted.
    NamespaceGone,
    /// The namespace has no such Service.
    Absent,
    /// The Service only names another host, to which no route may lead.
    ExternalName,
    /// The Service has these TCP ports, sorted; possibly none.
    Tcp(Vec<ServicePort>),
}

/// The Services of the friends' namespaces.
#[async_trait]
pub trait Services: Send + Sync {
    /// Returns the state of a friend's Service.
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

    #[track_caller]
    fn check_port(wanted: Option<i64>, ports: &[i64], expected: Result<u16, &str>) {
        let service = ServiceName::parse("web").unwrap();
        let ports: Vec<_> = ports.iter().map(|port| ServicePort::parse(*port).unwrap()).collect();
        let wanted = wanted.map(|port| ServicePort::parse(port).unwrap());
        let chosen = service.choose_port(wanted, &ports);
        assert_eq!(chosen.as_ref().map(|port| port.number()).map_err(|refusal| &*refusal.message), expected);
    }

    #[test]
    fn the_port_is_the_one_named_or_80_or_the_only_one() {
        check_port(Some(9090), &[80, 9090], Ok(9090));
        check_port(None, &[80, 9090], Ok(80));
        check_port(None, &[9090], Ok(9090));
    }

    #[test]
    fn a_port_that_is_not_there_is_refused_with_those_that_are() {
        let listed = "port must be one of the TCP ports of service web: 8080, 9090";
        check_port(Some(80), &[8080, 9090], Err(listed));
        check_port(None, &[8080, 9090], Err(listed));
        check_port(None, &[], Err("service must have a TCP port, and web has none"));
    }
}
