//! The rules of `[[domains]]`.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use config::Config;
use portal_dns::{Domain, DomainName, RoutePlace, Target, Tls, Ttl};

use super::super::sections::{CloudflareSection, DomainSection, Rfc2136Section, TlsSection};
use super::super::{DomainSettings, Provider};
use super::Check;

/// TSIG algorithms that are neither broken nor rare (RFC 8945, section 6).
const ALGORITHMS: [&str; 2] = ["hmac-sha256", "hmac-sha512"];

impl Check {
    pub(super) fn domains(&mut self, raw: &Config) -> Option<Vec<DomainSettings>> {
        let sections: Vec<DomainSection> = self.items(raw, "domains")?;
        let mut seen = HashSet::new();
        let mut domains = Vec::new();
        for (index, section) in sections.into_iter().enumerate() {
            let key = format!("domains[{index}]");
            let Some(settings) = self.domain(&key, section) else { continue };
            if !seen.insert(settings.domain.name.clone()) {
                self.problem(format!("{key}.name"), format!("there are two domains `{}`", settings.domain.name));
            }
            domains.push(settings);
        }
        Some(domains)
    }

    fn domain(&mut self, key: &str, section: DomainSection) -> Option<DomainSettings> {
        let name = self.accepted(format!("{key}.name"), DomainName::parse(&section.name));
        let target = self.target(&format!("{key}.target"), &section.target);
        let ttl = self.accepted(format!("{key}.ttl"), Ttl::parse(section.ttl));
        let tls = self.tls(&format!("{key}.tls"), section.tls);
        let fallback_routes = self.fallback_routes(&format!("{key}.fallback_routes"), &section.fallback_routes);
        let provider = match (section.cloudflare, section.rfc2136) {
            (Some(cloudflare), None) => self.cloudflare(&format!("{key}.cloudflare"), cloudflare),
            (None, Some(rfc2136)) => self.rfc2136(&format!("{key}.rfc2136"), rfc2136, name.as_ref()),
            _ => {
                self.problem(key, "needs exactly one of cloudflare and rfc2136");
                None
            }
        };
        let (name, provider) = (name?, provider?);
        let proxied = matches!(provider, Provider::Cloudflare { proxied: true, .. });
        let mut domain = Domain::new(name, target?);
        domain.ttl = ttl?;
        domain.proxied = proxied;
        domain.tls = tls?;
        domain.entry_points = section.entry_points;
        domain.fallback_routes = fallback_routes;
        domain.retired = section.retired;
        Some(DomainSettings { domain, provider })
    }

    fn fallback_routes(&mut self, key: &str, written: &[String]) -> Vec<RoutePlace> {
        let mut places = Vec::new();
        for route in written {
            match route.split_once('/') {
                Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                    places.push(RoutePlace { namespace: namespace.to_owned(), name: name.to_owned() });
                }
                _ => self.problem(key, format!("`{route}` is not of the form namespace/name")),
            }
        }
        places
    }

    fn target(&mut self, key: &str, written: &BTreeMap<String, String>) -> Option<Target> {
        let mut entries = written.iter();
        let (Some((kind, value)), None) = (entries.next(), entries.next()) else {
            self.problem(key, "needs exactly one of cname, a and aaaa");
            return None;
        };
        match kind.as_str() {
            "cname" => self.accepted(key, DomainName::parse(value)).map(Target::Cname),
            "a" => self.parsed(key, value, "an IPv4 address").map(Target::A),
            "aaaa" => self.parsed(key, value, "an IPv6 address").map(Target::Aaaa),
            other => {
                self.problem(key, format!("`{other}` is not cname, a or aaaa"));
                None
            }
        }
    }

    fn tls(&mut self, key: &str, written: Option<TlsSection>) -> Option<Tls> {
        let Some(TlsSection { cert_resolver, secret_name }) = written else { return Some(Tls::Off) };
        match (cert_resolver, secret_name) {
            (None, None) => Some(Tls::Default),
            (Some(resolver), None) => Some(Tls::Resolver(resolver)),
            (None, Some(secret)) => Some(Tls::Secret(secret)),
            (Some(_), Some(_)) => {
                self.problem(key, "give cert_resolver or secret_name, not both");
                None
            }
        }
    }

    fn cloudflare(&mut self, key: &str, section: CloudflareSection) -> Option<Provider> {
        let token = self.secret(&format!("{key}.token"), section.token.as_ref(), section.token_file.as_deref());
        let api_url = match section.api_url {
            None => None,
            Some(text) => Some(self.parsed(&format!("{key}.api_url"), &text, "a URL")?),
        };
        // Cloudflare's own default for new records.
        let proxied = section.proxied.unwrap_or(true);
        Some(Provider::Cloudflare { token: token?, zone_id: section.zone_id, proxied, api_url })
    }

    fn rfc2136(&mut self, key: &str, section: Rfc2136Section, domain: Option<&DomainName>) -> Option<Provider> {
        let server: Option<SocketAddr> =
            self.parsed(&format!("{key}.server"), &section.server, "an address and port such as 192.0.2.53:53");
        let inline = section.key_secret.as_ref();
        let secret = self.secret(&format!("{key}.key_secret"), inline, section.key_secret_file.as_deref());
        if !ALGORITHMS.contains(&section.key_algorithm.as_str()) {
            let message = format!("`{}` is not one of {}", section.key_algorithm, ALGORITHMS.join(", "));
            self.problem(format!("{key}.key_algorithm"), message);
        }
        let zone = match section.zone {
            // Most domains are zones of their own.
            None => domain?.clone(),
            Some(text) => self.accepted(format!("{key}.zone"), DomainName::parse(&text))?,
        };
        if domain.is_some_and(|domain| domain != &zone && !domain.as_str().ends_with(&format!(".{zone}"))) {
            self.problem(format!("{key}.zone"), format!("the domain does not lie in `{zone}`"));
        }
        Some(Provider::Rfc2136 {
            server: server?,
            zone,
            key_name: section.key_name,
            key_algorithm: section.key_algorithm,
            key_secret: secret?,
        })
    }
}
