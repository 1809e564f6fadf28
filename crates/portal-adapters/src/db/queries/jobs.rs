//! Jobs, as the embedded engine keeps them.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AgentId, AuditEntry, FriendId, FriendshipKey};
use portal_cron::{Job, JobCreated, JobName, JobSpec, JobState, RunStatus, Schedule, Switch, Switched, Thinking};

use super::{Conn, audit, friends, friendships as relationships, runs as firings};
use crate::db::error::QueryError;
use crate::db::schema::jobs;

/// A job's row.
#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
pub(super) struct Row {
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

impl TryFrom<Row> for Job {
    type Error = QueryError;

    fn try_from(row: Row) -> Result<Self, QueryError> {
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
        let (enabled, created_at) = (row.enabled, row.created_at.and_utc());
        Ok(Self { id: row.id, owner, spec, enabled, created_at, state })
    }
}

/// The owner's jobs, sorted by name.
pub(in crate::db) async fn list(conn: &mut Conn, owner: &FriendshipKey) -> Result<Vec<Job>, QueryError> {
    let theirs =
        jobs::table.filter(jobs::friend_id.eq(owner.friend.as_str())).filter(jobs::agent_id.eq(owner.agent.as_str()));
    let rows: Vec<Row> = theirs.select(Row::as_select()).order(jobs::name).load(conn).await?;
    rows.into_iter().map(Job::try_from).collect()
}

/// Stores a new job. Its friend's row is held, so that the limit is counted by one at a time.
pub(in crate::db) async fn create(
    conn: &mut Conn,
    job: &Job,
    limit: u32,
    audit: &AuditEntry,
) -> Result<JobCreated, QueryError> {
    write_tx!(conn, async |conn| {
        let FriendshipKey { friend, agent } = &job.owner;
        if !friends::lock(conn, friend).await? || relationships::find(conn, &job.owner).await?.is_none() {
            return Ok(JobCreated::NoFriendship);
        }
        let theirs = jobs::table.filter(jobs::friend_id.eq(friend.as_str()));
        let named = theirs.filter(jobs::agent_id.eq(agent.as_str())).filter(jobs::name.eq(job.spec.name.as_str()));
        if diesel::select(exists(named)).get_result(conn).await? {
            return Ok(JobCreated::NameTaken);
        }
        if theirs.count().get_result::<i64>(conn).await? >= i64::from(limit) {
            return Ok(JobCreated::LimitReached);
        }
        insert(conn, job).await?;
        audit::insert(conn, audit).await?;
        Ok(JobCreated::New)
    })
    .await
}

async fn insert(conn: &mut Conn, job: &Job) -> Result<(), QueryError> {
    let Job { id, owner, spec, enabled, created_at, state } = job;
    let place = (
        jobs::id.eq(id),
        jobs::friend_id.eq(owner.friend.as_str()),
        jobs::agent_id.eq(owner.agent.as_str()),
        jobs::created_at.eq(created_at.naive_utc()),
    );
    let wanted = (
        jobs::name.eq(spec.name.as_str()),
        jobs::description.eq(spec.description.as_deref()),
        jobs::message.eq(&spec.message),
        jobs::cron.eq(spec.schedule.cron()),
        jobs::tz.eq(spec.schedule.tz()),
        jobs::session.eq(&spec.session),
        jobs::thinking.eq(spec.thinking.map(Thinking::as_str)),
        jobs::timeout_seconds.eq(spec.timeout_seconds.map(i32::from)),
    );
    let standing = (
        jobs::enabled.eq(enabled),
        jobs::next_due.eq(state.next_run.map(|at| at.naive_utc())),
        jobs::consecutive_errors.eq(0),
    );
    diesel::insert_into(jobs::table).values((place, wanted, standing)).execute(conn).await?;
    Ok(())
}

/// Holds a job's row until the transaction ends and tells when it is due next; `None` if the owner has no such job.
///
/// Whatever changes a job or its runs holds this row first, so that no two of them wait for each other.
pub(super) async fn lock(
    conn: &mut Conn,
    owner: &FriendshipKey,
    id: &str,
) -> Result<Option<Option<DateTime<Utc>>>, QueryError> {
    let job = jobs::table
        .filter(jobs::id.eq(id))
        .filter(jobs::friend_id.eq(owner.friend.as_str()))
        .filter(jobs::agent_id.eq(owner.agent.as_str()));
    let due: Option<Option<NaiveDateTime>> = for_update!(job.select(jobs::next_due)).first(conn).await.optional()?;
    Ok(due.map(|due| due.map(|at| at.and_utc())))
}

/// Switches a job on or off.
pub(in crate::db) async fn switch(
    conn: &mut Conn,
    owner: &FriendshipKey,
    id: &str,
    switch: &Switch,
    audit: &AuditEntry,
) -> Result<Switched, QueryError> {
    write_tx!(conn, async |conn| {
        match lock(conn, owner, id).await? {
            None => return Ok(Switched::Absent),
            Some(due) if due != switch.seen => return Ok(Switched::Stale),
            Some(_) => {}
        }
        diesel::update(jobs::table.find(id))
            .set((jobs::enabled.eq(switch.enabled), jobs::next_due.eq(switch.next_run.map(|at| at.naive_utc()))))
            .execute(conn)
            .await?;
        if let Some((run, stretch)) = &switch.missed {
            firings::miss(conn, id, run, stretch, audit.at).await?;
        }
        audit::insert(conn, audit).await?;
        Ok(Switched::Done)
    })
    .await
}

/// Removes a job; its runs cascade.
pub(in crate::db) async fn remove(
    conn: &mut Conn,
    owner: &FriendshipKey,
    id: &str,
    audit: &AuditEntry,
) -> Result<bool, QueryError> {
    write_tx!(conn, async |conn| {
        if lock(conn, owner, id).await?.is_none() {
            return Ok(false);
        }
        diesel::delete(jobs::table.find(id)).execute(conn).await?;
        audit::insert(conn, audit).await?;
        Ok(true)
    })
    .await
}
