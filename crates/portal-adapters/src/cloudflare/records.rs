//! Implements the port with calls of the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use portal_core::{Backend, BackendError, Invalid};
use portal_dns::{
    DomainName, Ensured, Hostname, Observed, OwnershipMarker, Priority, RecordState, Records, Removed, Target, Ttl,
};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::api::{CallError, CloudflareApi};
use super::endpoint::{Call, WireId};
use super::json::{Marked, WireRecord, a_labels, body, observed};
use super::response::Meaning;

/// Records on one page of a listing.
const PER_PAGE: u32 = 1000;
/// Limit of attempts while a record changes between reading and writing.
const MAX_ATTEMPTS: usize = 3;

/// Identity of a zone.
#[derive(Debug, Clone)]
pub enum ZoneName {
    /// By the id that Cloudflare shows on the zone's page.
    Id(String),
    /// By its name, looked up with the first call.
    Name(DomainName),
}

/// A zone, and the domain in it under which services are exposed.
#[derive(Debug, Clone)]
pub struct CloudflareZone {
    /// The domain: the zone itself or a name below it.
    pub domain: DomainName,
    /// The zone.
    pub zone: ZoneName,
    /// Time to live of the domain's records. Cloudflare does not store it for records that it proxies, so those are
    /// reported with this one.
    pub ttl: Ttl,
}

/// The records of one zone at Cloudflare.
pub struct CloudflareRecords {
    api: Arc<CloudflareApi>,
    domain: DomainName,
    ttl: Ttl,
    zone_name: DomainName,
    zone: OnceCell<WireId>,
}

impl CloudflareRecords {
    /// Prepares access to this zone through this token; nothing is sent yet.
    ///
    /// # Errors
    /// Refuses a zone id that is not letters and digits.
    pub fn new(api: Arc<CloudflareApi>, zone: CloudflareZone) -> Result<Self, Invalid> {
        let CloudflareZone { domain, zone, ttl } = zone;
        let (zone_name, zone) = match zone {
            ZoneName::Name(name) => (name, OnceCell::new()),
            ZoneName::Id(id) => {
                let refused = || Invalid::new("zone_id", "zone_id must be letters and digits, as Cloudflare shows it");
                (domain.clone(), OnceCell::new_with(Some(WireId::parse(&id).ok_or_else(refused)?)))
            }
        };
        Ok(Self { api, domain, ttl, zone_name, zone })
    }

    async fn zone(&self, priority: &Priority) -> Result<&WireId, BackendError> {
        self.zone.get_or_try_init(|| self.find_zone(priority)).await
    }

    async fn find_zone(&self, priority: &Priority) -> Result<WireId, BackendError> {
        let name = self.zone_name.as_str();
        if let Some(zone) = self.zone_named(name, priority).await? {
            return Ok(zone);
        }
        // Cloudflare knows an internationalized zone by its Unicode name, the configuration by its A-labels.
        let (unicode, _) = idna::domain_to_unicode(name);
        let found = if unicode == name { None } else { self.zone_named(&unicode, priority).await? };
        found.ok_or_else(|| BackendError::denied(Backend::Dns, format!("the token shows no zone {name}")))
    }

    /// Asks for a zone by one of its names. The name in the answer is compared as A-labels.
    async fn zone_named(&self, name: &str, priority: &Priority) -> Result<Option<WireId>, BackendError> {
        let answer = self.api.call(priority, &Call::FindZone { name }).await?;
        let is_ours = |zone: &&Value| {
            let name = zone.get("name").and_then(Value::as_str);
            name.is_some_and(|name| a_labels(name) == self.zone_name.as_str())
        };
        let zone = items(&answer.result)?.iter().find(is_ours);
        Ok(zone.and_then(|zone| zone.get("id")?.as_str()).and_then(WireId::parse))
    }

    /// Reads the records of every type at a name.
    async fn records_at(&self, host: &Hostname, priority: &Priority) -> Result<Vec<WireRecord>, BackendError> {
        let call = Call::ListAt { zone: self.zone(priority).await?, name: host.as_str() };
        let answer = self.api.call(priority, &call).await?;
        let records: Vec<_> = items(&answer.result)?.iter().map(|value| WireRecord::read(value, self.ttl)).collect();
        // A filter that Cloudflare ignored would make every record of the zone look like ours to judge.
        if records.iter().any(|record| record.name != host.as_str() && !record.name.is_empty()) {
            return Err(BackendError::failed(Backend::Dns, "records were listed that have another name"));
        }
        Ok(records)
    }

    async fn create(&self, host: &Hostname, wanted: &RecordState, priority: &Priority) -> Result<Ensured, CallError> {
        let comment = wanted.marker.to_string();
        let record = body(host, wanted, &comment);
        // No check before it: what was observed a moment ago saves a call, and Cloudflare refuses what clashes.
        let zone = self.zone(priority).await?;
        self.api.call(priority, &Call::Create { zone, record: &record }).await?;
        // Cloudflare refuses a second record beside a CNAME, but takes any number of addresses at one name.
        Ok(match wanted.target {
            Target::Cname(_) => Ensured::Created,
            Target::A(_) | Target::Aaaa(_) => Ensured::CreatedUnverified,
        })
    }

    async fn change(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        mine: &[Marked],
        priority: &Priority,
    ) -> Result<Ensured, CallError> {
        let Some((first, duplicates)) = mine.split_first() else { return Ok(Ensured::Foreign) };
        let comment = wanted.marker.to_string();
        let record = body(host, wanted, &comment);
        let zone = self.zone(priority).await?;
        // A create whose response was lost and that was repeated under another content leaves duplicates.
        self.delete_all(duplicates, priority).await?;
        // Only a duplicate was wrong.
        if first.state == *wanted {
            return Ok(if duplicates.is_empty() { Ensured::Same } else { Ensured::Changed });
        }
        // Cloudflare does not change the type of a record.
        let same_type = std::mem::discriminant(&first.state.target) == std::mem::discriminant(&wanted.target);
        let call = if same_type {
            Call::Update { zone, id: &first.id, record: &record }
        } else {
            Call::Replace { zone, id: &first.id, record: &record }
        };
        self.api.call(priority, &call).await?;
        Ok(Ensured::Changed)
    }

    async fn delete_all(&self, records: &[Marked], priority: &Priority) -> Result<(), CallError> {
        let zone = self.zone(priority).await?;
        for Marked { id, .. } in records {
            match self.api.call(priority, &Call::Delete { zone, id }).await {
                // A record that is gone already is what was asked for.
                Err(error) if !error.means(Meaning::Missing) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Makes one attempt, which fails if something changes between reading and writing.
    async fn attempt(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        is_absent: bool,
        priority: &Priority,
    ) -> Result<Ensured, CallError> {
        // The hint saves the second look; if it is outdated, the creation is refused and the next attempt looks.
        if is_absent {
            return self.create(host, wanted, priority).await;
        }
        let (mine, others) = split(self.records_at(host, priority).await?, &wanted.marker);
        match (mine.is_empty(), others) {
            (true, 0) => self.create(host, wanted, priority).await,
            (true, _) => Ok(Ensured::Foreign),
            (false, _) => self.change(host, wanted, &mine, priority).await,
        }
    }
}

#[async_trait]
impl Records for CloudflareRecords {
    async fn look(&self, host: &Hostname, priority: &Priority) -> Result<Observed, BackendError> {
        Ok(observed(&self.records_at(host, priority).await?))
    }

    async fn ensure(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        observed: &Observed,
        priority: &Priority,
    ) -> Result<Ensured, BackendError> {
        let mut outcome = self.attempt(host, wanted, *observed == Observed::Absent, priority).await;
        for _ in 1..MAX_ATTEMPTS {
            match &outcome {
                Err(error) if error.means(Meaning::Occupied) || error.means(Meaning::Missing) => {}
                Ok(_) | Err(_) => break,
            }
            outcome = self.attempt(host, wanted, false, priority).await;
        }
        match outcome {
            // Refused again and again, though nothing is listed that is in the way: something of Cloudflare's own.
            Err(error) if error.means(Meaning::Occupied) => Ok(Ensured::Foreign),
            outcome => Ok(outcome?),
        }
    }

    async fn remove(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        priority: &Priority,
    ) -> Result<Removed, BackendError> {
        let (mine, others) = split(self.records_at(host, priority).await?, marker);
        // By our marker alone: records beside ours stay.
        match (mine.is_empty(), others) {
            (true, 0) => return Ok(Removed::Absent),
            (true, _) => return Ok(Removed::Foreign),
            (false, _) => self.delete_all(&mine, priority).await?,
        }
        Ok(Removed::Done)
    }

    async fn list(&self) -> Result<Vec<(Hostname, Observed)>, BackendError> {
        let priority = Priority::Background;
        let zone = self.zone(&priority).await?;
        let mut names: BTreeMap<Hostname, Vec<WireRecord>> = BTreeMap::new();
        let mut read: u64 = 0;
        for page in 1.. {
            let answer = self.api.call(&priority, &Call::ListZone { zone, page, per_page: PER_PAGE }).await?;
            let records = items(&answer.result)?;
            for record in records.iter().map(|value| WireRecord::read(value, self.ttl)) {
                // Names such as `*.example.org` or `_dmarc.example.org` can be no hostname of ours.
                if let Some(host) = Hostname::parse(&record.name).ok().filter(|host| host.is_in(&self.domain)) {
                    names.entry(host).or_default().push(record);
                }
            }
            read += records.len() as u64;
            // Without a total a page that is not full is the last one.
            let is_last = answer.total_count().map_or(records.len() < PER_PAGE as usize, |total| read >= total);
            if is_last || records.is_empty() {
                break;
            }
        }
        Ok(names.into_iter().map(|(host, records)| (host, observed(&records))).collect())
    }
}

/// Returns the records with this marker, and the number of others.
fn split(records: Vec<WireRecord>, marker: &OwnershipMarker) -> (Vec<Marked>, usize) {
    let all = records.len();
    let mine: Vec<_> =
        records.into_iter().filter_map(|record| record.marked).filter(|it| it.state.marker == *marker).collect();
    let others = all - mine.len();
    (mine, others)
}

fn items(result: &Value) -> Result<&Vec<Value>, BackendError> {
    result.as_array().ok_or_else(|| BackendError::failed(Backend::Dns, "the result is not a list"))
}
