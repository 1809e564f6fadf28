//! The queue of runs, which all runners share.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{BackendError, Expired, FriendshipStatus, sweep};
use portal_cron::{
    DueJob, Firing, Job, Lease, LeasedRun, RunQueue, RunStatus, Schedule, Settled, Settlement, Trigger, Verdict,
};

use super::{Conn, Store, jobs as job_rows};
use crate::db::error::QueryError;
use crate::db::schema::{friendships, jobs, runs};

/// A run that was just claimed.
#[derive(Queryable, Selectable)]
#[diesel(table_name = runs)]
struct ClaimedRow {
    id: String,
    job_id: String,
    attempts: i32,
    cause: String,
    due_at: NaiveDateTime,
}

#[async_trait]
impl RunQueue for Store {
    async fn now(&self) -> Result<DateTime<Utc>, BackendError> {
        self.lease_time().await
    }

    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<DueJob>, BackendError> {
        self.pools
            .read(async move |conn| {
                let pair = friendships::friend_id.eq(jobs::friend_id).and(friendships::agent_id.eq(jobs::agent_id));
                let open = runs::table.filter(runs::job_id.eq(jobs::id)).filter(runs::finished_at.is_null());
                let rows: Vec<(String, String, String, Option<NaiveDateTime>, String)> = jobs::table
                    .inner_join(friendships::table.on(pair))
                    .filter(jobs::next_due.le(now.naive_utc()))
                    .filter(not(exists(open)))
                    .order((jobs::next_due, jobs::id))
                    .limit(limit.into())
                    .select((jobs::id, jobs::cron, jobs::tz, jobs::next_due, friendships::status))
                    .load(conn)
                    .await?;
                Ok(rows.into_iter().filter_map(due_job).collect())
            })
            .await
    }

    async fn fire(&self, firings: Vec<Firing>, lease: Lease) -> Result<Vec<LeasedRun>, BackendError> {
        self.pools.write(async move |conn| fire(conn, &firings, lease).await).await
    }

    async fn take(&self, lease: Lease, limit: u32) -> Result<Vec<LeasedRun>, BackendError> {
        self.pools.write(async move |conn| claim_open(conn, lease, limit).await).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, BackendError> {
        self.pools.write(async move |conn| complete_attempt(conn, &settlement).await).await
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError> {
        sweep(self, Expired::Runs { before }).await
    }
}

fn due_job(
    (id, cron, tz, next_due, status): (String, String, String, Option<NaiveDateTime>, String),
) -> Option<DueJob> {
    // Left out and logged: an invalid row must not keep everybody else's jobs from firing.
    let schedule = Schedule::parse(&cron, &tz)
        .inspect_err(|invalid| tracing::error!(job.id = %id, "a stored schedule is invalid: {invalid}"))
        .ok()?;
    let is_active = status == FriendshipStatus::Active.as_str();
    Some(DueJob { id, schedule, due_since: next_due?.and_utc(), is_active })
}

/// Stores firings that are not stale, of jobs that have no open run and that no other runner has locked.
async fn fire(conn: &mut Conn, firings: &[Firing], lease: Lease) -> Result<Vec<LeasedRun>, QueryError> {
    let wanted: Vec<&str> = firings.iter().map(|firing| firing.job.as_str()).collect();
    let free = jobs::table.filter(jobs::id.eq_any(&wanted)).select((jobs::id, jobs::next_due));
    let locked: HashMap<String, Option<NaiveDateTime>> =
        for_update_skip_locked!(free).load(conn).await?.into_iter().collect();
    let busy = job_rows::with_open_run(conn, &wanted).await?;
    let mut fired = Vec::new();
    for firing in firings {
        let is_due = locked.get(&firing.job).copied().flatten() == Some(firing.due_since.naive_utc());
        if is_due && !busy.contains(&firing.job) {
            fired.extend(fire_one(conn, firing, lease).await?);
        }
    }
    with_jobs(conn, fired).await
}

async fn fire_one(conn: &mut Conn, firing: &Firing, lease: Lease) -> Result<Option<ClaimedRow>, QueryError> {
    let job = jobs::table.find(&firing.job);
    diesel::update(job).set(jobs::next_due.eq(firing.next_due.map(|at| at.naive_utc()))).execute(conn).await?;
    if let Some((run, window)) = &firing.missed {
        job_rows::insert_missed(conn, &firing.job, run, window, lease.now).await?;
    }
    let Some((run, due_at)) = &firing.run else { return Ok(None) };
    let now = lease.now.naive_utc();
    let fired = diesel::insert_into(runs::table)
        .values((
            runs::id.eq(run),
            runs::job_id.eq(&firing.job),
            runs::cause.eq(Trigger::Schedule.as_str()),
            runs::status.eq(RunStatus::Running.as_str()),
            runs::attempts.eq(1),
            runs::started_at.eq(now),
            runs::due_at.eq(due_at.naive_utc()),
            runs::claimable_at.eq(lease.until.naive_utc()),
        ))
        .on_conflict_do_nothing()
        .returning(ClaimedRow::as_returning())
        .get_result(conn)
        .await
        .optional()?;
    if fired.is_some() {
        diesel::update(job).set(jobs::last_run_at.eq(now)).execute(conn).await?;
    }
    Ok(fired)
}

/// Claims open runs that no runner holds.
async fn claim_open(conn: &mut Conn, lease: Lease, limit: u32) -> Result<Vec<LeasedRun>, QueryError> {
    let now = lease.now.naive_utc();
    let pair = friendships::friend_id.eq(jobs::friend_id).and(friendships::agent_id.eq(jobs::agent_id));
    let claimable = runs::finished_at.is_null().and(runs::claimable_at.le(now));
    let free: Vec<(String, String)> = runs::table
        .inner_join(jobs::table.inner_join(friendships::table.on(pair)))
        .filter(claimable)
        .filter(friendships::status.eq(FriendshipStatus::Active.as_str()))
        .order((runs::claimable_at, runs::id))
        .limit(limit.into())
        .select((runs::id, runs::job_id))
        .load(conn)
        .await?;
    let (free, of): (Vec<String>, Vec<String>) = free.into_iter().unzip();
    // The job's row before the run's, as in every other change of a run.
    let locked = jobs::table.filter(jobs::id.eq_any(of)).select(jobs::id);
    let locked: Vec<String> = for_update_skip_locked!(locked).load(conn).await?;
    let claimed: Vec<ClaimedRow> = diesel::update(runs::table)
        .filter(runs::id.eq_any(free))
        .filter(runs::job_id.eq_any(locked))
        .filter(claimable)
        .set((
            runs::status.eq(RunStatus::Running.as_str()),
            runs::attempts.eq(runs::attempts + 1),
            runs::claimable_at.eq(lease.until.naive_utc()),
        ))
        .returning(ClaimedRow::as_returning())
        .get_results(conn)
        .await?;
    record_start(conn, &claimed, now).await?;
    with_jobs(conn, claimed).await
}

/// Records the start of runs whose first attempt this is.
async fn record_start(conn: &mut Conn, claimed: &[ClaimedRow], now: NaiveDateTime) -> Result<(), QueryError> {
    let first: Vec<&str> = claimed.iter().filter(|run| run.attempts == 1).map(|run| run.id.as_str()).collect();
    let started: Vec<String> = diesel::update(runs::table.filter(runs::id.eq_any(first)))
        .set(runs::started_at.eq(now))
        .returning(runs::job_id)
        .get_results(conn)
        .await?;
    diesel::update(jobs::table.filter(jobs::id.eq_any(started))).set(jobs::last_run_at.eq(now)).execute(conn).await?;
    Ok(())
}

/// Returns claimed runs with their jobs.
async fn with_jobs(conn: &mut Conn, claimed: Vec<ClaimedRow>) -> Result<Vec<LeasedRun>, QueryError> {
    let of: Vec<&str> = claimed.iter().map(|run| run.job_id.as_str()).collect();
    let rows: Vec<job_rows::JobRow> =
        jobs::table.filter(jobs::id.eq_any(of)).select(job_rows::JobRow::as_select()).load(conn).await?;
    let found = rows.into_iter().map(Job::try_from).collect::<Result<Vec<_>, _>>()?;
    let found: HashMap<String, Job> = found.into_iter().map(|job| (job.id.clone(), job)).collect();
    let mut leased = Vec::new();
    for run in claimed {
        if let Some(job) = found.get(&run.job_id).cloned() {
            let attempt = run.attempts.try_into().unwrap_or_default();
            let trigger = Trigger::parse(&run.cause)?;
            leased.push(LeasedRun { id: run.id, attempt, trigger, due_at: run.due_at.and_utc(), job });
        }
    }
    Ok(leased)
}

/// Ends an attempt, if it is the newest one of an open run.
async fn complete_attempt(conn: &mut Conn, settlement: &Settlement) -> Result<Settled, QueryError> {
    let run = runs::table.find(&settlement.run);
    let Some(job) = run.select(runs::job_id).first::<String>(conn).await.optional()? else {
        return Ok(Settled::Superseded);
    };
    let locked = for_update!(jobs::table.find(&job).select(jobs::consecutive_errors));
    let Some(errors) = locked.first::<i32>(conn).await.optional()? else { return Ok(Settled::Superseded) };
    let attempt = i32::try_from(settlement.attempt).unwrap_or(i32::MAX);
    let is_newest = runs::attempts.eq(attempt).and(runs::finished_at.is_null());
    let at = settlement.at.naive_utc();
    let (status, error, finished_at, claimable_at) = match &settlement.verdict {
        Verdict::Delivered => (RunStatus::Delivered, None, Some(at), at),
        Verdict::Failed(error) => (RunStatus::Failed, Some(error), Some(at), at),
        Verdict::Retry { at, error } => (RunStatus::Retrying, Some(error), None, at.naive_utc()),
    };
    let changed = diesel::update(run.filter(is_newest))
        .set((
            runs::status.eq(status.as_str()),
            runs::finished_at.eq(finished_at),
            runs::claimable_at.eq(claimable_at),
            runs::error.eq(error),
        ))
        .execute(conn)
        .await?;
    if changed == 0 {
        return Ok(Settled::Superseded);
    }
    if finished_at.is_some() {
        let errors = if status == RunStatus::Failed { errors.saturating_add(1) } else { 0 };
        let state = (jobs::last_status.eq(status.as_str()), jobs::consecutive_errors.eq(errors));
        diesel::update(jobs::table.find(&job)).set(state).execute(conn).await?;
    }
    Ok(Settled::Done)
}
