//! Jobs as their friends see them, with the runs that they ask for and list.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AgentId, AuditEntry, BackendError, FriendId, FriendshipKey, Invalid};
use portal_cron::{
    AnswerTo, Interval, Job, JobCreated, JobName, JobSpec, JobState, JobStore, JobUpdate, JobUpdated, MissedWindow,
    RecentRun, Run, RunRequested, RunStatus, Thinking, Timing, TimingKind, Trigger,
};
use serde::{Deserialize, Serialize};

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

/// The columns of a timing: one of the first three is not null.
#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
pub(super) struct TimingRow {
    cron: Option<String>,
    fires_at: Option<NaiveDateTime>,
    every_minutes: Option<i32>,
    tz: String,
}

impl TryFrom<TimingRow> for Timing {
    type Error = QueryError;

    fn try_from(row: TimingRow) -> Result<Self, QueryError> {
        let every = row.every_minutes.and_then(|minutes| Interval::from_minutes(minutes.try_into().ok()?));
        let at = row.fires_at.map(|at| TimingKind::At(at.and_utc()));
        let kind = row.cron.map(TimingKind::Cron).or(at).or(every.map(TimingKind::Every));
        let unreadable = || Invalid::new("timing", "a job has none of cron, at and every");
        Ok(Self { kind: kind.ok_or_else(unreadable)?, tz: row.tz })
    }
}

/// A run in the column `recent`.
#[derive(Serialize, Deserialize)]
struct RecentEntry {
    status: String,
    due_at: DateTime<Utc>,
}

fn read_recent(text: &str) -> Result<Vec<RecentRun>, QueryError> {
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

    async fn runs(&self, owner: &FriendshipKey, name: &str, limit: u32) -> Result<Option<Vec<Run>>, BackendError> {
        let (owner, name) = (owner.clone(), name.to_owned());
        self.pools
            .read(async move |conn| {
                let job = named!(owner, &name).select(jobs::id).first::<String>(conn).await.optional()?;
                let Some(job) = job else { return Ok(None) };
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
        TimingKind::At(at) => changes.fires_at = Some(at.naive_utc()),
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
        let run = RecentRun { status: RunStatus::Missed, due_at: window.to };
        record_end(conn, job, run, Some(&window.explanation())).await?;
    }
    Ok(())
}

/// Records on a job that one of its runs has ended; called inside a transaction that has locked the job.
pub(super) async fn record_end(
    conn: &mut Conn,
    job: &str,
    run: RecentRun,
    error: Option<&str>,
) -> Result<(), QueryError> {
    let row = jobs::table.find(job).select((jobs::recent, jobs::consecutive_errors));
    let (recent, errors): (String, i32) = row.first(conn).await?;
    let mut state = JobState { recent: read_recent(&recent)?, ..JobState::default() };
    state.push_recent(run);
    let errors = match run.status {
        RunStatus::Delivered => 0,
        RunStatus::Failed => errors.saturating_add(1),
        // A missed window says nothing about the receiver.
        _ => errors,
    };
    diesel::update(jobs::table.find(job))
        .set((
            jobs::last_status.eq(run.status.as_str()),
            jobs::last_error.eq(error),
            jobs::recent.eq(write_recent(&state.recent)?),
            jobs::consecutive_errors.eq(errors),
        ))
        .execute(conn)
        .await?;
    disable_spent(conn, job).await
}

/// Disables a job for one moment that is over.
pub(super) async fn disable_spent(conn: &mut Conn, job: &str) -> Result<(), QueryError> {
    diesel::update(jobs::table.find(job))
        .filter(jobs::fires_at.is_not_null())
        .filter(jobs::next_due.is_null())
        .set(jobs::enabled.eq(false))
        .execute(conn)
        .await?;
    Ok(())
}
