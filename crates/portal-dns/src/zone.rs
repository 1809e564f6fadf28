//! Domains on offer.

use std::fmt;
use std::sync::Arc;

use crate::hostname::DomainName;
use crate::marker::OwnershipMarker;
use crate::record::{RecordState, Records, Target, Ttl};
use crate::route::{HostClaim, RoutePlace, Tls};

/// A DNS zone under which friends may expose services.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Domain {
    /// Name of the zone.
    pub name: DomainName,
    /// Target of its hostnames.
    pub target: Target,
    /// Time to live of its records.
    pub ttl: Ttl,
    /// True if the provider answers with its own addresses and proxies requests (Cloudflare).
    pub proxied: bool,
    /// TLS termination of its routes.
    pub tls: Tls,
    /// Entry points of its routes; empty means the ingress controller's default ones.
    pub entry_points: Vec<String>,
    /// Routes of the operator that cover the whole domain on purpose: they claim nothing, and the portal's own routes
    /// get a priority above theirs.
    pub fallback_routes: Vec<RoutePlace>,
    /// True if the domain is no longer offered. Its exposures are still maintained.
    pub retired: bool,
}

impl Domain {
    /// Creates a domain on offer: records live 300 seconds and are not proxied, and something before the ingress
    /// controller ends TLS.
    #[must_use]
    pub fn new(name: DomainName, target: Target) -> Self {
        Self {
            name,
            target,
            ttl: Ttl::DEFAULT,
            proxied: false,
            tls: Tls::Off,
            entry_points: Vec::new(),
            fallback_routes: Vec::new(),
            retired: false,
        }
    }

    /// Returns true if a claim is that of a fallback route.
    #[must_use]
    pub fn is_fallback(&self, claim: &HostClaim) -> bool {
        self.fallback_routes.contains(&claim.place)
    }

    /// Returns the desired record of a hostname of this domain.
    #[must_use]
    pub fn record(&self, marker: OwnershipMarker) -> RecordState {
        RecordState { marker, target: self.target.clone(), ttl: self.ttl, proxied: self.proxied }
    }
}

/// A domain with access to its records.
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
