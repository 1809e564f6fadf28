//! Runs that friends ask for.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::FriendId;
use portal_cron::{MANUAL_RUNS_PER_MINUTE, RunStatus, Trigger};

use super::Conn;
use crate::db::error::QueryError;
use crate::db::schema::{jobs, runs};

/// Time in which a friend may ask for [`MANUAL_RUNS_PER_MINUTE`] runs.
pub(super) const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// Stores a run that was asked for at `at`; called inside a transaction that has locked or inserted the job.
pub(super) async fn insert(conn: &mut Conn, job: &str, run: &str, at: DateTime<Utc>) -> Result<(), QueryError> {
    let at = at.naive_utc();
    let values = (
        runs::id.eq(run),
        runs::job_id.eq(job),
        runs::trigger.eq(Trigger::Manual.as_str()),
        runs::status.eq(RunStatus::Queued.as_str()),
        runs::attempts.eq(0),
        runs::due_at.eq(at),
        runs::claimable_at.eq(at),
    );
    diesel::insert_into(runs::table).values(values).execute(conn).await?;
    diesel::update(jobs::table.find(job)).set(jobs::open_run.eq(run)).execute(conn).await?;
    Ok(())
}

/// Returns the time until the friend may ask for another run; `None` for now.
pub(super) async fn wait(
    conn: &mut Conn,
    friend: &FriendId,
    now: DateTime<Utc>,
) -> Result<Option<Duration>, QueryError> {
    let recent: Vec<NaiveDateTime> = runs::table
        .inner_join(jobs::table)
        .filter(jobs::friend_id.eq(friend.as_str()))
        .filter(runs::trigger.eq(Trigger::Manual.as_str()))
        .filter(runs::due_at.gt((now - MINUTE).naive_utc()))
        .order(runs::due_at.desc())
        .limit(MANUAL_RUNS_PER_MINUTE.into())
        .select(runs::due_at)
        .load(conn)
        .await?;
    Ok(wait_after(&recent, now))
}

/// Returns the time until a run beside these may be asked for: those of the last [`MINUTE`], the newest first, as many as
/// may be asked for in it.
pub(super) fn wait_after(recent: &[NaiveDateTime], now: DateTime<Utc>) -> Option<Duration> {
    let is_full = recent.len() >= usize::try_from(MANUAL_RUNS_PER_MINUTE).unwrap_or(usize::MAX);
    let oldest = recent.last().filter(|_| is_full)?;
    Some((oldest.and_utc() + MINUTE - now).to_std().unwrap_or_default())
}
