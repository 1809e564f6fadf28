//! Ends of runs, as their jobs remember them.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::Invalid;
use portal_cron::{JobState, MissedWindow, RecentRun, RunStatus, Trigger};
use serde::{Deserialize, Serialize};

use super::Conn;
use crate::db::error::QueryError;
use crate::db::schema::{jobs, runs};

/// A run in the column `recent`.
#[derive(Serialize, Deserialize)]
struct RecentEntry {
    status: String,
    due_at: DateTime<Utc>,
}

pub(super) fn read_recent(text: &str) -> Result<Vec<RecentRun>, QueryError> {
    let entries: Vec<RecentEntry> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    let read = |entry: RecentEntry| Ok(RecentRun { status: RunStatus::parse(&entry.status)?, due_at: entry.due_at });
    entries.into_iter().map(read).collect()
}

fn write_recent(recent: &[RecentRun]) -> Result<String, QueryError> {
    let entry = |run: &RecentRun| RecentEntry { status: run.status.as_str().to_owned(), due_at: run.due_at };
    Ok(serde_json::to_string(&recent.iter().map(entry).collect::<Vec<_>>()).map_err(|error| not_json(&error))?)
}

fn not_json(error: &serde_json::Error) -> Invalid {
    Invalid::new("recent", error.to_string())
}

/// Stores a missed window as one run; called inside a transaction that has locked the job.
pub(super) async fn insert_missed(
    conn: &mut Conn,
    job: &str,
    run: &str,
    window: &MissedWindow,
    at: DateTime<Utc>,
) -> Result<(), QueryError> {
    let at = at.naive_utc();
    let inserted = diesel::insert_into(runs::table)
        .values((
            runs::id.eq(run),
            runs::job_id.eq(job),
            runs::trigger.eq(Trigger::Schedule.as_str()),
            runs::status.eq(RunStatus::Missed.as_str()),
            runs::attempts.eq(0),
            runs::claimable_at.eq(at),
            runs::finished_at.eq(at),
            runs::due_at.eq(window.to.naive_utc()),
            runs::missed_from.eq(window.from.naive_utc()),
            runs::missed_count.eq(i32::try_from(window.count).unwrap_or(i32::MAX)),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    // A fire time that has a row already was told of.
    if inserted > 0 {
        let before: EndedRuns = jobs::table.find(job).select(EndedRuns::as_select()).first(conn).await?;
        let run = RecentRun { status: RunStatus::Missed, due_at: window.to };
        before.record_end(conn, run, Some(&window.explanation()), OpenRun::Stays).await?;
    }
    Ok(())
}

/// The columns of a job that its ended runs change, read under the job's lock.
#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
pub(super) struct EndedRuns {
    pub(super) id: String,
    recent: String,
    consecutive_errors: i32,
}

/// The job's open run after the end of one of its runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenRun {
    /// It was another one, or there was none.
    Stays,
    /// It is the one that ended.
    Ended,
}

impl EndedRuns {
    /// Records on the job that one of its runs has ended; called inside the transaction that read this.
    pub(super) async fn record_end(
        &self,
        conn: &mut Conn,
        run: RecentRun,
        error: Option<&str>,
        open_run: OpenRun,
    ) -> Result<(), QueryError> {
        let mut state = JobState { recent: read_recent(&self.recent)?, ..JobState::default() };
        state.push_recent(run);
        let errors = match run.status {
            RunStatus::Delivered => 0,
            RunStatus::Failed => self.consecutive_errors.saturating_add(1),
            // A missed window says nothing about the receiver.
            _ => self.consecutive_errors,
        };
        diesel::update(jobs::table.find(&self.id))
            .set((
                jobs::last_status.eq(run.status.as_str()),
                jobs::last_error.eq(error),
                jobs::recent.eq(write_recent(&state.recent)?),
                jobs::consecutive_errors.eq(errors),
                jobs::enabled.eq(is_to_stay_enabled()),
                (open_run == OpenRun::Ended).then_some(jobs::open_run.eq(None::<String>)),
            ))
            .execute(conn)
            .await?;
        Ok(())
    }
}

/// Disables a job for one moment that is over.
pub(super) async fn disable_spent(conn: &mut Conn, job: &str) -> Result<(), QueryError> {
    diesel::update(jobs::table.find(job)).set(jobs::enabled.eq(is_to_stay_enabled())).execute(conn).await?;
    Ok(())
}

/// The new value of `enabled`: false for a job for one moment that is over, else the old one.
#[diesel::dsl::auto_type(no_type_alias)]
fn is_to_stay_enabled() -> _ {
    jobs::enabled.and(jobs::fires_at.is_null().or(jobs::next_due.is_not_null()))
}
