//! An exposure: a friend's Service under a hostname, with its status.

use chrono::{DateTime, Utc};
use portal_core::{FriendId, Invalid};

use crate::hostname::{DomainName, ExposureName, Hostname};
use crate::marker::ExposureId;
use crate::service::{ServiceName, ServicePort};

/// Desired state of an exposure: the hostname, and the Service behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposureSpec {
    /// The Service that receives the requests.
    pub service: ServiceName,
    /// The port of that Service.
    pub port: ServicePort,
    /// The domain on offer.
    pub domain: DomainName,
    /// Name, friend and domain as one DNS name.
    pub hostname: Hostname,
}

/// An exposure as its friend sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// Id in the ownership markers of its records and routes.
    pub id: ExposureId,
    /// The owner.
    pub friend: FriendId,
    /// Name that the friend chose, unique per friend.
    pub name: ExposureName,
    /// The desired state.
    pub spec: ExposureSpec,
    /// Recorded status.
    pub status: Status,
    /// Reason of the status; `None` exactly when it is active or removed.
    pub reason: Option<Reason>,
    /// Parts that are in place, as last recorded.
    pub progress: Progress,
    /// Time since which an exposure of this name exists.
    pub created_at: DateTime<Utc>,
}

/// Parts of an exposure that are as desired: in place, or gone while it is being removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The route is as desired.
    pub route: bool,
    /// The record is as desired.
    pub record: bool,
}

/// A step of exposing or removing, for display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExposureStep {
    /// `route` or `record`.
    pub step: &'static str,
    /// True once the step is done.
    pub done: bool,
}

impl Exposure {
    /// Returns the address for browsers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.spec.hostname)
    }

    /// Returns the steps in the order in which they are taken: a name that resolves always has a route.
    #[must_use]
    pub fn steps(&self) -> [ExposureStep; 2] {
        let route = ExposureStep { step: "route", done: self.is_done() || self.progress.route };
        let record = ExposureStep { step: "record", done: self.is_done() || self.progress.record };
        match self.status {
            Status::Removing | Status::Removed => [record, route],
            Status::Active | Status::Pending | Status::Failed => [route, record],
        }
    }

    /// True if the last request is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.status, Status::Active | Status::Removed)
    }

    /// Returns the reason for people and programs: its word, a colon and a sentence.
    #[must_use]
    pub fn explanation(&self) -> Option<String> {
        self.reason.map(|reason| format!("{}: {}", reason.as_str(), self.sentence(reason)))
    }

    fn sentence(&self, reason: Reason) -> String {
        let ExposureSpec { service, port, domain, hostname } = &self.spec;
        match reason {
            Reason::InProgress => format!("The portal is still working on {hostname}; look again in a moment."),
            Reason::DnsUnavailable => {
                format!("The DNS provider for {domain} is not accepting changes; the portal will retry.")
            }
            Reason::ClusterUnavailable => "The cluster is not accepting changes; the portal will retry.".to_owned(),
            Reason::HostnameTaken => format!(
                "Something that the portal did not create uses {hostname}; it was not changed. Choose another name or domain."
            ),
            Reason::MarkerLost => format!(
                "The record or route at {hostname} no longer carries the portal's ownership marker; it was not changed. An operator has to decide."
            ),
            Reason::ServiceMissing => format!(
                "Your namespace has no Service {service}. The hostname stays yours; the exposure recovers when the Service is back."
            ),
            Reason::ServiceExternal => {
                format!("Service {service} is of type ExternalName, which cannot be exposed; its route was removed.")
            }
            Reason::PortMissing => format!("Service {service} has no TCP port {port}."),
            Reason::NamespaceGone => {
                "Your namespace does not exist or is being deleted. The record was removed; the hostname stays yours."
                    .to_owned()
            }
            Reason::DomainUnknown => {
                format!("The domain {domain} is not in the portal's configuration; nothing in it is changed.")
            }
        }
    }
}

portal_core::word_enum! {
    /// Status of an exposure.
    pub enum Status: "status" {
        /// Record and route are as desired.
        Active = "active",
        /// It is stored and not finished; the reason says what it waits for.
        Pending = "pending",
        /// It is being removed.
        Removing = "removing",
        /// Every trace of it is gone.
        Removed = "removed",
        /// It cannot be exposed for the given reason, and recovers by itself when that changes.
        Failed = "failed",
    }
}

portal_core::word_enum! {
    /// Reason of a status that is not active. The words are stable: programs may act on them.
    pub enum Reason: "reason" {
        /// Work goes on; nothing failed.
        InProgress = "in-progress",
        /// The DNS provider failed or is not available.
        DnsUnavailable = "dns-unavailable",
        /// The cluster failed or is not available.
        ClusterUnavailable = "cluster-unavailable",
        /// Somebody else's object uses the hostname.
        HostnameTaken = "hostname-taken",
        /// The record or route that was ours lost its ownership marker.
        MarkerLost = "mark-lost",
        /// The Service does not exist.
        ServiceMissing = "service-missing",
        /// The Service became one of type `ExternalName`.
        ServiceExternal = "service-external",
        /// The Service has no such TCP port any more.
        PortMissing = "port-missing",
        /// The namespace does not exist or is being deleted.
        NamespaceGone = "namespace-gone",
        /// The domain is not in the portal's configuration.
        DomainUnknown = "domain-unknown",
    }
}

/// A friend's request to expose a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenExposure {
    /// Name of the exposure.
    pub name: ExposureName,
    /// The Service that receives the requests.
    pub service: ServiceName,
    /// The port of that Service; `None` means 80 if the Service has it, else its only one.
    pub port: Option<ServicePort>,
    /// The domain; `None` means the exposure's present one, else the first on offer.
    pub domain: Option<DomainName>,
    /// Refuses the request if an exposure of that name exists.
    pub only_if_absent: bool,
}

impl OpenExposure {
    /// Parses a request that may also change an existing exposure.
    ///
    /// # Errors
    /// Refuses a name, service, port or domain that is not well-formed.
    pub fn parse(name: &str, service: &str, port: Option<i64>, domain: Option<&str>) -> Result<Self, Invalid> {
        Ok(Self {
            name: ExposureName::parse(name)?,
            service: ServiceName::parse(service)?,
            port: port.map(ServicePort::parse).transpose()?,
            domain: domain.map(DomainName::parse).transpose()?,
            only_if_absent: false,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono::DateTime;
    use portal_core::FriendId;

    use super::{Exposure, ExposureSpec, OpenExposure, Progress, Reason, Status};
    use crate::hostname::Hostname;
    use crate::marker::ExposureId;

    fn exposure(status: Status, reason: Option<Reason>) -> Exposure {
        Exposure { reason, ..exposure_of_port(80, status) }
    }

    /// An exposure of alice's whose record is not there yet.
    pub(crate) fn exposure_of_port(port: i64, status: Status) -> Exposure {
        let wanted = OpenExposure::parse("my-app", "web", Some(port), Some("your-domain.net")).unwrap();
        let friend = FriendId::parse("alice").unwrap();
        let domain = wanted.domain.unwrap();
        let hostname = Hostname::of(&wanted.name, &friend, &domain).unwrap();
        Exposure {
            id: ExposureId::parse(&"a".repeat(32)).unwrap(),
            friend,
            name: wanted.name,
            spec: ExposureSpec { service: wanted.service, port: wanted.port.unwrap(), domain, hostname },
            status,
            reason: None,
            progress: Progress { route: true, record: false },
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn every_reason_has_a_word_of_its_own_and_a_sentence_that_names_nobody() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Ok(reason));
            let sentence = exposure(Status::Failed, Some(reason)).explanation().unwrap();
            assert!(sentence.starts_with(&format!("{reason}: ")) && sentence.ends_with('.'), "{sentence}");
            assert!(!sentence.contains(&"a".repeat(32)), "{sentence}");
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
    fn steps_come_in_the_order_in_which_they_are_taken() {
        let shown = |status| exposure(status, None).steps().map(|step| (step.step, step.done));
        assert_eq!(shown(Status::Pending), [("route", true), ("record", false)]);
        assert_eq!(shown(Status::Removing), [("record", false), ("route", true)]);
        assert_eq!(shown(Status::Active), [("route", true), ("record", true)]);
        assert_eq!(shown(Status::Removed), [("record", true), ("route", true)]);
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
