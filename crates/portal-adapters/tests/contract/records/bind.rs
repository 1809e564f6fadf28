//! A domain of its own in the zone of a real name server, which the tier `dns` hands over by `TEST_DNS_SERVER`,
//! `TEST_DNS_ZONE` and `TEST_DNS_KEY` (name, algorithm and base64 secret, with colons between).

mod dns;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, TSigner};
use portal_adapters::SystemClock;
use portal_adapters::rfc2136::{Rfc2136Records, Rfc2136Settings, TsigKeyAlgorithm};
use portal_dns::{DomainName, Hostname};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use portal_testkit::{ZoneEditor, ZoneFixture};

/// Somebody who speaks DNS by themselves, without anything of the adapter.
struct Operator {
    server: String,
    zone: Name,
    domain: Name,
    signer: TSigner,
}

/// What the tier hands over.
#[expect(clippy::disallowed_methods, reason = "a tier tells its tests by the environment where its server is")]
fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test --only dns`"))
}

/// Settings for a domain that no other test uses.
fn settings() -> Rfc2136Settings {
    static DOMAINS: AtomicU32 = AtomicU32::new(0);
    let zone = given("TEST_DNS_ZONE");
    let key = given("TEST_DNS_KEY");
    let [name, algorithm, secret] = key.splitn(3, ':').collect::<Vec<_>>()[..] else { panic!("TEST_DNS_KEY: {key}") };
    let number = DOMAINS.fetch_add(1, Ordering::Relaxed);
    let domain = format!("d{}-{}-{number}.{zone}", std::process::id(), now().as_nanos());
    Rfc2136Settings {
        server: given("TEST_DNS_SERVER"),
        zone: DomainName::parse(&zone).unwrap(),
        domain: DomainName::parse(&domain).unwrap(),
        key_name: name.to_owned(),
        key_algorithm: TsigKeyAlgorithm::parse(algorithm).unwrap(),
        key_secret: secret.to_owned().into(),
        timeout: Duration::from_secs(10),
    }
}

#[expect(clippy::disallowed_methods, reason = "signatures carry the time, and the server's clock is the machine's")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// A domain of its own.
pub(crate) async fn zone() -> ZoneFixture {
    let settings = settings();
    let records = Rfc2136Records::new(&settings, Arc::new(SystemClock)).unwrap();
    let operator = operator(&settings);
    ZoneFixture { domain: settings.domain, records: Arc::new(records), editor: Box::new(operator) }
}

fn operator(settings: &Rfc2136Settings) -> Operator {
    let secret = base64::engine::general_purpose::STANDARD.decode(settings.key_secret.expose_secret()).unwrap();
    let signer = TSigner::new(secret, TsigAlgorithm::HmacSha256, name(&settings.key_name), 300).unwrap();
    let (zone, domain) = (name(settings.zone.as_str()), name(settings.domain.as_str()));
    Operator { server: settings.server.clone(), zone, domain, signer }
}

/// What a resolver is told that asks the server, without a key, for the records of a type.
async fn resolve(host: &Hostname, kind: &str) -> Vec<String> {
    let mut question = Message::query();
    question.add_query(Query::query(name(host.as_str()), kind.parse().unwrap()));
    let mut stream = TcpStream::connect(given("TEST_DNS_SERVER")).await.unwrap();
    let answer = exchange(&mut stream, &question).await;
    answer.answers.iter().map(|record| record.data.to_string().trim_end_matches('.').to_owned()).collect()
}

/// Deletes everything at the hostname and leaves the marker.
async fn delete(host: &Hostname) {
    operator(&settings()).update(vec![deletion(name(host.as_str()), RecordType::ANY)]).await;
}

async fn exchange(stream: &mut TcpStream, question: &Message) -> Message {
    let bytes = question.to_vec().unwrap();
    stream.write_u16(bytes.len().try_into().unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    receive(stream).await
}

async fn receive(stream: &mut TcpStream) -> Message {
    let mut bytes = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut bytes).await.unwrap();
    Message::from_vec(&bytes).unwrap()
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

fn data(kind: &str, content: &str) -> RData {
    match kind {
        "A" => RData::A(A(content.parse().unwrap())),
        "AAAA" => RData::AAAA(AAAA(content.parse().unwrap())),
        "CNAME" => RData::CNAME(CNAME(name(content))),
        "TXT" => RData::TXT(TXT::new(vec![content.to_owned()])),
        "MX" => RData::MX(MX::new(10, name(content))),
        kind => panic!("no test uses {kind}"),
    }
}

fn mark_name(host: &Hostname) -> Name {
    name(&format!("_friend-portal.{host}"))
}

impl Operator {
    async fn ask(&self, mut message: Message) -> Vec<Message> {
        let is_transfer = message.queries[0].query_type() == RecordType::AXFR;
        message.finalize(&self.signer, now().as_secs()).unwrap();
        let mut stream = TcpStream::connect(&self.server).await.unwrap();
        let mut answers = vec![exchange(&mut stream, &message).await];
        let ends = |answers: &[Message]| {
            let records = answers.iter().flat_map(|answer| &answer.answers);
            records.filter(|record| record.record_type() == RecordType::SOA).count()
        };
        while is_transfer && ends(&answers) < 2 {
            answers.push(receive(&mut stream).await);
        }
        for answer in &answers {
            assert_eq!(answer.response_code, ResponseCode::NoError, "{answer}");
        }
        answers
    }

    async fn update(&self, changes: Vec<Record>) {
        let mut message = Message::query();
        message.metadata.op_code = OpCode::Update;
        message.add_query(Query::query(self.zone.clone(), RecordType::SOA));
        message.add_authorities(changes);
        self.ask(message).await;
    }

    async fn transfer(&self) -> Vec<Record> {
        let mut message = Message::query();
        message.add_query(Query::query(self.zone.clone(), RecordType::AXFR));
        let records = self.ask(message).await.into_iter().flat_map(|answer| answer.answers.clone());
        records.filter(|record| self.domain.zone_of(&record.name) && record.name != self.domain).collect()
    }
}

/// A deletion of all records of a type at a name.
fn deletion(name: Name, kind: RecordType) -> Record {
    let mut record = Record::update0(name, 0, kind);
    record.dns_class = DNSClass::ANY;
    record
}

#[async_trait]
impl ZoneEditor for Operator {
    async fn insert(&self, at: &str, kind: &str, content: &str) {
        self.update(vec![Record::from_rdata(name(at), 600, data(kind, content))]).await;
    }

    async fn edit(&self, host: &Hostname, content: &str) {
        let kind = self.records_at(host).await[0].0.clone();
        let edited = Record::from_rdata(name(host.as_str()), 600, data(&kind, content));
        self.update(vec![deletion(name(host.as_str()), edited.record_type()), edited]).await;
    }

    async fn unmark(&self, host: &Hostname) {
        self.update(vec![deletion(mark_name(host), RecordType::TXT)]).await;
    }

    async fn unmarked(&self) -> Vec<String> {
        let records = self.transfer().await;
        let text = |record: &Record| record.data.to_string();
        let is_mark = |record: &Record| text(record).starts_with("friend-portal/");
        let marked = |record: &Record| {
            let described = format!("{} {}", record.record_type(), text(record).trim_end_matches('.'));
            let at = name(&format!("_friend-portal.{}", record.name));
            records.iter().any(|it| it.name == at && text(it).contains(&described))
        };
        let others = records.iter().filter(|record| !is_mark(record) && !marked(record));
        let mut lines: Vec<_> = others.map(Record::to_string).collect();
        lines.sort();
        lines
    }

    async fn records_at(&self, host: &Hostname) -> Vec<(String, String)> {
        let plain = |record: &Record| record.data.to_string().trim_end_matches('.').to_owned();
        let there = self.transfer().await.into_iter().filter(|record| record.name == name(host.as_str()));
        let mut told: Vec<_> = there.map(|record| (record.record_type().to_string(), plain(&record))).collect();
        told.sort();
        told
    }
}
