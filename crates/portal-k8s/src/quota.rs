//! The quota as shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::metadata::text;
use crate::quantity;

/// The resources under which a quota counts secrets, the one that counts first.
const SECRETS: [&str; 2] = ["secrets", "count/secrets"];

/// A namespace's quota as shown: one, or several merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuotaSummary {
    /// The limit of each resource, by the resource's name.
    pub hard: BTreeMap<Arc<str>, Arc<str>>,
    /// Amounts in use; a resource is missing here until the cluster has counted it.
    pub used: BTreeMap<Arc<str>, Arc<str>>,
    /// It counts only some objects, such as those of a priority.
    pub is_scoped: bool,
}

impl QuotaSummary {
    /// Several quotas as one: of each resource the smallest limit, which is the one that is hit first, with what is
    /// used of that very limit; where the cluster has not counted that yet, what another quota counted of the resource.
    #[must_use]
    pub fn merged<'a>(quotas: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let quotas: Vec<_> = quotas.into_iter().collect();
        let (first, others) = quotas.split_first()?;
        // The usual case, in which there is nothing to compare.
        if others.is_empty() {
            return Some((*first).clone());
        }
        let mut merged = Self::default();
        for resource in quotas.iter().flat_map(|quota| quota.hard.keys()) {
            if !merged.hard.contains_key(resource) {
                merged.take_tightest(resource, &quotas);
            }
        }
        Some(merged)
    }

    fn take_tightest(&mut self, resource: &Arc<str>, quotas: &[&Self]) {
        let mut limiting: Vec<_> =
            quotas.iter().filter_map(|quota| Some((quota.hard.get(resource)?, *quota))).collect();
        limiting.sort_by(|(one, _), (other, _)| quantity::compare(one, other));
        let Some(&(hard, tightest)) = limiting.first() else { return };
        // All of these count the same, unless they count in different scopes.
        let counts = |quota: &Self, limit: &Arc<str>| limit == hard || !(quota.is_scoped || tightest.is_scoped);
        let mut counted = limiting.iter().filter(|(limit, quota)| counts(quota, limit));
        let used = counted.find_map(|(_, quota)| quota.used.get(resource));
        self.hard.insert(resource.clone(), hard.clone());
        if let Some(used) = used {
            self.used.insert(resource.clone(), used.clone());
        }
    }

    /// Returns the number of secrets that the cluster counted, where a quota makes it count them.
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
        // A count without a limit is left over from a limit that was taken away.
        used.retain(|resource, _| hard.contains_key(resource));
        let spec = quota.spec.as_ref();
        let has_scopes = spec.and_then(|spec| spec.scopes.as_ref()).is_some_and(|scopes| !scopes.is_empty());
        let is_scoped = has_scopes || spec.is_some_and(|spec| spec.scope_selector.is_some());
        Self { hard, used, is_scoped }
    }
}

fn quantities(quantities: &BTreeMap<String, Quantity>) -> BTreeMap<Arc<str>, Arc<str>> {
    quantities.iter().map(|(resource, quantity)| (text(resource), text(&quantity.0))).collect()
}
