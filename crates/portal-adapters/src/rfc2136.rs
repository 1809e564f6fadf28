//! Records in zones of BIND, Knot, `PowerDNS` and whatever else takes signed dynamic updates (RFC 2136, RFC 8945).
//!
//! DNS has no room for a comment, so the marker of `app-alice.example.org` is a TXT record at
//! `_friend-portal.app-alice.example.org`: the marker, and which record it is the marker of. Record and marker are written
//! in one update that the server carries out only if everything still is as it was seen, so of two writers one wins.

mod exchange;
mod plan;
mod settings;
mod site;
mod update;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, Record, RecordType};
use portal_core::{Backend, BackendError, Clock, Invalid};
use portal_dns::{DomainName, Ensured, Hostname, Observed, OwnershipMarker, Priority, RecordState, Records, Removed};

use self::exchange::{Conversation, Server, refused};
use self::plan::Step;
use self::site::{Place, Site};
use self::update::Update;

pub use self::settings::{Rfc2136Settings, TsigKeyAlgorithm};

/// How often a name that changes under our hands is read again before giving up.
const ROUNDS: usize = 3;

/// The records of one zone on a server that takes signed updates.
pub struct Rfc2136Records {
    server: Server,
    zone: Name,
    domain: DomainName,
}

impl Rfc2136Records {
    /// The records of this zone; nothing is sent yet. The clock dates signatures.
    ///
    /// # Errors
    /// Refuses a key whose name is no DNS name or whose secret is not base64, an address without a port, and a
    /// domain outside the zone.
    pub fn new(settings: &Rfc2136Settings, clock: Arc<dyn Clock>) -> Result<Self, Invalid> {
        let server = Server {
            address: settings.address()?.to_owned(),
            signer: settings.signer()?,
            timeout: settings.timeout,
            clock,
        };
        Ok(Self { server, zone: settings.origin()?, domain: settings.domain.clone() })
    }

    /// Reads what stands at a place, and asks the server itself whether the names are in use where an answer could
    /// come from a wildcard.
    async fn survey(&self, conversation: &mut Conversation<'_>, place: &Place) -> Result<Site, BackendError> {
        let marker = answers(conversation, &place.marker, RecordType::ANY).await?;
        let host = answers(conversation, &place.host, RecordType::ANY).await?;
        let site = Site::read(place, &host.records, &marker.records);
        let is_unused = host.records.is_empty() && marker.records.is_empty() && host.authoritative;
        if site.marker.is_none() && !is_unused {
            let probe = Update::of(&self.zone).if_unused(&place.host).if_unused(&place.marker);
            return match conversation.ask(probe.message()).await?.response_code {
                ResponseCode::NoError => Ok(Site::default()),
                ResponseCode::YXDomain => Ok(Site { others: true, ..site }),
                code => Err(refused(code)),
            };
        }
        Ok(site)
    }

    /// Sends an update; `false` if something was no longer as it was seen, and nothing changed.
    async fn apply(&self, conversation: &mut Conversation<'_>, update: &Update) -> Result<bool, BackendError> {
        match conversation.ask(update.message()).await?.response_code {
            ResponseCode::NoError => Ok(true),
            ResponseCode::YXDomain | ResponseCode::YXRRSet | ResponseCode::NXRRSet | ResponseCode::NXDomain => {
                Ok(false)
            }
            code => Err(refused(code)),
        }
    }

    async fn converge(
        &self,
        conversation: &mut Conversation<'_>,
        host: &Hostname,
        wanted: &RecordState,
        believed_absent: bool,
    ) -> Result<Ensured, BackendError> {
        let place = Place::of(host)?;
        let mut believed = believed_absent.then(Site::default);
        let mut changed = false;
        for _ in 0..ROUNDS {
            let site = match believed.take() {
                Some(site) => site,
                None => self.survey(conversation, &place).await?,
            };
            match plan::ensure(&self.zone, &place, &site, wanted)? {
                Step::Create(update) if self.apply(conversation, &update).await? => return Ok(Ensured::Created),
                // Read once more: a server drops a CNAME without a word if something else came to stand there.
                Step::Change(update) => changed |= self.apply(conversation, &update).await?,
                Step::Create(_) => {}
                Step::Nothing => return Ok(if changed { Ensured::Changed } else { Ensured::Same }),
                Step::Refuse => return Ok(Ensured::Foreign),
            }
        }
        Err(BackendError::unavailable(Backend::Dns, "the records at the name keep changing"))
    }
}

#[async_trait]
impl Records for Rfc2136Records {
    async fn look(&self, host: &Hostname, _: &Priority) -> Result<Observed, BackendError> {
        let place = Place::of(host)?;
        let site = self.server.talk(async |conversation| self.survey(conversation, &place).await).await?;
        Ok(site.seen())
    }

    async fn ensure(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        seen: &Observed,
        _: &Priority,
    ) -> Result<Ensured, BackendError> {
        let believed_absent = *seen == Observed::Absent;
        self.server.talk(async |conversation| self.converge(conversation, host, wanted, believed_absent).await).await
    }

    async fn remove(&self, host: &Hostname, marker: &OwnershipMarker, _: &Priority) -> Result<Removed, BackendError> {
        let place = Place::of(host)?;
        self.server
            .talk(async |conversation| {
                for _ in 0..ROUNDS {
                    let site = self.survey(conversation, &place).await?;
                    let Some(update) = plan::remove(&self.zone, &site, marker) else {
                        return Ok(if site.is_vacant() { Removed::Absent } else { Removed::Foreign });
                    };
                    if self.apply(conversation, &update).await? {
                        return Ok(Removed::Done);
                    }
                }
                Err(BackendError::unavailable(Backend::Dns, "the records at the name keep changing"))
            })
            .await
    }

    async fn list(&self) -> Result<Vec<(Hostname, Observed)>, BackendError> {
        let records = self.server.talk(async |conversation| conversation.transfer(&self.zone).await).await?;
        let mut by_name: BTreeMap<Name, Vec<Record>> = BTreeMap::new();
        for record in records {
            by_name.entry(record.name.clone()).or_default().push(record);
        }
        let at = |name: &Name| by_name.get(name).map_or(&[][..], Vec::as_slice);
        let hosts = by_name.keys().filter_map(site::host_of).filter(|host| host.is_in(&self.domain));
        let mut listed = BTreeMap::new();
        for host in hosts {
            let place = Place::of(&host)?;
            let site = Site::read(&place, at(&place.host), at(&place.marker));
            if site.seen() != Observed::Absent {
                listed.insert(host, site.seen());
            }
        }
        Ok(listed.into_iter().collect())
    }
}

/// What a server answered, as far as it concerns the name that was asked for.
struct Answers {
    records: Vec<Record>,
    authoritative: bool,
}

async fn answers(conversation: &mut Conversation<'_>, name: &Name, kind: RecordType) -> Result<Answers, BackendError> {
    let answer = conversation.ask(update::query(name, kind)).await?;
    match answer.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {
            let authoritative = answer.authoritative;
            let records = answer.answers.iter().filter(|record| record.name == *name).cloned().collect();
            Ok(Answers { records, authoritative })
        }
        code => Err(refused(code)),
    }
}
