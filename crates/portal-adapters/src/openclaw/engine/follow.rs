//! Following the runs that friends asked for to their ends.
//!
//! What was asked for stands in the portal's database, so that any replica finds the end, also after a restart. A gateway
//! that was restarted may not know a run any more: a minute after it is back such a run is of unknown outcome.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use portal_core::BackendError;
use portal_cron::{RemoteRun, RemoteRunEnd, RunStatus};
use tokio::time::Instant;

use super::context::{Abilities, Context};
use super::job::GatewayJob;
use super::outcome;
use super::runs::{self, RunsOf, position};
use crate::openclaw::client::GatewayClient;

/// Time after which the database is asked for runs of other replicas, and for changes whose process died.
const PERIOD: Duration = Duration::from_secs(30);
/// Time that a gateway gets to know a run after it is back.
const MEMORY: Duration = Duration::from_mins(1);
/// Most runs that are followed at a time; the others wait.
const RUNS_MAX: u32 = 100;

/// Whether there is something to follow.
#[derive(Default)]
pub(super) struct Follower {
    /// The last look into the database, if no run was open then.
    idle_since: Mutex<Option<Instant>>,
}

impl Follower {
    /// Says that a run was asked for.
    pub(super) fn wake(&self) {
        *self.idle_since.lock() = None;
    }

    /// Looks once for the ends of open runs.
    pub(super) async fn pass(&self, context: &Context) -> Result<(), BackendError> {
        if self.idle_since.lock().is_some_and(|since| since.elapsed() < PERIOD) {
            return Ok(());
        }
        let lost = context.store.recover_changes().await?;
        if lost > 0 {
            tracing::warn!(lost, "changes of jobs in the agent's gateway did not end; their outcome is unknown");
        }
        let open = context.store.open_runs(&context.agent, RUNS_MAX).await?;
        if open.is_empty() {
            *self.idle_since.lock() = Some(Instant::now());
            return Ok(());
        }
        let client = context.client()?;
        if client.connected_for().is_none() {
            return Ok(());
        }
        let mut by_job: BTreeMap<String, Vec<RemoteRun>> = BTreeMap::new();
        for run in open {
            by_job.entry(run.job.clone()).or_default().push(run);
        }
        let jobs = context.lists.recent(&client).await?;
        for (id, open) in by_job {
            let job = jobs.iter().find(|job| job.id == id);
            end_runs(context, &client, job, open).await?;
        }
        Ok(())
    }
}

/// Stores the ends of a job's open runs, as far as they are known.
async fn end_runs(
    context: &Context,
    client: &GatewayClient,
    job: Option<&GatewayJob>,
    open: Vec<RemoteRun>,
) -> Result<(), BackendError> {
    let Some(id) = open.first().map(|run| run.job.clone()) else { return Ok(()) };
    // A connection that ended meanwhile fails the next call, and the next pass goes on.
    let connected_for = client.connected_for().unwrap_or_default();
    let hello = client.hello().await?;
    let is_reliable = Abilities::of(&hello).send_answers;
    let (mut entries, _) = runs::entries(client, RunsOf::new(&id, job, is_reliable), 0).await?;
    let now = context.clock.now();
    for run in open {
        if let Some(position) = position(&entries, &run) {
            let entry = entries.remove(position);
            context.store.end_run(&run.id, entry.end).await?;
            continue;
        }
        let is_running = job.is_some_and(|job| job.running_at.is_some());
        let was_away = (now - run.requested_at).to_std().is_ok_and(|age| age > connected_for);
        if now > run.expected_by || (was_away && connected_for > MEMORY && !is_running) {
            let error = Some(outcome::UNKNOWN.to_owned());
            let end = RemoteRunEnd {
                status: RunStatus::Unknown,
                started_at: None,
                finished_at: now,
                finished: None,
                sent: None,
                error,
            };
            context.store.end_run(&run.id, end).await?;
        }
    }
    Ok(())
}
