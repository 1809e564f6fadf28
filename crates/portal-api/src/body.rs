//! Bodies of requests and answers: the members on the wire, and nothing that decides.

pub(crate) mod cron;
pub(crate) mod exposure;
pub(crate) mod friend;
pub(crate) mod health;
pub(crate) mod login;
pub(crate) mod namespace;
pub(crate) mod session;
pub(crate) mod workspace;

use chrono::{DateTime, Utc};
use portal_core::WordEnum;
use serde::{Serialize, Serializer};
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
