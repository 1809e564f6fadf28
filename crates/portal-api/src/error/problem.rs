//! The problem document, in which every failure is answered.

use std::collections::BTreeMap;

use portal_core::Invalid;
use serde::Serialize;
use utoipa::ToSchema;

/// A failure (RFC 9457). Every operation answers failures in this one form, as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:friend-portal:problem:<code>`.
    #[serde(rename = "type")]
    #[schema(example = "urn:friend-portal:problem:value-invalid")]
    pub kind: String,
    /// The kind of failure in a few words.
    #[schema(example = "A value was refused")]
    pub title: &'static str,
    /// The status of the answer, once more.
    #[schema(example = 422)]
    pub status: u16,
    /// The failure as a sentence for the person who asked.
    #[schema(example = "port must be a number from 1 to 65535")]
    pub detail: String,
    /// The same sentence, where portal pages look for it.
    #[schema(example = "port must be a number from 1 to 65535")]
    pub error: String,
    /// The kind of failure as a stable word.
    #[schema(example = "value-invalid")]
    pub code: &'static str,
    /// The request's id, to be named when asking an operator about it; also in `X-Request-Id`.
    #[schema(example = "0f8c1d7a94f35f7a2b6ad1fd1d6f2f3c")]
    pub request_id: String,
    /// Errors of single members, parameters or headers; empty where the failure is about none in particular.
    pub errors: Vec<FieldError>,
}

/// An error of one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[non_exhaustive]
pub struct FieldError {
    /// The member, parameter or header, by its path.
    #[schema(example = "port")]
    pub field: String,
    /// The error as a sentence.
    #[schema(example = "port must be a number from 1 to 65535")]
    pub message: String,
    /// The broken rule as a word, such as `pattern`, `range`, `one-of`, `max-bytes`, `required`, `unknown` or `type`;
    /// `invalid` where none of these says it. More may be added.
    #[schema(example = "range")]
    pub rule: &'static str,
    /// Values of the rule, by name.
    #[schema(example = json!({"min": "1", "max": "65535"}))]
    pub params: BTreeMap<&'static str, String>,
}

impl FieldError {
    /// Creates the error of a field, with the rule `invalid`. An [`Invalid`] converts to one with a rule of its own.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), rule: "invalid", params: BTreeMap::new() }
    }
}

impl From<Invalid> for FieldError {
    fn from(invalid: Invalid) -> Self {
        let Invalid { field, message, rule, params, .. } = invalid;
        Self { field: field.to_owned(), message, rule, params: params.into_iter().collect() }
    }
}
