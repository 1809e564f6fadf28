//! The quota as shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::metadata::text;
use crate::quantity;

/// The resources under which a quota counts secrets, in the order in which they are believed.
const SECRETS: [&str; 2] = ["secrets", "count/secrets"];

/// What is shown of a namespace's quota: one, or several merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuotaSummary {
    /// The limit of each resource, by the resource's name.
    pub hard: BTreeMap<Arc<str>, Arc<str>>,
    /// What is used of it; a resource is missing here until the cluster has counted it.
    pub used: BTreeMap<Arc<str>, Arc<str>>,
}

impl QuotaSummary {
    /// Several quotas as one: of each resource the smallest limit, which is the one that is hit first, with what is
    /// used of that very limit.
    #[must_use]
    pub fn merged<'a>(quotas: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut quotas = quotas.into_iter();
        let first = quotas.next()?.clone();
        Some(quotas.fold(first, Self::with))
    }

    fn with(mut self, other: &Self) -> Self {
        for (resource, hard) in &other.hard {
            let tighter = self.hard.get(resource).is_none_or(|known| quantity::compare(hard, known).is_lt());
            if tighter {
                self.hard.insert(resource.clone(), hard.clone());
                self.used.remove(resource);
            }
            let uncounted = self.hard.get(resource) == Some(hard) && !self.used.contains_key(resource);
            if let (true, Some(used)) = (uncounted, other.used.get(resource)) {
                self.used.insert(resource.clone(), used.clone());
            }
        }
        self
    }

    /// How many secrets the cluster counted, where a quota makes it count them.
    #[must_use]
    pub fn secrets(&self) -> Option<u64> {
        SECRETS.iter().find_map(|resource| self.used.get(*resource)).and_then(|used| quantity::count(used))
    }
}

impl From<&ResourceQuota> for QuotaSummary {
    fn from(quota: &ResourceQuota) -> Self {
        let status = quota.status.as_ref();
        let enforced = status.and_then(|status| status.hard.as_ref());
        let declared = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
        // What the status says is enforced; before the first count there is only what was asked for.
        let hard = enforced.filter(|hard| !hard.is_empty()).or(declared).map(quantities).unwrap_or_default();
        let mut used = status.and_then(|status| status.used.as_ref()).map(quantities).unwrap_or_default();
        used.retain(|resource, _| hard.contains_key(resource));
        Self { hard, used }
    }
}

fn quantities(quantities: &BTreeMap<String, Quantity>) -> BTreeMap<Arc<str>, Arc<str>> {
    quantities.iter().map(|(resource, quantity)| (text(resource), text(&quantity.0))).collect()
}
