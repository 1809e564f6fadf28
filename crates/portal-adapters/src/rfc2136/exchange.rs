//! Signed conversations with a DNS server over TCP.
//!
//! Every message is signed and every answer verified, lookups too: an answer that nobody signed must not make the
//! portal believe that a name is free.

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType, TSigVerifier, TSigner};
use portal_core::{Backend, BackendError, Clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Limit of records in a zone transfer, so that no server can fill the memory.
const LARGEST_ZONE: usize = 1_000_000;

/// A DNS server, and the key that it knows the portal by.
pub(super) struct Server {
    /// `host:port`.
    pub(super) address: String,
    pub(super) signer: TSigner,
    pub(super) timeout: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

/// A connection for one query after another.
pub(super) struct Conversation<'a> {
    server: &'a Server,
    stream: TcpStream,
}

impl Server {
    /// Runs `work` in a new conversation, all of it within the server's timeout.
    pub(super) async fn talk<T>(
        &self,
        work: impl AsyncFnOnce(&mut Conversation<'_>) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let conversation = async {
            let stream = TcpStream::connect(&self.address).await.map_err(unreachable)?;
            work(&mut Conversation { server: self, stream }).await
        };
        tokio::time::timeout(self.timeout, conversation)
            .await
            .map_err(|elapsed| BackendError::unavailable(Backend::Dns, elapsed))?
    }
}

impl Conversation<'_> {
    /// Sends a message and returns the verified answer, whatever its response code.
    pub(super) async fn ask(&mut self, message: Message) -> Result<Message, BackendError> {
        let mut verifier = self.send(message).await?;
        self.receive(&mut verifier).await
    }

    /// All records of a zone.
    pub(super) async fn transfer(&mut self, zone: &Name) -> Result<Vec<Record>, BackendError> {
        let mut message = Message::query();
        message.metadata.recursion_desired = false;
        message.add_query(Query::query(zone.clone(), RecordType::AXFR));
        let mut verifier = self.send(message).await?;
        let mut records = Vec::new();
        // A transfer begins and ends with the zone's SOA record.
        // Counted, since a transfer may come in any number of messages.
        let mut ends_seen = 0;
        while ends_seen < 2 {
            let answer = self.receive(&mut verifier).await?;
            if answer.response_code != ResponseCode::NoError {
                return Err(refused(answer.response_code));
            }
            if answer.answers.is_empty() || records.len() > LARGEST_ZONE {
                return Err(BackendError::failed(Backend::Dns, "the zone transfer was broken off or is too long"));
            }
            ends_seen += answer.answers.iter().filter(|record| record.record_type() == RecordType::SOA).count();
            records.extend(answer.answers.iter().cloned());
        }
        Ok(records)
    }

    async fn send(&mut self, mut message: Message) -> Result<Expected, BackendError> {
        let now = u64::try_from(self.server.clock.now().timestamp()).unwrap_or_default();
        let id = message.id;
        let verifier = message.finalize(&self.server.signer, now).map_err(nonsense)?;
        let verifier = verifier.ok_or_else(|| nonsense("the message was not signed"))?;
        let bytes = message.to_vec().map_err(nonsense)?;
        let length = u16::try_from(bytes.len()).map_err(nonsense)?;
        let framed = [&length.to_be_bytes()[..], &bytes].concat();
        self.stream.write_all(&framed).await.map_err(unreachable)?;
        Ok(Expected { id, verifier })
    }

    async fn receive(&mut self, expected: &mut Expected) -> Result<Message, BackendError> {
        let length = self.stream.read_u16().await.map_err(unreachable)?;
        let mut bytes = vec![0; usize::from(length)];
        self.stream.read_exact(&mut bytes).await.map_err(unreachable)?;
        match expected.verifier.verify(&bytes) {
            // A signature alone would accept a replayed answer of an earlier query.
            Ok(answer) if answer.id == expected.id => Ok(answer.into_message()),
            Ok(_) => Err(nonsense("the answer belongs to another question")),
            Err(error) => Err(unverified(&bytes, error)),
        }
    }
}

/// Expected id and signature of an answer.
struct Expected {
    id: u16,
    verifier: TSigVerifier,
}

/// Returns the error for a response code.
pub(super) fn refused(code: ResponseCode) -> BackendError {
    let source = format!("the dns server answered {code}");
    match code {
        ResponseCode::Refused | ResponseCode::NotAuth | ResponseCode::BADSIG | ResponseCode::BADKEY => {
            BackendError::denied(Backend::Dns, source)
        }
        ResponseCode::ServFail => BackendError::unavailable(Backend::Dns, source),
        _ => BackendError::failed(Backend::Dns, source),
    }
}

/// A server that does not know the key cannot sign its answer, and says so in the code.
fn unverified(bytes: &[u8], error: impl std::error::Error + Send + Sync + 'static) -> BackendError {
    match Message::from_vec(bytes).map(|answer| answer.response_code) {
        Ok(code @ (ResponseCode::NotAuth | ResponseCode::Refused)) => refused(code),
        Ok(_) | Err(_) => nonsense(error),
    }
}

fn unreachable(error: std::io::Error) -> BackendError {
    BackendError::unavailable(Backend::Dns, error)
}

fn nonsense(error: impl Into<portal_core::BoxError>) -> BackendError {
    BackendError::failed(Backend::Dns, error)
}
