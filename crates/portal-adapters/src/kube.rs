//! Kubernetes: namespaces and claims to hostnames from watches, routes and Services with the API server's own
//! preconditions, and provisioning.
//!
//! [`KubeCluster`] watches and caches. [`KubeRoutes`] and [`KubeServices`] read the one object that is to be changed
//! or refused from the API server, and everything else from the cache.

mod cache;
mod call;
mod claims;
mod client;
mod cluster;
mod health;
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
