//! Jobs that are kept and run by the agent's OpenClaw gateway, where the agent's own reminders are.
//!
//! The gateway checks no ownership and lets everybody with its token change everything, so this engine is the only guard:
//! every key is built here, and every job is read again and its owner found before it is changed. Start reading at
//! `GatewayJob::own`.

#![expect(clippy::indexing_slicing, reason = "a member that a JSON value does not have is null, never a panic")]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{SubsecRound as _, TimeDelta};
use portal_core::{AgentId, AuditEntry, Backend, BackendError, Clock, FriendshipKey, FriendshipStore, Ids};
use portal_cron::{
    ChangeBegun, ChangeEnd, Engine, EngineRefusal, HeldChange, Job, JobCreated, JobRemoved, JobSpec, JobUpdated,
    MessageQueued, NewChange, RemoteStore, RunRequested, RunsListed, SessionKeys, Timing, TimingKind,
};
use tokio::time::timeout;
use tracing::Instrument as _;

mod change;
mod context;
mod create;
mod follow;
mod job;
mod list;
mod outcome;
mod params;
mod pause;
mod runs;

use change::{Changed, Named, Update};
use context::{Abilities, Context, Session};
use create::NewJob;
use follow::Follower;

use super::GatewayOf;
use super::connection::Hello;

/// Time until a message is said that is to be sent now: a gateway whose clock is ahead refuses a moment that is past.
const MESSAGE_DELAY: TimeDelta = TimeDelta::seconds(5);
/// Longest time of a change: it ends before others may take the job for free.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(40);
/// Most runs of a job in one list.
const RUNS_LISTED: usize = 100;
/// Most pages of a job's runs that are searched for the begin of a list.
const RUN_PAGES_MAX: usize = 10;
/// Most runs asked for by friends that a list of runs holds.
const ASKED_MAX: u32 = 200;

/// Everything that an engine works with.
pub struct GatewayEnginePorts {
    /// The agents' gateways.
    pub gateway_of: GatewayOf,
    /// The friends' conversations.
    pub keys: Arc<SessionKeys>,
    /// Changes that are under way and runs that were asked for.
    pub store: Arc<dyn RemoteStore>,
    /// The agents' friendships, by which jobs are paused.
    pub friendships: Arc<dyn FriendshipStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids of changes and runs.
    pub ids: Arc<dyn Ids>,
    /// The portal's instance, which tells its jobs from those of another portal.
    pub instance: String,
}

/// The engine over one agent's gateway.
#[derive(Clone)]
pub struct GatewayEngine {
    context: Arc<Context>,
    follower: Arc<Follower>,
}

impl GatewayEngine {
    /// The engine of `agent`.
    #[must_use]
    pub fn new(agent: AgentId, ports: GatewayEnginePorts) -> Self {
        let GatewayEnginePorts { gateway_of, keys, store, friendships, clock, ids, instance } = ports;
        let lists = list::JobLists::default();
        let context = Context { agent, gateway_of, keys, store, friendships, clock, ids, instance, lists };
        Self { context: Arc::new(context), follower: Arc::default() }
    }

    /// Returns whether a gateway sends every answer of a job to the chat, by what it says about itself.
    #[must_use]
    pub fn can_send_answers(hello: &Hello) -> bool {
        Abilities::of(hello).send_answers
    }

    /// Looks once for the ends of runs that friends asked for; to be repeated every other second.
    ///
    /// # Errors
    /// The database or the gateway failed; the next call goes on.
    pub async fn follow_runs(&self) -> Result<(), BackendError> {
        self.follower.pass(&self.context).await
    }

    /// Disables the jobs of friendships that are not active, and enables those of friendships that are again; to be
    /// repeated twice a minute.
    ///
    /// # Errors
    /// The database or the gateway failed; the next call goes on.
    pub async fn pause_jobs(&self) -> Result<(), BackendError> {
        pause::pass(&self.context).await
    }

    /// Makes a disabled job, or finds the one that is the same in every part, whether it is enabled or not.
    ///
    /// # Errors
    /// The database or the gateway failed.
    pub async fn import(
        &self,
        owner: &FriendshipKey,
        spec: JobSpec,
        audit: AuditEntry,
    ) -> Result<JobCreated, BackendError> {
        self.make(NewJob { owner: owner.clone(), spec, enabled: false }, audit).await
    }

    /// Returns a friend's jobs for whoever is to move them to the portal, sorted by name.
    ///
    /// # Errors
    /// The database or the gateway failed.
    pub async fn export(&self, owner: &FriendshipKey) -> Result<Vec<ExportedJob>, BackendError> {
        let session = self.context.session(owner).await?;
        let jobs = self.context.lists.fresh(&session.client).await?;
        let claim = session.claim();
        let own =
            jobs.iter().filter_map(|job| job.own(&claim).map(|key| ExportedJob::of(job, job.to_job(owner, &key))));
        let mut own: Vec<_> = own.collect();
        own.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(own)
    }

    async fn make(&self, new: NewJob, audit: AuditEntry) -> Result<JobCreated, BackendError> {
        let (owner, name) = (new.owner.clone(), new.spec.name.to_string());
        let made = self.change(&owner, name, audit, |context, held| async move { new.make(&context, &held).await });
        Ok(match made.await? {
            Begun::Made(outcome) => outcome,
            // Another request makes a job of this name just now.
            Begun::Busy => JobCreated::NameTaken,
            Begun::TooMany(_) => JobCreated::Refused(EngineRefusal::Busy),
            Begun::NoFriendship => JobCreated::NoFriendship,
        })
    }

    /// Makes a change to its end, whether its caller waits for it or not.
    async fn change<T, W, F>(
        &self,
        owner: &FriendshipKey,
        job: String,
        audit: AuditEntry,
        work: W,
    ) -> Result<Begun<T>, BackendError>
    where
        T: Send + 'static,
        W: FnOnce(Arc<Context>, HeldChange) -> F + Send + 'static,
        F: Future<Output = Changed<T>> + Send + 'static,
    {
        let context = self.context.clone();
        let (id, owner, name) = (context.ids.id(), owner.clone(), job.clone());
        let task = async move {
            let held = match context.store.begin(NewChange { id, owner, job, audit }).await? {
                ChangeBegun::Held(held) => held,
                ChangeBegun::Busy => return Ok(Begun::Busy),
                ChangeBegun::TooMany { retry_after } => return Ok(Begun::TooMany(retry_after)),
                ChangeBegun::NoFriendship => return Ok(Begun::NoFriendship),
            };
            let id = held.id.clone();
            let made = timeout(CHANGE_TIMEOUT, work(context.clone(), held)).await;
            let (end, outcome) = match made {
                Ok(Ok((end, outcome))) => (end, Ok(Begun::Made(outcome))),
                Ok(Err((end, error))) => (end, Err(error)),
                Err(_) => {
                    let error = format!("no end of a change within {} s", CHANGE_TIMEOUT.as_secs());
                    (ChangeEnd::Lost { name }, Err(BackendError::unavailable(Backend::Gateway, error)))
                }
            };
            context.lists.invalidate();
            context.store.end(&id, end).await?;
            outcome
        };
        // A caller that hangs up must not leave half a change.
        let task = tokio::spawn(task.in_current_span());
        task.await.map_err(|error| BackendError::failed(Backend::Gateway, error))?
    }

    /// Returns the id of the owner's job of this name or id.
    async fn id_of(&self, owner: &FriendshipKey, name: &str) -> Result<Option<String>, BackendError> {
        let session = self.context.session(owner).await?;
        let recent = self.context.lists.recent(&session.client).await?;
        if let Some(job) = session.find(&recent, name) {
            return Ok(Some(job.id.clone()));
        }
        // It may have been made a moment ago.
        let fresh = self.context.lists.fresh(&session.client).await?;
        Ok(session.find(&fresh, name).map(|job| job.id.clone()))
    }

    /// Returns a page of a job's runs.
    async fn page(
        &self,
        session: &Session<'_>,
        job: &job::GatewayJob,
        before: Option<&str>,
    ) -> Result<RunsListed, BackendError> {
        let asked = self.context.store.requested_runs(&session.owner, &job.id, ASKED_MAX).await?;
        let of = runs::RunsOf::new(&job.id, Some(job), session.can.send_answers);
        let (mut entries, mut offset) = (Vec::new(), 0);
        let owner = |key: &str| self.context.keys.own_in_gateway(&session.owner, &session.contacts, key).is_some();
        for _ in 0..RUN_PAGES_MAX {
            let (page, has_more) = runs::entries(&session.client, of, offset).await?;
            offset += runs::PAGE;
            entries.extend(page.into_iter().filter_map(|entry| entry.visible(&job.id, owner)));
            let listed = runs::merge(entries.clone(), asked.clone(), job.running_at.is_some());
            let start = match before {
                None => Some(0),
                Some(before) => listed.iter().position(|run| run.id == before).map(|position| position + 1),
            };
            if let Some(start) = start.filter(|start| listed.len() >= start + RUNS_LISTED || !has_more) {
                return Ok(RunsListed::Page(listed.into_iter().skip(start).take(RUNS_LISTED).collect()));
            }
            if !has_more {
                break;
            }
        }
        Ok(RunsListed::RunUnknown)
    }
}

/// A job of a friend's in a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedJob {
    /// Its name, as it is shown.
    pub name: String,
    /// Whether this portal declared it there. Older gateways do not know it of any job.
    pub is_declared: bool,
    /// The job, or the reason for which only the gateway can have it.
    pub job: Result<Box<Job>, &'static str>,
}

impl ExportedJob {
    fn of(job: &job::GatewayJob, shown: Option<Job>) -> Self {
        let exported = match shown {
            _ if !job.is_agent_turn() => Err("it is a reminder of the agent's own kind"),
            None => Err("it has a schedule of a kind that the portal does not know"),
            Some(_) if !job.is_whole => {
                Err("a part of it is longer than the portal stores, or of a kind that it does not know")
            }
            Some(shown) => Ok(Box::new(shown)),
        };
        Self { name: job.name.to_string(), is_declared: job.declaration_key.is_some(), job: exported }
    }
}

/// Result of a change that may not even have begun.
enum Begun<T> {
    Made(T),
    Busy,
    TooMany(Duration),
    NoFriendship,
}

#[async_trait]
impl Engine for GatewayEngine {
    async fn sends_answers(&self) -> Result<bool, BackendError> {
        let hello = self.context.client()?.hello().await?;
        Ok(Self::can_send_answers(&hello))
    }

    async fn list(&self, owner: &FriendshipKey) -> Result<Vec<Job>, BackendError> {
        let session = self.context.session(owner).await?;
        let jobs = self.context.lists.recent(&session.client).await?;
        let claim = session.claim();
        let own = jobs.iter().filter_map(|job| job.to_job(owner, &job.own(&claim)?));
        let mut own: Vec<_> = own.collect();
        own.sort_by(|one, other| (&one.spec.name, &one.id).cmp(&(&other.spec.name, &other.id)));
        Ok(own)
    }

    async fn find(&self, owner: &FriendshipKey, name: &str) -> Result<Option<Job>, BackendError> {
        let session = self.context.session(owner).await?;
        let jobs = self.context.lists.recent(&session.client).await?;
        let found = session.find(&jobs, name);
        Ok(found.and_then(|job| job.to_job(owner, &job.own(&session.claim())?)))
    }

    async fn create(
        &self,
        owner: &FriendshipKey,
        spec: JobSpec,
        audit: AuditEntry,
    ) -> Result<JobCreated, BackendError> {
        self.make(NewJob { owner: owner.clone(), spec, enabled: true }, audit).await
    }

    async fn update(
        &self,
        job: Job,
        spec: JobSpec,
        enabled: bool,
        audit: AuditEntry,
    ) -> Result<JobUpdated, BackendError> {
        let (owner, id) = (job.owner.clone(), job.id.clone());
        let update = Update { job, spec, enabled };
        let made = self.change(&owner, id, audit, |context, _| async move { update.make(&context).await });
        Ok(match made.await? {
            Begun::Made(outcome) => outcome,
            Begun::Busy | Begun::TooMany(_) => JobUpdated::Refused(EngineRefusal::Busy),
            Begun::NoFriendship => JobUpdated::Absent,
        })
    }

    async fn remove(&self, owner: &FriendshipKey, name: &str, audit: AuditEntry) -> Result<JobRemoved, BackendError> {
        let Some(id) = self.id_of(owner, name).await? else { return Ok(JobRemoved::Absent) };
        let job = Named { owner: owner.clone(), id: id.clone() };
        let made = self.change(owner, id, audit, |context, _| async move { job.remove(&context).await });
        Ok(match made.await? {
            Begun::Made(outcome) => outcome,
            Begun::Busy | Begun::TooMany(_) => JobRemoved::Refused(EngineRefusal::Busy),
            Begun::NoFriendship => JobRemoved::Absent,
        })
    }

    async fn run(&self, owner: &FriendshipKey, name: &str, audit: AuditEntry) -> Result<RunRequested, BackendError> {
        let Some(id) = self.id_of(owner, name).await? else { return Ok(RunRequested::Absent) };
        let (job, run) = (Named { owner: owner.clone(), id: id.clone() }, self.context.ids.id());
        let made = self.change(owner, id, audit, |context, _| async move { job.run(&context, run).await });
        let outcome = match made.await? {
            Begun::Made(outcome) => outcome,
            // Whatever is under way: the run was not asked for.
            Begun::Busy => RunRequested::Refused(EngineRefusal::Busy),
            Begun::TooMany(retry_after) => RunRequested::TooMany { retry_after },
            Begun::NoFriendship => RunRequested::Absent,
        };
        if matches!(outcome, RunRequested::Queued(_)) {
            self.follower.wake();
        }
        Ok(outcome)
    }

    async fn send(
        &self,
        owner: &FriendshipKey,
        mut spec: JobSpec,
        run: &str,
        audit: AuditEntry,
    ) -> Result<Option<MessageQueued>, BackendError> {
        // A job for one moment, which the gateway deletes when it has run.
        let at = (self.context.clock.now() + MESSAGE_DELAY).trunc_subsecs(3);
        spec.timing = Timing { kind: TimingKind::At(at.into()), tz: "UTC".to_owned() };
        let (name, run, new) =
            (spec.name.to_string(), run.to_owned(), NewJob { owner: owner.clone(), spec, enabled: true });
        let made =
            self.change(owner, name, audit, |context, held| async move { new.make_run(&context, &held, run).await });
        let queued = match made.await? {
            Begun::Made(JobCreated::New(_)) => MessageQueued::Done,
            Begun::Made(JobCreated::LimitReached) => MessageQueued::LimitReached,
            Begun::Made(JobCreated::Refused(refusal)) => MessageQueued::Refused(refusal),
            Begun::Made(JobCreated::NoFriendship) | Begun::NoFriendship => MessageQueued::NoFriendship,
            Begun::TooMany(retry_after) => MessageQueued::TooMany { retry_after },
            // Its name holds a random part, so nothing else has it.
            Begun::Made(JobCreated::NameTaken) | Begun::Busy => MessageQueued::Refused(EngineRefusal::Busy),
        };
        if queued == MessageQueued::Done {
            self.follower.wake();
        }
        Ok(Some(queued))
    }

    async fn runs(&self, owner: &FriendshipKey, name: &str, before: Option<&str>) -> Result<RunsListed, BackendError> {
        let session = self.context.session(owner).await?;
        let jobs = self.context.lists.recent(&session.client).await?;
        match session.find(&jobs, name) {
            Some(job) => self.page(&session, job, before).await,
            None => Ok(RunsListed::Absent),
        }
    }
}
