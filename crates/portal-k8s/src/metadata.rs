//! Members that every kind of object has, and texts of summaries.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

/// Longest message that is shown, in bytes; schedulers write one sentence per node.
const MESSAGE_MAX: usize = 512;

/// The object's name; empty only for an object that never was in a cluster.
pub(crate) fn name(meta: &ObjectMeta) -> Arc<str> {
    text(meta.name.as_deref().unwrap_or_default())
}

/// The object's time of creation.
pub(crate) fn created_at(meta: &ObjectMeta) -> Option<DateTime<Utc>> {
    moment(meta.creation_timestamp.as_ref())
}

/// A moment to the second, as the API server stores it.
pub(crate) fn moment(time: Option<&Time>) -> Option<DateTime<Utc>> {
    time.and_then(|time| DateTime::from_timestamp(time.0.as_second(), 0))
}

/// A text that summaries can share.
pub(crate) fn text(text: &str) -> Arc<str> {
    Arc::from(text)
}

/// The message, cut at a character boundary if it is longer than 512 bytes.
pub(crate) fn bounded(message: &str) -> Arc<str> {
    if message.len() <= MESSAGE_MAX {
        return text(message);
    }
    let (shown, _) = message.split_at(message.floor_char_boundary(MESSAGE_MAX.saturating_sub('…'.len_utf8())));
    Arc::from(format!("{shown}…"))
}
