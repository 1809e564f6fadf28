//! The runs of jobs, as runners share them.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AuditEntry, FriendshipKey, FriendshipStatus};
use portal_cron::{
    DueJob, Firing, Job, Lease, LeasedRun, Run, RunRequested, RunStatus, Schedule, Settled, Settlement, Stretch,
    Trigger, Verdict,
};

use super::{Conn, audit, jobs as register};
use crate::db::error::QueryError;
use crate::db::schema::{friendships, jobs, runs};

#[derive(Queryable, Selectable)]
#[diesel(table_name = runs)]
struct Row {
    id: String,
    cause: String,
    due_at: NaiveDateTime,
    status: String,
    attempts: i32,
    started_at: Option<NaiveDateTime>,
    finished_at: Option<NaiveDateTime>,
    error: Option<String>,
    missed_from: Option<NaiveDateTime>,
    missed_count: Option<i32>,
}

impl TryFrom<Row> for Run {
    type Error = QueryError;

    fn try_from(row: Row) -> Result<Self, QueryError> {
        let due_at = row.due_at.and_utc();
        let stretch = |(from, count): (NaiveDateTime, i32)| Stretch {
            from: from.and_utc(),
            to: due_at,
            count: count.try_into().unwrap_or_default(),
        };
        Ok(Self {
            id: row.id,
            trigger: Trigger::parse(&row.cause)?,
            due_at,
            started_at: row.started_at.map(|at| at.and_utc()),
            finished_at: row.finished_at.map(|at| at.and_utc()),
            status: RunStatus::parse(&row.status)?,
            attempts: row.attempts.try_into().unwrap_or_default(),
            error: row.error,
            missed: row.missed_from.zip(row.missed_count).map(stretch),
        })
    }
}

/// The newest runs of a job, newest first.
pub(in crate::db) async fn list(
    conn: &mut Conn,
    owner: &FriendshipKey,
    job: &str,
    limit: u32,
) -> Result<Option<Vec<Run>>, QueryError> {
    let theirs = jobs::table
        .find(job)
        .filter(jobs::friend_id.eq(owner.friend.as_str()))
        .filter(jobs::agent_id.eq(owner.agent.as_str()));
    if !diesel::select(exists(theirs)).get_result(conn).await? {
        return Ok(None);
    }
    let rows: Vec<Row> = runs::table
        .filter(runs::job_id.eq(job))
        .order((runs::due_at.desc(), runs::id.desc()))
        .limit(limit.into())
        .select(Row::as_select())
        .load(conn)
        .await?;
    rows.into_iter().map(Run::try_from).collect::<Result<_, _>>().map(Some)
}

/// Stores a run that was asked for.
pub(in crate::db) async fn request(
    conn: &mut Conn,
    owner: &FriendshipKey,
    job: &str,
    run: &str,
    audit: &AuditEntry,
) -> Result<RunRequested, QueryError> {
    write_tx!(conn, async |conn| {
        if register::lock(conn, owner, job).await?.is_none() {
            return Ok(RunRequested::Absent);
        }
        if !busy(conn, &[job]).await?.is_empty() {
            return Ok(RunRequested::Open);
        }
        let at = audit.at.naive_utc();
        let run = (runs::id.eq(run), runs::job_id.eq(job), runs::cause.eq(Trigger::Manual.as_str()));
        let state = (runs::status.eq(RunStatus::Queued.as_str()), runs::attempts.eq(0));
        diesel::insert_into(runs::table)
            .values((run, state, runs::due_at.eq(at), runs::claimable_at.eq(at)))
            .execute(conn)
            .await?;
        audit::insert(conn, audit).await?;
        Ok(RunRequested::Queued)
    })
    .await
}

/// Those of the jobs that have an open run.
async fn busy(conn: &mut Conn, of: &[&str]) -> Result<HashSet<String>, QueryError> {
    let open = runs::table.filter(runs::job_id.eq_any(of)).filter(runs::finished_at.is_null());
    Ok(open.select(runs::job_id).load(conn).await?.into_iter().collect())
}

/// Stores a stretch of missed instants; to be called inside a transaction that holds the job.
pub(super) async fn miss(
    conn: &mut Conn,
    job: &str,
    run: &str,
    stretch: &Stretch,
    at: DateTime<Utc>,
) -> Result<(), QueryError> {
    let (at, missed) = (at.naive_utc(), RunStatus::Missed.as_str());
    let run = (runs::id.eq(run), runs::job_id.eq(job), runs::cause.eq(Trigger::Schedule.as_str()));
    let state = (runs::status.eq(missed), runs::attempts.eq(0), runs::claimable_at.eq(at), runs::finished_at.eq(at));
    let instants = (
        runs::due_at.eq(stretch.to.naive_utc()),
        runs::missed_from.eq(stretch.from.naive_utc()),
        runs::missed_count.eq(i32::try_from(stretch.count).unwrap_or(i32::MAX)),
    );
    let inserted =
        diesel::insert_into(runs::table).values((run, state, instants)).on_conflict_do_nothing().execute(conn).await?;
    if inserted > 0 {
        diesel::update(jobs::table.find(job)).set(jobs::last_status.eq(missed)).execute(conn).await?;
    }
    Ok(())
}

/// Jobs that are due and have no open run, the longest due first.
pub(in crate::db) async fn due(conn: &mut Conn, now: DateTime<Utc>, limit: u32) -> Result<Vec<DueJob>, QueryError> {
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
}

/// A row that makes no sense holds up its own job and nobody else's.
fn due_job(
    (id, cron, tz, next_due, status): (String, String, String, Option<NaiveDateTime>, String),
) -> Option<DueJob> {
    let schedule = Schedule::parse(&cron, &tz)
        .inspect_err(|invalid| tracing::error!(job.id = %id, "a stored schedule makes no sense: {invalid}"))
        .ok()?;
    let is_active = status == FriendshipStatus::Active.as_str();
    Some(DueJob { id, schedule, due_since: next_due?.and_utc(), is_active })
}

/// Stores firings that are not stale, of jobs that have no open run and that nobody else holds.
pub(in crate::db) async fn fire(
    conn: &mut Conn,
    firings: &[Firing],
    lease: Lease,
) -> Result<Vec<LeasedRun>, QueryError> {
    write_tx!(conn, async |conn| {
        let wanted: Vec<&str> = firings.iter().map(|firing| firing.job.as_str()).collect();
        let held = jobs::table.filter(jobs::id.eq_any(&wanted)).select((jobs::id, jobs::next_due));
        let held: HashMap<String, Option<NaiveDateTime>> =
            for_update_skip_locked!(held).load(conn).await?.into_iter().collect();
        let busy = busy(conn, &wanted).await?;
        let mut fired = Vec::new();
        for firing in firings {
            let is_due = held.get(&firing.job).copied().flatten() == Some(firing.due_since.naive_utc());
            if is_due && !busy.contains(&firing.job) {
                fired.extend(fire_one(conn, firing, lease).await?);
            }
        }
        leased(conn, fired).await
    })
    .await
}

/// A run that was just taken: its id, its job, its attempts, its cause and its instant.
type Taken = (String, String, i32, String, NaiveDateTime);

async fn fire_one(conn: &mut Conn, firing: &Firing, lease: Lease) -> Result<Option<Taken>, QueryError> {
    let job = jobs::table.find(&firing.job);
    diesel::update(job).set(jobs::next_due.eq(firing.next_due.map(|at| at.naive_utc()))).execute(conn).await?;
    if let Some((run, stretch)) = &firing.missed {
        miss(conn, &firing.job, run, stretch, lease.now).await?;
    }
    let Some((run, due_at)) = &firing.run else { return Ok(None) };
    let (now, due_at) = (lease.now.naive_utc(), due_at.naive_utc());
    let run = (runs::id.eq(run), runs::job_id.eq(&firing.job), runs::cause.eq(Trigger::Schedule.as_str()));
    let state = (runs::status.eq(RunStatus::Running.as_str()), runs::attempts.eq(1), runs::started_at.eq(now));
    let fired = diesel::insert_into(runs::table)
        .values((run, state, runs::due_at.eq(due_at), runs::claimable_at.eq(lease.until.naive_utc())))
        .on_conflict_do_nothing()
        .returning((runs::id, runs::job_id, runs::attempts, runs::cause, runs::due_at))
        .get_result(conn)
        .await
        .optional()?;
    if fired.is_some() {
        diesel::update(job).set(jobs::last_run_at.eq(now)).execute(conn).await?;
    }
    Ok(fired)
}

/// Takes open runs that nobody holds.
pub(in crate::db) async fn take(conn: &mut Conn, lease: Lease, limit: u32) -> Result<Vec<LeasedRun>, QueryError> {
    write_tx!(conn, async |conn| {
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
        let held = jobs::table.filter(jobs::id.eq_any(of)).select(jobs::id);
        let held: Vec<String> = for_update_skip_locked!(held).load(conn).await?;
        let taken: Vec<Taken> = diesel::update(runs::table)
            .filter(runs::id.eq_any(free))
            .filter(runs::job_id.eq_any(held))
            .filter(claimable)
            .set((
                runs::status.eq(RunStatus::Running.as_str()),
                runs::attempts.eq(runs::attempts + 1),
                runs::claimable_at.eq(lease.until.naive_utc()),
            ))
            .returning((runs::id, runs::job_id, runs::attempts, runs::cause, runs::due_at))
            .get_results(conn)
            .await?;
        begin(conn, &taken, now).await?;
        leased(conn, taken).await
    })
    .await
}

/// Notes the begin of runs whose first attempt this is.
async fn begin(conn: &mut Conn, taken: &[Taken], now: NaiveDateTime) -> Result<(), QueryError> {
    let first: Vec<&str> =
        taken.iter().filter(|(_, _, attempts, ..)| *attempts == 1).map(|(id, ..)| id.as_str()).collect();
    let begun: Vec<String> = diesel::update(runs::table.filter(runs::id.eq_any(first)))
        .set(runs::started_at.eq(now))
        .returning(runs::job_id)
        .get_results(conn)
        .await?;
    diesel::update(jobs::table.filter(jobs::id.eq_any(begun))).set(jobs::last_run_at.eq(now)).execute(conn).await?;
    Ok(())
}

/// Runs just taken, with their jobs.
async fn leased(conn: &mut Conn, taken: Vec<Taken>) -> Result<Vec<LeasedRun>, QueryError> {
    let of: Vec<&str> = taken.iter().map(|(_, job, ..)| job.as_str()).collect();
    let rows: Vec<register::Row> =
        jobs::table.filter(jobs::id.eq_any(of)).select(register::Row::as_select()).load(conn).await?;
    let found = rows.into_iter().map(Job::try_from).collect::<Result<Vec<_>, _>>()?;
    let found: HashMap<String, Job> = found.into_iter().map(|job| (job.id.clone(), job)).collect();
    let mut leased = Vec::new();
    for (id, job, attempts, cause, due_at) in taken {
        if let Some(job) = found.get(&job).cloned() {
            let attempt = attempts.try_into().unwrap_or_default();
            leased.push(LeasedRun { id, attempt, trigger: Trigger::parse(&cause)?, due_at: due_at.and_utc(), job });
        }
    }
    Ok(leased)
}

/// Ends an attempt, if it is the newest one of an open run.
pub(in crate::db) async fn settle(conn: &mut Conn, settlement: &Settlement) -> Result<Settled, QueryError> {
    write_tx!(conn, async |conn| {
        let run = runs::table.find(&settlement.run);
        let Some(job) = run.select(runs::job_id).first::<String>(conn).await.optional()? else {
            return Ok(Settled::Superseded);
        };
        let held = for_update!(jobs::table.find(&job).select(jobs::consecutive_errors));
        let Some(errors) = held.first::<i32>(conn).await.optional()? else { return Ok(Settled::Superseded) };
        let attempt = i32::try_from(settlement.attempt).unwrap_or(i32::MAX);
        let newest = runs::attempts.eq(attempt).and(runs::finished_at.is_null());
        let at = settlement.at.naive_utc();
        let (status, error, finished_at, claimable_at) = match &settlement.verdict {
            Verdict::Delivered => (RunStatus::Delivered, None, Some(at), at),
            Verdict::Failed(error) => (RunStatus::Failed, Some(error), Some(at), at),
            Verdict::Retry { at, error } => (RunStatus::Retrying, Some(error), None, at.naive_utc()),
        };
        let settled = diesel::update(run.filter(newest))
            .set((
                runs::status.eq(status.as_str()),
                runs::finished_at.eq(finished_at),
                runs::claimable_at.eq(claimable_at),
                runs::error.eq(error),
            ))
            .execute(conn)
            .await?;
        if settled == 0 {
            return Ok(Settled::Superseded);
        }
        if finished_at.is_some() {
            let errors = if status == RunStatus::Failed { errors.saturating_add(1) } else { 0 };
            let state = (jobs::last_status.eq(status.as_str()), jobs::consecutive_errors.eq(errors));
            diesel::update(jobs::table.find(&job)).set(state).execute(conn).await?;
        }
        Ok(Settled::Done)
    })
    .await
}

/// Forgets runs that ended before then.
pub(in crate::db) async fn sweep(conn: &mut Conn, before: DateTime<Utc>) -> Result<u64, QueryError> {
    let old = runs::table.filter(runs::finished_at.lt(before.naive_utc()));
    let forgotten = diesel::delete(old).execute(conn).await?;
    Ok(forgotten.try_into().unwrap_or(u64::MAX))
}
