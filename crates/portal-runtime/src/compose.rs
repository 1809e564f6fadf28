//! Composition: from chosen adapters to use cases, background tasks and the state of the API.

mod cluster;
mod configured;
mod deliveries;
mod disk;
mod engines;
mod gateways;
mod jump_guard;
mod moving;
mod rotation;
mod workspaces;
mod zones;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portal_adapters::db::{Db, DbProbe, DbSettings, MigrationsProbe, WritesProbe};
use portal_api::{ApiPorts, ApiState, Events, LoginPorts, Readiness};
use portal_core::{AgentId, ChannelId, Clock, FriendSettings, Ids, Invalid, Logins, Probe, Retention, Sessions, sweep};
use portal_cron::{
    ConversationScopes, Delivery, EmbeddedEngine, Engines, Jobs, Messages, Runner, RunnerPorts, RunnerSettings,
    SessionKeys, TimeZones,
};
use portal_dns::{DomainName, Exposures, Reach, Reachability, WorkQueue};
use portal_k8s::Cluster;
use portal_workspace::{DocumentFiles, DocumentPorts, Documents};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;

use self::jump_guard::JumpGuard;
use crate::background::BackgroundTasks;
use crate::config::DatabaseSettings;
use crate::metrics::{self, RunnerMetrics};

pub(crate) use self::configured::{check as check_configured, parts as configured_parts};
pub(crate) use self::disk::DiskProbe;
use self::engines::EngineParts;
pub use self::engines::GatewayJobs;
pub(crate) use self::gateways::check as check_gateways;
pub(crate) use self::moving::move_jobs;
pub use self::moving::{MoveJobs, MovedJob};
pub use self::zones::CallBudget;
pub(crate) use self::zones::zones;

/// Period of the deletion of expired rows.
const SWEEP_PERIOD: Duration = Duration::from_hours(1);
/// Period at which the probes run for metrics and log.
const PROBE_PERIOD: Duration = Duration::from_secs(15);
/// Period of the pass that compares every exposure with zones and cluster.
const EXPOSURE_PASS: Duration = Duration::from_mins(1);
/// Delay of the first pass, so that the cluster can be listed before it.
const LISTING: Duration = Duration::from_secs(5);
/// Period at which unfinished exposures are retried and changes by other replicas are read.
const EXPOSURE_TICK: Duration = Duration::from_secs(1);
/// Period at which the metric of the zones' remaining calls is set.
const BUDGET_TICK: Duration = Duration::from_secs(5);
/// Period at which the runner claims due jobs.
const RUNNER_TICK: Duration = Duration::from_secs(1);
/// Time that deliveries under way get to end when the portal stops.
const RUNNER_STOP: Duration = Duration::from_secs(10);
/// Interval at which due jobs and open runs are counted.
const BACKLOG_TICK: Duration = Duration::from_secs(15);
/// Period at which event streams are told what changed.
const EVENTS_TICK: Duration = Duration::from_secs(1);
/// Period of the recovery pass over the documents: the first look at a displaced file is due after a second.
const DOCUMENT_PASS: Duration = Duration::from_secs(1);

/// The parts of a portal, as the configuration or the demo chose them.
pub struct Parts {
    /// The portal's database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub ids: Arc<dyn Ids>,
    /// The domains on offer.
    pub domains: Vec<DomainName>,
    /// The cluster, as far as it is shown.
    pub cluster: Arc<dyn Cluster>,
    /// Friends whose exposures a change in the cluster may concern; `None` where the cluster is not watched.
    pub work: Option<Arc<WorkQueue>>,
    /// Exposures and the reconciler behind them.
    pub exposures: Exposures,
    /// The way to ask whether exposures answer; `None` where they are not to be asked.
    pub reach: Option<Arc<dyn Reach>>,
    /// Remaining calls to the zones' providers.
    pub budgets: Vec<CallBudget>,
    /// Refuses a write of a document that has neither `If-Match` nor `If-None-Match`.
    pub require_if_match: bool,
    /// Agents whose gateway puts `HEARTBEAT.md` into every conversation.
    pub heartbeat_readers: BTreeSet<AgentId>,
    /// The channels whose conversations a job may name.
    pub channels: Vec<ChannelId>,
    /// Who may log friends in, and by which links.
    pub login: LoginSettings,
    /// The way of due messages.
    pub delivery: Arc<dyn Delivery>,
    /// Where the agents' gateways have what friends write.
    pub scopes: Arc<dyn ConversationScopes>,
    /// Agents whose gateways keep their jobs; `None` where the portal keeps all jobs.
    pub gateway_jobs: Option<GatewayJobs>,
    /// Rules of the time zones in which they are due.
    pub time_zones: TimeZones,
    /// The agents' folders.
    pub files: Arc<dyn DocumentFiles>,
    /// Probes of the other backends; those of the database are added.
    pub probes: Vec<Arc<dyn Probe>>,
    /// Retention of rows that grow with use.
    pub retention: Retention,
    /// Settings of the runner of jobs.
    pub runner: RunnerSettings,
}

/// Logging in, as it is configured.
#[derive(Debug, Clone, Default)]
pub struct LoginSettings {
    /// Agents that may log their friends in.
    pub may_login: BTreeSet<AgentId>,
    /// Beginning of every link; without one there are no links.
    pub public_url: Option<String>,
}

/// A portal, ready to be served.
pub struct Portal {
    /// State of the handlers.
    pub state: ApiState,
    /// Its background passes, under way.
    pub tasks: BackgroundTasks,
}

/// Prepares access to the configured database.
pub(crate) fn database(settings: &DatabaseSettings) -> Result<Db, Invalid> {
    let mut wanted = DbSettings::new(settings.url.expose_secret());
    wanted.url_file.clone_from(&settings.url_file);
    if let Some(connections) = settings.max_connections {
        wanted.connections = connections;
    }
    Db::open(&wanted, Handle::current())
}

/// Puts a portal together and starts its background passes.
#[must_use]
pub fn assemble(parts: Parts) -> Portal {
    let Parts {
        db,
        clock,
        ids,
        domains,
        cluster,
        work,
        exposures,
        reach,
        budgets,
        channels,
        login,
        delivery,
        scopes,
        gateway_jobs,
        time_zones,
        files,
        require_if_match,
        heartbeat_readers,
        probes,
        retention,
        runner,
    } = parts;
    let mut tasks = BackgroundTasks::default();
    sweep_expired(&mut tasks, &db, clock.clone(), retention);
    reconcile_exposures(&mut tasks, &exposures, work);
    tell_budgets(&mut tasks, budgets);
    let keys = Arc::new(SessionKeys::new(db.contacts(), db.friends(), channels).with_scopes(scopes));
    let (queue, zones, observer) = (db.runs(), time_zones.clone(), Arc::new(RunnerMetrics));
    let runner_ports = RunnerPorts { queue, keys: keys.clone(), delivery, ids: ids.clone(), zones, observer };
    run_jobs(&mut tasks, Runner::new(runner_ports, runner));
    let parts = EngineParts { db: &db, keys: &keys, clock: &clock, ids: &ids };
    let engines = engines(&mut tasks, gateway_jobs, time_zones.clone(), &parts);
    let messages = Messages::new(db.messages(), keys.clone(), clock.clone(), ids.clone()).with_engines(engines.clone());
    let documents = documents(&db, files, &clock, &ids)
        .with_required_precondition(require_if_match)
        .with_heartbeat_readers(heartbeat_readers);
    recover_documents(&mut tasks, documents.clone());
    let readiness = Readiness::new(all_probes(&db, probes));
    watch_probes(&mut tasks, readiness.clone());
    let mut state = ApiState::new(ApiPorts {
        sessions: Arc::new(Sessions::new(db.sessions(), clock.clone(), ids.clone())),
        friendships: db.friendships(),
        settings: FriendSettings::new(db.friends(), clock.clone()),
        audit: db.audit_log(),
        changes: db.changes(),
        exposures,
        reachability: Reachability::new(reach, clock.clone(), Handle::current()),
        cluster,
        jobs: Arc::new(Jobs::new(engines, keys.clone(), time_zones, clock.clone())),
        messages: Arc::new(messages),
        documents,
        clock: clock.clone(),
        ids: ids.clone(),
    });
    state.domains = domains.into();
    state.logins = logins(&db, login, &clock, &ids);
    state.readiness = readiness;
    tell_streams(&mut tasks, state.events.clone());
    Portal { state, tasks }
}

/// Returns the engines of all agents: the embedded one, and those of the agents whose gateways keep their jobs.
fn engines(
    tasks: &mut BackgroundTasks,
    gateway_jobs: Option<GatewayJobs>,
    time_zones: TimeZones,
    parts: &EngineParts<'_>,
) -> Engines {
    let EngineParts { db, clock, ids, .. } = parts;
    let embedded = EmbeddedEngine::new(db.jobs(), time_zones, Arc::clone(clock), Arc::clone(ids));
    let engines = Engines::new(Arc::new(embedded));
    match gateway_jobs {
        Some(jobs) => jobs.engines(engines, tasks, parts),
        None => engines,
    }
}

/// Tells event streams what changed, and ends them when the portal stops.
fn tell_streams(tasks: &mut BackgroundTasks, events: Events) {
    let polled = events.clone();
    tasks.repeat("events", EVENTS_TICK, None, move || {
        let events = polled.clone();
        async move { events.poll().await }
    });
    tasks.on_stop(async move { events.close() });
}

/// Runs the probes also while nobody asks, so that metrics and log tell when a backend goes missing.
fn watch_probes(tasks: &mut BackgroundTasks, readiness: Readiness) {
    tasks.repeat("probes", PROBE_PERIOD, None, move || {
        let readiness = readiness.clone();
        async move {
            readiness.checks().await;
            Ok(())
        }
    });
}

/// Deletes expired rows, a kind after the other.
fn sweep_expired(tasks: &mut BackgroundTasks, db: &Db, clock: Arc<dyn Clock>, retention: Retention) {
    let (store, guard) = (db.retention(), Arc::new(JumpGuard::default()));
    tasks.repeat("expired rows", SWEEP_PERIOD, None, move || {
        let (store, guard, now) = (store.clone(), guard.clone(), clock.now());
        async move {
            if guard.has_jumped(now) {
                // Rows deleted by a wrong clock would not come back when it is set right.
                tracing::warn!("the clock jumped ahead; expired rows are deleted an hour later");
                return Ok(());
            }
            // An error leaves the other kinds to the next hour: they are in the same database.
            for expired in retention.expired(now) {
                let deleted = sweep(&*store, expired).await?;
                metrics::record_sweep(expired.kind(), deleted);
                if deleted > 0 {
                    tracing::info!(deleted, kind = expired.kind(), "deleted expired rows");
                }
            }
            Ok(())
        }
    });
}

fn logins(db: &Db, settings: LoginSettings, clock: &Arc<dyn Clock>, ids: &Arc<dyn Ids>) -> Option<LoginPorts> {
    let logins = Arc::new(Logins::new(db.logins(), clock.clone(), ids.clone()));
    let LoginSettings { may_login, public_url } = settings;
    // No configured address, no links: they must not begin with what a request says of its host.
    Some(LoginPorts { logins, agents: db.agents(), may_login, public_url: public_url? })
}

/// Delivers due messages. A stopping portal claims no more of them, and hands back what it cannot end.
fn run_jobs(tasks: &mut BackgroundTasks, runner: Runner) {
    let runner = Arc::new(runner);
    let (counter, stopping) = (runner.clone(), runner.clone());
    tasks.repeat("jobs", RUNNER_TICK, None, move || {
        let runner = runner.clone();
        async move { runner.run_due().await }
    });
    tasks.repeat("backlog", BACKLOG_TICK, None, move || {
        let counter = counter.clone();
        async move { counter.report_backlog().await }
    });
    tasks.on_stop(async move { stopping.stop(RUNNER_STOP).await });
}

/// Makes exposures true and keeps them so, where the cluster is watched also as soon as it changes.
fn reconcile_exposures(tasks: &mut BackgroundTasks, exposures: &Exposures, work: Option<Arc<WorkQueue>>) {
    // Where the cluster is watched, the first pass begins when all of it was listed.
    keep_exposures(tasks, exposures, if work.is_some() { LISTING } else { Duration::ZERO });
    if let Some(queue) = work {
        follow_the_cluster(tasks, exposures.clone(), queue);
    }
}

/// Makes exposures true and keeps them so, all of them for the first time after `delay`.
fn keep_exposures(tasks: &mut BackgroundTasks, exposures: &Exposures, delay: Duration) {
    let (passing, ticking, polling) = (exposures.clone(), exposures.clone(), exposures.clone());
    tasks.repeat_after(delay, "exposures", EXPOSURE_PASS, move || {
        let exposures = passing.clone();
        async move { exposures.pass().await.map(|report| metrics::record_pass(&report)) }
    });
    tasks.repeat("unfinished exposures", EXPOSURE_TICK, None, move || {
        let exposures = ticking.clone();
        async move { exposures.tick().await }
    });
    tasks.repeat("changed exposures", EXPOSURE_TICK, None, move || {
        let exposures = polling.clone();
        async move { exposures.poll_changes().await }
    });
}

/// Tells the metrics how many calls are left.
fn tell_budgets(tasks: &mut BackgroundTasks, budgets: Vec<CallBudget>) {
    if budgets.is_empty() {
        return;
    }
    tasks.repeat("budgets", BUDGET_TICK, None, move || {
        for budget in &budgets {
            metrics::record_calls_left(&budget.domains(), budget.calls_left());
        }
        async { Ok(()) }
    });
}

/// Looks at exposures as soon as something around them is seen to change.
fn follow_the_cluster(tasks: &mut BackgroundTasks, exposures: Exposures, queue: Arc<WorkQueue>) {
    let added = queue.added();
    tasks.repeat("changes in the cluster", EXPOSURE_PASS, Some(added), move || {
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

fn recover_documents(tasks: &mut BackgroundTasks, documents: Documents) {
    let at_start = Arc::new(AtomicBool::new(true));
    tasks.repeat("documents", DOCUMENT_PASS, None, move || {
        let (documents, at_start) = (documents.clone(), at_start.clone());
        async move {
            if !at_start.load(Ordering::Relaxed) {
                return documents.recover().await.map(drop);
            }
            documents.recover_at_start().await?;
            // Only then: a database that is not there yet must not cost the files of the process before their look.
            at_start.store(false, Ordering::Relaxed);
            Ok(())
        }
    });
}

/// Returns all probes of a portal with this database, the most important ones first.
pub(crate) fn all_probes(db: &Db, others: Vec<Arc<dyn Probe>>) -> Vec<Arc<dyn Probe>> {
    let database: [Arc<dyn Probe>; 3] = [
        Arc::new(DbProbe::new(db.clone())),
        Arc::new(MigrationsProbe::new(db.clone())),
        Arc::new(WritesProbe::new(db.clone())),
    ];
    database.into_iter().chain(others).collect()
}
