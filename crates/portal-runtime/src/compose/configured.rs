//! The parts of a portal as its configuration names them.

use std::collections::BTreeSet;
use std::sync::Arc;

use portal_adapters::db::Db;
use portal_adapters::openclaw::{GatewayFiles, GatewayOf, GatewayScopes};
use portal_adapters::reach::HttpReach;
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{AgentId, BackendError, Clock, Ids};
use portal_cron::{RunnerSettings, TimeZones};
use portal_dns::{
    ExposurePorts, Exposures, InstanceId, IntentStore, Reach, Zone, uncertifiable_hostnames, unserved_hostnames,
};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;

use super::cluster::{self, Watched};
use super::deliveries::Deliveries;
use super::engines::{self, GatewayJobs};
use super::gateways::{self, Gateways};
use super::workspaces::{self, WorkspacesProbe};
use super::zones::{self, ZonesProbe};
use super::{DiskProbe, LoginSettings, Parts, database};
use crate::check::{self, CheckStatus, Finding, with_timeout};
use crate::command_error::CommandError;
use crate::config::{AgentSettings, Settings};

/// The parts of the configured portal; the cluster is watched from now on.
///
/// # Errors
/// Settings that an adapter refuses, a database that is behind or cannot be asked, and a domain that was taken out of
/// the configuration while exposures stand in it.
pub(crate) async fn parts(settings: &Settings) -> Result<Parts, CommandError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(RandomIds);
    let (zones, budgets) = zones::zones_with_budgets(settings, &clock)?;
    let delivery = Arc::new(Deliveries::new(settings, &clock)?);
    let db = database(&settings.database)?;
    // Asked before anything is watched or written: an old portal may still run on this database.
    let pending = db.pending_migrations().await?;
    if !pending.is_empty() {
        return Err(CommandError::Behind(pending.len()));
    }
    let store = db.exposures();
    // Nobody would work on these exposures any more, and their records would stay in the zone.
    if let CheckStatus::Failed(why) = domains_in_use(&*store, &zones).await? {
        return Err(CommandError::Domains(why));
    }
    let Watched { cluster, routes, services } = cluster::watch(&settings.cluster, clock.clone()).await?;
    let ports = ExposurePorts::new(store, routes, services, clock.clone(), ids.clone());
    let instance = db.instance(&*ids).await?;
    let exposures = Exposures::new(ports, InstanceId::parse(&instance)?, zones, Handle::current());
    let files = workspaces::files(&settings.agents);
    let gateways = Arc::new(Gateways::start(&settings.agents)?);
    let shared = gateways.clone();
    let gateway_of: GatewayOf = Arc::new(move |agent| shared.of(agent));
    let in_gateway = engines::in_gateway(&settings.agents);
    if let CheckStatus::Failed(why) = engines::left_behind(&db, &in_gateway).await? {
        return Err(CommandError::Jobs(why));
    }
    let gateway_jobs = GatewayJobs { agents: in_gateway, gateway_of: gateway_of.clone(), instance: instance.clone() };
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
            gateways,
        ],
        cluster,
        exposures,
        reach: reach(settings)?,
        budgets,
        require_if_match: settings.require_if_match,
        // Of an agent with a gateway the portal asks for HEARTBEAT.md there, so the gateway reads it.
        heartbeat_readers: agents_that(settings, |agent| agent.reads_heartbeat || agent.gateway.is_some()),
        channels: settings.jobs.channels.clone(),
        runner: RunnerSettings { slots: settings.jobs.in_flight, ..RunnerSettings::default() },
        login: login(settings),
        delivery,
        scopes: Arc::new(GatewayScopes::new(gateway_of.clone())),
        gateway_jobs: Some(gateway_jobs),
        time_zones: settings.time_zones.clone(),
        files: Arc::new(GatewayFiles::new(Arc::new(files), gateway_of)),
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
    let may_login = agents_that(settings, |agent| agent.may_login);
    LoginSettings { may_login, public_url: settings.server.public_url.clone() }
}

fn agents_that(settings: &Settings, is_one: impl Fn(&AgentSettings) -> bool) -> BTreeSet<AgentId> {
    settings.agents.iter().filter(|agent| is_one(agent)).map(|agent| agent.id.clone()).collect()
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

/// Warns of jobs that were planned by newer rules than these.
async fn planned_by(db: &Db, zones: &TimeZones) -> Result<CheckStatus, BackendError> {
    let own = zones.release();
    Ok(match db.time_zone_release().await? {
        Some(newest) if newest > *own => CheckStatus::Warning(format!(
            "jobs were planned by the time zone rules {newest}, which are newer than {own} here: update the portal, or name \
             the folder of a newer release by time.zoneinfo"
        )),
        _ => CheckStatus::Ok,
    })
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
    let deliveries = Deliveries::new(settings, &clock)?;
    let db = database(&settings.database)?;
    let mut findings = vec![time_zones(&settings.time_zones, &*clock)];
    for probe in super::all_probes(&db, Vec::new()) {
        findings.push(check::probe(&*probe).await);
    }
    // What follows reads tables: without a database or its migrations, each would only fail with the same once more.
    if findings.iter().all(Finding::is_acceptable) {
        findings.push(with_timeout("domains", domains_in_use(&*db.exposures(), &zones)).await);
        findings.push(with_timeout("jobs", planned_by(&db, &settings.time_zones)).await);
        findings.push(with_timeout("hostnames", hostnames_certifiable(&*db.exposures())).await);
        let in_gateway = engines::in_gateway(&settings.agents);
        if !in_gateway.is_empty() {
            findings.push(with_timeout("jobs of gateways", engines::left_behind(&db, &in_gateway)).await);
        }
    }
    findings.extend(cluster::check_rights(&settings.cluster).await);
    for zone in &zones {
        let read = async { zones::read(zone).await.map(|()| CheckStatus::Ok) };
        findings.push(with_timeout(format!("zone {}", zone.domain.name), read).await);
    }
    findings.extend(deliveries.check().await);
    findings.extend(gateways::check(&settings.agents, &db).await);
    findings.extend(workspaces::check(&settings.agents, db.friendships()).await);
    Ok(findings)
}
