//! The records of a hostname and of its marker's name.

use std::net::Ipv4Addr;

use hickory_proto::ProtoError;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use portal_core::{Backend, BackendError};
use portal_dns::{DomainName, Hostname, MARKER_LABEL, Observed, OwnershipMarker, RecordState, Target, Ttl};

/// A hostname and the name of its marker, on the wire.
pub(super) struct RecordNames {
    pub(super) host: Name,
    pub(super) marker: Name,
}

impl RecordNames {
    /// Returns the names of a hostname's record and marker.
    pub(super) fn of(host: &Hostname) -> Result<Self, BackendError> {
        let read = |text: &str| name(text).map_err(|error| BackendError::failed(Backend::Dns, error));
        Ok(Self { host: read(host.as_str())?, marker: read(&format!("{MARKER_LABEL}.{host}"))? })
    }
}

/// An absolute name.
pub(super) fn name(text: &str) -> Result<Name, ProtoError> {
    let mut name = Name::from_ascii(text)?;
    name.set_fqdn(true);
    Ok(name)
}

/// Returns the hostname of a name, or of a marker's name.
pub(super) fn host_of(name: &Name) -> Option<Hostname> {
    let text = name.to_ascii().to_ascii_lowercase();
    let host = text.strip_prefix(MARKER_LABEL).and_then(|rest| rest.strip_prefix('.')).unwrap_or(&text);
    Hostname::parse(host).ok()
}

/// State of a hostname and its marker's name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct NameState {
    /// The marker, as it stands in the zone.
    pub(super) marker: Option<MarkerRecord>,
    /// The record that the marker belongs to.
    pub(super) ours: Option<Record>,
    /// True if there is anything else at the hostname, or something that is no marker at the marker's name.
    pub(super) others: bool,
    /// All records there that are of the same type as ours, ours included.
    pub(super) of_our_type: Vec<Record>,
}

/// A marker in the zone.
#[derive(Debug, PartialEq)]
pub(super) struct MarkerRecord {
    pub(super) marker: OwnershipMarker,
    /// The record at the name of the marker, whole.
    pub(super) record: Record,
    /// The record that it says it marks.
    names: String,
}

impl NameState {
    /// Makes the state from all records of the hostname and of its marker's name.
    pub(super) fn read(names: &RecordNames, host: &[Record], marker: &[Record]) -> Self {
        let standing: Vec<_> = host.iter().filter(|record| stands(record, &names.host)).collect();
        let markers: Vec<_> = marker.iter().filter(|record| stands(record, &names.marker)).collect();
        let texts: Vec<_> = markers.iter().filter(|record| record.record_type() == RecordType::TXT).copied().collect();
        // Two TXT records leave open which one is the marker.
        let marker = if let [only] = texts[..] { MarkerRecord::read(only) } else { None };
        let is_marker_name_taken = marker.is_none() && !markers.is_empty();
        let ours = marker.as_ref().and_then(|marker| marker.marked_among(&standing)).cloned();
        let is_of_our_type = |record: &&&Record| ours.as_ref().map(Record::record_type) == Some(record.record_type());
        Self {
            others: standing.len() > usize::from(ours.is_some()) || is_marker_name_taken,
            of_our_type: standing.iter().filter(is_of_our_type).copied().cloned().collect(),
            marker,
            ours,
        }
    }

    /// True if there is nothing at the hostname.
    pub(super) fn is_vacant(&self) -> bool {
        self.ours.is_none() && !self.others
    }

    /// Returns the state in the types of the port. A marker whose record was deleted is reported with an address that
    /// nobody wants, so that the record is created again, or the marker removed.
    pub(super) fn observed(&self) -> Observed {
        match (&self.marker, &self.ours) {
            (Some(marker), Some(record)) => Observed::Marked(record_state(&marker.marker, record)),
            (Some(marker), None) if !self.others => {
                let missing = Record::from_rdata(Name::root(), 0, RData::A(A(Ipv4Addr::UNSPECIFIED)));
                Observed::Marked(record_state(&marker.marker, &missing))
            }
            (None, _) if self.is_vacant() => Observed::Absent,
            _ => Observed::Foreign,
        }
    }
}

impl MarkerRecord {
    fn read(record: &Record) -> Option<Self> {
        let RData::TXT(txt) = &record.data else { return None };
        let mut strings = txt.txt_data.iter().map(|bytes| std::str::from_utf8(bytes));
        let marker = OwnershipMarker::parse(strings.next()?.ok()?)?;
        let names = strings.next().and_then(Result::ok).unwrap_or_default().to_owned();
        Some(Self { marker, record: record.clone(), names })
    }

    /// The record that the marker belongs to: the one it names, or the only one of that type, which then was edited.
    fn marked_among<'a>(&self, standing: &[&'a Record]) -> Option<&'a Record> {
        if let Some(named) = standing.iter().find(|record| describe(&record.data).is_some_and(|it| it == self.names)) {
            return Some(named);
        }
        let kind = self.names.split(' ').next();
        let is_of_that_type =
            |record: &&&Record| describe(&record.data).is_some_and(|description| description.split(' ').next() == kind);
        // An edited record is still recognised as ours if it is the only one of its type.
        let mut of_that_type = standing.iter().filter(is_of_that_type);
        of_that_type.next().filter(|_| of_that_type.next().is_none()).copied()
    }
}

/// The record that is to stand at `host`.
pub(super) fn record(names: &RecordNames, wanted: &RecordState) -> Result<Record, BackendError> {
    let data = match &wanted.target {
        Target::Cname(target) => {
            RData::CNAME(CNAME(name(target.as_str()).map_err(|error| BackendError::failed(Backend::Dns, error))?))
        }
        Target::A(address) => RData::A(A(*address)),
        Target::Aaaa(address) => RData::AAAA(AAAA(*address)),
    };
    Ok(Record::from_rdata(names.host.clone(), wanted.ttl.seconds(), data))
}

/// The marker of that record.
pub(super) fn marker_record(names: &RecordNames, marker: &OwnershipMarker, record: &Record) -> Record {
    let text = TXT::new(vec![marker.to_string(), describe(&record.data).unwrap_or_default()]);
    Record::from_rdata(names.marker.clone(), record.ttl, RData::TXT(text))
}

/// True for a record that somebody put at this name, as opposed to one that signs or links names.
fn stands(record: &Record, at: &Name) -> bool {
    let kind = record.record_type();
    // DNSSEC records come and go by themselves and claim nothing.
    let signs = matches!(kind, RecordType::RRSIG | RecordType::SIG | RecordType::NSEC | RecordType::NSEC3);
    record.name == *at && !signs
}

/// A record of a type that we make, in words.
fn describe(data: &RData) -> Option<String> {
    match data {
        RData::CNAME(CNAME(name)) => Some(format!("CNAME {}", plain(name))),
        RData::A(A(address)) => Some(format!("A {address}")),
        RData::AAAA(AAAA(address)) => Some(format!("AAAA {address}")),
        _ => None,
    }
}

fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// Returns a marked record in the types of the port. Data that no target of ours can have is reported as the unspecified
/// address, which differs from every desired target.
fn record_state(marker: &OwnershipMarker, record: &Record) -> RecordState {
    let odd = Target::A(Ipv4Addr::UNSPECIFIED);
    let target = match &record.data {
        RData::CNAME(CNAME(name)) => DomainName::parse(&plain(name)).map_or(odd, Target::Cname),
        RData::A(A(address)) => Target::A(*address),
        RData::AAAA(AAAA(address)) => Target::Aaaa(*address),
        _ => odd,
    };
    RecordState { marker: marker.clone(), target, ttl: Ttl::nearest(record.ttl), proxied: false }
}

#[cfg(test)]
mod tests;
