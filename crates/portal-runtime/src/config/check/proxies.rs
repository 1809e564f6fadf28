//! `server.trusted_proxies` and `server.client_address_header`.

use std::net::IpAddr;

use actix_web::http::header::HeaderName;
use ipnet::IpNet;
use portal_api::ClientAddresses;

use super::super::sections::ServerSection;
use super::Check;

/// The header that most proxies write.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The header of RFC 7239, which has a syntax of its own.
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

impl Check {
    pub(super) fn clients(&mut self, section: &ServerSection) -> Option<ClientAddresses> {
        let header = match &section.client_address_header {
            Some(name) => Some(self.address_header(name)?),
            None => None,
        };
        let named = section.trusted_proxies.as_deref().unwrap_or_default();
        if named.is_empty() && header.is_some() {
            self.problem("server.client_address_header", "needs server.trusted_proxies: nobody else is believed");
        }
        let proxies: Vec<_> = named.iter().map(|text| self.proxies(text)).collect();
        let proxies = proxies.into_iter().collect::<Option<Vec<_>>>()?;
        let header = (!proxies.is_empty()).then(|| header.unwrap_or(X_FORWARDED_FOR));
        let is_known = section.trusted_proxies.is_some();
        Some(if is_known { ClientAddresses::Known { proxies, header } } else { ClientAddresses::Unknown })
    }

    fn address_header(&mut self, name: &str) -> Option<HeaderName> {
        let header = name.parse().ok().filter(|header| *header != FORWARDED);
        if header.is_none() {
            let rule = "must be a header that holds addresses, such as X-Forwarded-For or X-Real-IP";
            self.problem("server.client_address_header", format!("{rule}, not `{name}`"));
        }
        header
    }

    /// Reads a network, or one address.
    fn proxies(&mut self, text: &str) -> Option<IpNet> {
        let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        if network.is_none() {
            self.problem("server.trusted_proxies", format!("`{text}` is not a network such as 10.0.0.0/8"));
        }
        network
    }
}
