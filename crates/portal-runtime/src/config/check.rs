//! From what is written to what can be run: every rule of the configuration, and every problem at once.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use config::{Config, ConfigError, Source, Value};
use portal_core::{ChannelId, Invalid, Retention};
use portal_cron::{RunnerSettings, TimeZones};
use portal_dns::TOMBSTONE_LIFETIME;
use portal_page::Brand;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::sections::{
    ClusterSection, DatabaseSection, DeliverySection, DocumentsSection, JobsSection, LogSection, PageSection,
    RetentionSection, ServerSection, TimeSection,
};
use super::{
    AgentSettings, ClusterSettings, DatabaseSettings, EngineKind, JobsSettings, LogSettings, PageSettings, Problem,
    Problems, Secret, ServerSettings, Settings, WebhookTarget,
};
use crate::signing::{Signature, SigningKey};
use crate::telemetry::{self, LogFormat};

mod agents;
mod domains;
mod limits;
mod provisioning;
mod proxies;

/// The sections there are.
const SECTIONS: [&str; 14] = [
    "server",
    "limits",
    "log",
    "database",
    "retention",
    "cluster",
    "provisioning",
    "agents",
    "page",
    "documents",
    "jobs",
    "time",
    "delivery",
    "domains",
];
/// Longest name of the page, in characters.
const PAGE_NAME_MAX: usize = 40;
/// Longest retention, in days: ten years.
const RETENTION_DAYS_MAX: u32 = 3_650;
/// Most finished runs that may be kept per job.
const RUNS_PER_JOB_MAX: u32 = 100_000;
/// Most deliveries in flight that may be asked for: each has a connection of its own.
const IN_FLIGHT_MAX: u32 = 4_096;
/// Default timeout of a webhook.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time a webhook may be given: a delivery must end well within a run's lease.
const WEBHOOK_TIMEOUT_MAX: u64 = 30;

/// Checks all sections.
pub(super) fn settings(raw: &Config) -> Result<Settings, Problems> {
    let mut check = Check::default();
    check.top_level(raw);
    let server = check.server(raw);
    let limits = check.limits(raw);
    let log = check.log(raw);
    let database = check.database(raw);
    let retention = check.retention(raw);
    let cluster = check.cluster(raw);
    let mut agents = check.agents(raw);
    let provisioning = check.provisioning(raw, agents.as_deref_mut().unwrap_or_default());
    let page = check.page(raw);
    check.links(server.as_ref(), agents.as_deref().unwrap_or_default(), page.as_ref());
    let require_if_match = check.require_if_match(raw);
    let jobs = check.jobs(raw);
    let time_zones = check.time_zones(raw);
    let delivery = check.delivery(raw, agents.as_deref().unwrap_or_default());
    let domains = check.domains(raw);
    let whole = || {
        Some(Settings {
            server: server?,
            limits: limits?,
            log: log?,
            database: database?,
            cluster: cluster?,
            provisioning: provisioning?,
            agents: agents?,
            page: page?,
            require_if_match: require_if_match?,
            jobs: jobs?,
            time_zones: time_zones?,
            delivery,
            domains: domains?,
            retention: retention?,
        })
    };
    match whole() {
        Some(settings) if check.problems.is_empty() => Ok(settings),
        _ => Err(Problems(check.problems)),
    }
}

/// The problems found so far. A part that has one is `None`, and the others are checked all the same.
#[derive(Default)]
struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn problem(&mut self, key: impl Into<String>, message: impl Display) {
        self.problems.push(Problem { key: key.into(), message: message.to_string() });
    }

    fn top_level(&mut self, raw: &Config) {
        let written = raw.collect().unwrap_or_default();
        for key in written.keys().filter(|key| !SECTIONS.contains(&key.as_str())) {
            self.problem(key, format!("unknown key; the sections are {}", SECTIONS.join(", ")));
        }
    }

    /// A section as written; its defaults where it is not there.
    fn section<T: DeserializeOwned + Default>(&mut self, raw: &Config, key: &str) -> Option<T> {
        match raw.get::<T>(key) {
            Ok(section) => Some(section),
            // A section may be left out as a whole; each of its keys has a default or is checked below.
            Err(ConfigError::NotFound(_)) => Some(T::default()),
            Err(error) => {
                self.problem(key, error);
                None
            }
        }
    }

    /// The items of a list of tables, each with its own problems.
    fn items<T: DeserializeOwned>(&mut self, raw: &Config, key: &str) -> Option<Vec<T>> {
        let written = match raw.get::<Vec<Value>>(key) {
            Ok(written) => written,
            Err(ConfigError::NotFound(_)) => Vec::new(),
            Err(error) => {
                self.problem(key, error);
                return None;
            }
        };
        let count = written.len();
        let mut items = Vec::with_capacity(count);
        for (index, value) in written.into_iter().enumerate() {
            match value.try_deserialize() {
                Ok(item) => items.push(item),
                Err(error) => self.problem(format!("{key}[{index}]"), error),
            }
        }
        // Items that could not be read are problems already; without them indexes in later problems would be wrong.
        (items.len() == count).then_some(items)
    }

    fn parsed<T: FromStr>(&mut self, key: &str, text: &str, what: &str) -> Option<T> {
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.problem(key, format!("`{text}` is not {what}"));
        }
        parsed
    }

    fn accepted<T>(&mut self, key: impl Into<String>, parsed: Result<T, Invalid>) -> Option<T> {
        parsed.map_err(|refusal| self.problem(key, refusal.message)).ok()
    }

    /// A secret given in place or in a file of its own, but not both.
    fn secret(&mut self, key: &str, inline: Option<&SecretString>, file: Option<&Path>) -> Option<Secret> {
        let secret = match (inline, file) {
            (Some(_), Some(_)) => {
                self.problem(key, format!("give {key} or {key}_file, not both"));
                return None;
            }
            (Some(secret), None) => secret.expose_secret().to_owned(),
            // Editors and `kubectl create secret` leave a line end that belongs to nobody's secret.
            (None, Some(file)) => match std::fs::read_to_string(file) {
                Ok(text) => text.trim().to_owned(),
                Err(error) => {
                    self.problem(format!("{key}_file"), format!("{} cannot be read: {error}", file.display()));
                    return None;
                }
            },
            (None, None) => {
                self.problem(key, format!("{key} or {key}_file is missing"));
                return None;
            }
        };
        if secret.is_empty() {
            self.problem(key, "must not be empty");
            return None;
        }
        Some(Secret { value: secret.into(), file: file.map(Path::to_path_buf) })
    }

    fn server(&mut self, raw: &Config) -> Option<ServerSettings> {
        let section: ServerSection = self.section(raw, "server")?;
        let address = "an address and port such as 127.0.0.1:8080";
        let listen = self.parsed("server.listen", &section.listen, address);
        let operations = self.parsed("server.operations_listen", &section.operations_listen, address);
        let replicas = NonZeroU32::new(section.replicas);
        if replicas.is_none() {
            self.problem("server.replicas", "must be at least 1");
        }
        if section.drain_seconds > 60 {
            self.problem("server.drain_seconds", "must be 0 to 60");
        }
        if !(1..=300).contains(&section.shutdown_seconds) {
            self.problem("server.shutdown_seconds", "must be 1 to 300");
        }
        for origin in &section.allowed_origins {
            // A browser sends the origin without a path or a trailing slash, and compares it byte by byte.
            let named = url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            if !named {
                self.problem(
                    "server.allowed_origins",
                    format!("`{origin}` is not an origin such as https://example.org"),
                );
            }
        }
        let clients = self.clients(&section);
        let public_url = match section.public_url {
            Some(url) => Some(self.public_url(&url)?),
            None => None,
        };
        Some(ServerSettings {
            public_url,
            listen: listen?,
            operations_listen: Some(operations?),
            allowed_origins: section.allowed_origins,
            clients: clients?,
            replicas: replicas?,
            drain: Duration::from_secs(section.drain_seconds),
            shutdown: Duration::from_secs(section.shutdown_seconds),
        })
    }

    /// Links begin with it, so that it is never taken from a request.
    fn public_url(&mut self, text: &str) -> Option<String> {
        let url = url::Url::parse(text).ok();
        let is_page = |url: &url::Url| {
            matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
        };
        let Some(url) = url.filter(is_page) else {
            self.problem("server.public_url", format!("`{text}` is not an address such as https://portal.example.org"));
            return None;
        };
        Some(url.origin().ascii_serialization())
    }

    fn log(&mut self, raw: &Config) -> Option<LogSettings> {
        let section: LogSection = self.section(raw, "log")?;
        let format = match section.format.as_str() {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            other => {
                self.problem("log.format", format!("`{other}` is not text or json"));
                None
            }
        };
        if let Err(error) = telemetry::parse_filter(&section.filter) {
            self.problem("log.filter", error);
        }
        Some(LogSettings { format: format?, filter: section.filter })
    }

    fn database(&mut self, raw: &Config) -> Option<DatabaseSettings> {
        let section: DatabaseSection = self.section(raw, "database")?;
        let url = self.secret("database.url", section.url.as_ref(), section.url_file.as_deref())?;
        let Secret { value: url, file: url_file } = url;
        let known = ["sqlite:", "postgres://", "postgresql://"];
        if !known.iter().any(|scheme| url.expose_secret().starts_with(scheme)) {
            self.problem("database.url", "must begin with sqlite: or postgres://");
        }
        if section.max_connections == Some(0) {
            self.problem("database.max_connections", "must be at least 1");
        }
        Some(DatabaseSettings { url, url_file, max_connections: section.max_connections })
    }

    fn readable(&mut self, key: &str, file: Option<&PathBuf>) {
        if let Some(file) = file
            && let Err(error) = std::fs::File::open(file)
        {
            self.problem(key, format!("{} cannot be read: {error}", file.display()));
        }
    }

    fn retention(&mut self, raw: &Config) -> Option<Retention> {
        let section: RetentionSection = self.section(raw, "retention")?;
        let audit = self.days("retention.audit_days", section.audit_days);
        let runs = self.days("retention.runs_days", section.runs_days);
        let sessions = self.days("retention.sessions_days", section.sessions_days);
        let runs_per_job = section.runs_per_job;
        if !(1..=RUNS_PER_JOB_MAX).contains(&runs_per_job) {
            self.problem("retention.runs_per_job", format!("must be 1 to {RUNS_PER_JOB_MAX}"));
        }
        // Tombstones are no setting: how long a process may lag behind its lease decides about them. What was spent or
        // expired as planned, such as login codes, is none either.
        Some(Retention {
            audit: audit?,
            runs: runs?,
            runs_per_job,
            sessions: sessions?,
            tombstones: TOMBSTONE_LIFETIME,
            ..Retention::default()
        })
    }

    fn days(&mut self, key: &str, days: u32) -> Option<Duration> {
        if !(1..=RETENTION_DAYS_MAX).contains(&days) {
            self.problem(key, format!("must be 1 to {RETENTION_DAYS_MAX} days"));
            return None;
        }
        Some(Duration::from_hours(24 * u64::from(days)))
    }

    fn cluster(&mut self, raw: &Config) -> Option<ClusterSettings> {
        let section: ClusterSection = self.section(raw, "cluster")?;
        self.readable("cluster.kubeconfig", section.kubeconfig.as_ref());
        if !(20..=600).contains(&section.max_staleness_seconds) {
            // A watch is renewed after 15 s at the earliest; a shorter patience would take a quiet cluster for a dead one.
            self.problem("cluster.max_staleness_seconds", "must be 20 to 600");
        }
        let max_staleness = Duration::from_secs(section.max_staleness_seconds);
        Some(ClusterSettings { kubeconfig: section.kubeconfig, max_staleness })
    }

    /// An agent that sends links needs their beginning, and so does the page, to which they lead.
    fn links(&mut self, server: Option<&ServerSettings>, agents: &[AgentSettings], page: Option<&PageSettings>) {
        if server.is_none_or(|server| server.public_url.is_some()) {
            return;
        }
        if let Some(agent) = agents.iter().find(|agent| agent.may_login) {
            let why = format!("is missing: agent {} may log friends in, and its links begin with it", agent.id);
            self.problem("server.public_url", why);
        } else if page.is_some_and(|page| page.enabled) {
            let why = "is missing: it is the address at which friends reach the page; without a page set page.enabled = false";
            self.problem("server.public_url", why);
        }
    }

    fn page(&mut self, raw: &Config) -> Option<PageSettings> {
        let PageSection { enabled, check_addresses, name, color } = self.section(raw, "page")?;
        let length = name.chars().count();
        let is_name = (1..=PAGE_NAME_MAX).contains(&length) && !name.chars().any(char::is_control);
        if !is_name {
            self.problem("page.name", format!("must be 1 to {PAGE_NAME_MAX} characters, without control characters"));
        }
        let is_hex = |text: &str| text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_color = color.as_deref().is_none_or(|color| color.strip_prefix('#').is_some_and(is_hex));
        if !is_color {
            self.problem("page.color", "must be a color such as #1f5fbf");
        }
        (is_name && is_color).then_some(PageSettings { enabled, check_addresses, brand: Brand { name, color } })
    }

    fn require_if_match(&mut self, raw: &Config) -> Option<bool> {
        Some(self.section::<DocumentsSection>(raw, "documents")?.require_if_match)
    }

    fn jobs(&mut self, raw: &Config) -> Option<JobsSettings> {
        let section: JobsSection = self.section(raw, "jobs")?;
        let parsed = section.channels.iter().map(|text| self.accepted("jobs.channels", ChannelId::parse(text)));
        let channels = parsed.collect::<Vec<_>>().into_iter().flatten().collect();
        let in_flight = section.in_flight.unwrap_or(RunnerSettings::default().slots);
        if !(1..=IN_FLIGHT_MAX).contains(&in_flight) {
            self.problem("jobs.in_flight", format!("must be 1 to {IN_FLIGHT_MAX} deliveries"));
            return None;
        }
        Some(JobsSettings { channels, in_flight })
    }

    fn delivery(&mut self, raw: &Config, agents: &[AgentSettings]) -> Option<WebhookTarget> {
        let section: DeliverySection = self.section(raw, "delivery")?;
        // Without agents there are no jobs, and nothing to deliver.
        let Some(text) = &section.webhook_url else {
            // One that is given and cannot be read is a problem already.
            let has_problem = self.problems.iter().any(|problem| problem.key.contains(".hook."));
            let is_unreached = |agent: &&AgentSettings| agent.hook.is_none() && agent.engine == EngineKind::Embedded;
            if let Some(agent) = agents.iter().find(is_unreached).filter(|_| !has_problem) {
                self.problem(
                    "delivery.webhook_url",
                    format!(
                        "is missing: without it, or agents.hook, nobody gets the scheduled messages to agent {}",
                        agent.id
                    ),
                );
            }
            return None;
        };
        let url: Option<url::Url> = self.parsed("delivery.webhook_url", text, "a URL");
        if url.as_ref().is_some_and(|url| !matches!(url.scheme(), "http" | "https")) {
            self.problem("delivery.webhook_url", "must be http or https");
        }
        let key = self.signing_key(&section);
        let bearer_token = match section.bearer_token_file.as_deref() {
            Some(file) => self.secret("delivery.bearer_token", None, Some(file)).map(|secret| Some(secret.value)),
            None => Some(None),
        };
        let timeout = section.timeout_seconds.unwrap_or(WEBHOOK_TIMEOUT.as_secs());
        if !(1..=WEBHOOK_TIMEOUT_MAX).contains(&timeout) {
            self.problem("delivery.timeout_seconds", format!("must be 1 to {WEBHOOK_TIMEOUT_MAX}"));
        }
        let timeout = Duration::from_secs(timeout);
        Some(WebhookTarget { url: url?, key: key?, bearer_token: bearer_token?, timeout })
    }

    fn signing_key(&mut self, section: &DeliverySection) -> Option<SigningKey> {
        let file = section.webhook_secret_file.as_deref();
        let secret = self.secret("delivery.webhook_secret", section.webhook_secret.as_ref(), file);
        let signature = section.signature.as_deref().map_or(Ok(Signature::default()), Signature::parse);
        let signature = signature.map_err(|invalid| self.problem("delivery.signature", invalid)).ok()?;
        let key = SigningKey::parse(signature, &secret?.value);
        key.map_err(|invalid| self.problem("delivery.webhook_secret", invalid)).ok()
    }

    fn time_zones(&mut self, raw: &Config) -> Option<TimeZones> {
        let section: TimeSection = self.section(raw, "time")?;
        let Some(folder) = section.zoneinfo else { return Some(TimeZones::bundled()) };
        TimeZones::from_folder(&folder).map_err(|invalid| self.problem("time.zoneinfo", invalid)).ok()
    }
}
