//! The tier's BIND, and what it answers to anybody.

use anyhow::Context as _;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::kubectl::tier_variable;

/// A server that serves one zone, and the key to change it.
pub(crate) struct NameServer {
    pub(crate) address: String,
    pub(crate) zone: String,
    pub(crate) key_name: String,
    pub(crate) key_algorithm: String,
    pub(crate) key_secret: String,
}

impl NameServer {
    /// The server of the tier.
    pub(crate) fn of_tier() -> anyhow::Result<Self> {
        let key = tier_variable("TEST_DNS_KEY")?;
        let mut parts = key.splitn(3, ':').map(str::to_owned);
        let mut part = || parts.next().context("a key is a name, an algorithm and a secret");
        Ok(Self {
            address: tier_variable("TEST_DNS_SERVER")?,
            zone: tier_variable("TEST_DNS_ZONE")?,
            key_name: part()?,
            key_algorithm: part()?,
            key_secret: part()?,
        })
    }

    /// Asks without a key, as a resolver does: whether there is such a name, and its records of a type.
    pub(crate) async fn ask(&self, name: &str, kind: RecordType) -> anyhow::Result<(ResponseCode, Vec<String>)> {
        let mut question = Message::query();
        question.add_query(Query::query(Name::from_ascii(format!("{name}."))?, kind));
        let question = question.to_vec()?;
        let mut stream = TcpStream::connect(&self.address).await?;
        stream.write_u16(question.len().try_into()?).await?;
        stream.write_all(&question).await?;
        let mut answer = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut answer).await?;
        let answer = Message::from_vec(&answer)?;
        let records = answer.answers.iter().map(|record| record.data.to_string());
        Ok((answer.response_code, records.collect()))
    }
}
