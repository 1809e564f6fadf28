//! Namespaces as bytes, made once per change and not once per request; requests that come together may each make it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use moka::future::Cache;
use portal_core::{Clock, FriendId};
use portal_dns::{Exposure, Reachable};
use portal_k8s::Overview;

use super::namespace::namespace;
use crate::body::time;
use crate::conditional::EntityTag;
use crate::error::ApiError;

/// Size of the cache in bytes; the answers that are asked for least go first.
const CAPACITY: u64 = 64 * 1024 * 1024;
/// Lifetime of an answer that nobody asks for.
const IDLE: Duration = Duration::from_mins(10);

/// The answers to `GET /namespace`, valid as long as what they were made from stays the same.
pub struct NamespaceViews {
    clock: Arc<dyn Clock>,
    views: Cache<FriendId, Arc<View>>,
}

/// One answer, and what it was made from. Holding on to both sources makes their addresses proof of identity.
pub(crate) struct View {
    overview: Arc<Overview>,
    exposures: Arc<[Exposure]>,
    reachable: Vec<Reachable>,
    observed_at: DateTime<Utc>,
    /// The body.
    pub(crate) bytes: Bytes,
    /// Tag of the body without the time when it was first seen: the same from every replica and after a restart.
    pub(crate) tag: EntityTag,
    /// The tag as a header.
    pub(crate) etag: HeaderValue,
}

impl NamespaceViews {
    /// Creates an empty cache.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let weigh = |_: &FriendId, view: &Arc<View>| u32::try_from(view.bytes.len()).unwrap_or(u32::MAX);
        let views = Cache::builder().max_capacity(CAPACITY).weigher(weigh).time_to_idle(IDLE).build();
        Self { clock, views }
    }

    /// The answer for a friend whose namespace and exposures are these, and what is known about their addresses.
    pub(crate) async fn view(
        &self,
        friend: &FriendId,
        overview: Arc<Overview>,
        exposures: Arc<[Exposure]>,
        reachable: Vec<Reachable>,
    ) -> Result<Arc<View>, ApiError> {
        let known = self.views.get(friend).await;
        if let Some(known) = known.as_ref().filter(|known| known.is_made_of(&overview, &exposures, &reachable)) {
            return Ok(known.clone());
        }
        let view = Arc::new(self.make(known.as_deref(), overview, exposures, reachable)?);
        self.views.insert(friend.clone(), view.clone()).await;
        Ok(view)
    }

    fn make(
        &self,
        known: Option<&View>,
        overview: Arc<Overview>,
        exposures: Arc<[Exposure]>,
        reachable: Vec<Reachable>,
    ) -> Result<View, ApiError> {
        let mut body = namespace(&overview, &exposures, &reachable);
        // Still without `observed_at`: the tag names what is shown, not since when.
        let content = serde_json::to_vec(&body).map_err(ApiError::internal)?;
        let tag = EntityTag::of(&content).weak();
        // The sources changed in a part that is not shown, so the bytes and their time stay.
        if let Some(same) = known.filter(|known| known.tag == tag) {
            let (bytes, etag) = (same.bytes.clone(), same.etag.clone());
            return Ok(View { overview, exposures, reachable, observed_at: same.observed_at, bytes, tag, etag });
        }
        let observed_at = self.first_seen(known, &overview);
        body.observed_at = time(observed_at);
        let bytes = serde_json::to_vec(&body).map_err(ApiError::internal)?.into();
        let etag = tag.to_header()?;
        Ok(View { overview, exposures, reachable, observed_at, bytes, tag, etag })
    }

    /// The time at which new content was first seen: that of the cluster's change, else now, since an exposure changed.
    fn first_seen(&self, known: Option<&View>, overview: &Arc<Overview>) -> DateTime<Utc> {
        match known {
            // Nothing was shown before that an exposure could have changed.
            None => overview.observed_at,
            Some(known) if Arc::ptr_eq(&known.overview, overview) => self.clock.now(),
            // Never backwards, whatever the order in which the changes arrived.
            Some(known) => overview.observed_at.max(known.observed_at),
        }
    }
}

impl View {
    fn is_made_of(&self, overview: &Arc<Overview>, exposures: &Arc<[Exposure]>, reachable: &[Reachable]) -> bool {
        Arc::ptr_eq(&self.overview, overview) && Arc::ptr_eq(&self.exposures, exposures) && self.reachable == reachable
    }
}
