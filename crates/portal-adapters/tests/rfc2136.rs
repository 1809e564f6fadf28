//! A name server that does not do as it should: silent, gone, forging, or giving up in the middle.
//! What a real one does is tried in the contract suite, in the tier `dns`.

#![expect(clippy::unwrap_used, reason = "a test ends where its premise fails")]

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use portal_adapters::SystemClock;
use portal_adapters::rfc2136::{Rfc2136Records, Rfc2136Settings, TsigKeyAlgorithm};
use portal_core::{BackendError, BackendErrorKind};
use portal_dns::{DomainName, Hostname, Priority, Records};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn records(server: String) -> Rfc2136Records {
    let domain = DomainName::parse("example.org").unwrap();
    let settings = Rfc2136Settings {
        server,
        zone: domain.clone(),
        domain,
        key_name: "portal".to_owned(),
        key_algorithm: TsigKeyAlgorithm::HmacSha256,
        key_secret: "c2VjcmV0".to_owned().into(),
        timeout: Duration::from_millis(300),
    };
    Rfc2136Records::new(&settings, Arc::new(SystemClock)).unwrap()
}

async fn look(server: String) -> BackendError {
    let host = Hostname::parse("app-alice.example.org").unwrap();
    records(server).look(&host, &Priority::Background).await.unwrap_err()
}

/// A server that answers every message with what `answer` makes of it, and never signs.
async fn answering(answer: fn(Message) -> Vec<u8>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Ok(length) = stream.read_u16().await {
                let mut bytes = vec![0; length.into()];
                stream.read_exact(&mut bytes).await.unwrap();
                stream.write_all(&answer(Message::from_vec(&bytes).unwrap())).await.unwrap();
            }
        }
    });
    address
}

fn framed(message: &Message) -> Vec<u8> {
    let bytes = message.to_vec().unwrap();
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], &bytes].concat()
}

fn unsigned(question: &Message, code: ResponseCode) -> Vec<u8> {
    let mut answer = Message::response(question.id, question.op_code);
    answer.metadata.response_code = code;
    answer.metadata.authoritative = true;
    answer.add_queries(question.queries.clone());
    framed(&answer)
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    assert!(matches!(look("127.0.0.1:1".to_owned()).await, BackendError { kind: BackendErrorKind::Unavailable, .. }));
}

#[tokio::test]
async fn a_server_that_keeps_silent_is_unavailable() {
    let server = answering(|_| Vec::new()).await;
    assert!(matches!(look(server).await, BackendError { kind: BackendErrorKind::Unavailable, .. }));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_unavailable() {
    let server = answering(|question| unsigned(&question, ResponseCode::NXDomain).into_iter().take(9).collect()).await;
    assert!(matches!(look(server).await, BackendError { kind: BackendErrorKind::Unavailable, .. }));
}

#[tokio::test]
async fn an_unsigned_answer_is_never_believed() {
    let server = answering(|question| unsigned(&question, ResponseCode::NXDomain)).await;
    assert!(matches!(look(server).await, BackendError { kind: BackendErrorKind::Failed, .. }));
}

#[tokio::test]
async fn an_answer_that_only_repeats_our_signature_is_never_believed() {
    let server = answering(|mut question| {
        question.metadata.message_type = hickory_proto::op::MessageType::Response;
        question.metadata.response_code = ResponseCode::NXDomain;
        framed(&question)
    })
    .await;
    assert!(matches!(look(server).await, BackendError { kind: BackendErrorKind::Failed, .. }));
}

#[tokio::test]
async fn a_server_that_does_not_know_the_key_denies() {
    let server = answering(|question| unsigned(&question, ResponseCode::NotAuth)).await;
    assert!(matches!(look(server).await, BackendError { kind: BackendErrorKind::Denied, .. }));
}

#[tokio::test]
async fn bytes_that_are_no_message_are_a_failure() {
    let server = answering(|_| vec![0, 3, 1, 2, 3]).await;
    assert!(matches!(look(server).await, BackendError { kind: BackendErrorKind::Failed, .. }));
}
