//! The configuration: `portal.toml`, overlaid by `PORTAL_*` variables, valid only as a whole.
//!
//! Loading reads the sections as they are written; checking turns them into [`Settings`] and reports every problem at
//! once, each with the key it is about. Nothing is started before that.

mod check;
mod sections;
mod variables;

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::builder::DefaultState;
use config::{Config, ConfigBuilder, Environment, File, FileFormat};
use portal_api::{ClientAddresses, LimitSettings};
use portal_core::{AgentId, ChannelId, Retention};
use portal_cron::TimeZones;
use portal_dns::{Domain, DomainName};
use portal_k8s::{Provisioning, ServiceAccountName};
use portal_page::Brand;
use secrecy::SecretString;

use crate::signing::{DeviceKey, SigningKey};
use crate::telemetry::LogFormat;

/// A configuration that can be run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Listening addresses and shutdown.
    pub server: ServerSettings,
    /// Limits of each friend and of each address.
    pub limits: LimitsSettings,
    /// Format and filter of the log.
    pub log: LogSettings,
    /// The portal's database.
    pub database: DatabaseSettings,
    /// The cluster whose namespaces are shown.
    pub cluster: ClusterSettings,
    /// Contents of a friend's namespace.
    pub provisioning: Provisioning,
    /// The agents, each with its folder.
    pub agents: Vec<AgentSettings>,
    /// Refuses a write of a document that has neither `If-Match` nor `If-None-Match`.
    pub require_if_match: bool,
    /// Jobs and their deliveries.
    pub jobs: JobsSettings,
    /// Rules of the time zones in which jobs are due.
    pub time_zones: TimeZones,
    /// Receiver of due messages; `None` only where every agent has hooks of its own.
    pub delivery: Option<WebhookTarget>,
    /// The web page.
    pub page: PageSettings,
    /// The domains, the default one first.
    pub domains: Vec<DomainSettings>,
    /// Retention of rows that grow with use.
    pub retention: Retention,
}

/// The web page, and what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSettings {
    /// Whether it is served.
    pub enabled: bool,
    /// Whether exposed addresses that somebody looks at are asked whether they answer.
    pub check_addresses: bool,
    /// Its name and color.
    pub brand: Brand,
}

/// Listening addresses and shutdown.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Address of the API.
    pub listen: SocketAddr,
    /// Address of `/metrics` and the probes; `None` for no such port.
    pub operations_listen: Option<SocketAddr>,
    /// Origins whose pages may call the API from a browser.
    pub allowed_origins: Vec<String>,
    /// Address at which friends reach the portal, without a `/` at its end; `None` where nothing needs it.
    pub public_url: Option<String>,
    /// How the address of a client is found.
    pub clients: ClientAddresses,
    /// Number of replicas that share the DNS provider's budget.
    pub replicas: NonZeroU32,
    /// Time between a stop signal and closing the port, in which load balancers see `/readyz` fail.
    pub drain: Duration,
    /// Time in which open requests may end when the server stops.
    pub shutdown: Duration,
}

impl ServerSettings {
    /// Returns the settings of a portal that stands alone: no operations port, nobody before it, and 5 seconds for open
    /// requests to end.
    #[must_use]
    pub fn embedded(listen: SocketAddr) -> Self {
        Self {
            listen,
            operations_listen: None,
            allowed_origins: Vec::new(),
            clients: ClientAddresses::Unknown,
            public_url: None,
            replicas: NonZeroU32::MIN,
            drain: Duration::ZERO,
            shutdown: Duration::from_secs(5),
        }
    }
}

/// Limits of each friend and of each address.
#[derive(Debug, Clone, Copy, Default)]
pub struct LimitsSettings {
    /// Limits of each friend; `None` for none.
    pub per_friend: Option<LimitSettings>,
    /// Connections of an address; `None` for any number.
    pub connections_per_address: Option<NonZeroU32>,
}

/// Format and filter of the log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The form of a line.
    pub format: LogFormat,
    /// Which lines.
    pub filter: String,
}

/// Jobs and their deliveries, as configured.
#[derive(Debug, Clone)]
pub struct JobsSettings {
    /// Channels that session keys may name.
    pub channels: Vec<ChannelId>,
    /// Most deliveries of one replica in flight.
    pub in_flight: u32,
}

/// The portal's database.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// Its URL, which may hold a password.
    pub url: SecretString,
    /// The file of the URL, which is read again for new connections.
    pub url_file: Option<PathBuf>,
    /// Connections at most.
    pub max_connections: Option<u32>,
}

/// Access to the cluster.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// A kubeconfig, where it is not the usual one.
    pub kubeconfig: Option<PathBuf>,
    /// Age at which the overview of a namespace is refused.
    pub max_staleness: Duration,
}

/// An agent and its folder.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// The agent.
    pub id: AgentId,
    /// The root of its documents.
    pub workspace: PathBuf,
    /// Keeper of its jobs.
    pub engine: EngineKind,
    /// Whether the agent may log its friends in.
    pub may_login: bool,
    /// Whether the agent's gateway puts `HEARTBEAT.md` into every conversation.
    pub reads_heartbeat: bool,
    /// Its service account, which may deploy in its friends' namespaces; `None` for one that may not.
    pub service_account: Option<ServiceAccountName>,
    /// The hooks that take the agent's due messages; `None` for the webhook.
    pub hook: Option<HookTarget>,
    /// The agent's gateway; `None` where the portal does not call it.
    pub gateway: Option<GatewayTarget>,
}

/// Keeper and runner of an agent's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// The portal.
    Embedded,
    /// The agent's OpenClaw gateway.
    Openclaw,
}

/// The WebSocket of an OpenClaw gateway.
#[derive(Debug, Clone)]
pub struct GatewayTarget {
    /// Its address.
    pub url: url::Url,
    /// The gateway's `gateway.auth.token`.
    pub token: Secret,
    /// The key of the portal's device there.
    pub device_key: Option<Arc<DeviceKey>>,
}

/// Hooks of an OpenClaw gateway.
#[derive(Debug, Clone)]
pub struct HookTarget {
    /// Their address.
    pub url: url::Url,
    /// The gateway's `hooks.token`.
    pub token: Secret,
    /// Accepts that an older gateway starts the conversation anew for each message.
    pub fresh_session: bool,
}

/// A secret, and the file that it was read from.
#[derive(Debug, Clone)]
pub struct Secret {
    /// The secret as it was read with the configuration.
    pub value: SecretString,
    /// Its file, which is read again when it changes; `None` for one in the configuration itself.
    pub file: Option<PathBuf>,
}

/// A webhook that takes due messages.
#[derive(Debug, Clone)]
pub struct WebhookTarget {
    /// Its address.
    pub url: url::Url,
    /// The key with which deliveries are signed.
    pub key: SigningKey,
    /// A token that the receiver asks for.
    pub bearer_token: Option<SecretString>,
    /// Timeout of one delivery.
    pub timeout: Duration,
}

/// A domain on offer and who serves its zone.
#[derive(Debug, Clone)]
pub struct DomainSettings {
    /// The domain.
    pub domain: Domain,
    /// Provider of its zone.
    pub provider: Provider,
}

/// Provider of a zone, with the means of access.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Cloudflare.
    Cloudflare {
        /// An API token that may edit the zone's records.
        token: Secret,
        /// The zone's id, where it is not to be looked up by name.
        zone_id: Option<String>,
        /// True if records are proxied by Cloudflare.
        proxied: bool,
        /// Another address of the API.
        api_url: Option<url::Url>,
    },
    /// A server that takes signed dynamic updates.
    Rfc2136 {
        /// The primary server.
        server: SocketAddr,
        /// The zone the domain is in.
        zone: DomainName,
        /// The TSIG key's name.
        key_name: String,
        /// The TSIG key's algorithm.
        key_algorithm: String,
        /// The TSIG key in base 64.
        key_secret: Secret,
    },
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, dotted, as it is written in the file, or the variable that holds the value.
    pub key: String,
    /// The rule that the value breaks, as a sentence.
    pub message: String,
}

/// All that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the configuration has {} problem(s)", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(formatter, "\n  {}: {}", problem.key, problem.message))
    }
}

impl std::error::Error for Problems {}

/// Reads `file`, overlaid by the process's `PORTAL_*` variables: `PORTAL_DATABASE__URL` is `database.url`. Variables
/// that Kubernetes sets for Services are left out.
///
/// # Errors
/// Every problem of file and variables at once.
pub fn load(file: &Path) -> Result<Settings, Problems> {
    let source = File::from(file).format(FileFormat::Toml).required(true);
    overlaid(Config::builder().add_source(source), std::env::vars_os().filter_map(text).collect())
}

/// Returns name and value of a variable that is text; others are no settings.
fn text((name, value): (OsString, OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

fn overlaid(file: ConfigBuilder<DefaultState>, variables: HashMap<String, String>) -> Result<Settings, Problems> {
    let (settings, others) = variables::split(variables);
    // Remembered before they become settings: a problem names the variable that caused it, not a key of the file.
    let names: BTreeSet<String> = settings.keys().cloned().collect();
    let raw = file.add_source(environment(settings)).build().map_err(|error| unreadable(&error))?;
    let checked = check::settings(&raw);
    if others.is_empty() && checked.is_ok() {
        return checked;
    }
    let mut problems: Vec<Problem> = others.iter().map(|name| variables::unknown(name)).collect();
    problems.extend(checked.err().into_iter().flat_map(|Problems(problems)| problems));
    for problem in &mut problems {
        variables::name_source(problem, &names);
    }
    Err(Problems(problems))
}

fn environment(settings: HashMap<String, String>) -> Environment {
    Environment::with_prefix("PORTAL")
        .source(Some(settings))
        .prefix_separator("_")
        .separator("__")
        // Variables are texts, and a number or a boolean among them would stay one.
        .try_parsing(true)
        .list_separator(",")
        // Only these are lists: a comma may be part of any other value, such as a password.
        .with_list_parse_key("server.allowed_origins")
        .with_list_parse_key("server.trusted_proxies")
        .with_list_parse_key("jobs.channels")
}

/// Reads a configuration from its text alone.
///
/// # Errors
/// Every problem at once.
pub fn parse(text: &str) -> Result<Settings, Problems> {
    let raw = Config::builder().add_source(File::from_str(text, FileFormat::Toml)).build();
    check::settings(&raw.map_err(|error| unreadable(&error))?)
}

fn unreadable(error: &config::ConfigError) -> Problems {
    Problems(vec![Problem { key: "portal.toml".to_owned(), message: error.to_string() }])
}

#[cfg(test)]
mod tests;
