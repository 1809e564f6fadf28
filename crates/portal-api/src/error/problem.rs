//! The problem document: what every failure looks like.

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
    /// What is wrong, as a sentence for the person who asked.
    #[schema(example = "port must be a number from 1 to 65535")]
    pub detail: String,
    /// The same sentence, where portal pages look for it.
    #[schema(example = "port must be a number from 1 to 65535")]
    pub error: String,
    /// The kind of failure as a stable word.
    #[schema(example = "value-invalid")]
    pub code: &'static str,
    /// What to name when asking an operator about it; also in `X-Request-Id`.
    #[schema(example = "0f8c1d7a94f35f7a2b6ad1fd1d6f2f3c")]
    pub request_id: String,
    /// What is wrong with which member, parameter or header; empty where nothing in particular is.
    pub errors: Vec<FieldError>,
}

/// What is wrong with one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The member, parameter or header, by its path.
    #[schema(example = "port")]
    pub field: String,
    /// What is wrong with it, as a sentence.
    #[schema(example = "port must be a number from 1 to 65535")]
    pub message: String,
}

impl From<Invalid> for FieldError {
    fn from(invalid: Invalid) -> Self {
        Self { field: invalid.field.to_owned(), message: invalid.message }
    }
}
