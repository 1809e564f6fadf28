//! What depends on what: from chosen adapters to use cases, background passes and the state of the API.

mod cluster;
mod configured;
mod workspaces;
mod zones;

use std::sync::Arc;
use std::time::Duration;

use portal_adapters::db::{Db, DbProbe, DbSettings, MigrationsProbe, WritesProbe};
use portal_api::{ApiState, NamespaceViews, QuotaSecrets, Readiness};
use portal_core::{ChannelId, Clock, Ids, Invalid, Probe, SessionStore, Sessions};
use portal_cron::{Delivery, EmbeddedEngine, Engines, Jobs, Runner, RunnerSettings, SessionKeys};
use portal_dns::{DomainName, Exposures, WorkQueue};
use portal_k8s::Cluster;
use portal_workspace::{DocumentFiles, DocumentPorts, Documents};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;

use crate::config::DatabaseSettings;
use crate::loops::Loops;
use crate::metrics;
use crate::server::{self, Listening, ServeError, Serving};

pub(crate) use self::configured::{check as check_configured, parts as configured_parts};
pub use self::zones::CallBudget;
pub(crate) use self::zones::zones;

/// The fewest bytes of a webhook's secret, for the configuration, which names no adapters.
pub(crate) const WEBHOOK_SECRET_MIN: usize = portal_adapters::webhook::SECRET_MIN;

/// How often sessions that ended long ago are forgotten.
const SESSION_SWEEP: Duration = Duration::from_hours(1);
/// How often every exposure is compared with zones and cluster.
const EXPOSURE_PASS: Duration = Duration::from_mins(1);
/// How long a cluster may take to be listed before that is worth a warning.
const LISTING: Duration = Duration::from_secs(5);
/// How often unfinished exposures are taken up, and what other replicas did is looked for.
const EXPOSURE_TICK: Duration = Duration::from_secs(1);
/// How often it is told how many calls are left to the zones.
const BUDGET_TICK: Duration = Duration::from_secs(5);
/// How often the runner looks for what is due.
const RUNNER_TICK: Duration = Duration::from_secs(1);
/// How often runs that ended long ago are forgotten.
const RUN_SWEEP: Duration = Duration::from_hours(1);
/// How often writes of documents that somebody abandoned are settled: about as often as their leases run out.
const SETTLING: Duration = Duration::from_secs(5);

/// What a portal is put together from. The configuration chose each part, or the demo did.
pub struct Parts {
    /// What the portal must not forget.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub ids: Arc<dyn Ids>,
    /// The domains on offer.
    pub domains: Vec<DomainName>,
    /// The cluster, as far as it is shown.
    pub cluster: Arc<dyn Cluster>,
    /// Whose exposures may be concerned by what was seen to change in the cluster; `None` where nobody watches it.
    pub work: Option<Arc<WorkQueue>>,
    /// What is, or should be, on the internet.
    pub exposures: Exposures,
    /// What the zones' provider still allows.
    pub budgets: Vec<CallBudget>,
    /// The channels whose conversations a job may name.
    pub channels: Vec<ChannelId>,
    /// The way of due messages.
    pub delivery: Arc<dyn Delivery>,
    /// The agents' folders.
    pub files: Arc<dyn DocumentFiles>,
    /// What else the portal stands on, beside the database.
    pub probes: Vec<Arc<dyn Probe>>,
}

/// A portal, ready to be served.
pub struct Portal {
    /// What the handlers work with.
    pub state: ApiState,
    /// Its background passes, under way.
    pub loops: Loops,
    db: Db,
}

impl Portal {
    /// Serves until the process is asked to stop.
    ///
    /// # Errors
    /// The server could not start or failed while it ran, or the database file was replaced.
    pub async fn serve(self, listening: Listening, serving: Serving) -> Result<(), ServeError> {
        tokio::select! {
            served = server::run(listening, self.state, self.loops, serving) => served,
            // Nothing is drained: every request would be answered 503.
            () = self.db.replaced() => Err(ServeError::DatabaseReplaced),
        }
    }
}

/// Prepares access to the configured database.
pub(crate) fn database(settings: &DatabaseSettings) -> Result<Db, Invalid> {
    let mut wanted = DbSettings::new(settings.url.expose_secret());
    if let Some(connections) = settings.max_connections {
        wanted.connections = connections;
    }
    Db::open(&wanted, Handle::current())
}

/// Puts a portal together and starts its background passes.
#[must_use]
pub fn assemble(parts: Parts) -> Portal {
    let Parts { db, clock, ids, domains, cluster, work, exposures, budgets, channels, delivery, files, probes } = parts;
    let sessions = db.sessions();
    let mut loops = Loops::default();
    sweep_sessions(&mut loops, sessions.clone(), clock.clone());
    // Where the cluster is watched, the first pass begins when all of it was listed.
    keep_exposures(&mut loops, &exposures, if work.is_some() { LISTING } else { Duration::ZERO });
    tell_budgets(&mut loops, budgets);
    if let Some(queue) = work {
        follow_the_cluster(&mut loops, exposures.clone(), queue);
    }
    let keys = Arc::new(SessionKeys::new(db.contacts(), channels));
    let settings = RunnerSettings::default();
    run_jobs(&mut loops, Runner::new(db.runs(), keys.clone(), delivery, ids.clone(), settings));
    let engine = Arc::new(EmbeddedEngine::new(db.jobs(), clock.clone(), ids.clone()));
    let documents = documents(&db, files, &clock, &ids);
    settle_documents(&mut loops, documents.clone());
    let probes = all_probes(&db, probes);
    let state = ApiState {
        sessions: Arc::new(Sessions::new(sessions, clock.clone(), ids.clone())),
        friendships: db.friendships(),
        domains: domains.into(),
        exposures,
        cluster: cluster.clone(),
        namespaces: NamespaceViews::new(clock.clone()),
        jobs: Arc::new(Jobs::new(Engines::new(engine), keys, db.friends(), clock.clone())),
        documents: documents.clone(),
        logs: Arc::new(documents),
        secrets: Arc::new(QuotaSecrets(cluster)),
        readiness: Readiness::new(probes),
        clock,
        ids,
    };
    Portal { state, loops, db }
}

fn sweep_sessions(loops: &mut Loops, store: Arc<dyn SessionStore>, clock: Arc<dyn Clock>) {
    loops.repeat("sessions", SESSION_SWEEP, None, move || {
        let (store, now) = (store.clone(), clock.now());
        async move { store.sweep(now).await.map(drop) }
    });
}

/// Delivers due messages. What is under way when the portal stops is taken over by the next runner.
fn run_jobs(loops: &mut Loops, runner: Runner) {
    let runner = Arc::new(runner);
    let sweeper = runner.clone();
    loops.repeat("jobs", RUNNER_TICK, None, move || {
        let runner = runner.clone();
        async move { runner.tick().await.map(drop) }
    });
    loops.repeat("runs", RUN_SWEEP, None, move || {
        let sweeper = sweeper.clone();
        async move { sweeper.sweep().await.map(drop) }
    });
}

/// Makes exposures true and keeps them so, all of them for the first time after `delay`.
fn keep_exposures(loops: &mut Loops, exposures: &Exposures, delay: Duration) {
    let (passing, ticking, polling) = (exposures.clone(), exposures.clone(), exposures.clone());
    loops.repeat_after(delay, "exposures", EXPOSURE_PASS, move || {
        let exposures = passing.clone();
        async move { exposures.pass().await.map(|report| metrics::record_pass(&report)) }
    });
    loops.repeat("unfinished exposures", EXPOSURE_TICK, None, move || {
        let exposures = ticking.clone();
        async move { exposures.tick().await }
    });
    loops.repeat("changed exposures", EXPOSURE_TICK, None, move || {
        let exposures = polling.clone();
        async move { exposures.poll_changes().await }
    });
}

/// Tells the metrics how many calls are left.
fn tell_budgets(loops: &mut Loops, budgets: Vec<CallBudget>) {
    if budgets.is_empty() {
        return;
    }
    loops.repeat("budgets", BUDGET_TICK, None, move || {
        for budget in &budgets {
            metrics::record_calls_left(&budget.domains(), budget.calls_left());
        }
        async { Ok(()) }
    });
}

/// Looks at exposures as soon as something around them is seen to change.
fn follow_the_cluster(loops: &mut Loops, exposures: Exposures, queue: Arc<WorkQueue>) {
    let added = queue.added();
    loops.repeat("changes in the cluster", EXPOSURE_PASS, Some(added), move || {
        let (exposures, queue) = (exposures.clone(), queue.clone());
        async move {
            if let Some(report) = exposures.drain(&queue).await? {
                metrics::record_pass(&report);
            }
            Ok(())
        }
    });
}

fn documents(db: &Db, files: Arc<dyn DocumentFiles>, clock: &Arc<dyn Clock>, ids: &Arc<dyn Ids>) -> Documents {
    Documents::new(DocumentPorts {
        files,
        store: db.documents(),
        versions: db.versions(),
        friendships: db.friendships(),
        clock: clock.clone(),
        ids: ids.clone(),
    })
}

fn settle_documents(loops: &mut Loops, documents: Documents) {
    loops.repeat("documents", SETTLING, None, move || {
        let documents = documents.clone();
        async move { documents.settle().await.map(drop) }
    });
}

/// What a portal with this database stands on, what it needs most first.
pub(crate) fn all_probes(db: &Db, others: Vec<Arc<dyn Probe>>) -> Vec<Arc<dyn Probe>> {
    let database: [Arc<dyn Probe>; 3] = [
        Arc::new(DbProbe::new(db.clone())),
        Arc::new(MigrationsProbe::new(db.clone())),
        Arc::new(WritesProbe::new(db.clone())),
    ];
    database.into_iter().chain(others).collect()
}
