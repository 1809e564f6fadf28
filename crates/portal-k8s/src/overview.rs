//! A namespace as shown.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Namespace;
use portal_core::{BackendError, FriendId};

use crate::{DeploymentSummary, PodSummary, QuotaSummary, RouteSummary, ServiceSummary};

/// A namespace's phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is in use.
    Active,
    /// It is being deleted; nothing new can be created in it.
    Terminating,
}

impl Phase {
    /// The phase as Kubernetes writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Terminating => "Terminating",
        }
    }
}

impl From<&Namespace> for Phase {
    fn from(namespace: &Namespace) -> Self {
        let phase = namespace.status.as_ref().and_then(|status| status.phase.as_deref());
        // The timestamp comes first; the phase follows when a controller gets to it.
        if namespace.metadata.deletion_timestamp.is_some() || phase == Some(Self::Terminating.as_str()) {
            return Self::Terminating;
        }
        Self::Active
    }
}

/// A namespace as shown. Every list is sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The namespace's phase; `None`, with every list empty, for a namespace that is known not to exist.
    pub phase: Option<Phase>,
    /// Its pods.
    pub pods: Vec<Arc<PodSummary>>,
    /// Its services.
    pub services: Vec<Arc<ServiceSummary>>,
    /// Its deployments.
    pub deployments: Vec<Arc<DeploymentSummary>>,
    /// Its quotas, merged; `None` if it has none.
    pub quota: Option<QuotaSummary>,
    /// Its routes, whoever made them.
    pub routes: Vec<Arc<RouteSummary>>,
    /// The time at which this content was first seen. It does not move while the content stays the same.
    pub observed_at: DateTime<Utc>,
}

impl Overview {
    /// The overview of a namespace that is known not to exist.
    #[must_use]
    pub fn absent(observed_at: DateTime<Utc>) -> Self {
        Self {
            phase: None,
            pods: Vec::new(),
            services: Vec::new(),
            deployments: Vec::new(),
            quota: None,
            routes: Vec::new(),
            observed_at,
        }
    }

    /// Returns the number of secrets, as the namespace's quotas counted them: 0 in a namespace that does not exist, and
    /// `None` where no quota counts secrets, or none has counted yet. No right to read secrets is needed for this.
    #[must_use]
    pub fn secrets(&self) -> Option<u64> {
        // Known not to exist, so this is a count and not a gap.
        if self.phase.is_none() {
            return Some(0);
        }
        self.quota.as_ref().and_then(QuotaSummary::secrets)
    }
}

/// The cluster, as far as it is shown to friends.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Returns the friend's namespace as it is now.
    ///
    /// An empty list is known to be empty: a cluster that cannot be reached, or that was last heard of too long ago,
    /// is an error. As long as nothing shown changes, the result is the very same `Arc`, so that callers may cache
    /// what they made of it.
    async fn overview(&self, friend: &FriendId) -> Result<Arc<Overview>, BackendError>;
}
