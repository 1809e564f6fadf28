//! Addresses of clients, as far as they are known.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use ipnet::IpNet;

/// Source of a client's address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ClientAddresses {
    /// It is not known: a connection may come from a proxy that stands for any number of clients.
    #[default]
    Unknown,
    /// A connection comes from its client, unless it comes from one of the proxies.
    Known {
        /// Networks of the proxies in front of the portal.
        proxies: Vec<IpNet>,
        /// Header in which these name the address that they were called from, such as `X-Forwarded-For`.
        header: Option<HeaderName>,
    },
}

impl ClientAddresses {
    /// Returns the address of the client that sent the request, as [`network`] counts it; `None` if it is not known.
    pub(crate) fn of(&self, request: &HttpRequest) -> Option<IpAddr> {
        let Self::Known { proxies, header } = self else { return None };
        let is_proxy = |address: IpAddr| proxies.iter().any(|network| network.contains(&address));
        // A listener for both families shows IPv4 as `::ffff:192.0.2.1`, which no IPv4 network contains.
        let peer = request.peer_addr()?.ip().to_canonical();
        if !is_proxy(peer) {
            return Some(network(peer));
        }
        // Each proxy appends the address that called it, so only what follows the last address of a stranger can be
        // believed. The client itself may send the header with anything in it.
        let lines: Vec<&str> =
            request.headers().get_all(header.as_ref()?).filter_map(|line| line.to_str().ok()).collect();
        for text in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            // No proxy of ours wrote what cannot be read, so nothing before it can be believed either.
            let address = parse(text.trim())?;
            if !is_proxy(address) {
                return Some(network(address));
            }
        }
        None
    }
}

/// Reads an address with or without a port, as proxies write it.
fn parse(text: &str) -> Option<IpAddr> {
    let address = text.parse::<SocketAddr>().map(|address| address.ip());
    let address = address.or_else(|_| text.trim_matches(['[', ']']).parse());
    address.ok().map(|address| address.to_canonical())
}

/// Returns the address as limits count it. A customer is given at least a /64 of IPv6, so its addresses count as one.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;
    use actix_web::test::TestRequest;

    use super::{ClientAddresses, network};

    fn behind_proxies() -> ClientAddresses {
        let proxies = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
        ClientAddresses::Known { proxies, header: Some(HeaderName::from_static("x-forwarded-for")) }
    }

    #[track_caller]
    fn check(clients: &ClientAddresses, peer: &str, lines: &[&str], expected: Option<&str>) {
        let mut request = TestRequest::default().peer_addr(peer.parse().unwrap());
        for line in lines {
            request = request.append_header(("x-forwarded-for", *line));
        }
        let expected = expected.map(|address| address.parse().unwrap());
        assert_eq!(clients.of(&request.to_http_request()), expected, "{peer} {lines:?}");
    }

    #[test]
    fn only_proxies_are_believed_and_only_what_they_wrote() {
        let clients = behind_proxies();
        check(&clients, "203.0.113.7:1000", &[], Some("203.0.113.7"));
        check(&clients, "203.0.113.7:1000", &["198.51.100.1"], Some("203.0.113.7"));
        check(&clients, "10.0.0.1:1000", &["198.51.100.1"], Some("198.51.100.1"));
        check(&clients, "10.0.0.1:1000", &["192.0.2.9, 198.51.100.1, 10.2.3.4"], Some("198.51.100.1"));
        check(&clients, "10.0.0.1:1000", &["192.0.2.9", "198.51.100.1"], Some("198.51.100.1"));
        check(&clients, "10.0.0.1:1000", &["198.51.100.1:4711"], Some("198.51.100.1"));
        check(&clients, "[::ffff:10.0.0.1]:1000", &["198.51.100.1"], Some("198.51.100.1"));
        check(&clients, "[fd00::1]:1000", &["2001:db8:1:2:3:4:5:6"], Some("2001:db8:1:2::"));
        check(&clients, "[fd00::1]:1000", &["[2001:db8:1:2:3:4:5:6]:80"], Some("2001:db8:1:2::"));
    }

    #[test]
    fn what_no_proxy_wrote_is_not_known() {
        let clients = behind_proxies();
        check(&clients, "10.0.0.1:1000", &[], None);
        check(&clients, "10.0.0.1:1000", &["10.0.0.2"], None);
        check(&clients, "10.0.0.1:1000", &["198.51.100.1, unknown"], None);
        check(&ClientAddresses::Unknown, "203.0.113.7:1000", &["198.51.100.1"], None);
    }

    #[test]
    fn the_addresses_of_one_customer_count_as_one() {
        let same = |one: &str, other: &str| network(one.parse().unwrap()) == network(other.parse().unwrap());
        assert!(same("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"));
        assert!(!same("2001:db8:0:1::1", "2001:db8:0:2::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn without_proxies_the_connection_comes_from_its_client() {
        let clients = ClientAddresses::Known { proxies: Vec::new(), header: None };
        check(&clients, "203.0.113.7:1000", &["198.51.100.1"], Some("203.0.113.7"));
        check(&clients, "[2001:db8:1:2:3:4:5:6]:1000", &[], Some("2001:db8:1:2::"));
    }
}
