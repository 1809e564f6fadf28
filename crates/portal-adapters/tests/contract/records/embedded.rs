//! A zone in memory.

use std::sync::Arc;

use async_trait::async_trait;
use portal_adapters::memory::{MemoryRecords, ZoneRecord};
use portal_dns::{DomainName, Hostname, RecordState, Target};

use portal_testkit::{ZoneEditor, ZoneFixture};

struct Editor(MemoryRecords);

/// A zone of its own.
#[expect(clippy::unused_async, reason = "other fixtures have to be waited for")]
pub(crate) async fn zone() -> ZoneFixture {
    let domain = DomainName::parse("example.org").unwrap();
    let records = MemoryRecords::new(domain.clone());
    ZoneFixture { domain, records: Arc::new(records.clone()), editor: Box::new(Editor(records)) }
}

impl Editor {
    /// What stands at `host`, after it was taken away there.
    fn take(&self, host: &Hostname) -> Vec<ZoneRecord> {
        let all = self.0.records();
        self.0.clear(host.as_str());
        all.into_iter().filter(|(name, _)| name == host.as_str()).map(|(_, record)| record).collect()
    }

    fn change(&self, host: &Hostname, change: impl Fn(RecordState) -> ZoneRecord) {
        for record in self.take(host) {
            let changed = match record {
                ZoneRecord::Marked(state) => change(state),
                plain @ ZoneRecord::Plain { .. } => plain,
            };
            self.0.insert_record(host.as_str(), changed);
        }
    }
}

fn shown(record: &ZoneRecord) -> (String, String) {
    match record {
        ZoneRecord::Plain { kind, data } => (kind.clone(), data.clone()),
        ZoneRecord::Marked(state) => match &state.target {
            Target::Cname(name) => ("CNAME".to_owned(), name.to_string()),
            Target::A(address) => ("A".to_owned(), address.to_string()),
            Target::Aaaa(address) => ("AAAA".to_owned(), address.to_string()),
        },
    }
}

#[async_trait]
impl ZoneEditor for Editor {
    async fn insert(&self, name: &str, kind: &str, content: &str) {
        self.0.insert_record(name, ZoneRecord::Plain { kind: kind.to_owned(), data: content.to_owned() });
    }

    async fn edit(&self, host: &Hostname, content: &str) {
        self.change(host, |state| {
            let target = match state.target {
                Target::Cname(_) => Target::Cname(DomainName::parse(content).unwrap()),
                Target::A(_) => Target::A(content.parse().unwrap()),
                Target::Aaaa(_) => Target::Aaaa(content.parse().unwrap()),
            };
            ZoneRecord::Marked(RecordState { target, ..state })
        });
    }

    async fn unmark(&self, host: &Hostname) {
        self.change(host, |state| {
            let (kind, data) = shown(&ZoneRecord::Marked(state));
            ZoneRecord::Plain { kind, data }
        });
    }

    async fn unmarked(&self) -> Vec<String> {
        let plain = self.0.records().into_iter().filter(|(_, record)| matches!(record, ZoneRecord::Plain { .. }));
        plain.map(|record| format!("{record:?}")).collect()
    }

    async fn records_at(&self, host: &Hostname) -> Vec<(String, String)> {
        let there = self.0.records().into_iter().filter(|(name, _)| name == host.as_str());
        let mut shown: Vec<_> = there.map(|(_, record)| shown(&record)).collect();
        shown.sort();
        shown
    }
}
