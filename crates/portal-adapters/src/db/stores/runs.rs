//! The queue of runs, which all runners share.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::dsl::{exists, max, not};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{BackendError, FriendshipStatus};
use portal_cron::{
    AttemptOutcome, Backlog, CompletedAttempt, DueJob, Firing, FriendShares, Job, LeasedRun, RecentRun, Release,
    ReleaseAnnounced, RunLease, RunQueue, RunStatus, Trigger,
};

use super::ended_runs::{EndedRuns, OpenRun, disable_spent, insert_missed};
use super::jobs::{JobRow, TimingRow};
use super::parking::parked_until;
use super::{Conn, Store};
use crate::db::error::QueryError;
use crate::db::schema::{friendships, jobs, portal, runs};

/// A job that is due, with its friendship.
#[derive(Queryable)]
struct DueRow {
    friend_id: String,
    id: String,
    timing: TimingRow,
    created_at: NaiveDateTime,
    next_due: Option<NaiveDateTime>,
    friendship: String,
}

/// A run that was just claimed.
#[derive(Queryable, Selectable)]
#[diesel(table_name = runs)]
struct ClaimedRow {
    id: String,
    job_id: String,
    attempts: i32,
    trigger: String,
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
                let rows: Vec<DueRow> = jobs::table
                    .inner_join(friendships::table.on(pair))
                    .filter(jobs::next_due.le(now.naive_utc()))
                    // Literally the condition of the index, so that jobs with an open run, however many, cost nothing.
                    .filter(jobs::open_run.is_null())
                    .filter(jobs::friend_id.ne_all(shares.exhausted()))
                    .order((jobs::next_due, jobs::id))
                    .limit(candidates(limit))
                    .select((
                        jobs::friend_id,
                        jobs::id,
                        TimingRow::as_select(),
                        jobs::created_at,
                        jobs::next_due,
                        friendships::status,
                    ))
                    .load(conn)
                    .await?;
                let due = rows.into_iter().filter_map(|row| Some((row.friend_id.clone(), due_job(row)?)));
                Ok(shares.choose(due, limit))
            })
            .await
    }

    async fn fire(&self, firings: Vec<Firing>, lease: RunLease) -> Result<Vec<LeasedRun>, BackendError> {
        self.pools.write(async move |conn| fire(conn, &firings, lease).await).await
    }

    async fn claim(&self, lease: RunLease, limit: u32, shares: FriendShares) -> Result<Vec<LeasedRun>, BackendError> {
        self.pools.write(async move |conn| claim_open(conn, lease, limit, &shares).await).await
    }

    async fn complete_attempts(&self, completed: Vec<CompletedAttempt>) -> Result<Vec<bool>, BackendError> {
        self.pools.write(async move |conn| complete_attempts(conn, &completed).await).await
    }

    async fn park_inactive(&self, now: DateTime<Utc>) -> Result<u64, BackendError> {
        self.pools.write(async move |conn| park_inactive(conn, now.naive_utc()).await).await
    }

    async fn replan(&self, now: DateTime<Utc>) -> Result<u64, BackendError> {
        self.pools.write(async move |conn| replan(conn, now.naive_utc()).await).await
    }

    async fn announce_release(&self, release: &Release, now: DateTime<Utc>) -> Result<ReleaseAnnounced, BackendError> {
        let release = release.clone();
        self.pools.write(async move |conn| announce_release(conn, &release, now.naive_utc()).await).await
    }

    async fn latest_start(&self) -> Result<Option<DateTime<Utc>>, BackendError> {
        self.pools
            .read(async move |conn| {
                let latest: Option<NaiveDateTime> = jobs::table.select(max(jobs::last_run_at)).first(conn).await?;
                Ok(latest.map(|at| at.and_utc()))
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

/// Returns how many rows are looked at so that friends can take turns; one friend has at most 50 of them.
fn candidates(limit: u32) -> i64 {
    i64::from(limit) * 8
}

fn due_job(row: DueRow) -> Option<DueJob> {
    let id = row.id;
    // Left out and logged: an invalid row must not keep everybody else's jobs from firing.
    let timing = row.timing.try_into();
    let timing = timing
        .inspect_err(|error: &QueryError| tracing::error!(job.id = %id, ?error, "a stored timing is invalid"))
        .ok()?;
    let is_active = row.friendship == FriendshipStatus::Active.as_str();
    Some(DueJob { id, timing, created_at: row.created_at.and_utc(), due_since: row.next_due?.and_utc(), is_active })
}

/// Stores firings that are not stale, of jobs that have no open run and that no other runner has locked.
async fn fire(conn: &mut Conn, firings: &[Firing], lease: RunLease) -> Result<Vec<LeasedRun>, QueryError> {
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

async fn fire_one(conn: &mut Conn, firing: &Firing, lease: RunLease) -> Result<Option<ClaimedRow>, QueryError> {
    if let Some((run, window)) = &firing.missed {
        insert_missed(conn, &firing.job, run, window, lease.now).await?;
    }
    let fired = insert_fired(conn, firing, lease).await?;
    // One statement with what the run changes: there may be thousands of them at the start of a minute.
    diesel::update(jobs::table.find(&firing.job))
        .set((
            jobs::next_due.eq(firing.next_due.map(|at| at.naive_utc())),
            fired.as_ref().map(|run| jobs::open_run.eq(&run.id)),
            fired.as_ref().map(|_| jobs::last_run_at.eq(lease.now.naive_utc())),
            firing.moved_to.map(|at| jobs::fires_at.eq(at.naive_utc())),
        ))
        .execute(conn)
        .await?;
    if fired.is_none() {
        // Its moment passed while the friendship was not active, so no run will end it.
        disable_spent(conn, &firing.job).await?;
    }
    Ok(fired)
}

/// Stores the run of a firing as claimed; `None` if there is none to make.
async fn insert_fired(conn: &mut Conn, firing: &Firing, lease: RunLease) -> Result<Option<ClaimedRow>, QueryError> {
    let Some((run, due_at)) = &firing.run else { return Ok(None) };
    let now = lease.now.naive_utc();
    let fired = diesel::insert_into(runs::table)
        .values((
            runs::id.eq(run),
            runs::job_id.eq(&firing.job),
            runs::trigger.eq(Trigger::Schedule.as_str()),
            runs::status.eq(RunStatus::Running.as_str()),
            runs::attempts.eq(1),
            runs::started_at.eq(now),
            runs::due_at.eq(due_at.naive_utc()),
            runs::claimable_at.eq(lease.until.naive_utc()),
        ))
        // The fire time has its row already: the clock went back after it.
        .on_conflict_do_nothing()
        .returning(ClaimedRow::as_returning())
        .get_result(conn)
        .await
        .optional()?;
    Ok(fired)
}

/// Claims open runs that no runner holds.
async fn claim_open(
    conn: &mut Conn,
    lease: RunLease,
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
        // Asked again under the lock: another runner may have claimed it since.
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
    let rows: Vec<JobRow> = jobs::table.filter(jobs::id.eq_any(of)).select(JobRow::as_select()).load(conn).await?;
    let found = rows.into_iter().map(Job::try_from).collect::<Result<Vec<_>, _>>()?;
    let found: HashMap<String, Job> = found.into_iter().map(|job| (job.id.clone(), job)).collect();
    let mut leased = Vec::new();
    for run in claimed {
        if let Some(job) = found.get(&run.job_id).cloned() {
            let attempt = run.attempts.try_into().unwrap_or_default();
            let trigger = Trigger::parse(&run.trigger)?;
            leased.push(LeasedRun { id: run.id, attempt, trigger, due_at: run.due_at.and_utc(), job });
        }
    }
    Ok(leased)
}

/// Ends attempts, each if it is the newest one of an open run.
async fn complete_attempts(conn: &mut Conn, completed: &[CompletedAttempt]) -> Result<Vec<bool>, QueryError> {
    let ids: Vec<&str> = completed.iter().map(|attempt| attempt.run.as_str()).collect();
    let of = runs::table.filter(runs::id.eq_any(ids)).select((runs::id, runs::job_id));
    let of: HashMap<String, String> = of.load(conn).await?.into_iter().collect();
    // All jobs at once and in one order, so that two groups cannot deadlock.
    let locked = jobs::table.filter(jobs::id.eq_any(of.values())).order(jobs::id).select(EndedRuns::as_select());
    let locked: Vec<EndedRuns> = for_update!(locked).load(conn).await?;
    let locked: HashMap<&str, &EndedRuns> = locked.iter().map(|job| (&*job.id, job)).collect();
    let mut results = Vec::with_capacity(completed.len());
    for attempt in completed {
        results.push(match of.get(&attempt.run).and_then(|job| locked.get(&**job)) {
            Some(job) => complete_attempt(conn, job, attempt).await?,
            None => false,
        });
    }
    Ok(results)
}

async fn complete_attempt(conn: &mut Conn, job: &EndedRuns, completed: &CompletedAttempt) -> Result<bool, QueryError> {
    let attempt = i32::try_from(completed.attempt).unwrap_or(i32::MAX);
    let is_newest = runs::attempts.eq(attempt).and(runs::finished_at.is_null());
    let at = completed.at.naive_utc();
    let (status, error, finished_at, claimable_at) = match &completed.outcome {
        AttemptOutcome::Delivered => (RunStatus::Delivered, None, Some(at), at),
        AttemptOutcome::Failed(error) => (RunStatus::Failed, Some(error), Some(at), at),
        AttemptOutcome::Retry { at, error } => (RunStatus::Retrying, Some(error), None, at.naive_utc()),
    };
    let changed = diesel::update(runs::table.find(&completed.run).filter(is_newest))
        .set((
            runs::status.eq(status.as_str()),
            runs::finished_at.eq(finished_at),
            runs::claimable_at.eq(claimable_at),
            runs::error.eq(error),
        ))
        .returning(runs::due_at)
        .get_result::<NaiveDateTime>(conn)
        .await
        .optional()?;
    let Some(due_at) = changed else { return Ok(false) };
    if finished_at.is_some() {
        let run = RecentRun { status, due_at: due_at.and_utc() };
        job.record_end(conn, run, error.map(String::as_str), OpenRun::Ended).await?;
    }
    Ok(true)
}

/// Takes due jobs and claimable runs of friendships that are not active out of the queue.
async fn park_inactive(conn: &mut Conn, now: NaiveDateTime) -> Result<u64, QueryError> {
    let is_active = exists(
        friendships::table
            .filter(friendships::friend_id.eq(jobs::friend_id))
            .filter(friendships::agent_id.eq(jobs::agent_id))
            .filter(friendships::status.eq(FriendshipStatus::Active.as_str())),
    );
    let due = jobs::table.filter(jobs::next_due.le(now)).filter(jobs::open_run.is_null()).filter(not(is_active));
    let parked = diesel::update(due).set(jobs::next_due.eq(None::<NaiveDateTime>)).execute(conn).await?;
    let of_inactive = exists(jobs::table.filter(jobs::id.eq(runs::job_id)).filter(not(is_active)));
    let open = runs::table.filter(runs::finished_at.is_null()).filter(runs::claimable_at.le(now));
    let open = open.filter(of_inactive);
    let waiting = diesel::update(open).set(runs::claimable_at.eq(parked_until())).execute(conn).await?;
    // A friendship that became active while its jobs were being parked has put back what was not parked yet; this finds
    // the rest.
    let stranded = jobs::table.filter(jobs::enabled).filter(jobs::next_due.is_null()).filter(jobs::fires_at.is_null());
    let stranded = stranded.filter(is_active);
    diesel::update(stranded).set(jobs::next_due.eq(now)).execute(conn).await?;
    Ok((parked + waiting).try_into().unwrap_or(u64::MAX))
}

/// Stores the release, under a lock on the portal's row, and plans anew if it is the newest one.
async fn announce_release(
    conn: &mut Conn,
    release: &Release,
    now: NaiveDateTime,
) -> Result<ReleaseAnnounced, QueryError> {
    let stored = portal::table.select(portal::time_zone_release);
    let stored: Option<Option<String>> = for_update!(stored).first(conn).await.optional()?;
    let newest = stored.flatten().and_then(|stored| Release::parse(&stored).ok());
    match newest {
        Some(newest) if newest == *release => return Ok(ReleaseAnnounced::Current),
        Some(newest) if newest > *release => return Ok(ReleaseAnnounced::Outdated(newest)),
        _ => {}
    }
    diesel::update(portal::table).set(portal::time_zone_release.eq(release.to_string())).execute(conn).await?;
    replan(conn, now).await.map(ReleaseAnnounced::Adopted)
}

/// Makes jobs due whose next fire time is later than `now`: planned from there, they get the fire time that is right.
async fn replan(conn: &mut Conn, now: NaiveDateTime) -> Result<u64, QueryError> {
    let later = jobs::table.filter(jobs::next_due.gt(now));
    let jobs = diesel::update(later).set(jobs::next_due.eq(now)).execute(conn).await?;
    // No pause lasts a day: this one was computed by the later time.
    let late = runs::table.filter(runs::finished_at.is_null()).filter(runs::claimable_at.gt(now + TimeDelta::days(1)));
    let late = late.filter(runs::claimable_at.lt(parked_until()));
    diesel::update(late).set(runs::claimable_at.eq(now)).execute(conn).await?;
    Ok(jobs.try_into().unwrap_or(u64::MAX))
}
