//! What every kind of object says about itself.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The object's name; empty only for an object that never was in a cluster.
pub(crate) fn name(meta: &ObjectMeta) -> Arc<str> {
    text(meta.name.as_deref().unwrap_or_default())
}

/// When the object was created, to the second, as the API server keeps it.
pub(crate) fn created_at(meta: &ObjectMeta) -> Option<DateTime<Utc>> {
    meta.creation_timestamp.as_ref().and_then(|time| DateTime::from_timestamp(time.0.as_second(), 0))
}

/// A text that summaries can share.
pub(crate) fn text(text: &str) -> Arc<str> {
    Arc::from(text)
}
