//! Undoing what processes that slept through their lease have left behind.

use std::collections::HashSet;

use portal_core::BackendError;

use super::{Listed, PassReport, warn};
use crate::owners::{Owners, Ownership};
use crate::reconcile::Reconciler;
use crate::reconcile::act::Acted;
use crate::{Hostname, Intent, Observed, ObservedRoute, OwnershipMarker, Priority, Tombstone};

impl Reconciler {
    /// Removes records with a mark of ours at hostnames that their exposure has given up.
    pub(super) async fn sweep_records(
        &self,
        listed: &Listed,
        intents: &[Intent],
        tombstones: &[Tombstone],
        report: &mut PassReport,
    ) {
        let owners = Owners::of(&self.instance, intents, tombstones);
        let marks = |seen: &Observed| seen.marked().iter().map(|record| record.mark.clone()).collect::<Vec<_>>();
        let marked: Vec<_> =
            listed.records.iter().flat_map(|(host, seen)| marks(seen).into_iter().map(move |it| (host, it))).collect();
        for (host, mark) in marked {
            match owners.standing(host, &mark) {
                Ownership::Theirs | Ownership::Owned => continue,
                Ownership::Orphaned => {
                    report.orphans.push((host.clone(), mark));
                    continue;
                }
                Ownership::GivenUp => {}
            }
            let swept = self.sweep_record(host, &mark, &owners).await;
            count(swept, report);
        }
    }

    /// Nothing ever makes a record for an exposure that is gone, so its mark alone is condition enough. One that
    /// lives on elsewhere could be on its way back to this hostname: whoever works on it has to do it.
    async fn sweep_record(
        &self,
        host: &Hostname,
        mark: &OwnershipMarker,
        owners: &Owners<'_>,
    ) -> Result<bool, BackendError> {
        if owners.is_alive(&mark.exposure) {
            return self.give_up_again(&mark.exposure, host).await;
        }
        let acted = self.remove_record(host, mark, &Priority::Background).await?;
        tracing::warn!(%host, exposure.id = %mark.exposure, "removed a record that had come back");
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
            let Some(mark) = &route.mark else { continue };
            let is_former = given_up.contains(&(&mark.exposure, route.place.clone()));
            if mark.instance == self.instance && is_former && !owners.is_alive(&mark.exposure) {
                let swept = self.delete_route(&route, mark).await.map(|acted| acted == Acted::AsPlanned);
                tracing::warn!(route = ?route.place, exposure.id = %mark.exposure, "removed a route that had come back");
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
            report.troubled += 1;
        }
    }
}
