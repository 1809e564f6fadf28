//! The ports of exposures.

use std::sync::Arc;

use portal_core::{Clock, Ids};

use crate::route::Routes;
use crate::service::Services;
use crate::store::ExposureStore;

/// Ports of [`Exposures`](crate::Exposures).
#[derive(Clone)]
#[non_exhaustive]
pub struct ExposurePorts {
    /// The stored exposures.
    pub store: Arc<dyn ExposureStore>,
    /// The routes of the cluster.
    pub routes: Arc<dyn Routes>,
    /// The Services of the cluster.
    pub services: Arc<dyn Services>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random ids.
    pub ids: Arc<dyn Ids>,
}

impl ExposurePorts {
    /// Collects the ports that have no default.
    #[must_use]
    pub fn new(
        store: Arc<dyn ExposureStore>,
        routes: Arc<dyn Routes>,
        services: Arc<dyn Services>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self { store, routes, services, clock, ids }
    }
}
