//! Zones: from what the operator wrote to what exposures stand on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use portal_adapters::cloudflare::{CloudflareApi, CloudflareRecords, CloudflareSettings, CloudflareZone, ZoneName};
use portal_adapters::rfc2136::{Rfc2136Records, Rfc2136Settings, TsigKeyAlgorithm};
use portal_core::{Backend, BackendError, Clock, Invalid, Probe};
use portal_dns::{Domain, DomainName, Exposures, Hostname, Priority, Records, Zone};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::rotation::{Rotating, RotatingRecords};
use crate::config::{Problem, Problems, Provider, Secret, Settings};

/// Timeout of one call. A request waits 5 seconds for its exposure, so a longer one has no use.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The zones of all domains, in their order; nothing is asked of anybody yet.
///
/// # Errors
/// Every setting that a provider refuses, at once.
pub(crate) fn zones(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Vec<Zone>, Problems> {
    zones_with_budgets(settings, clock).map(|(zones, _)| zones)
}

/// The zones of all domains, as [`zones`] has them, and the budgets that they share.
///
/// # Errors
/// Every setting that a provider refuses, at once.
pub(crate) fn zones_with_budgets(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<(Vec<Zone>, Vec<CallBudget>), Problems> {
    let mut tokens = Tokens { replicas: settings.server.replicas.get(), apis: Vec::new() };
    let (mut zones, mut problems) = (Vec::new(), Vec::new());
    for (index, it) in settings.domains.iter().enumerate() {
        match records(&it.domain, &it.provider, &mut tokens, clock) {
            Ok(records) => zones.push(Zone { domain: it.domain.clone(), records }),
            Err(refused) => {
                let key = format!("domains[{index}].{}.{}", table(&it.provider), refused.field);
                problems.push(Problem { key, message: refused.message });
            }
        }
    }
    // All domains are built before any problem is returned, so that one run of `check` shows them all.
    if problems.is_empty() { Ok((zones, tokens.budgets())) } else { Err(Problems(problems)) }
}

/// The table of the configuration in which a provider is described.
fn table(provider: &Provider) -> &'static str {
    match provider {
        Provider::Cloudflare { .. } => "cloudflare",
        Provider::Rfc2136 { .. } => "rfc2136",
    }
}

fn records(
    domain: &Domain,
    provider: &Provider,
    tokens: &mut Tokens,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Records>, Invalid> {
    match provider {
        Provider::Cloudflare { token, zone_id, api_url, .. } => {
            let name = domain.name.clone();
            let zone = zone_id.clone().map_or_else(|| ZoneName::Name(name.clone()), ZoneName::Id);
            let zone = CloudflareZone { domain: name, zone, ttl: domain.ttl };
            cloudflare(tokens.api(token, api_url.as_ref(), &domain.name)?, zone)
        }
        Provider::Rfc2136 { server, zone, key_name, key_algorithm, key_secret } => {
            let settings = Rfc2136Settings {
                server: server.to_string(),
                zone: zone.clone(),
                domain: domain.name.clone(),
                key_name: key_name.clone(),
                key_algorithm: TsigKeyAlgorithm::parse(key_algorithm)?,
                key_secret: key_secret.value.clone(),
                timeout: CALL_TIMEOUT,
            };
            let clock = clock.clone();
            let records = Rotating::new(key_secret, move |secret| {
                let settings = Rfc2136Settings { key_secret: secret.clone(), ..settings.clone() };
                let records: Arc<dyn Records> = Arc::new(Rfc2136Records::new(&settings, clock.clone())?);
                Ok(records)
            })?;
            Ok(Arc::new(RotatingRecords::new(move || records.current())))
        }
    }
}

/// Returns the records of a zone that follow its token.
fn cloudflare(api: Arc<Rotating<CloudflareApi>>, zone: CloudflareZone) -> Result<Arc<dyn Records>, Invalid> {
    let first = api.current();
    let records: Arc<dyn Records> = Arc::new(CloudflareRecords::new(first.clone(), zone.clone())?);
    let latest = Mutex::new((first, records));
    Ok(Arc::new(RotatingRecords::new(move || {
        let mut latest = latest.lock();
        let now = api.current();
        // The records remember the zone's id, so that they are built anew only with the token.
        if !Arc::ptr_eq(&latest.0, &now)
            && let Ok(records) = CloudflareRecords::new(now.clone(), zone.clone())
        {
            *latest = (now, Arc::new(records));
        }
        latest.1.clone()
    })))
}

/// The Cloudflare tokens met so far. Zones with one token share its connections and its budget.
struct Tokens {
    replicas: u32,
    apis: Vec<Known>,
}

/// A token with the way to Cloudflare that it opens.
struct Known {
    token: SecretString,
    url: Option<Url>,
    budget: CallBudget,
}

/// Remaining calls to Cloudflare, per token.
#[derive(Clone)]
pub struct CallBudget {
    api: Arc<Rotating<CloudflareApi>>,
    domains: Vec<DomainName>,
}

impl CallBudget {
    /// The domains that share the budget, separated by commas.
    pub(crate) fn domains(&self) -> String {
        self.domains.iter().map(DomainName::as_str).collect::<Vec<_>>().join(",")
    }

    /// Returns the calls that this replica could make right now.
    pub(crate) fn calls_left(&self) -> usize {
        self.api.current().calls_left()
    }
}

impl Tokens {
    fn api(
        &mut self,
        token: &Secret,
        url: Option<&Url>,
        domain: &DomainName,
    ) -> Result<Arc<Rotating<CloudflareApi>>, Invalid> {
        let text = token.value.expose_secret();
        let is_same = |known: &Known| known.token.expose_secret() == text && known.url.as_ref() == url;
        if let Some(Known { budget, .. }) = self.apis.iter_mut().find(|known| is_same(known)) {
            budget.domains.push(domain.clone());
            return Ok(budget.api.clone());
        }
        let (api_url, replicas) = (url.map(Url::to_string), u16::try_from(self.replicas).unwrap_or(u16::MAX));
        let api = Arc::new(Rotating::new(token, move |token| {
            let (token, api_url) = (token.clone(), api_url.clone());
            Ok(Arc::new(CloudflareApi::new(&CloudflareSettings { token, api_url, timeout: CALL_TIMEOUT, replicas })?))
        })?);
        let budget = CallBudget { api: api.clone(), domains: vec![domain.clone()] };
        self.apis.push(Known { token: token.value.clone(), url: url.cloned(), budget });
        Ok(api)
    }

    fn budgets(self) -> Vec<CallBudget> {
        self.apis.into_iter().map(|known| known.budget).collect()
    }
}

/// Reads a zone by name and as a whole, as exposing a service does.
///
/// # Errors
/// The zone cannot be read.
pub(crate) async fn read(zone: &Zone) -> Result<(), BackendError> {
    let Zone { domain, records } = zone;
    // A name that no friend can have: exposing looks at single names, and some tokens may only list.
    if let Ok(host) = Hostname::parse(&format!("friend-portal-check.{}", domain.name)) {
        records.look(&host, &Priority::Background).await?;
    }
    records.list().await.map(drop)
}

/// Probe that reports whether the last pass could list every zone: listing them again for each probe
/// would spend the provider's budget.
pub(crate) struct ZonesProbe(pub(crate) Exposures);

#[async_trait]
impl Probe for ZonesProbe {
    fn name(&self) -> &'static str {
        "zones"
    }

    fn required(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<(), BackendError> {
        let unlisted = match self.0.last_pass() {
            None => return Err(BackendError::unavailable(Backend::Dns, "the zones were not listed yet")),
            // The pass lists every zone once a minute anyway.
            Some(report) if report.unlisted.is_empty() => return Ok(()),
            Some(report) => report.unlisted.iter().map(DomainName::as_str).collect::<Vec<_>>().join(", "),
        };
        Err(BackendError::unavailable(Backend::Dns, format!("these zones could not be listed: {unlisted}")))
    }
}

#[cfg(test)]
mod tests;
