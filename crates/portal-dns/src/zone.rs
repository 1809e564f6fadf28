//! Domains on offer.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use portal_core::Invalid;

use crate::{DomainName, HostClaim, OwnershipMarker, RecordState, Records, RoutePlace};

/// Where a hostname of a domain points.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Another name, such as a load balancer's or a tunnel's.
    Cname(DomainName),
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
}

/// Shortest time to live, in seconds.
const MIN_TTL: u32 = 30;
/// Longest time to live, in seconds.
const MAX_TTL: u32 = 86_400;

/// How long resolvers may remember a record: 30 seconds to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ttl(u32);

impl Ttl {
    /// Reads a time to live, in seconds.
    ///
    /// # Errors
    /// Refuses all but 30 to 86400.
    pub fn parse(seconds: u32) -> Result<Self, Invalid> {
        if (MIN_TTL..=MAX_TTL).contains(&seconds) {
            return Ok(Self(seconds));
        }
        Err(Invalid::new("ttl", "ttl must be a number of seconds from 30 to 86400"))
    }

    /// The allowed time to live that is nearest to what a zone lists, where anybody may have written anything.
    #[must_use]
    pub fn nearest(seconds: u32) -> Self {
        Self(seconds.clamp(MIN_TTL, MAX_TTL))
    }

    /// The time to live, in seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.0
    }
}

/// How a route ends TLS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tls {
    /// Not at all: something before the ingress controller does, or nobody.
    Off,
    /// With the ingress controller's default certificate.
    Default,
    /// With the certificate in this Secret of the friend's namespace.
    Secret(String),
    /// With a certificate that this resolver of the ingress controller obtains.
    Resolver(String),
}

/// A DNS zone in which friends may put their services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// The zone.
    pub name: DomainName,
    /// Where its hostnames point.
    pub target: Target,
    /// How long resolvers may remember that.
    pub ttl: Ttl,
    /// Whether the provider answers with addresses of its own and passes requests on (Cloudflare's proxy).
    pub proxied: bool,
    /// How its routes end TLS.
    pub tls: Tls,
    /// The ingress controller's entry points for its routes; empty means the controller's default ones.
    pub entry_points: Vec<String>,
    /// Routes of the operator that cover the whole domain on purpose: they claim nothing, and the portal's own routes
    /// get a priority above theirs.
    pub fallback_routes: Vec<RoutePlace>,
    /// Whether the domain is no longer offered; what stands in it is still kept right.
    pub retired: bool,
}

impl Domain {
    /// Tells whether a claim is that of a fallback route.
    #[must_use]
    pub fn is_fallback(&self, claim: &HostClaim) -> bool {
        self.fallback_routes.contains(&claim.place)
    }

    /// The record that a hostname of this domain should have.
    #[must_use]
    pub fn record(&self, marker: OwnershipMarker) -> RecordState {
        RecordState { marker, target: self.target.clone(), ttl: self.ttl, proxied: self.proxied }
    }
}

/// A domain together with the means to write its records.
#[derive(Clone)]
pub struct Zone {
    /// The domain.
    pub domain: Domain,
    /// Its records.
    pub records: Arc<dyn Records>,
}

impl fmt::Debug for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Zone").field("domain", &self.domain).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Ttl;

    #[test]
    fn a_time_to_live_is_half_a_minute_to_a_day() {
        for (seconds, accepted) in [(0, false), (29, false), (30, true), (86_400, true), (86_401, false)] {
            assert_eq!(Ttl::parse(seconds).is_ok(), accepted, "{seconds}");
            assert_eq!(Ttl::nearest(seconds).seconds() == seconds, accepted, "{seconds}");
        }
    }
}
