//! Bodies of requests and answers: the members on the wire, and nothing that decides.

pub(crate) mod about;
pub(crate) mod activity;
pub(crate) mod cron;
pub(crate) mod events;
pub(crate) mod exposure;
pub(crate) mod friend;
pub(crate) mod health;
pub(crate) mod login;
pub(crate) mod namespace;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod workspace;

use chrono::{DateTime, Utc};
use portal_core::{Change, WordEnum};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A word of a closed set, for which the document lists the set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word<T>(pub(crate) T);

impl<T: WordEnum> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<T: WordEnum> PartialSchema for Word<T> {
    fn schema() -> RefOr<Schema> {
        let words = T::WORDS.iter().copied();
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build().into()
    }
}

impl<T: WordEnum> ToSchema for Word<T> {}

/// A time as it stands in every answer: UTC, to the second.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads a member that may be `null`, which is another change than leaving it out.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Change<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map_or(Change::Clear, Change::Set))
}

/// The request has been carried out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ok)]
pub(crate) struct Acknowledgement {
    /// Always `true`.
    #[schema(example = true)]
    pub(crate) ok: bool,
}

impl Acknowledgement {
    /// The only value.
    pub(crate) const YES: Self = Self { ok: true };
}
