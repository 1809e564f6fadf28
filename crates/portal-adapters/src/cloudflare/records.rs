//! The port, spoken in calls of the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use portal_core::{Backend, BackendError, Invalid};
use portal_dns::{
    DomainName, Ensured, Hostname, Observed, OwnershipMarker, Priority, RecordState, Records, Removed, Target, Ttl,
};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::answer::Meaning;
use super::api::{CallError, CloudflareApi};
use super::endpoint::{Call, WireId};
use super::wire::{Marked, WireRecord, body, seen};

/// Records on one page of a listing.
const PER_PAGE: u32 = 1000;
/// How often a record that changes under our hands is read again before giving up.
const ROUNDS: usize = 3;

/// How a zone is found.
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
    /// The time to live that the domain's records are to have. Cloudflare does not keep it for records that it
    /// proxies, so those are said to have this one.
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
    /// The records of this zone, through this token; nothing is sent yet.
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

    async fn zone(&self, caller: &Priority) -> Result<&WireId, BackendError> {
        self.zone.get_or_try_init(|| self.find_zone(caller)).await
    }

    async fn find_zone(&self, caller: &Priority) -> Result<WireId, BackendError> {
        let name = self.zone_name.as_str();
        let answer = self.api.call(caller, &Call::FindZone { name }).await?;
        let zones = items(&answer.result)?;
        let zone = zones.iter().find(|zone| zone.get("name").and_then(Value::as_str) == Some(name));
        zone.and_then(|zone| zone.get("id")?.as_str())
            .and_then(WireId::parse)
            .ok_or_else(|| BackendError::denied(Backend::Dns, format!("the token shows no zone {name}")))
    }

    /// Every record at a name, of whatever type.
    async fn at(&self, host: &Hostname, caller: &Priority) -> Result<Vec<WireRecord>, BackendError> {
        let call = Call::ListAt { zone: self.zone(caller).await?, name: host.as_str() };
        let answer = self.api.call(caller, &call).await?;
        let records: Vec<_> = items(&answer.result)?.iter().map(|value| WireRecord::read(value, self.ttl)).collect();
        if records.iter().any(|record| record.name != host.as_str() && !record.name.is_empty()) {
            return Err(BackendError::failed(Backend::Dns, "records were listed that have another name"));
        }
        Ok(records)
    }

    async fn create(&self, host: &Hostname, wanted: &RecordState, caller: &Priority) -> Result<Ensured, CallError> {
        let comment = wanted.marker.to_string();
        let record = body(host, wanted, &comment);
        let zone = self.zone(caller).await?;
        self.api.call(caller, &Call::Create { zone, record: &record }).await?;
        // Cloudflare lets nothing but a CNAME stand at a CNAME, but any number of addresses at one name.
        if matches!(wanted.target, Target::A(_) | Target::Aaaa(_)) {
            return self.keep_if_alone(host, &wanted.marker, caller).await;
        }
        Ok(Ensured::Created)
    }

    /// Takes a record that was just created away again if somebody else's stands beside it.
    async fn keep_if_alone(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        caller: &Priority,
    ) -> Result<Ensured, CallError> {
        let (mine, others) = split(self.at(host, caller).await?, marker);
        if others == 0 {
            return Ok(Ensured::Created);
        }
        self.delete_all(&mine, caller).await?;
        Ok(Ensured::Foreign)
    }

    async fn change(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        mine: &[Marked],
        caller: &Priority,
    ) -> Result<Ensured, CallError> {
        let Some((first, duplicates)) = mine.split_first() else { return Ok(Ensured::Foreign) };
        let comment = wanted.marker.to_string();
        let record = body(host, wanted, &comment);
        let zone = self.zone(caller).await?;
        self.delete_all(duplicates, caller).await?;
        if first.state == *wanted {
            return Ok(if duplicates.is_empty() { Ensured::Same } else { Ensured::Changed });
        }
        let same_type = std::mem::discriminant(&first.state.target) == std::mem::discriminant(&wanted.target);
        let call = if same_type {
            Call::Update { zone, id: &first.id, record: &record }
        } else {
            Call::Replace { zone, id: &first.id, record: &record }
        };
        self.api.call(caller, &call).await?;
        Ok(Ensured::Changed)
    }

    async fn delete_all(&self, records: &[Marked], caller: &Priority) -> Result<(), CallError> {
        let zone = self.zone(caller).await?;
        for Marked { id, .. } in records {
            match self.api.call(caller, &Call::Delete { zone, id }).await {
                Err(error) if !error.means(Meaning::Missing) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// One attempt, which comes to nothing if something changes between reading and writing.
    async fn settle(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        believed_absent: bool,
        caller: &Priority,
    ) -> Result<Ensured, CallError> {
        if believed_absent {
            return self.create(host, wanted, caller).await;
        }
        let (mine, others) = split(self.at(host, caller).await?, &wanted.marker);
        match (mine.is_empty(), others) {
            (true, 0) => self.create(host, wanted, caller).await,
            (true, _) => Ok(Ensured::Foreign),
            (false, _) => self.change(host, wanted, &mine, caller).await,
        }
    }
}

#[async_trait]
impl Records for CloudflareRecords {
    async fn look(&self, host: &Hostname, caller: &Priority) -> Result<Observed, BackendError> {
        Ok(seen(&self.at(host, caller).await?))
    }

    async fn ensure(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        seen: &Observed,
        caller: &Priority,
    ) -> Result<Ensured, BackendError> {
        let mut outcome = self.settle(host, wanted, *seen == Observed::Absent, caller).await;
        for _ in 1..ROUNDS {
            match &outcome {
                Err(error) if error.means(Meaning::Occupied) || error.means(Meaning::Missing) => {}
                Ok(_) | Err(_) => break,
            }
            outcome = self.settle(host, wanted, false, caller).await;
        }
        match outcome {
            // Refused over and over, though nothing is listed that stands in the way: something of Cloudflare's own.
            Err(error) if error.means(Meaning::Occupied) => Ok(Ensured::Foreign),
            outcome => Ok(outcome?),
        }
    }

    async fn remove(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        caller: &Priority,
    ) -> Result<Removed, BackendError> {
        let (mine, others) = split(self.at(host, caller).await?, marker);
        match (mine.is_empty(), others) {
            (true, 0) => return Ok(Removed::Absent),
            (true, _) => return Ok(Removed::Foreign),
            (false, _) => self.delete_all(&mine, caller).await?,
        }
        Ok(Removed::Done)
    }

    async fn list(&self) -> Result<Vec<(Hostname, Observed)>, BackendError> {
        let caller = Priority::Background;
        let zone = self.zone(&caller).await?;
        let mut names: BTreeMap<Hostname, Vec<WireRecord>> = BTreeMap::new();
        let mut read: u64 = 0;
        for page in 1.. {
            let answer = self.api.call(&caller, &Call::ListZone { zone, page, per_page: PER_PAGE }).await?;
            let records = items(&answer.result)?;
            for record in records.iter().map(|value| WireRecord::read(value, self.ttl)) {
                if let Some(host) = Hostname::parse(&record.name).ok().filter(|host| host.is_in(&self.domain)) {
                    names.entry(host).or_default().push(record);
                }
            }
            read += records.len() as u64;
            let is_last = answer.total_count().map_or(records.len() < PER_PAGE as usize, |total| read >= total);
            if is_last || records.is_empty() {
                break;
            }
        }
        Ok(names.into_iter().map(|(host, records)| (host, seen(&records))).collect())
    }
}

/// The records with this marker, and how many others there are.
fn split(records: Vec<WireRecord>, marker: &OwnershipMarker) -> (Vec<Marked>, usize) {
    let all = records.len();
    let mine: Vec<_> =
        records.into_iter().filter_map(|record| record.marked).filter(|it| it.state.marker == *marker).collect();
    let others = all - mine.len();
    (mine, others)
}

fn items(result: &Value) -> Result<&Vec<Value>, BackendError> {
    result.as_array().ok_or_else(|| BackendError::failed(Backend::Dns, "a list was asked for and something else came"))
}
