//! A friend's namespace as it is shown, and the objects that a new one is made of.
//!
//! Pure functions turn Kubernetes objects, as `k8s-openapi` types them, into the few facts that are shown:
//! [`PodSummary`], [`ServiceSummary`], [`DeploymentSummary`], [`QuotaSummary`] and [`RouteSummary`], gathered per
//! namespace in [`Contents`] and read as an [`Overview`]. The in-memory cluster and the real one use this same code.
//! The crate also reads which hostnames objects claim ([`HostClaims`], [`rule`]) and builds what a friend's namespace
//! is provisioned with ([`Provisioning`]).
//!
//! It knows no API server: objects come to it as data, and an overview is read through the port [`Cluster`]. It knows
//! nothing of exposures either; routes and exposures are put together where they are shown.
//!
//! Start reading at [`Overview`].

mod claims;
mod contents;
mod deployments;
mod ingress_route;
mod metadata;
mod overview;
mod pods;
mod provisioning;
pub mod quantity;
mod quota;
mod routes;
pub mod rule;
mod secret_refs;
mod service_account;
mod services;

pub use claims::{Claim, ClaimKind, HostClaims};
pub use contents::{Contents, Kind, Summary};
pub use deployments::DeploymentSummary;
pub use ingress_route::{IngressRoute, IngressRouteSpec, OtherMembers, RouteRule, RouteService, RouteTls};
pub use overview::{Cluster, Overview, Phase};
pub use pods::PodSummary;
pub use provisioning::{AGENT_ROLE, NamespaceManifests, Namespaces, Provisioned, Provisioning};
pub use quota::QuotaSummary;
pub use routes::RouteSummary;
pub use service_account::{ServiceAccountName, is_namespace};
pub use services::{ServicePortSummary, ServiceSummary, TargetPort};
