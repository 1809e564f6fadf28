//! Records in Cloudflare's JSON.

use std::net::{Ipv4Addr, Ipv6Addr};

use portal_dns::{DomainName, Hostname, Observed, OwnershipMarker, RecordState, Target, Ttl};
use serde_json::Value;

use super::endpoint::{RecordBody, WireId};

/// Cloudflare's "automatic", the only time to live of a record that it answers for itself.
const AUTOMATIC: u32 = 1;
/// The value of "automatic" where Cloudflare passes the record on as it is, in seconds.
const AUTOMATIC_SECONDS: u32 = 300;

/// A record of a zone, parsed leniently: one that cannot be parsed is somebody else's.
#[derive(Debug)]
pub(super) struct WireRecord {
    /// The name in A-labels; empty if there is none.
    pub(super) name: String,
    /// Its content, if it carries a marker and is of a type that we create.
    pub(super) marked: Option<Marked>,
}

/// A record that carries a marker.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) id: WireId,
    pub(super) state: RecordState,
}

impl WireRecord {
    /// Parses a record; `ttl` is the domain's, which is reported for a proxied record.
    pub(super) fn read(value: &Value, ttl: Ttl) -> Self {
        let name = a_labels(text(value, "name").unwrap_or_default());
        Self { name, marked: read_marked(value, ttl) }
    }
}

/// Returns a DNS name in lower-case A-labels without a closing dot, the form of all names of ours.
pub(super) fn a_labels(name: &str) -> String {
    let name = name.trim_end_matches('.');
    // A name that has no A-labels is nobody's of ours, so it only has to stay different.
    idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_lowercase())
}

/// Returns the observed state of a name from all its records.
pub(super) fn observed(records: &[WireRecord]) -> Observed {
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

/// Makes the body of a request for the record at `host`.
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
        // Cloudflare reports "automatic" for these, whatever was sent.
        _ if proxied => asked,
        Some(AUTOMATIC) => Ttl::nearest(AUTOMATIC_SECONDS),
        Some(seconds) => Ttl::nearest(seconds),
        None => asked,
    };
    Some(Marked { id, state: RecordState { marker, target, ttl, proxied } })
}

/// Parses a target. Content that no target of ours can have, edited by hand, is reported as the unspecified address:
/// it differs from every desired target, so it is repaired.
fn target(kind: &str, content: &str) -> Option<Target> {
    match kind {
        "CNAME" => {
            let name = DomainName::parse(&a_labels(content));
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
