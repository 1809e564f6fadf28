//! Jobs as their friends see them, with the runs that they ask for and list.

use async_trait::async_trait;
use chrono::NaiveDateTime;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AgentId, AuditEntry, BackendError, FriendId, FriendshipKey, Invalid};
use portal_cron::{
    AnswerTo, Interval, Job, JobCreated, JobName, JobSpec, JobState, JobStore, JobUpdate, JobUpdated, MissedWindow,
    Moment, Run, RunRequested, RunStatus, RunsListed, Thinking, Timing, TimingKind, Trigger,
};

use super::ended_runs::{insert_missed, read_recent};
use super::{Conn, Store, audit, friends, friendships, manual_runs};
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
    #[diesel(embed)]
    timing: TimingRow,
    session: String,
    thinking: Option<String>,
    timeout_seconds: Option<i32>,
    enabled: bool,
    created_at: NaiveDateTime,
    next_due: Option<NaiveDateTime>,
    last_run_at: Option<NaiveDateTime>,
    last_status: Option<String>,
    consecutive_errors: i32,
    answer_to: String,
    revision: i32,
    last_error: Option<String>,
    recent: String,
}

/// The columns of a timing: one of `cron`, `fires_at` and `every_minutes` is not null.
#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
pub(super) struct TimingRow {
    cron: Option<String>,
    fires_at: Option<NaiveDateTime>,
    fires_local: Option<String>,
    every_minutes: Option<i32>,
    tz: String,
}

impl TryFrom<TimingRow> for Timing {
    type Error = QueryError;

    fn try_from(row: TimingRow) -> Result<Self, QueryError> {
        let every = row.every_minutes.and_then(|minutes| Interval::from_minutes(minutes.try_into().ok()?));
        let at = row.fires_at.map(|at| TimingKind::At(Moment { at: at.and_utc(), local: row.fires_local }));
        let kind = row.cron.map(TimingKind::Cron).or(at).or(every.map(TimingKind::Every));
        let unreadable = || Invalid::new("timing", "a job has none of cron, at and every");
        Ok(Self { kind: kind.ok_or_else(unreadable)?, tz: row.tz })
    }
}

impl TryFrom<JobRow> for Job {
    type Error = QueryError;

    fn try_from(row: JobRow) -> Result<Self, QueryError> {
        let spec = JobSpec {
            name: JobName::parse(&row.name)?,
            description: row.description,
            message: row.message,
            timing: row.timing.try_into()?,
            session: row.session,
            thinking: row.thinking.as_deref().map(Thinking::parse).transpose()?,
            timeout_seconds: row.timeout_seconds.and_then(|seconds| seconds.try_into().ok()),
            answer_to: AnswerTo::parse(&row.answer_to)?,
        };
        let state = JobState {
            next_run: row.next_due.map(|at| at.and_utc()),
            last_run: row.last_run_at.map(|at| at.and_utc()),
            last_status: row.last_status.as_deref().map(RunStatus::parse).transpose()?,
            last_error: row.last_error,
            consecutive_errors: row.consecutive_errors.try_into().unwrap_or_default(),
            recent: read_recent(&row.recent)?,
        };
        Ok(Self {
            id: row.id,
            owner: FriendshipKey { friend: FriendId::parse(&row.friend_id)?, agent: AgentId::parse(&row.agent_id)? },
            spec,
            enabled: row.enabled,
            read_only: false,
            created_at: row.created_at.and_utc(),
            revision: row.revision.try_into().unwrap_or_default(),
            state,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = runs)]
struct RunRow {
    id: String,
    trigger: String,
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
        let missed_window = |(from, count): (NaiveDateTime, i32)| MissedWindow {
            from: from.and_utc(),
            to: due_at,
            count: count.try_into().unwrap_or_default(),
        };
        Ok(Self {
            id: row.id,
            trigger: Trigger::parse(&row.trigger)?,
            due_at,
            started_at: row.started_at.map(|at| at.and_utc()),
            finished_at: row.finished_at.map(|at| at.and_utc()),
            status: RunStatus::parse(&row.status)?,
            // Receivers say that they have the message, and nothing of the agent's work and answer.
            finished: None,
            sent: None,
            answer: None,
            attempts: row.attempts.try_into().unwrap_or_default(),
            error: row.error,
            missed: row.missed_from.zip(row.missed_count).map(missed_window),
        })
    }
}

/// The owner's job of this exact name, else of this id.
macro_rules! named {
    ($owner:expr, $name:expr) => {
        jobs::table
            .filter(jobs::friend_id.eq($owner.friend.as_str()))
            .filter(jobs::agent_id.eq($owner.agent.as_str()))
            .filter(jobs::name.eq($name).or(jobs::id.eq($name)))
            // A job may have another job's id as its name; the name wins.
            .order(jobs::name.eq($name).desc())
            .limit(1)
    };
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

    async fn find(&self, owner: &FriendshipKey, name: &str) -> Result<Option<Job>, BackendError> {
        let (owner, name) = (owner.clone(), name.to_owned());
        self.pools
            .read(async move |conn| {
                let row = named!(owner, &name).select(JobRow::as_select()).first(conn).await.optional()?;
                row.map(Job::try_from).transpose()
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
                let same_name = jobs::table
                    .filter(jobs::friend_id.eq(friend.as_str()))
                    .filter(jobs::agent_id.eq(agent.as_str()))
                    .filter(jobs::name.eq(job.spec.name.as_str()));
                if diesel::select(exists(same_name)).get_result(conn).await? {
                    return Ok(JobCreated::NameTaken);
                }
                if !has_room(conn, friend, limit).await? {
                    return Ok(JobCreated::LimitReached);
                }
                insert(conn, &job).await?;
                audit::insert(conn, &audit).await?;
                Ok(JobCreated::New(Box::new(job)))
            })
            .await
    }

    async fn update(&self, update: JobUpdate, mut audit: AuditEntry) -> Result<JobUpdated, BackendError> {
        self.pools
            .write(async move |conn| {
                let JobUpdate { job, seen_revision, seen_next_run, missed } = update;
                let Some(locked) = lock(conn, &job.owner, &job.id).await? else { return Ok(JobUpdated::Absent) };
                let seen = (i32::try_from(seen_revision).unwrap_or(i32::MAX), seen_next_run);
                if (locked.revision, locked.next_due.map(|at| at.and_utc())) != seen {
                    return Ok(JobUpdated::Stale);
                }
                store_changes(conn, &job).await?;
                if let Some((run, window)) = &missed {
                    insert_missed(conn, &job.id, run, window, audit.at).await?;
                }
                audit.subject = locked.name;
                audit::insert(conn, &audit).await?;
                let row: JobRow = jobs::table.find(&job.id).select(JobRow::as_select()).first(conn).await?;
                Ok(JobUpdated::Done(Box::new(row.try_into()?)))
            })
            .await
    }

    async fn remove(&self, owner: &FriendshipKey, name: &str, mut audit: AuditEntry) -> Result<bool, BackendError> {
        let (owner, name) = (owner.clone(), name.to_owned());
        self.pools
            .write(async move |conn| {
                let Some(locked) = lock(conn, &owner, &name).await? else { return Ok(false) };
                // The runs go with the job: their foreign key cascades.
                diesel::delete(jobs::table.find(&locked.id)).execute(conn).await?;
                audit.subject = locked.name;
                audit::insert(conn, &audit).await?;
                Ok(true)
            })
            .await
    }

    async fn request(
        &self,
        owner: &FriendshipKey,
        name: &str,
        run: &str,
        mut audit: AuditEntry,
    ) -> Result<RunRequested, BackendError> {
        let (owner, name, run) = (owner.clone(), name.to_owned(), run.to_owned());
        self.pools
            .write(async move |conn| {
                // The friend's row before the job's, as removing a friend locks them: it serialises the limit below.
                friends::lock(conn, &owner.friend).await?;
                let Some(locked) = lock(conn, &owner, &name).await? else { return Ok(RunRequested::Absent) };
                if locked.open_run.is_some() {
                    return Ok(RunRequested::Open);
                }
                if let Some(retry_after) = manual_runs::wait(conn, &owner.friend, audit.at).await? {
                    return Ok(RunRequested::TooMany { retry_after });
                }
                manual_runs::insert(conn, &locked.id, &run, audit.at).await?;
                audit.subject = locked.name;
                audit::insert(conn, &audit).await?;
                Ok(RunRequested::Queued(run))
            })
            .await
    }

    async fn runs(
        &self,
        owner: &FriendshipKey,
        name: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<RunsListed, BackendError> {
        let (owner, name, before) = (owner.clone(), name.to_owned(), before.map(str::to_owned));
        self.pools
            .read(async move |conn| {
                let job = named!(owner, &name).select(jobs::id).first::<String>(conn).await.optional()?;
                let Some(job) = job else { return Ok(RunsListed::Absent) };
                let mut page = runs::table.filter(runs::job_id.eq(&job)).select(RunRow::as_select()).into_boxed();
                if let Some(before) = before {
                    let run = runs::table.find(before).filter(runs::job_id.eq(&job)).select((runs::due_at, runs::id));
                    let run = run.first::<(NaiveDateTime, String)>(conn).await.optional()?;
                    let Some((due_at, id)) = run else { return Ok(RunsListed::RunUnknown) };
                    // The first condition alone is a range of the index; the second one orders runs of one moment.
                    page = page.filter(runs::due_at.le(due_at)).filter(runs::due_at.lt(due_at).or(runs::id.lt(id)));
                }
                let page = page.order((runs::due_at.desc(), runs::id.desc())).limit(limit.into());
                let rows: Vec<RunRow> = page.load(conn).await?;
                rows.into_iter().map(Run::try_from).collect::<Result<_, _>>().map(RunsListed::Page)
            })
            .await
    }
}

/// Returns true if the friend has fewer than `limit` jobs, for all agents together; called inside a transaction that has
/// locked the friend.
pub(super) async fn has_room(conn: &mut Conn, friend: &FriendId, limit: u32) -> Result<bool, QueryError> {
    let own = jobs::table.filter(jobs::friend_id.eq(friend.as_str()));
    Ok(own.count().get_result::<i64>(conn).await? < i64::from(limit))
}

pub(super) async fn insert(conn: &mut Conn, job: &Job) -> Result<(), QueryError> {
    let Job { id, owner, created_at, .. } = job;
    let place = (
        jobs::id.eq(id),
        jobs::friend_id.eq(owner.friend.as_str()),
        jobs::agent_id.eq(owner.agent.as_str()),
        jobs::name.eq(job.spec.name.as_str()),
        jobs::created_at.eq(created_at.naive_utc()),
        jobs::consecutive_errors.eq(0),
    );
    diesel::insert_into(jobs::table).values((place, changes(job))).execute(conn).await?;
    Ok(())
}

async fn store_changes(conn: &mut Conn, job: &Job) -> Result<(), QueryError> {
    diesel::update(jobs::table.find(&job.id)).set(changes(job)).execute(conn).await?;
    Ok(())
}

/// The columns that a job's owner changes. A column that becomes empty is written too.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = jobs, treat_none_as_null = true)]
struct Changes<'a> {
    description: Option<String>,
    message: &'a str,
    cron: Option<String>,
    fires_at: Option<NaiveDateTime>,
    fires_local: Option<String>,
    every_minutes: Option<i32>,
    tz: &'a str,
    session: &'a str,
    thinking: Option<String>,
    timeout_seconds: Option<i32>,
    answer_to: &'static str,
    enabled: bool,
    next_due: Option<NaiveDateTime>,
    revision: i32,
}

fn changes(job: &Job) -> Changes<'_> {
    let spec = &job.spec;
    let mut changes = Changes {
        description: spec.description.clone(),
        message: &spec.message,
        cron: None,
        fires_at: None,
        fires_local: None,
        every_minutes: None,
        tz: &spec.timing.tz,
        session: &spec.session,
        thinking: spec.thinking.map(|thinking| thinking.as_str().to_owned()),
        timeout_seconds: spec.timeout_seconds.map(i32::from),
        answer_to: spec.answer_to.as_str(),
        enabled: job.enabled,
        next_due: job.state.next_run.map(|at| at.naive_utc()),
        revision: i32::try_from(job.revision).unwrap_or(i32::MAX),
    };
    match &spec.timing.kind {
        TimingKind::Cron(cron) => changes.cron = Some(cron.clone()),
        TimingKind::At(moment) => {
            changes.fires_at = Some(moment.at.naive_utc());
            changes.fires_local.clone_from(&moment.local);
        }
        TimingKind::Every(interval) => changes.every_minutes = i32::try_from(interval.minutes()).ok(),
    }
    changes
}

/// A job whose row is locked until the transaction ends.
#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
struct LockedJob {
    id: String,
    name: String,
    next_due: Option<NaiveDateTime>,
    revision: i32,
    open_run: Option<String>,
}

/// Locks the row of the owner's job of this exact name, else of this id.
///
/// Whatever changes a job or its runs locks this row first, so that two such changes cannot deadlock.
async fn lock(conn: &mut Conn, owner: &FriendshipKey, name: &str) -> Result<Option<LockedJob>, QueryError> {
    let job = named!(owner, name).select(LockedJob::as_select());
    Ok(for_update!(job).first(conn).await.optional()?)
}
