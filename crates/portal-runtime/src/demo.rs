//! The portal with everything embedded: a folder is all it needs, and what it did there it goes on with.
//!
//! Two friends, alice and bob, have fixed tokens, so that examples can be pasted; therefore it listens on loopback
//! only. Cluster and zones are in memory and obey the same contracts as the real ones.

mod backends;
mod seed;
mod story;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use portal_adapters::db::{Db, DbSettings};
use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_adapters::log::LogDelivery;
use portal_adapters::{RandomIds, SystemClock};
use portal_api::{LimitSettings, Rate};
use portal_core::{AgentId, ChannelId, Clock, Ids, Invalid, Probe, Retention};
use portal_cron::{OneConversation, RunnerSettings, TimeZones};
use portal_dns::{DomainName, Reach};
use tokio::runtime::Handle;

use crate::command_error::CommandError;
use crate::compose::{self, DiskProbe, LoginSettings, Parts};
use crate::config::{LimitsSettings, ServerSettings};
use crate::database_file::DatabaseFile;
use crate::server::{self, Page, Serving};
use crate::telemetry::{self, LogFormat};
use crate::{commands, console};

/// The domains that the demo offers, the default one first.
const DOMAINS: [&str; 2] = ["your-domain.net", "example.org"];
/// The file that gets the friends' due messages, one line of JSON each.
const DELIVERIES: &str = "deliveries.jsonl";
/// Log filter of the demo: failures, not each request.
const LOG_FILTER: &str = "warn";

/// Options of the demo.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Listening address; loopback only, unless `tokens_are_public`.
    pub listen: SocketAddr,
    /// True if the caller accepts that everybody who reaches the address knows the tokens.
    pub tokens_are_public: bool,
    /// The folder for the database and the documents.
    pub data: PathBuf,
    /// A folder of Kubernetes YAML to show instead of the built-in workloads.
    pub manifests: Option<PathBuf>,
    /// Limits per friend.
    pub limits: DemoLimits,
}

/// Limits per friend, which measurements switch off or lift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoLimits {
    /// Those of a configuration that says nothing.
    Default,
    /// None.
    Off,
    /// Limits that are checked and never reached.
    Lifted,
}

impl DemoLimits {
    fn settings(self) -> Option<LimitSettings> {
        let lifted = Rate { per_second: NonZeroU32::MAX, burst: NonZeroU32::MAX };
        match self {
            Self::Default => Some(LimitSettings::default()),
            Self::Off => None,
            Self::Lifted => Some(LimitSettings { reads: lifted, writes: lifted, ..LimitSettings::default() }),
        }
    }
}

impl FromStr for DemoLimits {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "default" => Ok(Self::Default),
            "off" => Ok(Self::Off),
            "lifted" => Ok(Self::Lifted),
            _ => Err(Invalid::new("limits", "must be default, off or lifted")),
        }
    }
}

/// Runs the demo until it is told to stop.
///
/// # Errors
/// An address that is not loopback or is taken, a folder that cannot be written, YAML that cannot be read.
pub async fn run(options: DemoOptions) -> Result<(), CommandError> {
    // Before the log and the port: nothing may exist of a demo that is refused.
    if !options.listen.ip().is_loopback() && !options.tokens_are_public {
        let rule = "listen must be a loopback address such as 127.0.0.1:8080, because everybody knows the demo's \
                    tokens; in a container add --i-know-that-the-tokens-are-public";
        return Err(Invalid::new("listen", rule).into());
    }
    telemetry::start(LogFormat::Text, LOG_FILTER)?;
    let serving = Serving {
        server: ServerSettings::embedded(options.listen),
        limits: LimitsSettings { per_friend: options.limits.settings(), connections_per_address: None },
        page: Page::Demo,
    };
    // Before anything is written: two demos on one folder would both go on with the same work.
    let listening = server::listen(&serving.server)?;
    let portal = compose::assemble(parts(&options, listening.address).await?);
    console::print(&greeting(listening.address, &options.data))?;
    let file = DatabaseFile::of_url(&database_url(&options.data));
    commands::until_replaced(file, server::run(listening, portal.state, portal.tasks, serving)).await
}

fn database_url(data: &Path) -> String {
    format!("sqlite:{}", data.join("portal.db").display())
}

async fn parts(options: &DemoOptions, address: SocketAddr) -> Result<Parts, CommandError> {
    let folder = |error| CommandError::other(format!("{} cannot be made", options.data.display()), error);
    std::fs::create_dir_all(&options.data).map_err(folder)?;
    let db = Db::open(&DbSettings::new(database_url(&options.data)), Handle::current())?;
    db.migrate().await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let is_first_start = seed::people(&db, &*clock).await?;
    seed::documents(&options.data, &*clock)?;
    let domains = DOMAINS.iter().map(|name| DomainName::parse(name)).collect::<Result<Vec<_>, _>>()?;
    let ids: Arc<dyn Ids> = Arc::new(RandomIds);
    if is_first_start {
        story::plan_missed_job(&db, &*clock, &*ids).await?;
    }
    let cluster = backends::cluster(options.manifests.as_deref(), clock.clone())?;
    let files = Arc::new(DiskFiles::new(AgentRoots::under(seed::roots(&options.data))));
    let exposures = backends::exposures(&db, &cluster, &domains, &ids).await?;
    if is_first_start {
        story::publish_what_does_not_answer(&exposures).await?;
    }
    let reach: Option<Arc<dyn Reach>> = Some(Arc::new(backends::DemoReach(cluster.clone())));
    // Nobody receives the demo's messages, so they go to a file that can be read.
    let delivery = Arc::new(LogDelivery::new(options.data.join(DELIVERIES)));
    let channels = vec![ChannelId::parse("signal")?];
    let disk: Arc<dyn Probe> = Arc::new(DiskProbe::new(vec![options.data.clone()]));
    let (cluster, work, probes, budgets) = (Arc::new(cluster), None, vec![disk], Vec::new());
    let time_zones = TimeZones::bundled();
    let require_if_match = false;
    let login = LoginSettings {
        may_login: [AgentId::parse(seed::AGENT)?].into(),
        public_url: Some(format!("http://{address}")),
    };
    let (retention, runner) = (Retention::default(), RunnerSettings::default());
    Ok(Parts {
        db,
        clock,
        ids,
        domains,
        cluster,
        work,
        exposures,
        reach,
        budgets,
        require_if_match,
        // Nothing reads the demo's documents.
        heartbeat_readers: BTreeSet::new(),
        channels,
        login,
        delivery,
        scopes: Arc::new(OneConversation),
        gateway_jobs: None,
        time_zones,
        files,
        probes,
        retention,
        runner,
    })
}

/// Returns the lines that the demo prints once it listens.
fn greeting(address: SocketAddr, data: &Path) -> Vec<String> {
    let api = format!("http://{address}/api/portal");
    let alice = "-H 'Authorization: Bearer demo-alice'";
    let (agent, link) = ("-H 'Authorization: Bearer demo-agent'", r#"{"friend_id": "alice"}"#);
    let expose = r#"{"name": "my-app", "service": "my-app", "port": 80, "domain": "your-domain.net"}"#;
    vec![
        format!("The Friend Portal's demo listens on http://{address}"),
        format!("  documentation  http://{address}/docs/"),
        format!("  page           http://{address}/  (change alice's memory there and in"),
        format!("                 {}/agents/main/friends/alice/MEMORY.md, to see a conflict)", data.display()),
        "  tokens         demo-alice, demo-bob; of the agent main: demo-agent".to_owned(),
        String::new(),
        "Try:".to_owned(),
        format!("  curl {alice} {api}/me"),
        format!("  curl {alice} {api}/namespace"),
        format!("  curl {alice} --json '{expose}' {api}/namespace/expose"),
        format!("  curl {agent} --json '{link}' http://{address}/api/auth/portal-session"),
    ]
}
