//! A DNS zone, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use portal_core::{Backend, BackendError};
use portal_dns::{DomainName, Ensured, Hostname, Observed, OwnershipMarker, Priority, RecordState, Records, Removed};

/// A zone that holds records of every type, as a provider would, in memory. Clones share one zone.
#[derive(Clone)]
pub struct MemoryRecords {
    domain: DomainName,
    zone: Arc<Mutex<Zone>>,
}

/// A record of a zone in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZoneRecord {
    /// A record with a portal's marker.
    Marked(RecordState),
    /// Anything else: its type and data, as in a zone file.
    Plain {
        /// The type, such as `TXT`.
        kind: String,
        /// The data.
        data: String,
    },
}

/// A call that a zone in memory answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneCall {
    /// The method of [`Records`].
    pub method: &'static str,
    /// For which hostname; `None` for the whole zone.
    pub host: Option<Hostname>,
    /// For whom.
    pub priority: Priority,
}

#[derive(Default)]
struct Zone {
    /// By name in lower case, which need not be a hostname: `*` and `_` occur.
    records: BTreeMap<String, Vec<ZoneRecord>>,
    calls: Vec<ZoneCall>,
    failure: Option<String>,
}

impl MemoryRecords {
    /// An empty zone.
    #[must_use]
    pub fn new(domain: DomainName) -> Self {
        Self { domain, zone: Arc::default() }
    }

    /// The zone's name.
    #[must_use]
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }

    /// Inserts a record by hand, as its owner would, at any name of the zone.
    pub fn insert_record(&self, name: &str, record: ZoneRecord) {
        self.zone().records.entry(name.to_ascii_lowercase()).or_default().push(record);
    }

    /// Removes everything at a name, by hand.
    pub fn clear(&self, name: &str) {
        self.zone().records.remove(&name.to_ascii_lowercase());
    }

    /// Returns every record, by name.
    #[must_use]
    pub fn records(&self) -> Vec<(String, ZoneRecord)> {
        let zone = self.zone();
        let each = zone.records.iter();
        each.flat_map(|(name, records)| records.iter().map(move |record| (name.clone(), record.clone()))).collect()
    }

    /// Returns every call so far, the oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<ZoneCall> {
        self.zone().calls.clone()
    }

    /// Makes the zone fail from now on, like a provider that is gone, with `cause` as the source.
    pub fn go_down(&self, cause: &str) {
        self.zone().failure = Some(cause.to_owned());
    }

    /// Ends the failure; all records are as they were.
    pub fn come_back(&self) {
        self.zone().failure = None;
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock()
    }

    /// The zone, after noting the call; failure while it is down.
    fn call(
        &self,
        method: &'static str,
        host: Option<&Hostname>,
        priority: &Priority,
    ) -> Result<MutexGuard<'_, Zone>, BackendError> {
        let mut zone = self.zone();
        zone.calls.push(ZoneCall { method, host: host.cloned(), priority: priority.clone() });
        match &zone.failure {
            Some(cause) => Err(BackendError::unavailable(Backend::Dns, cause.clone())),
            None => Ok(zone),
        }
    }
}

impl Zone {
    fn observed(&self, host: &Hostname) -> Observed {
        let records = self.records.get(host.as_str()).map(Vec::as_slice).unwrap_or_default();
        let marked = records.iter().find_map(|record| match record {
            ZoneRecord::Marked(state) => Some(state.clone()),
            ZoneRecord::Plain { .. } => None,
        });
        match marked {
            Some(state) => Observed::Marked(state),
            None if records.is_empty() => Observed::Absent,
            None => Observed::Foreign,
        }
    }

    fn put(&mut self, host: &Hostname, wanted: &RecordState) {
        let records = self.records.entry(host.as_str().to_owned()).or_default();
        records.retain(|record| !carries(record, &wanted.marker));
        records.push(ZoneRecord::Marked(wanted.clone()));
    }

    fn take(&mut self, host: &Hostname, marker: &OwnershipMarker) {
        if let Some(records) = self.records.get_mut(host.as_str()) {
            records.retain(|record| !carries(record, marker));
        }
        self.records.retain(|_, records| !records.is_empty());
    }
}

fn carries(record: &ZoneRecord, marker: &OwnershipMarker) -> bool {
    matches!(record, ZoneRecord::Marked(state) if state.marker == *marker)
}

#[async_trait]
impl Records for MemoryRecords {
    async fn look(&self, host: &Hostname, priority: &Priority) -> Result<Observed, BackendError> {
        Ok(self.call("look", Some(host), priority)?.observed(host))
    }

    async fn ensure(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        _: &Observed,
        priority: &Priority,
    ) -> Result<Ensured, BackendError> {
        let mut zone = self.call("ensure", Some(host), priority)?;
        let ensured = match zone.observed(host) {
            Observed::Absent => Ensured::Created,
            Observed::Marked(state) if state == *wanted => Ensured::Same,
            Observed::Marked(state) if state.marker == wanted.marker => Ensured::Changed,
            Observed::Marked(_) | Observed::Several { .. } | Observed::Foreign => return Ok(Ensured::Foreign),
        };
        zone.put(host, wanted);
        Ok(ensured)
    }

    async fn remove(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        priority: &Priority,
    ) -> Result<Removed, BackendError> {
        let mut zone = self.call("remove", Some(host), priority)?;
        match zone.observed(host) {
            Observed::Absent => Ok(Removed::Absent),
            Observed::Marked(state) if state.marker == *marker => {
                zone.take(host, marker);
                Ok(Removed::Done)
            }
            Observed::Marked(_) | Observed::Several { .. } | Observed::Foreign => Ok(Removed::Foreign),
        }
    }

    async fn list(&self) -> Result<Vec<(Hostname, Observed)>, BackendError> {
        let zone = self.call("list", None, &Priority::Background)?;
        let hosts = zone.records.keys().filter_map(|name| Hostname::parse(name).ok());
        let hosts = hosts.filter(|host| host.is_in(&self.domain));
        Ok(hosts.map(|host| (host.clone(), zone.observed(&host))).collect())
    }
}
