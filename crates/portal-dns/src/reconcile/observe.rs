//! Looking at everything around an exposure, before anything is done.

use std::future::Future;

use portal_core::{Backend, BackendError};

use super::{Reconciler, STEP_TIMEOUT};
use crate::exposure::plan::{Situation, place};
use crate::{Desired, Freshness, HostClaim, Hostname, Intent, Observed, Priority, Zone};

impl Reconciler {
    /// What stands there now; an error if anything of it could not be seen.
    pub(super) async fn observe(
        &self,
        intent: &Intent,
        zone: &Zone,
        caller: &Priority,
    ) -> Result<Situation, BackendError> {
        let exposure = &intent.exposure;
        let place = place(intent);
        let hosts = [exposure.hostname.clone()];
        let record = timely(Backend::Dns, zone.records.look(&exposure.hostname, caller));
        let leaving = self.look_at_leaving(intent, caller);
        let routes = timely(Backend::Cluster, self.routes.look(&place, &hosts, Freshness::Live));
        let service =
            timely(Backend::Cluster, self.services.look(&exposure.friend, &exposure.service, Freshness::Live));
        let claims = self.claims(intent);
        let (record, leaving, routes, service, claims) = tokio::try_join!(record, leaving, routes, service, claims)?;
        Ok(Situation { record, leaving, routes, service, claims })
    }

    /// Everything else in the cluster that claims the wanted hostname. Removing does not depend on it, and so goes on
    /// while claims cannot be watched.
    pub(crate) async fn claims(&self, intent: &Intent) -> Result<Vec<HostClaim>, BackendError> {
        if intent.desired == Desired::Absent {
            return Ok(Vec::new());
        }
        let host = std::slice::from_ref(&intent.exposure.hostname);
        timely(Backend::Cluster, self.routes.claims(&place(intent), host)).await
    }

    async fn look_at_leaving(
        &self,
        intent: &Intent,
        caller: &Priority,
    ) -> Result<Vec<(Hostname, Observed)>, BackendError> {
        let mut leaving = Vec::new();
        for host in &intent.leaving {
            let zone = self.zone_of(host).ok_or_else(|| {
                BackendError::unavailable(Backend::Dns, format!("the domain of {host} is not configured"))
            })?;
            leaving.push((host.clone(), timely(Backend::Dns, zone.records.look(host, caller)).await?));
        }
        Ok(leaving)
    }

    /// The zone that a hostname stands in.
    pub(super) fn zone_of(&self, host: &Hostname) -> Option<&Zone> {
        self.zones.values().find(|zone| host.is_in(&zone.domain.name))
    }
}

/// An answer within [`STEP_TIMEOUT`], or trouble.
pub(crate) async fn timely<T>(
    backend: Backend,
    call: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    match tokio::time::timeout(STEP_TIMEOUT, call).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(BackendError::unavailable(backend, elapsed)),
    }
}
