//! An exposure: a friend's service under a hostname, and how far the portal has got with it.

use chrono::{DateTime, Utc};
use portal_core::{FriendId, Invalid};

use crate::{DomainName, ExposureId, ExposureName, Hostname, ServiceName, ServicePort};

pub(crate) mod plan;

/// A service that a friend put on the internet, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// Which one; what records and routes are marked with.
    pub id: ExposureId,
    /// Whose it is.
    pub friend: FriendId,
    /// What its friend calls it.
    pub name: ExposureName,
    /// The Service that requests go to.
    pub service: ServiceName,
    /// The port of that Service.
    pub port: ServicePort,
    /// The domain it stands in.
    pub domain: DomainName,
    /// Where it can be reached: name, friend and domain.
    pub hostname: Hostname,
    /// How far the portal has got.
    pub status: Status,
    /// Why it is not active; `None` exactly when it is active or removed.
    pub reason: Option<Reason>,
    /// Since when there is an exposure of this name.
    pub created_at: DateTime<Utc>,
}

impl Exposure {
    /// Where a browser finds it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.hostname)
    }

    /// Whether what was last asked for is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.status, Status::Active | Status::Removed)
    }

    /// Why it is not done, for people and programs: the reason's word, a colon and a sentence.
    #[must_use]
    pub fn explanation(&self) -> Option<String> {
        self.reason.map(|reason| format!("{}: {}", reason.as_str(), self.sentence(reason)))
    }

    fn sentence(&self, reason: Reason) -> String {
        let Self { service, port, domain, hostname, .. } = self;
        match reason {
            Reason::InProgress => format!("The portal is still working on {hostname}; look again in a moment."),
            Reason::DnsUnavailable => {
                format!("The DNS provider of {domain} does not do what it was asked; the portal keeps trying.")
            }
            Reason::ClusterUnavailable => {
                "The cluster does not do what it was asked; the portal keeps trying.".to_owned()
            }
            Reason::HostnameTaken => format!(
                "A record or a route that the portal did not make stands at {hostname} and was left alone; choose another name or domain."
            ),
            Reason::MarkerLost => format!(
                "What stands at {hostname} is not, or no longer, marked as the portal's and was left alone; an operator has to decide."
            ),
            Reason::ServiceMissing => format!(
                "Your namespace has no Service {service}; the name is kept, and the exposure recovers once the Service is back."
            ),
            Reason::ServiceExternal => {
                format!("Service {service} only names another host (ExternalName), and so nothing leads to it.")
            }
            Reason::PortMissing => format!("Service {service} has no TCP port {port}."),
            Reason::NamespaceGone => {
                "Your namespace does not exist or is being deleted; the record was removed, the name is kept."
                    .to_owned()
            }
            Reason::DomainUnknown => {
                format!("The portal is not set up for the domain {domain} and touches nothing in it.")
            }
        }
    }
}

portal_core::word_enum! {
    /// How far the portal has got with an exposure.
    pub enum Status: "status" {
        /// Record and route stand as wanted.
        Active = "active",
        /// It is stored and will be made; the reason says what it waits for.
        Pending = "pending",
        /// It is being removed.
        Removing = "removing",
        /// It is gone, with every trace.
        Removed = "removed",
        /// It cannot be had as things are; the reason says why. It recovers by itself where that changes.
        Failed = "failed",
    }
}

portal_core::word_enum! {
    /// Reason why an exposure is not active. The words are stable: programs may act on them.
    pub enum Reason: "reason" {
        /// Nothing is wrong; it takes a moment.
        InProgress = "in-progress",
        /// The DNS provider is in trouble.
        DnsUnavailable = "dns-unavailable",
        /// The cluster is in trouble.
        ClusterUnavailable = "cluster-unavailable",
        /// Somebody else's record or route stands at the hostname.
        HostnameTaken = "hostname-taken",
        /// The record or route that was ours carries our marker no longer.
        MarkerLost = "mark-lost",
        /// The Service is gone.
        ServiceMissing = "service-missing",
        /// The Service has become a mere name for another host.
        ServiceExternal = "service-external",
        /// The Service has lost the port.
        PortMissing = "port-missing",
        /// The namespace is gone or going.
        NamespaceGone = "namespace-gone",
        /// The domain is not in the portal's configuration.
        DomainUnknown = "domain-unknown",
    }
}

/// What a friend asks for: this Service under that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenExposure {
    /// What to call it.
    pub name: ExposureName,
    /// The Service that requests go to.
    pub service: ServiceName,
    /// The port of that Service; `None` means 80 if the Service has it, else its only one.
    pub port: Option<ServicePort>,
    /// The domain; `None` means where the exposure stands already, else the first on offer.
    pub domain: Option<DomainName>,
}

impl OpenExposure {
    /// Reads what a friend asks for.
    ///
    /// # Errors
    /// Refuses a name, service, port or domain that is none.
    pub fn parse(name: &str, service: &str, port: Option<i64>, domain: Option<&str>) -> Result<Self, Invalid> {
        Ok(Self {
            name: ExposureName::parse(name)?,
            service: ServiceName::parse(service)?,
            port: port.map(ServicePort::parse).transpose()?,
            domain: domain.map(DomainName::parse).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use portal_core::FriendId;

    use super::{Exposure, OpenExposure, Reason, Status};
    use crate::{ExposureId, Hostname};

    fn exposure(status: Status, reason: Option<Reason>) -> Exposure {
        let wanted = OpenExposure::parse("my-app", "web", Some(80), Some("your-domain.net")).unwrap();
        let friend = FriendId::parse("alice").unwrap();
        let domain = wanted.domain.unwrap();
        Exposure {
            id: ExposureId::parse(&"a".repeat(32)).unwrap(),
            hostname: Hostname::of(&wanted.name, &friend, &domain).unwrap(),
            friend,
            name: wanted.name,
            service: wanted.service,
            port: wanted.port.unwrap(),
            domain,
            status,
            reason,
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn every_reason_has_a_word_of_its_own_and_a_sentence_that_names_nobody() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Ok(reason));
            let told = exposure(Status::Failed, Some(reason)).explanation().unwrap();
            assert!(told.starts_with(&format!("{reason}: ")) && told.ends_with('.'), "{told}");
            assert!(!told.contains(&"a".repeat(32)), "{told}");
        }
    }

    #[test]
    fn what_is_active_or_removed_is_done_and_needs_no_explanation() {
        for status in [Status::Active, Status::Removed] {
            assert!(exposure(status, None).is_done());
            assert_eq!(exposure(status, None).explanation(), None);
        }
        for status in [Status::Pending, Status::Removing, Status::Failed] {
            assert!(!exposure(status, Some(Reason::InProgress)).is_done());
        }
    }

    #[test]
    fn a_request_is_refused_by_the_field_that_is_wrong() {
        let field = |name, service, port, domain| {
            OpenExposure::parse(name, service, port, domain).map_err(|refusal| refusal.field).err()
        };
        assert_eq!(field("my-app", "web", None, None), None);
        assert_eq!(field("My", "web", None, None), Some("name"));
        assert_eq!(field("my-app", "", None, None), Some("service"));
        assert_eq!(field("my-app", "web", Some(0), None), Some("port"));
        assert_eq!(field("my-app", "web", None, Some("x")), Some("domain"));
    }
}
