//! Everything in the cluster that claims a hostname, found by the hostname.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use portal_dns::{Hostname, RoutePlace};
use portal_k8s::{Claim, HostClaims};

use super::observe::Topic;

/// An object that claims hostnames, or may do so after its next change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Claimant {
    /// The kind of object.
    pub(super) topic: Topic,
    /// Its namespace and name.
    pub(super) place: RoutePlace,
}

/// Claims by object. Objects that only name hosts are found by these names; the few that have patterns are all tried.
#[derive(Default)]
pub(super) struct ClaimIndex {
    claims: HashMap<Arc<Claimant>, HostClaims>,
    by_name: HashMap<String, Vec<Arc<Claimant>>>,
    with_patterns: HashSet<Arc<Claimant>>,
}

impl ClaimIndex {
    /// Stores what an object claims now.
    pub(super) fn put(&mut self, claimant: Claimant, claims: HostClaims) {
        // Most events change nothing about hostnames.
        if self.claims.get(&claimant) == Some(&claims) {
            return;
        }
        self.remove(&claimant);
        let claimant = Arc::new(claimant);
        match claims.names() {
            Some(names) => {
                for name in names {
                    self.by_name.entry(name).or_default().push(claimant.clone());
                }
            }
            None => {
                self.with_patterns.insert(claimant.clone());
            }
        }
        self.claims.insert(claimant, claims);
    }

    /// Forgets an object.
    pub(super) fn remove(&mut self, claimant: &Claimant) {
        let Some(claims) = self.claims.remove(claimant) else { return };
        self.with_patterns.remove(claimant);
        for name in claims.names().into_iter().flatten() {
            if let Some(named) = self.by_name.get_mut(&name) {
                named.retain(|known| **known != *claimant);
                if named.is_empty() {
                    self.by_name.remove(&name);
                }
            }
        }
    }

    /// Returns every object that claims a hostname, with its claim.
    pub(super) fn find(&self, hostname: &Hostname) -> impl Iterator<Item = (&Claimant, Claim)> {
        let named = self.by_name.get(hostname.as_str()).into_iter().flatten();
        let candidates = named.chain(&self.with_patterns);
        candidates.filter_map(|claimant| {
            let claim = self.claims.get(claimant)?.claim(hostname.as_str())?;
            Some((&**claimant, claim))
        })
    }

    /// Returns the objects of one kind.
    pub(super) fn of(&self, topic: Topic) -> impl Iterator<Item = &RoutePlace> {
        self.claims.keys().filter(move |claimant| claimant.topic == topic).map(|claimant| &claimant.place)
    }
}

#[cfg(test)]
mod tests {
    use portal_dns::{Hostname, RoutePlace};
    use portal_k8s::{ClaimKind, HostClaims};
    use serde_json::json;

    use super::{ClaimIndex, Claimant};
    use crate::kube::observe::Topic;

    fn claimant(name: &str) -> Claimant {
        let place = RoutePlace { namespace: "other".to_owned(), name: name.to_owned() };
        Claimant { topic: Topic::Claims(ClaimKind::Ingress), place }
    }

    fn put(index: &mut ClaimIndex, name: &str, host: &str) {
        let spec = json!({"rules": [{"host": host}]});
        index.put(claimant(name), HostClaims::read(ClaimKind::Ingress, None, &spec));
    }

    #[track_caller]
    fn check(index: &ClaimIndex, host: &str, expected: &[&str]) {
        let host = Hostname::parse(host).unwrap();
        let mut found: Vec<_> = index.find(&host).map(|(claimant, _)| claimant.place.name.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn claims_are_found_by_name_and_by_pattern_and_follow_their_objects() {
        let mut index = ClaimIndex::default();
        put(&mut index, "name", "app-alice.example.net");
        put(&mut index, "same", "app-alice.example.net");
        put(&mut index, "wild", "*.example.net");
        check(&index, "app-alice.example.net", &["name", "same", "wild"]);
        check(&index, "app-bob.example.net", &["wild"]);
        put(&mut index, "name", "app-bob.example.net");
        put(&mut index, "wild", "app-bob.example.net");
        check(&index, "app-alice.example.net", &["same"]);
        check(&index, "app-bob.example.net", &["name", "wild"]);
        for name in ["name", "same", "wild"] {
            index.remove(&claimant(name));
        }
        assert!(index.claims.is_empty() && index.by_name.is_empty() && index.with_patterns.is_empty());
    }
}
