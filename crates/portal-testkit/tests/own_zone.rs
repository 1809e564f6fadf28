//! A port implemented by somebody else: a zone in a map. Its tests are the contract suite of `Records`, called with an
//! empty zone, and what its own faults do.

#![expect(clippy::unwrap_used, reason = "a test ends where its premise fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use portal_core::{Backend, BackendError, BackendErrorKind, SeededIds};
use portal_dns::{
    DomainName, Ensured, ExposureId, Hostname, InstanceId, Observed, OwnershipMarker, Priority, RecordState, Records,
    Removed, Target, Ttl,
};
use portal_testkit::{Fault, Faults, Intercepted, ZoneEditor, ZoneFixture};

/// A record: its type, its content, and what the portal stored with it.
#[derive(Clone)]
struct Record {
    kind: &'static str,
    content: String,
    state: Option<RecordState>,
}

/// The zone `example.org`: records by name.
#[derive(Clone, Default)]
struct MapZone(Arc<Mutex<BTreeMap<String, Vec<Record>>>>);

fn record(state: &RecordState) -> Record {
    let (kind, content) = match &state.target {
        Target::Cname(name) => ("CNAME", name.to_string()),
        Target::A(address) => ("A", address.to_string()),
        Target::Aaaa(address) => ("AAAA", address.to_string()),
    };
    Record { kind, content, state: Some(state.clone()) }
}

fn observed(records: Option<&Vec<Record>>) -> Observed {
    let Some(records) = records.filter(|records| !records.is_empty()) else { return Observed::Absent };
    let state = records.iter().find_map(|record| record.state.clone());
    state.map_or(Observed::Foreign, Observed::Marked)
}

#[async_trait]
impl Records for MapZone {
    async fn look(&self, host: &Hostname, _: &Priority) -> Result<Observed, BackendError> {
        Ok(observed(self.0.lock().get(host.as_str())))
    }

    async fn ensure(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        _: &Observed,
        _: &Priority,
    ) -> Result<Ensured, BackendError> {
        let mut zone = self.0.lock();
        let ensured = match observed(zone.get(host.as_str())) {
            Observed::Absent => Ensured::Created,
            Observed::Marked(state) if state == *wanted => return Ok(Ensured::Same),
            Observed::Marked(state) if state.marker == wanted.marker => Ensured::Changed,
            Observed::Marked(_) | Observed::Several { .. } | Observed::Foreign => return Ok(Ensured::Foreign),
        };
        let records = zone.entry(host.to_string()).or_default();
        records.retain(|record| record.state.is_none());
        records.push(record(wanted));
        Ok(ensured)
    }

    async fn remove(&self, host: &Hostname, marker: &OwnershipMarker, _: &Priority) -> Result<Removed, BackendError> {
        let mut zone = self.0.lock();
        match observed(zone.get(host.as_str())) {
            Observed::Absent => return Ok(Removed::Absent),
            Observed::Marked(state) if state.marker == *marker => {}
            Observed::Marked(_) | Observed::Several { .. } | Observed::Foreign => return Ok(Removed::Foreign),
        }
        zone.entry(host.to_string()).or_default().retain(|record| record.state.is_none());
        Ok(Removed::Done)
    }

    async fn list(&self) -> Result<Vec<(Hostname, Observed)>, BackendError> {
        let (zone, domain) = (self.0.lock(), domain());
        let hosts = zone.iter().filter_map(|(name, records)| Some((Hostname::parse(name).ok()?, records)));
        let hosts = hosts.filter(|(host, records)| host.is_in(&domain) && !records.is_empty());
        Ok(hosts.map(|(host, records)| (host, observed(Some(records)))).collect())
    }
}

#[async_trait]
impl ZoneEditor for MapZone {
    async fn insert(&self, name: &str, kind: &str, content: &str) {
        let kind = ["A", "AAAA", "CNAME", "TXT", "MX"].into_iter().find(|known| *known == kind).unwrap();
        let record = Record { kind, content: content.to_owned(), state: None };
        self.0.lock().entry(name.to_owned()).or_default().push(record);
    }

    async fn edit(&self, host: &Hostname, content: &str) {
        for edited in self.0.lock().get_mut(host.as_str()).unwrap() {
            if let Some(state) = &mut edited.state {
                state.target = match &state.target {
                    Target::Cname(_) => Target::Cname(DomainName::parse(content).unwrap()),
                    Target::A(_) => Target::A(content.parse().unwrap()),
                    Target::Aaaa(_) => Target::Aaaa(content.parse().unwrap()),
                };
                *edited = record(&state.clone());
            }
        }
    }

    async fn unmark(&self, host: &Hostname) {
        self.0.lock().get_mut(host.as_str()).unwrap().iter_mut().for_each(|record| record.state = None);
    }

    async fn unmarked(&self) -> Vec<String> {
        let zone = self.0.lock();
        let all = zone.iter().flat_map(|(name, records)| records.iter().map(move |record| (name, record)));
        let others = all.filter(|(_, record)| record.state.is_none());
        others.map(|(name, record)| format!("{name} {} {}", record.kind, record.content)).collect()
    }

    async fn records_at(&self, host: &Hostname) -> Vec<(String, String)> {
        let records = self.0.lock().get(host.as_str()).cloned().unwrap_or_default();
        let mut shown: Vec<_> = records.into_iter().map(|record| (record.kind.to_owned(), record.content)).collect();
        shown.sort();
        shown
    }
}

fn domain() -> DomainName {
    DomainName::parse("example.org").unwrap()
}

#[expect(clippy::unused_async, reason = "the suite takes a future: most zones have to be waited for")]
async fn empty() -> ZoneFixture {
    let zone = MapZone::default();
    ZoneFixture { domain: domain(), records: Arc::new(zone.clone()), editor: Box::new(zone) }
}

mod contract {
    portal_testkit::records_contract!(super::empty());
}

/// Makes a record through a port whose call number `at`, counted from 0, has that fault. Returns the answer, and true if
/// the record is there.
async fn ensure_with(at: usize, fault: Fault) -> (Result<Ensured, BackendError>, bool) {
    let zone = Arc::new(MapZone::default());
    let faults = Faults::new(at, Some(fault)).answering_the_dead().shared();
    let port = Intercepted::<dyn Records>::new(zone.clone(), faults.clone());
    let host = Hostname::parse("app-alice.example.org").unwrap();
    let marker = OwnershipMarker {
        instance: InstanceId::parse(&"0".repeat(32)).unwrap(),
        exposure: ExposureId::random(&SeededIds::from_seed(1)),
    };
    let target = Target::A([192, 0, 2, 1].into());
    let wanted = RecordState { marker, target, ttl: Ttl::DEFAULT, proxied: false };
    let ensured = port.ensure(&host, &wanted, &Observed::Absent, &Priority::Background).await;
    assert_eq!((faults.calls(), faults.was_reached()), (1, at == 0));
    (ensured, !zone.records_at(&host).await.is_empty())
}

#[tokio::test]
async fn a_fault_has_the_effect_and_the_answer_that_it_names() {
    for (fault, has_effect) in
        [(Fault::Error, false), (Fault::LostAnswer, true), (Fault::StopBefore, false), (Fault::StopAfter, true)]
    {
        let (ensured, is_there) = ensure_with(0, fault).await;
        let error = ensured.unwrap_err();
        assert_eq!((error.backend, error.kind), (Backend::Dns, BackendErrorKind::Unavailable), "{fault:?}");
        assert_eq!(is_there, has_effect, "{fault:?}");
    }
    let (ensured, is_there) = ensure_with(1, Fault::Error).await;
    assert_eq!((ensured.unwrap(), is_there), (Ensured::Created, true), "another call has the fault");
}
