//! The sections of `portal.toml` as they are written, before anything in them is checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use portal_api::LimitSettings;
use portal_k8s::Provisioning;
use portal_page::Brand;
use secrecy::SecretString;
use serde::Deserialize;

/// `[server]`: where the portal listens, and for whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServerSection {
    /// Address and port of the API.
    pub(super) listen: String,
    /// Address and port of `/metrics` and the probes, for operators only.
    pub(super) operations_listen: String,
    /// Origins whose pages may call the API from a browser; none by default.
    pub(super) allowed_origins: Vec<String>,
    /// Address at which friends reach the portal: the beginning of login links.
    pub(super) public_url: Option<String>,
    /// Networks of the proxies in front of the portal; empty for none. Without it, no client's address is known.
    pub(super) trusted_proxies: Option<Vec<String>>,
    /// Header in which these name the address that called them.
    pub(super) client_address_header: Option<String>,
    /// Number of replicas that share the DNS provider's budget.
    pub(super) replicas: u32,
    /// Seconds between a stop signal and closing the port, in which load balancers see `/readyz` fail.
    pub(super) drain_seconds: u64,
    /// Seconds in which open requests may end when the server stops.
    pub(super) shutdown_seconds: u64,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            operations_listen: "127.0.0.1:9090".to_owned(),
            allowed_origins: Vec::new(),
            public_url: None,
            trusted_proxies: None,
            client_address_header: None,
            replicas: 1,
            drain_seconds: 5,
            shutdown_seconds: 20,
        }
    }
}

/// `[limits]`: what one friend, or one address, may take of the portal.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsSection {
    /// `false` for no limits per friend at all, for measurements.
    pub(super) enabled: bool,
    /// Requests per second of a friend that change nothing.
    pub(super) reads_per_second: u32,
    /// Number of them that may come at once.
    pub(super) reads_burst: u32,
    /// Requests per second of a friend that change something.
    pub(super) writes_per_second: u32,
    /// Number of them that may come at once.
    pub(super) writes_burst: u32,
    /// Requests in flight of a friend; a further one waits up to a second.
    pub(super) in_flight: u32,
    /// Bytes of request bodies in flight of a friend.
    pub(super) body_bytes: usize,
    /// Bytes of request bodies in flight of all friends.
    pub(super) all_body_bytes: usize,
    /// Wrong login codes and agent tokens per minute of an address, where addresses are known.
    pub(super) guesses_per_minute: u32,
    /// Connections of an address; 0 for any number. A proxy in front of the portal is one address.
    pub(super) connections_per_address: u32,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let LimitSettings { reads, writes, in_flight, body_bytes, all_body_bytes, guesses_per_minute, .. } =
            LimitSettings::default();
        Self {
            enabled: true,
            reads_per_second: reads.per_second.get(),
            reads_burst: reads.burst.get(),
            writes_per_second: writes.per_second.get(),
            writes_burst: writes.burst.get(),
            in_flight: in_flight.get(),
            body_bytes,
            all_body_bytes,
            guesses_per_minute: guesses_per_minute.get(),
            connections_per_address: 0,
        }
    }
}

/// `[log]`: how log lines are written, and which.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogSection {
    /// `text` or `json`.
    pub(super) format: String,
    /// Directives such as `info,portal_dns=debug`.
    pub(super) filter: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { format: "text".to_owned(), filter: "info".to_owned() }
    }
}

/// `[database]`: the portal's database.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DatabaseSection {
    /// `sqlite:PATH` or `postgres://USER@HOST/NAME`; with a password better in `url_file`.
    pub(super) url: Option<SecretString>,
    /// A file that holds the URL.
    pub(super) url_file: Option<PathBuf>,
    /// Connections at most (PostgreSQL), readers at most (SQLite).
    pub(super) max_connections: Option<u32>,
}

/// `[retention]`: how long rows stay that nothing refers to any more.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetentionSection {
    /// Days that an entry of the audit log stays.
    pub(super) audit_days: u32,
    /// Days that a finished run stays.
    pub(super) runs_days: u32,
    /// Most finished runs per job.
    pub(super) runs_per_job: u32,
    /// Days that a session stays after it expired.
    pub(super) sessions_days: u32,
}

impl Default for RetentionSection {
    fn default() -> Self {
        Self { audit_days: 400, runs_days: 30, runs_per_job: 200, sessions_days: 7 }
    }
}

/// `[cluster]`: the Kubernetes cluster whose namespaces are shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClusterSection {
    /// A kubeconfig; without it the pod's own service account, else the user's default kubeconfig.
    pub(super) kubeconfig: Option<PathBuf>,
    /// Age in seconds at which the overview is refused with 503.
    pub(super) max_staleness_seconds: u64,
}

impl Default for ClusterSection {
    fn default() -> Self {
        Self { kubeconfig: None, max_staleness_seconds: 30 }
    }
}

/// `[provisioning]`: what friends' namespaces are made of. A table that is given replaces the default one as a whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProvisioningSection {
    /// The namespace of the ingress controller.
    pub(super) ingress_namespace: String,
    /// The service account of the agent, as `namespace/name`, where there is one agent.
    pub(super) agent_service_account: Option<String>,
    /// The quota, per resource.
    pub(super) quota: BTreeMap<String, String>,
    /// Default limits of a container, per resource.
    pub(super) container_default: BTreeMap<String, String>,
    /// Highest limits of a container, per resource.
    pub(super) container_max: BTreeMap<String, String>,
}

impl Default for ProvisioningSection {
    fn default() -> Self {
        let Provisioning { ingress_namespace, quota, container_default, container_max } = Provisioning::default();
        Self { ingress_namespace, agent_service_account: None, quota, container_default, container_max }
    }
}

/// `[[agents]]`: an agent, its folder and the engine that keeps its jobs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentSection {
    /// The agent's id.
    pub(super) id: String,
    /// The root of its documents.
    pub(super) workspace: PathBuf,
    /// `embedded`: the portal keeps and runs the jobs; `openclaw`: the agent's gateway does.
    #[serde(default = "embedded")]
    pub(super) engine: String,
    /// Whether the agent may log its friends in by sending them a link.
    #[serde(default)]
    pub(super) may_login: bool,
    /// Whether the agent's gateway puts `HEARTBEAT.md` into every conversation, as those before 2026.8 do.
    #[serde(default)]
    pub(super) reads_heartbeat: bool,
    /// Its service account, as `namespace/name`, which may deploy in its friends' namespaces.
    #[serde(default)]
    pub(super) service_account: Option<String>,
    /// The hooks of the agent's gateway, in place of the webhook.
    #[serde(default)]
    pub(super) hook: Option<HookSection>,
    /// The agent's gateway itself.
    #[serde(default)]
    pub(super) gateway: Option<GatewaySection>,
}

/// `[agents.gateway]`: the WebSocket of the agent's OpenClaw gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GatewaySection {
    /// Its address.
    pub(super) url: String,
    /// A file that holds the gateway's `gateway.auth.token`.
    pub(super) token_file: PathBuf,
    /// A file that holds the key of the portal's device.
    #[serde(default)]
    pub(super) device_key_file: Option<PathBuf>,
}

/// `[agents.hook]`: due messages go to the hooks of the agent's OpenClaw gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HookSection {
    /// Address of the hooks.
    pub(super) url: String,
    /// A file that holds the gateway's `hooks.token`.
    pub(super) token_file: PathBuf,
    /// Accepts that an older gateway starts the conversation anew for each message.
    #[serde(default)]
    pub(super) fresh_session: bool,
}

fn embedded() -> String {
    "embedded".to_owned()
}

/// `[page]`: the web page.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PageSection {
    /// Whether `/` and `/portal` serve it.
    pub(super) enabled: bool,
    /// Whether the portal asks the addresses that somebody looks at whether they answer.
    pub(super) check_addresses: bool,
    /// Name at the top of every view.
    pub(super) name: String,
    /// Color of a line below it, as `#rrggbb`.
    pub(super) color: Option<String>,
}

impl Default for PageSection {
    fn default() -> Self {
        let Brand { name, color } = Brand::default();
        Self { enabled: true, check_addresses: true, name, color }
    }
}

/// `[documents]`: writing of documents.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DocumentsSection {
    /// Refuses a write that has neither `If-Match` nor `If-None-Match`.
    pub(super) require_if_match: bool,
}

/// `[jobs]`: scheduled messages.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct JobsSection {
    /// Channels that session keys may name.
    pub(super) channels: Vec<String>,
    /// Most deliveries of one replica in flight; 256 when absent.
    pub(super) in_flight: Option<u32>,
}

/// `[time]`: the rules of the time zones.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TimeSection {
    /// A folder of compiled zone files; the rules inside the program when absent.
    pub(super) zoneinfo: Option<PathBuf>,
}

/// `[delivery]`: where due messages go.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeliverySection {
    /// The webhook that takes messages.
    pub(super) webhook_url: Option<String>,
    /// `standard` (Standard Webhooks) or `legacy` (`X-Portal-Signature`).
    pub(super) signature: Option<String>,
    /// The key with which deliveries are signed.
    pub(super) webhook_secret: Option<SecretString>,
    /// A file that holds the key.
    pub(super) webhook_secret_file: Option<PathBuf>,
    /// A file that holds a bearer token, for a receiver that asks for one.
    pub(super) bearer_token_file: Option<PathBuf>,
    /// Timeout of one delivery, in seconds.
    pub(super) timeout_seconds: Option<u64>,
}

/// `[[domains]]`: a DNS zone on offer. The first one is the default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DomainSection {
    /// The domain under which hostnames are made.
    pub(super) name: String,
    /// Target of the records: exactly one of `cname`, `a`, `aaaa`.
    pub(super) target: BTreeMap<String, String>,
    /// Seconds that a resolver may remember a record.
    #[serde(default = "five_minutes")]
    pub(super) ttl: u32,
    /// True if the domain is no longer offered; its exposures are still reconciled.
    #[serde(default)]
    pub(super) retired: bool,
    /// Traefik entry points of the routes.
    #[serde(default = "websecure")]
    pub(super) entry_points: Vec<String>,
    /// Routes of the operator, as `namespace/name`, that cover the whole domain on purpose.
    #[serde(default)]
    pub(super) fallback_routes: Vec<String>,
    /// TLS of the routes; none when absent.
    #[serde(default)]
    pub(super) tls: Option<TlsSection>,
    /// The zone is at Cloudflare.
    #[serde(default)]
    pub(super) cloudflare: Option<CloudflareSection>,
    /// The zone is at a server that takes signed dynamic updates.
    #[serde(default)]
    pub(super) rfc2136: Option<Rfc2136Section>,
}

fn five_minutes() -> u32 {
    300
}

fn websecure() -> Vec<String> {
    vec!["websecure".to_owned()]
}

/// `[domains.tls]`: where Traefik finds the certificate; empty for its default one.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsSection {
    /// A resolver of Traefik's configuration.
    pub(super) cert_resolver: Option<String>,
    /// A Secret in each friend's namespace.
    pub(super) secret_name: Option<String>,
}

/// `[domains.cloudflare]`: access to a zone at Cloudflare.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CloudflareSection {
    /// An API token that may edit the zone's records.
    pub(super) token: Option<SecretString>,
    /// A file that holds the token.
    pub(super) token_file: Option<PathBuf>,
    /// The zone's id; looked up by name when absent.
    pub(super) zone_id: Option<String>,
    /// True if records are proxied by Cloudflare.
    pub(super) proxied: Option<bool>,
    /// Another address of the API, for tests.
    pub(super) api_url: Option<String>,
}

/// `[domains.rfc2136]`: access to a zone by signed dynamic updates (BIND, Knot, PowerDNS).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rfc2136Section {
    /// Address and port of the primary server.
    pub(super) server: String,
    /// The zone, where the domain is a name below it.
    #[serde(default)]
    pub(super) zone: Option<String>,
    /// The TSIG key's name.
    pub(super) key_name: String,
    /// The TSIG key's algorithm: `hmac-sha256` or `hmac-sha512`.
    #[serde(default = "hmac_sha256")]
    pub(super) key_algorithm: String,
    /// The TSIG key in base 64.
    #[serde(default)]
    pub(super) key_secret: Option<SecretString>,
    /// A file that holds the TSIG key in base 64.
    #[serde(default)]
    pub(super) key_secret_file: Option<PathBuf>,
}

fn hmac_sha256() -> String {
    "hmac-sha256".to_owned()
}
