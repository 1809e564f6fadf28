//! Records in zones of BIND, Knot, `PowerDNS` and whatever else takes signed dynamic updates (RFC 2136, RFC 8945).
//!
//! DNS has no room for a comment, so the marker of `app-alice.example.org` is a TXT record at
//! `_friend-portal.app-alice.example.org`: the marker, and which record it is the marker of. Record and marker are written
//! in one update that the server carries out only if everything still is as it was seen, so of two writers one wins.

mod exchange;
mod names;
mod plan;
mod settings;
mod update;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, Record, RecordType};
use portal_core::{Backend, BackendError, Clock, Invalid};
use portal_dns::{DomainName, Ensured, Hostname, Observed, OwnershipMarker, Priority, RecordState, Records, Removed};

use self::exchange::{Conversation, Server, refused};
use self::names::{NameState, RecordNames};
use self::plan::Decision;
use self::update::Update;

pub use self::settings::{Rfc2136Settings, TsigKeyAlgorithm};

/// Limit of attempts while a name changes between reading and writing.
const MAX_ATTEMPTS: usize = 3;

/// The records of one zone on a server that takes signed updates.
pub struct Rfc2136Records {
    server: Server,
    zone: Name,
    domain: DomainName,
}

impl Rfc2136Records {
    /// Prepares access to this zone; nothing is sent yet. The clock dates signatures.
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

    /// Queries the records at both names. Where an answer can come from a wildcard, the server itself is asked if the
    /// names are in use.
    async fn query_state(
        &self,
        conversation: &mut Conversation<'_>,
        names: &RecordNames,
    ) -> Result<NameState, BackendError> {
        let marker = answers(conversation, &names.marker, RecordType::ANY).await?;
        let host = answers(conversation, &names.host, RecordType::ANY).await?;
        let state = NameState::read(names, &host.records, &marker.records);
        let is_unused = host.records.is_empty() && marker.records.is_empty() && host.authoritative;
        if state.marker.is_none() && !is_unused {
            // A prerequisite counts real records only, which no query can do.
            let probe = Update::of(&self.zone).if_unused(&names.host).if_unused(&names.marker);
            return match conversation.ask(probe.message()).await?.response_code {
                ResponseCode::NoError => Ok(NameState::default()),
                ResponseCode::YXDomain => Ok(NameState { others: true, ..state }),
                code => Err(refused(code)),
            };
        }
        Ok(state)
    }

    /// Sends an update; `false` if something was no longer as it was seen, and nothing changed.
    async fn apply(&self, conversation: &mut Conversation<'_>, update: &Update) -> Result<bool, BackendError> {
        match conversation.ask(update.message()).await?.response_code {
            ResponseCode::NoError => Ok(true),
            // A prerequisite did not hold.
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
        is_absent: bool,
    ) -> Result<Ensured, BackendError> {
        let names = RecordNames::of(host)?;
        let mut known = is_absent.then(NameState::default);
        let mut changed = false;
        for _ in 0..MAX_ATTEMPTS {
            let state = match known.take() {
                Some(state) => state,
                None => self.query_state(conversation, &names).await?,
            };
            match plan::ensure(&self.zone, &names, &state, wanted)? {
                Decision::Create(update) if self.apply(conversation, &update).await? => return Ok(Ensured::Created),
                // Read once more: a server drops a CNAME without a word if something else came to stand there.
                // Not finished yet: the loop confirms what the server made of it.
                Decision::Change(update) => changed |= self.apply(conversation, &update).await?,
                // The name was taken in between: look again.
                Decision::Create(_) => {}
                Decision::Nothing => return Ok(if changed { Ensured::Changed } else { Ensured::Same }),
                Decision::Refuse => return Ok(Ensured::Foreign),
            }
        }
        Err(BackendError::unavailable(Backend::Dns, "the records at the name keep changing"))
    }
}

#[async_trait]
impl Records for Rfc2136Records {
    async fn look(&self, host: &Hostname, _: &Priority) -> Result<Observed, BackendError> {
        let names = RecordNames::of(host)?;
        let state = self.server.talk(async |conversation| self.query_state(conversation, &names).await).await?;
        Ok(state.observed())
    }

    async fn ensure(
        &self,
        host: &Hostname,
        wanted: &RecordState,
        observed: &Observed,
        _: &Priority,
    ) -> Result<Ensured, BackendError> {
        let is_absent = *observed == Observed::Absent;
        self.server.talk(async |conversation| self.converge(conversation, host, wanted, is_absent).await).await
    }

    async fn remove(&self, host: &Hostname, marker: &OwnershipMarker, _: &Priority) -> Result<Removed, BackendError> {
        let names = RecordNames::of(host)?;
        self.server
            .talk(async |conversation| {
                for _ in 0..MAX_ATTEMPTS {
                    let state = self.query_state(conversation, &names).await?;
                    let Some(update) = plan::remove(&self.zone, &state, marker) else {
                        return Ok(if state.is_vacant() { Removed::Absent } else { Removed::Foreign });
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
        // A marker whose record is missing has a hostname too.
        let hosts = by_name.keys().filter_map(names::host_of).filter(|host| host.is_in(&self.domain));
        let mut listed = BTreeMap::new();
        for host in hosts {
            let names = RecordNames::of(&host)?;
            let state = NameState::read(&names, at(&names.host), at(&names.marker));
            if state.observed() != Observed::Absent {
                listed.insert(host, state.observed());
            }
        }
        Ok(listed.into_iter().collect())
    }
}

/// Answer records for the name of a query.
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
