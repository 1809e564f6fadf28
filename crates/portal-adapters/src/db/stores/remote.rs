//! Changes and runs of jobs that an agent's gateway keeps.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{Action, Actor, AgentId, AuditEntry, BackendError, FriendId, FriendshipKey, Invalid};
use portal_cron::{
    ChangeBegun, ChangeEnd, HeldChange, MANUAL_RUNS_PER_MINUTE, NewChange, REMOTE_CHANGE_TIMEOUT, RemoteRun,
    RemoteRunEnd, RemoteStore, RunStatus, Sent,
};

use super::manual_runs::{MINUTE, wait_after};
use super::{Conn, Store, audit, friends, friendships, now};
use crate::db::error::QueryError;
use crate::db::schema::{jobs, remote_changes, remote_pauses, remote_runs};

/// Time for which a change of unknown outcome is remembered, so that who asks again is told what became of it.
const LOST_REMEMBERED: TimeDelta = TimeDelta::minutes(10);
/// What the audit log says of a change whose answer never came.
const OUTCOME_UNKNOWN: &str = "outcome unknown";
/// Most changes that one pass enters.
const RECOVER_BATCH: i64 = 500;

#[derive(Queryable, Selectable)]
#[diesel(table_name = remote_changes)]
struct ChangeRow {
    id: String,
    friend_id: String,
    until: NaiveDateTime,
    lost: bool,
    changed_at: NaiveDateTime,
    actor: String,
    action: String,
    subject: String,
    detail: String,
}

impl ChangeRow {
    /// Returns the entry for the audit log.
    fn entry(self) -> Result<AuditEntry, QueryError> {
        let (actor, action) = (Actor::parse(&self.actor)?, Action::parse(&self.action)?);
        Ok(AuditEntry::new(self.changed_at.and_utc(), actor, action)
            .with_friend(FriendId::parse(&self.friend_id)?)
            .with_subject(self.subject)
            .with_detail(self.detail))
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = remote_runs)]
struct RunRow {
    id: String,
    friend_id: String,
    agent_id: String,
    job: String,
    remote_id: Option<String>,
    requested_at: NaiveDateTime,
    expected_by: NaiveDateTime,
    status: String,
    started_at: Option<NaiveDateTime>,
    finished_at: Option<NaiveDateTime>,
    error: Option<String>,
    finished: Option<bool>,
    sent: Option<String>,
}

impl TryFrom<RunRow> for RemoteRun {
    type Error = QueryError;

    fn try_from(row: RunRow) -> Result<Self, QueryError> {
        let status = RunStatus::parse(&row.status)?;
        let sent = row.sent.as_deref().map(Sent::parse).transpose()?;
        let end = row.finished_at.map(|finished_at| RemoteRunEnd {
            status,
            started_at: row.started_at.map(|at| at.and_utc()),
            finished_at: finished_at.and_utc(),
            finished: row.finished,
            sent,
            error: row.error,
        });
        Ok(Self {
            id: row.id,
            owner: FriendshipKey { friend: FriendId::parse(&row.friend_id)?, agent: AgentId::parse(&row.agent_id)? },
            job: row.job,
            remote_id: row.remote_id,
            requested_at: row.requested_at.and_utc(),
            expected_by: row.expected_by.and_utc(),
            end,
        })
    }
}

impl Store {
    /// Counts the agent's enabled jobs in this database.
    pub(in crate::db) async fn enabled_jobs(&self, agent: AgentId) -> Result<u64, BackendError> {
        self.pools
            .read(async move |conn| {
                let enabled = jobs::table.filter(jobs::agent_id.eq(agent.as_str())).filter(jobs::enabled.eq(true));
                let count: i64 = enabled.count().get_result(conn).await?;
                Ok(u64::try_from(count).unwrap_or_default())
            })
            .await
    }
}

#[async_trait]
impl RemoteStore for Store {
    async fn begin(&self, change: NewChange) -> Result<ChangeBegun, BackendError> {
        let portal_time = self.clock.now();
        self.pools
            .write(async move |conn| {
                // The friend's row is locked so that concurrent changes count the limits one after the other.
                let is_known = friends::lock(conn, &change.owner.friend).await?
                    && friendships::find(conn, &change.owner).await?.is_some();
                if !is_known {
                    return Ok(ChangeBegun::NoFriendship);
                }
                let now = now(conn, portal_time).await?;
                if matches!(change.audit.action, Action::JobRun | Action::MessageSend)
                    && let Some(retry_after) = wait(conn, &change.owner.friend, now).await?
                {
                    return Ok(ChangeBegun::TooMany { retry_after });
                }
                let Some(follows_lost) = take_over(conn, &change, now).await? else { return Ok(ChangeBegun::Busy) };
                let other_jobs = other_jobs(conn, &change.owner, now).await?;
                insert(conn, &change, now).await?;
                Ok(ChangeBegun::Held(HeldChange { id: change.id, follows_lost, other_jobs }))
            })
            .await
    }

    async fn end(&self, change: &str, end: ChangeEnd) -> Result<(), BackendError> {
        let (change, portal_time) = (change.to_owned(), self.clock.now());
        self.pools
            .write(async move |conn| {
                let row: Option<ChangeRow> =
                    remote_changes::table.find(&change).select(ChangeRow::as_select()).first(conn).await.optional()?;
                let (name, id, run, is_lost) = match end {
                    ChangeEnd::Nothing => (None, None, None, false),
                    ChangeEnd::Done { name, id, run } => (Some(name), Some(id), run, false),
                    ChangeEnd::Lost { name } => (Some(name), None, None, true),
                };
                if let Some(run) = &run {
                    insert_run(conn, run).await?;
                }
                let Some(row) = row else { return Ok(()) };
                let was_entered = row.lost;
                if let Some(name) = name.filter(|_| !was_entered) {
                    let entry = row.entry()?.with_subject(name);
                    audit::insert(conn, &if is_lost { unknown(entry) } else { entry }).await?;
                }
                if is_lost {
                    let until = now(conn, portal_time).await?;
                    mark_lost(conn, &change, until).await
                } else {
                    // Read by the trigger that writes the hint.
                    if let Some(id) = id {
                        let named = remote_changes::job_id.eq(id);
                        diesel::update(remote_changes::table.find(&change)).set(named).execute(conn).await?;
                    }
                    diesel::delete(remote_changes::table.find(&change)).execute(conn).await?;
                    Ok(())
                }
            })
            .await
    }

    async fn recover_changes(&self) -> Result<u64, BackendError> {
        let portal_time = self.clock.now();
        self.pools
            .write(async move |conn| {
                let now = now(conn, portal_time).await?;
                let over = remote_changes::table.filter(remote_changes::until.le(now.naive_utc()));
                let rows: Vec<ChangeRow> = over
                    .filter(remote_changes::lost.eq(false))
                    .select(ChangeRow::as_select())
                    .limit(RECOVER_BATCH)
                    .load(conn)
                    .await?;
                let count = rows.len();
                for row in rows {
                    let (id, until) = (row.id.clone(), row.until.and_utc());
                    audit::insert(conn, &unknown(row.entry()?)).await?;
                    mark_lost(conn, &id, until).await?;
                }
                let forgotten = remote_changes::until.le((now - LOST_REMEMBERED).naive_utc());
                diesel::delete(remote_changes::table.filter(remote_changes::lost.eq(true)).filter(forgotten))
                    .execute(conn)
                    .await?;
                Ok(u64::try_from(count).unwrap_or(u64::MAX))
            })
            .await
    }

    async fn open_runs(&self, agent: &AgentId, limit: u32) -> Result<Vec<RemoteRun>, BackendError> {
        let agent = agent.clone();
        self.pools
            .read(async move |conn| {
                let rows: Vec<RunRow> = remote_runs::table
                    .filter(remote_runs::agent_id.eq(agent.as_str()))
                    .filter(remote_runs::status.eq(RunStatus::Queued.as_str()))
                    .order(remote_runs::requested_at)
                    .limit(limit.into())
                    .select(RunRow::as_select())
                    .load(conn)
                    .await?;
                rows.into_iter().map(RemoteRun::try_from).collect()
            })
            .await
    }

    async fn requested_runs(
        &self,
        owner: &FriendshipKey,
        job: &str,
        limit: u32,
    ) -> Result<Vec<RemoteRun>, BackendError> {
        let (owner, job) = (owner.clone(), job.to_owned());
        self.pools
            .read(async move |conn| {
                let rows: Vec<RunRow> = remote_runs::table
                    .filter(remote_runs::friend_id.eq(owner.friend.as_str()))
                    .filter(remote_runs::agent_id.eq(owner.agent.as_str()))
                    .filter(remote_runs::job.eq(job))
                    .order(remote_runs::requested_at.desc())
                    .limit(limit.into())
                    .select(RunRow::as_select())
                    .load(conn)
                    .await?;
                rows.into_iter().map(RemoteRun::try_from).collect()
            })
            .await
    }

    async fn end_run(&self, run: &str, end: RemoteRunEnd) -> Result<bool, BackendError> {
        let run = run.to_owned();
        self.pools
            .write(async move |conn| {
                let open = remote_runs::table.find(&run).filter(remote_runs::status.eq(RunStatus::Queued.as_str()));
                let ended = diesel::update(open)
                    .set((
                        remote_runs::status.eq(end.status.as_str()),
                        remote_runs::started_at.eq(end.started_at.map(|at| at.naive_utc())),
                        remote_runs::finished_at.eq(end.finished_at.naive_utc()),
                        remote_runs::error.eq(&end.error),
                        remote_runs::finished.eq(end.finished),
                        remote_runs::sent.eq(end.sent.map(Sent::as_str)),
                    ))
                    .execute(conn)
                    .await?;
                Ok(ended > 0)
            })
            .await
    }

    async fn pause(&self, owner: &FriendshipKey, job: &str) -> Result<(), BackendError> {
        let (owner, job) = (owner.clone(), job.to_owned());
        self.pools
            .write(async move |conn| {
                let values = (
                    remote_pauses::friend_id.eq(owner.friend.as_str()),
                    remote_pauses::agent_id.eq(owner.agent.as_str()),
                    remote_pauses::job.eq(job),
                );
                diesel::insert_into(remote_pauses::table).values(values).on_conflict_do_nothing().execute(conn).await?;
                Ok(())
            })
            .await
    }

    async fn resume(&self, owner: &FriendshipKey, job: &str) -> Result<(), BackendError> {
        let (owner, job) = (owner.clone(), job.to_owned());
        self.pools
            .write(async move |conn| {
                let paused = remote_pauses::table.find((owner.friend.as_str(), owner.agent.as_str(), job));
                diesel::delete(paused).execute(conn).await?;
                Ok(())
            })
            .await
    }

    async fn paused(&self, agent: &AgentId) -> Result<Vec<(FriendshipKey, String)>, BackendError> {
        let agent = agent.clone();
        self.pools
            .read(async move |conn| {
                let paused = remote_pauses::table.filter(remote_pauses::agent_id.eq(agent.as_str()));
                let rows: Vec<(String, String)> =
                    paused.select((remote_pauses::friend_id, remote_pauses::job)).load(conn).await?;
                let owned = |(friend, job): (String, String)| {
                    Ok((FriendshipKey { friend: FriendId::parse(&friend)?, agent: agent.clone() }, job))
                };
                rows.into_iter().map(owned).collect()
            })
            .await
    }
}

/// Removes an earlier change of the same job whose time is over. Returns whether its outcome is unknown; `None` while it
/// is under way.
async fn take_over(conn: &mut Conn, change: &NewChange, now: DateTime<Utc>) -> Result<Option<bool>, QueryError> {
    let earlier: Option<ChangeRow> = remote_changes::table
        .filter(remote_changes::friend_id.eq(change.owner.friend.as_str()))
        .filter(remote_changes::agent_id.eq(change.owner.agent.as_str()))
        .filter(remote_changes::job.eq(&change.job))
        .select(ChangeRow::as_select())
        .first(conn)
        .await
        .optional()?;
    let Some(earlier) = earlier else { return Ok(Some(false)) };
    if !earlier.lost && earlier.until.and_utc() > now {
        return Ok(None);
    }
    diesel::delete(remote_changes::table.find(&earlier.id)).execute(conn).await?;
    if !earlier.lost {
        audit::insert(conn, &unknown(earlier.entry()?)).await?;
    }
    Ok(Some(true))
}

/// Counts the friend's jobs with other agents in this database, and those that are being made elsewhere.
async fn other_jobs(conn: &mut Conn, owner: &FriendshipKey, now: DateTime<Utc>) -> Result<u32, QueryError> {
    let FriendshipKey { friend, agent } = owner;
    // What this agent has here was moved to where its jobs are kept now.
    let here = jobs::table.filter(jobs::friend_id.eq(friend.as_str())).filter(jobs::agent_id.ne(agent.as_str()));
    let here: i64 = here.count().get_result(conn).await?;
    let being_made: i64 = remote_changes::table
        .filter(remote_changes::friend_id.eq(friend.as_str()))
        .filter(remote_changes::action.eq_any([Action::JobCreate, Action::MessageSend].map(Action::as_str)))
        .filter(remote_changes::lost.eq(false))
        .filter(remote_changes::until.gt(now.naive_utc()))
        .count()
        .get_result(conn)
        .await?;
    Ok(u32::try_from(here.saturating_add(being_made)).unwrap_or(u32::MAX))
}

async fn insert(conn: &mut Conn, change: &NewChange, now: DateTime<Utc>) -> Result<(), QueryError> {
    let NewChange { id, owner, job, audit } = change;
    let until = now + TimeDelta::from_std(REMOTE_CHANGE_TIMEOUT).unwrap_or_default();
    let place = (
        remote_changes::id.eq(id),
        remote_changes::friend_id.eq(owner.friend.as_str()),
        remote_changes::agent_id.eq(owner.agent.as_str()),
        remote_changes::job.eq(job),
        remote_changes::until.eq(until.naive_utc()),
        remote_changes::lost.eq(false),
    );
    let entry = (
        remote_changes::changed_at.eq(audit.at.naive_utc()),
        remote_changes::actor.eq(audit.actor.to_string()),
        remote_changes::action.eq(audit.action.as_str()),
        remote_changes::subject.eq(&audit.subject),
        remote_changes::detail.eq(&audit.detail),
    );
    diesel::insert_into(remote_changes::table).values((place, entry)).execute(conn).await?;
    Ok(())
}

async fn mark_lost(conn: &mut Conn, change: &str, until: DateTime<Utc>) -> Result<(), QueryError> {
    let lost = (remote_changes::lost.eq(true), remote_changes::until.eq(until.naive_utc()));
    diesel::update(remote_changes::table.find(change)).set(lost).execute(conn).await?;
    Ok(())
}

fn unknown(entry: AuditEntry) -> AuditEntry {
    let detail = match entry.detail.as_str() {
        "" => OUTCOME_UNKNOWN.to_owned(),
        detail => format!("{detail}, {OUTCOME_UNKNOWN}"),
    };
    entry.with_detail(detail)
}

async fn insert_run(conn: &mut Conn, run: &RemoteRun) -> Result<(), QueryError> {
    if run.end.is_some() {
        return Err(Invalid::new("run", "a run is stored before it ends").into());
    }
    let values = (
        remote_runs::id.eq(&run.id),
        remote_runs::friend_id.eq(run.owner.friend.as_str()),
        remote_runs::agent_id.eq(run.owner.agent.as_str()),
        remote_runs::job.eq(&run.job),
        remote_runs::remote_id.eq(&run.remote_id),
        remote_runs::requested_at.eq(run.requested_at.naive_utc()),
        remote_runs::expected_by.eq(run.expected_by.naive_utc()),
        remote_runs::status.eq(RunStatus::Queued.as_str()),
    );
    diesel::insert_into(remote_runs::table).values(values).execute(conn).await?;
    Ok(())
}

/// Returns the time until the friend may ask for another run; `None` for now.
async fn wait(conn: &mut Conn, friend: &FriendId, now: DateTime<Utc>) -> Result<Option<Duration>, QueryError> {
    let recent: Vec<NaiveDateTime> = remote_runs::table
        .filter(remote_runs::friend_id.eq(friend.as_str()))
        .filter(remote_runs::requested_at.gt((now - MINUTE).naive_utc()))
        .order(remote_runs::requested_at.desc())
        .limit(MANUAL_RUNS_PER_MINUTE.into())
        .select(remote_runs::requested_at)
        .load(conn)
        .await?;
    Ok(wait_after(&recent, now))
}
