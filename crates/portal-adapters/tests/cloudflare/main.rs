//! Records at Cloudflare: what is sent, what every answer means, and what comes of answers that never arrive.

#![expect(clippy::unwrap_used, reason = "a test ends where its premise fails")]

mod faults;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use portal_adapters::cloudflare::{CloudflareApi, CloudflareRecords, CloudflareSettings, CloudflareZone, ZoneName};
use portal_core::FriendId;
use portal_dns::{DomainName, Hostname, OwnershipMarker, Priority, RecordState, Target, Ttl};

const MARKER: &str = "friend-portal/00112233445566778899aabbccddeeff/ffeeddccbbaa99887766554433221100";
const ZONE: &str = "example.org";

/// The records of `example.org` behind this address; no call takes longer than a third of a second.
fn records(url: &str, token: &str, zone: ZoneName) -> CloudflareRecords {
    let timeout = Duration::from_millis(300);
    let token = token.to_owned().into();
    let settings = CloudflareSettings { token, api_url: Some(url.to_owned()), timeout, replicas: 1 };
    let zone = CloudflareZone { domain: domain(ZONE), zone, ttl: Ttl::parse(600).unwrap() };
    CloudflareRecords::new(Arc::new(CloudflareApi::new(&settings).unwrap()), zone).unwrap()
}

/// The records of the zone of this name behind this address.
fn records_of(url: &str, zone: &str) -> CloudflareRecords {
    let api_url = Some(url.to_owned());
    let settings = CloudflareSettings { api_url, ..CloudflareSettings::with_token("the-token".to_owned().into()) };
    let zone =
        CloudflareZone { domain: domain(zone), zone: ZoneName::Name(domain(zone)), ttl: Ttl::parse(600).unwrap() };
    CloudflareRecords::new(Arc::new(CloudflareApi::new(&settings).unwrap()), zone).unwrap()
}

fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn host() -> Hostname {
    Hostname::parse("app-alice.example.org").unwrap()
}

fn alice() -> Priority {
    Priority::Friend(FriendId::parse("alice").unwrap())
}

fn tunnel(proxied: bool) -> RecordState {
    let target = Target::Cname(domain("tunnel.example.net"));
    RecordState { marker: OwnershipMarker::parse(MARKER).unwrap(), target, ttl: Ttl::parse(600).unwrap(), proxied }
}

fn address(last: u8) -> RecordState {
    RecordState { target: Target::A([192, 0, 2, last].into()), ..tunnel(false) }
}
