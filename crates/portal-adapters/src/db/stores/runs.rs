//! The queue of runs, which all runners share.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use diesel::dsl::{exists, max, not};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{BackendError, Friendship, FriendshipStatus};
use portal_cron::{
    Backlog, DueJob, Firing, FriendShares, Job, Lease, LeasedRun, Replanned, RunQueue, RunStatus, Schedule, Settled,
    Settlement, Trigger, Verdict,
};

use super::{Conn, Store, jobs as job_rows};
use crate::db::error::QueryError;
use crate::db::schema::{friendships, jobs, runs};

/// Most jobs that one transaction plans anew.
const REPLAN_BATCH: i64 = 500;

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

    async fn due(&self, now: DateTime<Utc>, limit: u32, shares: FriendShares) -> Result<Vec<DueJob>, BackendError> {
        self.pools
            .read(async move |conn| {
                let pair = friendships::friend_id.eq(jobs::friend_id).and(friendships::agent_id.eq(jobs::agent_id));
                let rows: Vec<(String, String, String, String, Option<NaiveDateTime>, String)> = jobs::table
                    .inner_join(friendships::table.on(pair))
                    .filter(jobs::next_due.le(now.naive_utc()))
                    // Literally the condition of the index: jobs whose run is open, be they many, cost nothing here.
                    .filter(jobs::open_run.is_null())
                    .filter(jobs::friend_id.ne_all(shares.exhausted()))
                    .order((jobs::next_due, jobs::id))
                    .limit(candidates(limit))
                    .select((jobs::friend_id, jobs::id, jobs::cron, jobs::tz, jobs::next_due, friendships::status))
                    .load(conn)
                    .await?;
                let due = rows.into_iter().filter_map(|(friend, id, cron, tz, next_due, status)| {
                    Some((friend, due_job((id, cron, tz, next_due, status))?))
                });
                Ok(shares.choose(due, limit))
            })
            .await
    }

    async fn fire(&self, firings: Vec<Firing>, lease: Lease) -> Result<Vec<LeasedRun>, BackendError> {
        self.pools.write(async move |conn| fire(conn, &firings, lease).await).await
    }

    async fn take(&self, lease: Lease, limit: u32, shares: FriendShares) -> Result<Vec<LeasedRun>, BackendError> {
        self.pools.write(async move |conn| claim_open(conn, lease, limit, &shares).await).await
    }

    async fn settle(&self, outcomes: Vec<Settlement>) -> Result<Vec<Settled>, BackendError> {
        self.pools.write(async move |conn| complete_attempts(conn, &outcomes).await).await
    }

    async fn park_inactive(&self, now: DateTime<Utc>) -> Result<u64, BackendError> {
        self.pools.write(async move |conn| park_inactive(conn, now).await).await
    }

    async fn replan(&self, now: DateTime<Utc>, after: Option<String>) -> Result<Replanned, BackendError> {
        self.pools.write(async move |conn| replan(conn, now, after).await).await
    }

    async fn latest_start(&self) -> Result<Option<DateTime<Utc>>, BackendError> {
        self.pools
            .read(async move |conn| {
                let latest: Option<NaiveDateTime> = jobs::table.select(max(jobs::last_run_at)).first(conn).await?;
                Ok(latest.map(|at| at.and_utc()))
            })
            .await
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError> {
        self.pools
            .write(async move |conn| {
                let old = runs::table.filter(runs::finished_at.lt(before.naive_utc()));
                let deleted = diesel::delete(old).execute(conn).await?;
                Ok(deleted.try_into().unwrap_or(u64::MAX))
            })
            .await
    }

    async fn backlog(&self, now: DateTime<Utc>) -> Result<Backlog, BackendError> {
        self.pools
            .read(async move |conn| {
                let due = jobs::table.filter(jobs::next_due.le(now.naive_utc())).filter(jobs::open_run.is_null());
                let due: i64 = due.count().get_result(conn).await?;
                let open: i64 = runs::table.filter(runs::finished_at.is_null()).count().get_result(conn).await?;
                let count = |number: i64| number.try_into().unwrap_or_default();
                Ok(Backlog { due: count(due), open: count(open) })
            })
            .await
    }
}

/// Most rows that are looked at to let friends take turns: of one friend, who has at most 50 jobs, there can be no more
/// than a fraction of them.
fn candidates(limit: u32) -> i64 {
    i64::from(limit) * 4
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
    let free = jobs::table.filter(jobs::id.eq_any(&wanted)).filter(jobs::open_run.is_null());
    let free = free.select((jobs::id, jobs::next_due));
    let locked: HashMap<String, Option<NaiveDateTime>> =
        for_update_skip_locked!(free).load(conn).await?.into_iter().collect();
    let mut fired = Vec::new();
    for firing in firings {
        let is_due = locked.get(&firing.job).copied().flatten() == Some(firing.due_since.naive_utc());
        if is_due {
            fired.extend(fire_one(conn, firing, lease).await?);
        }
    }
    with_jobs(conn, fired).await
}

async fn fire_one(conn: &mut Conn, firing: &Firing, lease: Lease) -> Result<Option<ClaimedRow>, QueryError> {
    let job = jobs::table.find(&firing.job);
    let next_due = jobs::next_due.eq(firing.next_due.map(|at| at.naive_utc()));
    if let Some((run, window)) = &firing.missed {
        job_rows::insert_missed(conn, &firing.job, run, window, lease.now).await?;
    }
    let Some((run, due_at)) = &firing.run else {
        diesel::update(job).set(next_due).execute(conn).await?;
        return Ok(None);
    };
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
        // The fire time has its run already: the clock went back after it, or another database was restored.
        .on_conflict_do_nothing()
        .returning(ClaimedRow::as_returning())
        .get_result(conn)
        .await
        .optional()?;
    if fired.is_some() {
        diesel::update(job).set((next_due, jobs::open_run.eq(run), jobs::last_run_at.eq(now))).execute(conn).await?;
    } else {
        diesel::update(job).set(next_due).execute(conn).await?;
    }
    Ok(fired)
}

/// Claims open runs that no runner holds.
async fn claim_open(
    conn: &mut Conn,
    lease: Lease,
    limit: u32,
    shares: &FriendShares,
) -> Result<Vec<LeasedRun>, QueryError> {
    let now = lease.now.naive_utc();
    let pair = friendships::friend_id.eq(jobs::friend_id).and(friendships::agent_id.eq(jobs::agent_id));
    let claimable = runs::finished_at.is_null().and(runs::claimable_at.le(now));
    let free: Vec<(String, (String, String))> = runs::table
        .inner_join(jobs::table.inner_join(friendships::table.on(pair)))
        .filter(claimable)
        .filter(friendships::status.eq(FriendshipStatus::Active.as_str()))
        .filter(jobs::friend_id.ne_all(shares.exhausted()))
        .order((runs::claimable_at, runs::id))
        .limit(candidates(limit))
        .select((jobs::friend_id, (runs::id, runs::job_id)))
        .load(conn)
        .await?;
    let free = shares.choose(free, limit);
    if free.is_empty() {
        return Ok(Vec::new());
    }
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

/// Records outcomes, each if its attempt is the newest one of an open run.
async fn complete_attempts(conn: &mut Conn, outcomes: &[Settlement]) -> Result<Vec<Settled>, QueryError> {
    let ids: Vec<&str> = outcomes.iter().map(|outcome| outcome.run.as_str()).collect();
    let of: Vec<(String, String)> =
        runs::table.filter(runs::id.eq_any(ids)).select((runs::id, runs::job_id)).load(conn).await?;
    let of: HashMap<String, String> = of.into_iter().collect();
    // All jobs at once and in one order, so that two groups of outcomes cannot deadlock.
    let locked = jobs::table.filter(jobs::id.eq_any(of.values())).order(jobs::id).select(jobs::id);
    let locked: HashSet<String> = for_update!(locked).load(conn).await?.into_iter().collect();
    let mut results = Vec::with_capacity(outcomes.len());
    let (mut delivered, mut failed) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        let job = of.get(&outcome.run).filter(|job| locked.contains(*job));
        let result = match job {
            Some(_) => complete_attempt(conn, outcome).await?,
            None => Settled::Superseded,
        };
        match (&outcome.verdict, job) {
            (Verdict::Delivered, Some(job)) if result == Settled::Done => delivered.push(job.as_str()),
            (Verdict::Failed(_), Some(job)) if result == Settled::Done => failed.push(job.as_str()),
            _ => {}
        }
        results.push(result);
    }
    end_runs(conn, &delivered, &failed).await?;
    Ok(results)
}

async fn complete_attempt(conn: &mut Conn, outcome: &Settlement) -> Result<Settled, QueryError> {
    let attempt = i32::try_from(outcome.attempt).unwrap_or(i32::MAX);
    let is_newest = runs::attempts.eq(attempt).and(runs::finished_at.is_null());
    let at = outcome.at.naive_utc();
    let (status, error, finished_at, claimable_at) = match &outcome.verdict {
        Verdict::Delivered => (RunStatus::Delivered, None, Some(at), at),
        Verdict::Failed(error) => (RunStatus::Failed, Some(error), Some(at), at),
        Verdict::Retry { at, error } => (RunStatus::Retrying, Some(error), None, at.naive_utc()),
    };
    let changed = diesel::update(runs::table.find(&outcome.run).filter(is_newest))
        .set((
            runs::status.eq(status.as_str()),
            runs::finished_at.eq(finished_at),
            runs::claimable_at.eq(claimable_at),
            runs::error.eq(error),
        ))
        .execute(conn)
        .await?;
    Ok(if changed == 0 { Settled::Superseded } else { Settled::Done })
}

/// Records in the jobs that their runs ended.
async fn end_runs(conn: &mut Conn, delivered: &[&str], failed: &[&str]) -> Result<(), QueryError> {
    let no_run = jobs::open_run.eq(None::<String>);
    if !delivered.is_empty() {
        let status = jobs::last_status.eq(RunStatus::Delivered.as_str());
        let of = jobs::table.filter(jobs::id.eq_any(delivered));
        diesel::update(of).set((no_run, status, jobs::consecutive_errors.eq(0))).execute(conn).await?;
    }
    if !failed.is_empty() {
        let status = jobs::last_status.eq(RunStatus::Failed.as_str());
        let of = jobs::table.filter(jobs::id.eq_any(failed));
        let errors = jobs::consecutive_errors.eq(jobs::consecutive_errors + 1);
        diesel::update(of).set((no_run, status, errors)).execute(conn).await?;
    }
    Ok(())
}

/// Time at which a parked run can be claimed: never, until its friendship is active again.
fn parked_until() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or(NaiveDate::MAX).and_time(NaiveTime::MIN)
}

/// Takes due jobs and claimable runs of friendships that are not active out of the queue.
async fn park_inactive(conn: &mut Conn, now: DateTime<Utc>) -> Result<u64, QueryError> {
    let now = now.naive_utc();
    let active = friendships::table
        .filter(friendships::friend_id.eq(jobs::friend_id))
        .filter(friendships::agent_id.eq(jobs::agent_id))
        .filter(friendships::status.eq(FriendshipStatus::Active.as_str()));
    let due = jobs::table.filter(jobs::next_due.le(now)).filter(jobs::open_run.is_null()).filter(not(exists(active)));
    let parked = diesel::update(due).set(jobs::next_due.eq(None::<NaiveDateTime>)).execute(conn).await?;
    let inactive = jobs::table.filter(jobs::id.eq(runs::job_id)).filter(not(exists(active)));
    let open = runs::table.filter(runs::finished_at.is_null()).filter(runs::claimable_at.le(now));
    let open = open.filter(exists(inactive));
    let waiting = diesel::update(open).set(runs::claimable_at.eq(parked_until())).execute(conn).await?;
    Ok((parked + waiting).try_into().unwrap_or(u64::MAX))
}

/// Puts the jobs of a friendship that became active back into the queue, planned from `now` on, and its open runs.
pub(super) async fn resume(conn: &mut Conn, pair: &Friendship, now: DateTime<Utc>) -> Result<(), QueryError> {
    let own = jobs::table
        .filter(jobs::friend_id.eq(pair.friend.as_str()))
        .filter(jobs::agent_id.eq(pair.agent.as_str()))
        .order(jobs::id)
        .select(job_rows::JobRow::as_select());
    // Every job, not only the parked ones: one that is being parked now is waited for here and seen as parked.
    for row in for_update!(own).load(conn).await? {
        let job = Job::try_from(row)?;
        let next = job.spec.schedule.next_after(now).filter(|_| job.enabled);
        let due = jobs::next_due.eq(next.map(|at| at.naive_utc()));
        diesel::update(jobs::table.find(&job.id)).set(due).execute(conn).await?;
        let open = runs::table.filter(runs::job_id.eq(&job.id)).filter(runs::finished_at.is_null());
        let parked = open.filter(runs::claimable_at.eq(parked_until()));
        diesel::update(parked).set(runs::claimable_at.eq(now.naive_utc())).execute(conn).await?;
    }
    Ok(())
}

/// Plans one batch of jobs anew whose next fire time is later than their schedule says.
async fn replan(conn: &mut Conn, now: DateTime<Utc>, after: Option<String>) -> Result<Replanned, QueryError> {
    if after.is_none() {
        let far = now.naive_utc() + TimeDelta::days(1);
        let late = runs::table.filter(runs::finished_at.is_null()).filter(runs::claimable_at.gt(far));
        let late = late.filter(runs::claimable_at.lt(parked_until()));
        diesel::update(late).set(runs::claimable_at.eq(now.naive_utc())).execute(conn).await?;
    }
    let batch = jobs::table
        .filter(jobs::id.gt(after.unwrap_or_default()))
        .filter(jobs::next_due.gt(now.naive_utc()))
        .order(jobs::id)
        .limit(REPLAN_BATCH)
        .select((jobs::id, jobs::cron, jobs::tz, jobs::next_due));
    let rows: Vec<(String, String, String, Option<NaiveDateTime>)> = for_update!(batch).load(conn).await?;
    let last = rows.last().map(|(id, ..)| id.clone());
    let mut changed = 0;
    for (id, cron, tz, next_due) in rows {
        let Ok(schedule) = Schedule::parse(&cron, &tz) else { continue };
        let next = schedule.next_after(now).map(|at| at.naive_utc());
        if next < next_due {
            diesel::update(jobs::table.find(&id)).set(jobs::next_due.eq(next)).execute(conn).await?;
            changed += 1;
        }
    }
    Ok(Replanned { changed, last })
}
