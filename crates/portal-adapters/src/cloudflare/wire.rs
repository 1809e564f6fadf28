//! Records as Cloudflare writes them.

use std::net::{Ipv4Addr, Ipv6Addr};

use portal_dns::{DomainName, Hostname, Observed, OwnershipMarker, RecordState, Target, Ttl};
use serde_json::Value;

use super::endpoint::{RecordBody, WireId};

/// Cloudflare's "automatic", the only time to live of a record that it answers for itself.
const AUTOMATIC: u32 = 1;
/// What "automatic" means where Cloudflare passes the record on as it is, in seconds.
const AUTOMATIC_SECONDS: u32 = 300;

/// A record of a zone, read leniently: whatever cannot be read makes it somebody else's.
#[derive(Debug)]
pub(super) struct WireRecord {
    /// The name in lower case; empty if it could not be read.
    pub(super) name: String,
    /// What is known of it if it carries a marker and is of a type that we make.
    pub(super) marked: Option<Marked>,
}

/// A record that carries a marker.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) id: WireId,
    pub(super) state: RecordState,
}

impl WireRecord {
    /// Reads a record; `ttl` is what the domain asks for, which a record with an automatic one is said to have.
    pub(super) fn read(value: &Value, ttl: Ttl) -> Self {
        let name = text(value, "name").unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        Self { name, marked: read_marked(value, ttl) }
    }
}

/// What stands at a name, told from all its records.
pub(super) fn seen(records: &[WireRecord]) -> Observed {
    let mut marked: Vec<_> = records.iter().filter_map(|it| it.marked.as_ref()).map(|it| it.state.clone()).collect();
    match (records.len(), marked.pop()) {
        (0, _) => Observed::Absent,
        (_, None) => Observed::Foreign,
        (1, Some(only)) => Observed::Marked(only),
        (all, Some(last)) => {
            marked.push(last);
            Observed::Several { others: marked.len() < all, marked }
        }
    }
}

/// The body of a request that makes the record at `host` as wanted.
pub(super) fn body<'a>(host: &'a Hostname, wanted: &RecordState, comment: &'a str) -> RecordBody<'a> {
    let (kind, content) = match &wanted.target {
        Target::Cname(name) => ("CNAME", name.to_string()),
        Target::A(address) => ("A", address.to_string()),
        Target::Aaaa(address) => ("AAAA", address.to_string()),
    };
    let ttl = if wanted.proxied { AUTOMATIC } else { wanted.ttl.seconds() };
    RecordBody { kind, name: host.as_str(), content, ttl, proxied: wanted.proxied, comment }
}

fn read_marked(value: &Value, asked: Ttl) -> Option<Marked> {
    let marker = OwnershipMarker::parse(text(value, "comment")?)?;
    let id = WireId::parse(text(value, "id")?)?;
    let target = target(text(value, "type")?, text(value, "content")?)?;
    let proxied = value.get("proxied").and_then(Value::as_bool).unwrap_or_default();
    let ttl = match value.get("ttl").and_then(Value::as_u64).and_then(|ttl| u32::try_from(ttl).ok()) {
        _ if proxied => asked,
        Some(AUTOMATIC) => Ttl::nearest(AUTOMATIC_SECONDS),
        Some(seconds) => Ttl::nearest(seconds),
        None => asked,
    };
    Some(Marked { id, state: RecordState { marker, target, ttl, proxied } })
}

/// Where a record points. Content that no target of ours could have, edited by hand, is told as the unspecified
/// address: it differs from whatever is wanted, so it is repaired.
fn target(kind: &str, content: &str) -> Option<Target> {
    match kind {
        "CNAME" => {
            let name = DomainName::parse(content.trim_end_matches('.'));
            Some(name.map_or(Target::A(Ipv4Addr::UNSPECIFIED), Target::Cname))
        }
        "A" => Some(Target::A(content.parse().unwrap_or(Ipv4Addr::UNSPECIFIED))),
        "AAAA" => Some(Target::Aaaa(content.parse().unwrap_or(Ipv6Addr::UNSPECIFIED))),
        _ => None,
    }
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

#[cfg(test)]
mod tests;
