//! The parts of a portal as its configuration names them.

use std::sync::Arc;

use async_trait::async_trait;
use portal_adapters::reach::HttpReach;
use portal_adapters::webhook::{WebhookDelivery, WebhookSettings};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{Backend, BackendError, Clock, Ids, Invalid};
use portal_cron::{Delivery, LeasedRun, Receipt, SessionKey, TimeZones};
use portal_dns::{
    ExposurePorts, Exposures, InstanceId, IntentStore, Reach, Zone, uncertifiable_hostnames, unserved_hostnames,
};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;

use super::cluster::{self, Watched};
use super::workspaces::{self, WorkspacesProbe};
use super::zones::{self, ZonesProbe};
use super::{DiskProbe, LoginSettings, Parts, database};
use crate::check::{self, CheckStatus, Finding, with_timeout};
use crate::command_error::CommandError;
use crate::config::{Settings, WebhookTarget};

/// The parts of the configured portal; the cluster is watched from now on.
///
/// # Errors
/// Settings that an adapter refuses, a database that is behind or cannot be asked, and a domain that was taken out of
/// the configuration while exposures stand in it.
pub(crate) async fn parts(settings: &Settings) -> Result<Parts, CommandError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(RandomIds);
    let (zones, budgets) = zones::zones_with_budgets(settings, &clock)?;
    let delivery = delivery(settings.delivery.as_ref(), &clock)?;
    let db = database(&settings.database)?;
    // Asked before anything is watched or written: an old portal may still run on this database.
    let pending = db.pending_migrations().await?;
    if !pending.is_empty() {
        return Err(CommandError::Behind(pending.len()));
    }
    let store = db.exposures();
    if let CheckStatus::Failed(why) = domains_in_use(&*store, &zones).await? {
        return Err(CommandError::Domains(why));
    }
    let Watched { cluster, routes, services } = cluster::watch(&settings.cluster, clock.clone()).await?;
    let ports = ExposurePorts { store, routes, services, clock: clock.clone(), ids: ids.clone() };
    let instance = InstanceId::parse(&db.instance(&*ids).await?)?;
    let exposures = Exposures::new(ports, instance, zones, Handle::current());
    let files = workspaces::files(&settings.agents);
    let agents = settings.agents.iter().map(|agent| agent.id.clone()).collect();
    Ok(Parts {
        db,
        clock,
        ids,
        domains: exposures.domains().to_vec(),
        work: Some(cluster.work_queue()),
        probes: vec![
            cluster.clone(),
            Arc::new(ZonesProbe(exposures.clone())),
            Arc::new(DiskProbe::configured(settings, settings.database.url.expose_secret())),
            Arc::new(WorkspacesProbe { files: files.clone(), agents }),
        ],
        cluster,
        exposures,
        reach: reach(settings)?,
        budgets,
        require_if_match: settings.require_if_match,
        channels: settings.channels.clone(),
        login: login(settings),
        delivery,
        time_zones: settings.time_zones.clone(),
        files: Arc::new(files),
        retention: settings.retention,
    })
}

fn reach(settings: &Settings) -> Result<Option<Arc<dyn Reach>>, BackendError> {
    if !settings.page.check_addresses {
        return Ok(None);
    }
    Ok(Some(Arc::new(HttpReach::new()?)))
}

fn login(settings: &Settings) -> LoginSettings {
    let may_login = settings.agents.iter().filter(|agent| agent.may_login).map(|agent| agent.id.clone()).collect();
    LoginSettings { may_login, public_url: settings.server.public_url.clone() }
}

fn delivery(target: Option<&WebhookTarget>, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Delivery>, Invalid> {
    let Some(WebhookTarget { url, key, bearer_token, timeout }) = target.cloned() else {
        return Ok(Arc::new(NoReceiver));
    };
    Ok(Arc::new(WebhookDelivery::new(WebhookSettings { url, key, bearer_token, timeout }, clock.clone())?))
}

/// In place of a receiver where none is configured: messages of agents that the configuration does not know wait, and
/// are recorded as missed in the end.
struct NoReceiver;

#[async_trait]
impl Delivery for NoReceiver {
    async fn deliver(&self, _: &LeasedRun, _: &SessionKey) -> Result<Receipt, BackendError> {
        Err(BackendError::unavailable(Backend::Delivery, "no receiver is configured"))
    }
}

/// Fails if a hostname of an exposure lies in no configured domain.
async fn domains_in_use(store: &dyn IntentStore, zones: &[Zone]) -> Result<CheckStatus, BackendError> {
    let served: Vec<_> = zones.iter().map(|zone| zone.domain.name.clone()).collect();
    let unserved = unserved_hostnames(store, &served).await?;
    let Some(first) = unserved.first() else { return Ok(CheckStatus::Ok) };
    let count = unserved.len();
    Ok(CheckStatus::Failed(format!(
        "{count} hostname(s) of exposures are in no configured domain, {first} among them; configure it again, with \
         retired = true if it is not to be offered"
    )))
}

/// Names the release of the time zone rules.
fn time_zones(zones: &TimeZones, clock: &dyn Clock) -> Finding {
    let release = zones.release();
    let status = if release.is_stale(clock.now()) {
        let advice = "more than a year old: update the portal, or name the folder of a newer release by time.zoneinfo";
        CheckStatus::Warning(advice.to_owned())
    } else {
        CheckStatus::Ok
    };
    Finding { name: format!("time zone rules {release}"), status }
}

/// Warns of hostnames for which no certificate authority issues.
async fn hostnames_certifiable(store: &dyn IntentStore) -> Result<CheckStatus, BackendError> {
    let refused = uncertifiable_hostnames(store).await?;
    if refused.is_empty() {
        return Ok(CheckStatus::Ok);
    }
    let listed = refused.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Ok(CheckStatus::Warning(format!(
        "no certificate authority issues for a label with hyphens in its third and fourth place: {listed}; expose these \
         services under other names"
    )))
}

/// Asks everything that the configuration names.
///
/// # Errors
/// Settings that an adapter refuses.
pub(crate) async fn check(settings: &Settings) -> Result<Vec<Finding>, CommandError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let zones = zones::zones(settings, &clock)?;
    delivery(settings.delivery.as_ref(), &clock)?;
    let db = database(&settings.database)?;
    let mut findings = vec![time_zones(&settings.time_zones, &*clock)];
    for probe in super::all_probes(&db, Vec::new()) {
        findings.push(check::probe(&*probe).await);
    }
    if findings.iter().all(Finding::is_acceptable) {
        findings.push(with_timeout("domains", domains_in_use(&*db.exposures(), &zones)).await);
        findings.push(with_timeout("hostnames", hostnames_certifiable(&*db.exposures())).await);
    }
    findings.extend(cluster::check_rights(&settings.cluster).await);
    for zone in &zones {
        let read = async { zones::read(zone).await.map(|()| CheckStatus::Ok) };
        findings.push(with_timeout(format!("zone {}", zone.domain.name), read).await);
    }
    findings.extend(workspaces::check(&settings.agents, db.friendships()).await);
    Ok(findings)
}
