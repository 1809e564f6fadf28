//! Undoing what processes that slept through their lease have left behind.

use std::collections::HashSet;

use portal_core::BackendError;

use super::{Listed, PassReport, warn};
use crate::owners::{Owners, Ownership};
use crate::reconcile::Reconciler;
use crate::reconcile::act::Acted;
use crate::{Hostname, Intent, Observed, ObservedRoute, OwnershipMarker, Priority, Tombstone};

impl Reconciler {
    /// Removes records with a marker of ours at hostnames that their exposure has given up.
    pub(super) async fn sweep_records(
        &self,
        listed: &Listed,
        intents: &[Intent],
        tombstones: &[Tombstone],
        report: &mut PassReport,
    ) {
        let owners = Owners::of(&self.instance, intents, tombstones);
        let markers = |seen: &Observed| seen.marked().iter().map(|record| record.marker.clone()).collect::<Vec<_>>();
        let marked: Vec<_> = listed
            .records
            .iter()
            .flat_map(|(host, seen)| markers(seen).into_iter().map(move |it| (host, it)))
            .collect();
        for (host, marker) in marked {
            match owners.standing(host, &marker) {
                Ownership::Theirs | Ownership::Owned => continue,
                Ownership::Orphaned => {
                    report.orphans.push((host.clone(), marker));
                    continue;
                }
                Ownership::GivenUp => {}
            }
            let swept = self.sweep_record(host, &marker, &owners).await;
            count(swept, report);
        }
    }

    /// Nothing ever makes a record for an exposure that is gone, so its marker alone is condition enough. One that
    /// lives on elsewhere could be on its way back to this hostname: whoever works on it has to do it.
    async fn sweep_record(
        &self,
        host: &Hostname,
        marker: &OwnershipMarker,
        owners: &Owners<'_>,
    ) -> Result<bool, BackendError> {
        if owners.is_alive(&marker.exposure) {
            return self.give_up_again(&marker.exposure, host).await;
        }
        let acted = self.remove_record(host, marker, &Priority::Background).await?;
        tracing::warn!(%host, exposure.id = %marker.exposure, "removed a record that had come back");
        Ok(acted == Acted::AsPlanned)
    }

    /// Removes routes of exposures that are gone, where these had them.
    pub(super) async fn sweep_routes(
        &self,
        routes: Vec<ObservedRoute>,
        intents: &[Intent],
        tombstones: &[Tombstone],
        report: &mut PassReport,
    ) {
        let owners = Owners::of(&self.instance, intents, tombstones);
        let given_up: HashSet<_> =
            tombstones.iter().filter_map(|stone| Some((&stone.exposure, stone.route()?))).collect();
        for route in routes {
            let Some(marker) = &route.marker else { continue };
            let is_former = given_up.contains(&(&marker.exposure, route.place.clone()));
            if marker.instance == self.instance && is_former && !owners.is_alive(&marker.exposure) {
                let swept = self.delete_route(&route, marker).await.map(|acted| acted == Acted::AsPlanned);
                tracing::warn!(route = ?route.place, exposure.id = %marker.exposure, "removed a route that had come back");
                count(swept, report);
            }
        }
    }
}

fn count(swept: Result<bool, BackendError>, report: &mut PassReport) {
    match swept {
        Ok(true) => report.swept += 1,
        Ok(false) => {}
        Err(trouble) => {
            warn(&trouble);
            report.errors += 1;
        }
    }
}
