//! From what a friend asks for to what is reserved.

use portal_core::{Backend, FriendId, Invalid};

use super::Inner;
use crate::reconcile::observe::timely;
use crate::{
    DnsError, DomainName, Exposure, ExposureId, Freshness, Hostname, OpenExposure, Reservation, ServiceName,
    ServicePort, ServiceState,
};

/// The port of a Service that has several, where none was named.
const USUAL_PORT: u16 = 80;

impl Inner {
    /// Fills in what was left out and refuses what cannot be. The Service is read live: nothing is stored for one
    /// that is not known to be there.
    pub(super) async fn prepare(&self, friend: &FriendId, wanted: OpenExposure) -> Result<Reservation, DnsError> {
        let OpenExposure { name, service, port, domain } = wanted;
        let present = self.store.find(friend, &name).await?;
        let domain = self.domain(domain, present.as_ref())?;
        let hostname = Hostname::of(&name, friend, &domain)?;
        let port =
            match timely(Backend::Cluster, self.reconciler.services.look(friend, &service, Freshness::Live)).await? {
                ServiceState::NamespaceGone => return Err(DnsError::NamespaceNotFound { friend: friend.clone() }),
                ServiceState::Absent => return Err(DnsError::ServiceNotFound { friend: friend.clone(), service }),
                ServiceState::ExternalName => return Err(external(&service).into()),
                ServiceState::Tcp(ports) => choose_port(port, &service, &ports)?,
            };
        let id = ExposureId::random(&*self.reconciler.ids);
        Ok(Reservation { id, friend: friend.clone(), name, service, port, domain, hostname })
    }

    /// A hostname never moves because its domain was left out; one that stands in a retired domain may stay there.
    fn domain(&self, wanted: Option<DomainName>, present: Option<&Exposure>) -> Result<DomainName, Invalid> {
        let present = present.map(|exposure| &exposure.domain);
        let Some(wanted) = wanted else {
            let default = present.or(self.offered.first());
            return default.cloned().ok_or_else(|| Invalid::new("domain", "domain cannot be chosen: none is on offer"));
        };
        if self.offered.contains(&wanted) || present == Some(&wanted) {
            return Ok(wanted);
        }
        let offered: Vec<_> = self.offered.iter().map(DomainName::as_str).collect();
        Err(Invalid::new("domain", format!("domain must be one of those on offer: {}", offered.join(", "))))
    }
}

fn external(service: &ServiceName) -> Invalid {
    let message =
        format!("service must not be of type ExternalName, which {service} is; expose one with pods behind it");
    Invalid::new("service", message)
}

fn choose_port(
    wanted: Option<ServicePort>,
    service: &ServiceName,
    ports: &[ServicePort],
) -> Result<ServicePort, Invalid> {
    if let Some(wanted) = wanted {
        return ports.iter().copied().find(|port| *port == wanted).ok_or_else(|| no_port(service, ports));
    }
    if let Some(usual) = ports.iter().copied().find(|port| port.number() == USUAL_PORT) {
        return Ok(usual);
    }
    match ports {
        [only] => Ok(*only),
        _ => Err(no_port(service, ports)),
    }
}

fn no_port(service: &ServiceName, ports: &[ServicePort]) -> Invalid {
    if ports.is_empty() {
        return Invalid::new("service", format!("service must have a TCP port, and {service} has none"));
    }
    let listed: Vec<_> = ports.iter().map(ToString::to_string).collect();
    Invalid::new("port", format!("port must be one of the TCP ports of service {service}: {}", listed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::choose_port;
    use crate::{ServiceName, ServicePort};

    #[track_caller]
    fn check(wanted: Option<i64>, ports: &[i64], expected: Result<u16, &str>) {
        let service = ServiceName::parse("web").unwrap();
        let ports: Vec<_> = ports.iter().map(|port| ServicePort::parse(*port).unwrap()).collect();
        let wanted = wanted.map(|port| ServicePort::parse(port).unwrap());
        let chosen = choose_port(wanted, &service, &ports);
        assert_eq!(chosen.as_ref().map(|port| port.number()).map_err(|refusal| &*refusal.message), expected);
    }

    #[test]
    fn the_port_is_the_one_named_or_80_or_the_only_one() {
        check(Some(9090), &[80, 9090], Ok(9090));
        check(None, &[80, 9090], Ok(80));
        check(None, &[9090], Ok(9090));
    }

    #[test]
    fn a_port_that_is_not_there_is_refused_with_those_that_are() {
        let listed = "port must be one of the TCP ports of service web: 8080, 9090";
        check(Some(80), &[8080, 9090], Err(listed));
        check(None, &[8080, 9090], Err(listed));
        check(None, &[], Err("service must have a TCP port, and web has none"));
    }
}
