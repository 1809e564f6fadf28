//! Kubernetes: what namespaces look like from watches, routes and Services with the API server's own preconditions,
//! and provisioning.
//!
//! [`KubeCluster`] watches and remembers; [`KubeRoutes`] and [`KubeServices`] ask the API server wherever something is
//! to be refused or changed, and what is remembered otherwise.

mod cache;
mod call;
mod client;
mod cluster;
mod namespaces;
mod observe;
mod rights;
mod routes;
mod services;
mod strings;
mod undo;
mod watch;

pub use client::connect;
pub use cluster::{KubeCluster, KubeSettings};
pub use namespaces::KubeNamespaces;
pub use rights::{Right, serves_routes};
pub use routes::KubeRoutes;
pub use services::KubeServices;
