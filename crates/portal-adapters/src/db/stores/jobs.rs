//! Jobs as their friends see them, with the runs that they ask for and list.

use std::collections::HashSet;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AgentId, AuditEntry, BackendError, FriendId, FriendshipKey};
use portal_cron::{
    Job, JobCreated, JobName, JobSpec, JobState, JobStore, Run, RunRequested, RunStatus, Schedule, Stretch, Switch,
    Switched, Thinking, Trigger,
};

use super::{Conn, Store, audit, friends, friendships};
use crate::db::error::QueryError;
use crate::db::schema::{jobs, runs};

#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
pub(super) struct JobRow {
    id: String,
    friend_id: String,
    agent_id: String,
    name: String,
    description: Option<String>,
    message: String,
    cron: String,
    tz: String,
    session: String,
    thinking: Option<String>,
    timeout_seconds: Option<i32>,
    enabled: bool,
    created_at: NaiveDateTime,
    next_due: Option<NaiveDateTime>,
    last_run_at: Option<NaiveDateTime>,
    last_status: Option<String>,
    consecutive_errors: i32,
}

impl TryFrom<JobRow> for Job {
    type Error = QueryError;

    fn try_from(row: JobRow) -> Result<Self, QueryError> {
        let spec = JobSpec {
            name: JobName::parse(&row.name)?,
            description: row.description,
            message: row.message,
            schedule: Schedule::parse(&row.cron, &row.tz)?,
            session: row.session,
            thinking: row.thinking.as_deref().map(Thinking::parse).transpose()?,
            timeout_seconds: row.timeout_seconds.and_then(|seconds| seconds.try_into().ok()),
        };
        let state = JobState {
            next_run: row.next_due.map(|at| at.and_utc()),
            last_run: row.last_run_at.map(|at| at.and_utc()),
            last_status: row.last_status.as_deref().map(RunStatus::parse).transpose()?,
            consecutive_errors: row.consecutive_errors.try_into().unwrap_or_default(),
        };
        let owner = FriendshipKey { friend: FriendId::parse(&row.friend_id)?, agent: AgentId::parse(&row.agent_id)? };
        Ok(Self { id: row.id, owner, spec, enabled: row.enabled, created_at: row.created_at.and_utc(), state })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = runs)]
struct RunRow {
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

impl TryFrom<RunRow> for Run {
    type Error = QueryError;

    fn try_from(row: RunRow) -> Result<Self, QueryError> {
        let due_at = row.due_at.and_utc();
        let missed_window = |(from, count): (NaiveDateTime, i32)| Stretch {
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
            missed: row.missed_from.zip(row.missed_count).map(missed_window),
        })
    }
}

#[async_trait]
impl JobStore for Store {
    async fn list(&self, owner: &FriendshipKey) -> Result<Vec<Job>, BackendError> {
        let owner = owner.clone();
        self.pools
            .read(async move |conn| {
                let own = jobs::table
                    .filter(jobs::friend_id.eq(owner.friend.as_str()))
                    .filter(jobs::agent_id.eq(owner.agent.as_str()));
                let rows: Vec<JobRow> = own.select(JobRow::as_select()).order(jobs::name).load(conn).await?;
                rows.into_iter().map(Job::try_from).collect()
            })
            .await
    }

    async fn create(&self, job: Job, limit: u32, audit: AuditEntry) -> Result<JobCreated, BackendError> {
        self.pools
            .write(async move |conn| {
                let FriendshipKey { friend, agent } = &job.owner;
                // The friend's row is locked so that concurrent requests count the limit one after the other.
                if !friends::lock(conn, friend).await? || friendships::find(conn, &job.owner).await?.is_none() {
                    return Ok(JobCreated::NoFriendship);
                }
                let own = jobs::table.filter(jobs::friend_id.eq(friend.as_str()));
                let same_name =
                    own.filter(jobs::agent_id.eq(agent.as_str())).filter(jobs::name.eq(job.spec.name.as_str()));
                if diesel::select(exists(same_name)).get_result(conn).await? {
                    return Ok(JobCreated::NameTaken);
                }
                if own.count().get_result::<i64>(conn).await? >= i64::from(limit) {
                    return Ok(JobCreated::LimitReached);
                }
                insert(conn, &job).await?;
                audit::insert(conn, &audit).await?;
                Ok(JobCreated::New)
            })
            .await
    }

    async fn switch(
        &self,
        owner: &FriendshipKey,
        id: &str,
        switch: Switch,
        audit: AuditEntry,
    ) -> Result<Switched, BackendError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.pools
            .write(async move |conn| {
                match lock(conn, &owner, &id).await? {
                    None => return Ok(Switched::Absent),
                    Some(next_due) if next_due != switch.seen => return Ok(Switched::Stale),
                    Some(_) => {}
                }
                let next_due = switch.next_run.map(|at| at.naive_utc());
                diesel::update(jobs::table.find(&id))
                    .set((jobs::enabled.eq(switch.enabled), jobs::next_due.eq(next_due)))
                    .execute(conn)
                    .await?;
                if let Some((run, window)) = &switch.missed {
                    insert_missed(conn, &id, run, window, audit.at).await?;
                }
                audit::insert(conn, &audit).await?;
                Ok(Switched::Done)
            })
            .await
    }

    async fn remove(&self, owner: &FriendshipKey, id: &str, audit: AuditEntry) -> Result<bool, BackendError> {
        let (owner, id) = (owner.clone(), id.to_owned());
        self.pools
            .write(async move |conn| {
                if lock(conn, &owner, &id).await?.is_none() {
                    return Ok(false);
                }
                // The runs go with the job: their foreign key cascades.
                diesel::delete(jobs::table.find(&id)).execute(conn).await?;
                audit::insert(conn, &audit).await?;
                Ok(true)
            })
            .await
    }

    async fn request(
        &self,
        owner: &FriendshipKey,
        id: &str,
        run: &str,
        audit: AuditEntry,
    ) -> Result<RunRequested, BackendError> {
        let (owner, job, run) = (owner.clone(), id.to_owned(), run.to_owned());
        self.pools
            .write(async move |conn| {
                if lock(conn, &owner, &job).await?.is_none() {
                    return Ok(RunRequested::Absent);
                }
                if !with_open_run(conn, &[&job]).await?.is_empty() {
                    return Ok(RunRequested::Open);
                }
                let at = audit.at.naive_utc();
                diesel::insert_into(runs::table)
                    .values((
                        runs::id.eq(&run),
                        runs::job_id.eq(&job),
                        runs::cause.eq(Trigger::Manual.as_str()),
                        runs::status.eq(RunStatus::Queued.as_str()),
                        runs::attempts.eq(0),
                        runs::due_at.eq(at),
                        runs::claimable_at.eq(at),
                    ))
                    .execute(conn)
                    .await?;
                audit::insert(conn, &audit).await?;
                Ok(RunRequested::Queued)
            })
            .await
    }

    async fn runs(&self, owner: &FriendshipKey, id: &str, limit: u32) -> Result<Option<Vec<Run>>, BackendError> {
        let (owner, job) = (owner.clone(), id.to_owned());
        self.pools
            .read(async move |conn| {
                let own = jobs::table
                    .find(&job)
                    .filter(jobs::friend_id.eq(owner.friend.as_str()))
                    .filter(jobs::agent_id.eq(owner.agent.as_str()));
                if !diesel::select(exists(own)).get_result(conn).await? {
                    return Ok(None);
                }
                let rows: Vec<RunRow> = runs::table
                    .filter(runs::job_id.eq(&job))
                    .order((runs::due_at.desc(), runs::id.desc()))
                    .limit(limit.into())
                    .select(RunRow::as_select())
                    .load(conn)
                    .await?;
                rows.into_iter().map(Run::try_from).collect::<Result<_, _>>().map(Some)
            })
            .await
    }
}

async fn insert(conn: &mut Conn, job: &Job) -> Result<(), QueryError> {
    let Job { id, owner, spec, enabled, created_at, state } = job;
    diesel::insert_into(jobs::table)
        .values((
            jobs::id.eq(id),
            jobs::friend_id.eq(owner.friend.as_str()),
            jobs::agent_id.eq(owner.agent.as_str()),
            jobs::created_at.eq(created_at.naive_utc()),
            jobs::name.eq(spec.name.as_str()),
            jobs::description.eq(spec.description.as_deref()),
            jobs::message.eq(&spec.message),
            jobs::cron.eq(spec.schedule.cron()),
            jobs::tz.eq(spec.schedule.tz()),
            jobs::session.eq(&spec.session),
            jobs::thinking.eq(spec.thinking.map(Thinking::as_str)),
            jobs::timeout_seconds.eq(spec.timeout_seconds.map(i32::from)),
            jobs::enabled.eq(enabled),
            jobs::next_due.eq(state.next_run.map(|at| at.naive_utc())),
            jobs::consecutive_errors.eq(0),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Locks a job's row until the transaction ends and returns the time it is due next; `None` if the owner has no such
/// job.
///
/// Every change of a job or its runs locks this row first, so that two such changes cannot deadlock.
async fn lock(conn: &mut Conn, owner: &FriendshipKey, id: &str) -> Result<Option<Option<DateTime<Utc>>>, QueryError> {
    let job = jobs::table
        .filter(jobs::id.eq(id))
        .filter(jobs::friend_id.eq(owner.friend.as_str()))
        .filter(jobs::agent_id.eq(owner.agent.as_str()));
    let due: Option<Option<NaiveDateTime>> = for_update!(job.select(jobs::next_due)).first(conn).await.optional()?;
    Ok(due.map(|due| due.map(|at| at.and_utc())))
}

/// Returns those of the jobs that have an open run.
pub(super) async fn with_open_run(conn: &mut Conn, of: &[&str]) -> Result<HashSet<String>, QueryError> {
    let open = runs::table.filter(runs::job_id.eq_any(of)).filter(runs::finished_at.is_null());
    Ok(open.select(runs::job_id).load(conn).await?.into_iter().collect())
}

/// Stores a missed window as one run; called inside a transaction that has locked the job.
pub(super) async fn insert_missed(
    conn: &mut Conn,
    job: &str,
    run: &str,
    window: &Stretch,
    at: DateTime<Utc>,
) -> Result<(), QueryError> {
    let (at, missed) = (at.naive_utc(), RunStatus::Missed.as_str());
    let inserted = diesel::insert_into(runs::table)
        .values((
            runs::id.eq(run),
            runs::job_id.eq(job),
            runs::cause.eq(Trigger::Schedule.as_str()),
            runs::status.eq(missed),
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
    if inserted > 0 {
        diesel::update(jobs::table.find(job)).set(jobs::last_status.eq(missed)).execute(conn).await?;
    }
    Ok(())
}
