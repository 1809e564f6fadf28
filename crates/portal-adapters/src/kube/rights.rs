//! Rights of the portal in the cluster, asked of the cluster itself.

use std::fmt;

use k8s_openapi::Resource;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{ListParams, PostParams};
use kube::core::Status;
use kube::{Api, Client};
use portal_core::BackendError;
use portal_k8s::{ClaimKind, IngressRoute};

use super::call::{backend_error, call, status};

/// Everything that the server needs beside watching what claims hostnames.
const NEEDED: [Needed; 6] = [
    Needed { group: "", resource: "namespaces", verbs: &["get", "list", "watch"] },
    Needed { group: "", resource: "services", verbs: &["get", "list", "watch"] },
    Needed { group: "", resource: "pods", verbs: &["list", "watch"] },
    Needed { group: "", resource: "resourcequotas", verbs: &["list", "watch"] },
    Needed { group: "apps", resource: "deployments", verbs: &["list", "watch"] },
    Needed {
        group: "traefik.io",
        resource: "ingressroutes",
        verbs: &["get", "list", "watch", "create", "patch", "delete"],
    },
];

struct Needed {
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
}

/// One thing that can be allowed in all namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Right {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource, in the plural.
    pub resource: &'static str,
    /// The verb, such as `list`.
    pub verb: &'static str,
}

impl Right {
    /// Returns every right that the server needs: the `ClusterRole` of `deploy/base` grants just these. A kind that
    /// claims hostnames is among them whether or not the cluster serves it: a definition may be installed any time.
    pub fn needed() -> impl Iterator<Item = Self> {
        let claims = ClaimKind::ALL.into_iter().map(|kind| Needed {
            group: kind.group(),
            resource: kind.resource(),
            verbs: &["list", "watch"],
        });
        NEEDED
            .into_iter()
            .chain(claims)
            .flat_map(|Needed { group, resource, verbs }| verbs.iter().map(move |verb| Self { group, resource, verb }))
    }

    /// Asks the cluster whether the account that `client` signs in with has this right (`SelfSubjectAccessReview`);
    /// `Err` inside is the cluster's reason why not.
    ///
    /// # Errors
    /// The API server cannot be asked.
    pub async fn ask(self, client: &Client) -> Result<Result<(), String>, BackendError> {
        let attributes = ResourceAttributes {
            group: Some(self.group.to_owned()),
            resource: Some(self.resource.to_owned()),
            verb: Some(self.verb.to_owned()),
            ..ResourceAttributes::default()
        };
        let review_request = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        let review = call(reviews.create(&PostParams::default(), &review_request)).await.map_err(backend_error)?;
        let Some(status) = review.status else { return Ok(Err("the cluster did not say".to_owned())) };
        let why = || status.reason.filter(|reason| !reason.is_empty()).unwrap_or_else(|| "not allowed".to_owned());
        Ok(if status.allowed { Ok(()) } else { Err(why()) })
    }
}

/// Asks whether the cluster serves routes at all: rights to them can be granted where it does not. `Err` inside says
/// why not.
///
/// # Errors
/// The API server cannot be asked.
pub async fn serves_routes(client: &Client) -> Result<Result<(), String>, BackendError> {
    let routes: Api<IngressRoute> = Api::all(client.clone());
    // One object at most: only the status of the answer counts.
    match call(routes.list(&ListParams::default().limit(1))).await {
        Ok(_) => Ok(Ok(())),
        Err(error) if status(&error).is_some_and(Status::is_not_found) => {
            Ok(Err(format!("the cluster has no {}: install Traefik's definitions", IngressRoute::API_VERSION)))
        }
        Err(error) => Err(backend_error(error)),
    }
}

impl fmt::Display for Right {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, resource, verb } = self;
        match *group {
            "" => write!(formatter, "{verb} {resource}"),
            group => write!(formatter, "{verb} {resource}.{group}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use k8s_openapi::api::rbac::v1::ClusterRole;

    use super::Right;

    /// The rights of a role, as (group, resource, verb).
    fn granted(role: &ClusterRole) -> BTreeSet<(String, String, String)> {
        let mut granted = BTreeSet::new();
        for rule in role.rules.iter().flatten() {
            for group in rule.api_groups.iter().flatten() {
                for resource in rule.resources.iter().flatten() {
                    granted.extend(rule.verbs.iter().map(|verb| (group.clone(), resource.clone(), verb.clone())));
                }
            }
        }
        granted
    }

    #[test]
    fn the_role_that_is_shipped_grants_what_is_needed_and_nothing_else() {
        let text = include_str!("../../../../deploy/base/cluster-role.yaml");
        let (role, _) = text.split_once("\n---\n").unwrap();
        let role: ClusterRole = serde_saphyr::from_str(role).unwrap();
        let needed = Right::needed().map(|right| (right.group.into(), right.resource.into(), right.verb.into()));
        assert_eq!(granted(&role), needed.collect());
    }
}
