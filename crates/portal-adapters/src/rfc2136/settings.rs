//! Settings of a zone: server, zone and key.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{Name, TSigner};
use portal_core::Invalid;
use portal_dns::DomainName;
use secrecy::{ExposeSecret, SecretString};

use super::names;

/// Allowed difference between the server's clock and ours, in seconds, as RFC 8945 recommends.
const CLOCK_SKEW: u16 = 300;

/// A zone on a server that takes signed updates.
#[derive(Debug, Clone)]
pub struct Rfc2136Settings {
    /// The zone's primary server, `host:port`; asked over TCP.
    pub server: String,
    /// The zone.
    pub zone: DomainName,
    /// The domain under which services are exposed: the zone itself or a name below it.
    pub domain: DomainName,
    /// The name of the TSIG key, as the server knows it. The key must allow updates, queries and transfers.
    pub key_name: String,
    /// Algorithm of the key.
    pub key_algorithm: TsigKeyAlgorithm,
    /// The key, in base64.
    pub key_secret: SecretString,
    /// Time limit of one conversation with the server.
    pub timeout: Duration,
}

/// Algorithm of a TSIG key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TsigKeyAlgorithm {
    /// HMAC-SHA256.
    HmacSha256,
    /// HMAC-SHA512.
    HmacSha512,
}

impl TsigKeyAlgorithm {
    /// Parses an algorithm as name servers write it, `hmac-sha256`.
    ///
    /// # Errors
    /// Refuses all but the two known ones; MD5 and SHA-1 are broken.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let known = [Self::HmacSha256, Self::HmacSha512];
        let found = known.into_iter().find(|algorithm| algorithm.to_string() == text.to_ascii_lowercase());
        let message = "key_algorithm must be hmac-sha256 or hmac-sha512";
        found.ok_or_else(|| Invalid::new("key_algorithm", message))
    }

    fn to_wire(self) -> TsigAlgorithm {
        match self {
            Self::HmacSha256 => TsigAlgorithm::HmacSha256,
            Self::HmacSha512 => TsigAlgorithm::HmacSha512,
        }
    }
}

impl fmt::Display for TsigKeyAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha512 => "hmac-sha512",
        })
    }
}

impl Rfc2136Settings {
    /// Returns the zone as an absolute name, if the domain lies in it.
    pub(super) fn origin(&self) -> Result<Name, Invalid> {
        let below = self.domain.as_str().strip_suffix(self.zone.as_str());
        if below.is_none_or(|rest| !rest.is_empty() && !rest.ends_with('.')) {
            return Err(Invalid::new("domain", "domain must be the zone or a name below it"));
        }
        names::name(self.zone.as_str()).map_err(|_| Invalid::new("zone", "zone must be a DNS name"))
    }

    /// Returns the address to connect to.
    pub(super) fn address(&self) -> Result<&str, Invalid> {
        let parts = self.server.rsplit_once(':');
        if parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
            return Ok(&self.server);
        }
        Err(Invalid::new("server", "server must be host:port, such as ns1.example.org:53"))
    }

    /// Returns the signer of messages.
    pub(super) fn signer(&self) -> Result<TSigner, Invalid> {
        let secret = base64::engine::general_purpose::STANDARD.decode(self.key_secret.expose_secret().trim());
        let secret = secret.ok().filter(|secret| !secret.is_empty());
        let secret = secret.ok_or_else(|| Invalid::new("key_secret", "key_secret must be the TSIG key in base64"))?;
        let name = names::name(&self.key_name).ok().filter(|name| !name.is_root());
        let message = "key_name must be a DNS name, as the server knows the key";
        let name = name.ok_or_else(|| Invalid::new("key_name", message))?;
        TSigner::new(secret, self.key_algorithm.to_wire(), name, CLOCK_SKEW)
            .map_err(|_| Invalid::new("key_algorithm", "key_algorithm is not available on this machine"))
    }
}

#[cfg(test)]
mod tests;
