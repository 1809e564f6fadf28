//! Dynamic updates: prerequisites and changes, all or nothing (RFC 2136, section 2).

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};

/// An update of a zone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Update {
    zone: Name,
    conditions: Vec<Record>,
    changes: Vec<Record>,
}

impl Update {
    /// Makes an update without prerequisites and changes.
    pub(super) fn of(zone: &Name) -> Self {
        Self { zone: zone.clone(), conditions: Vec::new(), changes: Vec::new() }
    }

    /// Requires that no record of any type exists at the name itself; wildcards do not count (section 2.4.5).
    pub(super) fn if_unused(mut self, name: &Name) -> Self {
        self.conditions.push(empty(name, RecordType::ANY, DNSClass::NONE));
        self
    }

    /// Requires that these records, all of one name and type, exist and no others of it (section 2.4.2).
    pub(super) fn if_exactly(mut self, records: &[Record]) -> Self {
        self.conditions.extend(records.iter().map(|record| reclassed(record, DNSClass::IN)));
        self
    }

    /// Adds a record (section 2.5.1).
    pub(super) fn add(mut self, record: Record) -> Self {
        self.changes.push(record);
        self
    }

    /// Deletes exactly this record (section 2.5.4).
    pub(super) fn delete(mut self, record: &Record) -> Self {
        self.changes.push(reclassed(record, DNSClass::NONE));
        self
    }

    /// Returns the update as a message, with a random id.
    pub(super) fn message(&self) -> Message {
        let mut message = Message::query();
        message.metadata.op_code = OpCode::Update;
        message.metadata.recursion_desired = false;
        let mut zone = Query::query(self.zone.clone(), RecordType::SOA);
        zone.set_query_class(DNSClass::IN);
        message.add_query(zone);
        message.add_answers(self.conditions.iter().cloned());
        message.add_authorities(self.changes.iter().cloned());
        message
    }
}

/// A question to a server about its own zone, with a random id.
pub(super) fn query(name: &Name, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(name.clone(), kind));
    message
}

fn empty(name: &Name, kind: RecordType, class: DNSClass) -> Record {
    let mut record = Record::update0(name.clone(), 0, kind);
    record.dns_class = class;
    record
}

/// A record of another class, without a time to live, as conditions and deletions have it.
fn reclassed(record: &Record, class: DNSClass) -> Record {
    let mut record = record.clone();
    (record.ttl, record.dns_class) = (0, class);
    record
}
