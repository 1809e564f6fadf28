//! Changing, removing and running a job that is in a gateway.
//!
//! The job is read anew and its owner found again, right before each of them. Where the gateway has revisions, the change
//! names the one that was read, so that a job that somebody changed or moved in between is left alone.

use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{BackendError, FriendshipKey};
use portal_cron::{AnswerTo, ChangeEnd, EngineRefusal, Job, JobRemoved, JobSpec, JobUpdated, RemoteRun, RunRequested};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::context::{Context, Session, parse};
use super::job::{GatewayJob, as_told, text};
use super::params;
use crate::openclaw::client::{CallError, CallKind};

/// Time in which most gateways say that a run is admitted. Older ones answer when it is over.
const ADMISSION: std::time::Duration = std::time::Duration::from_secs(3);
/// Longest time of a run that has no limit of its own: gateways end one after ten minutes unless they are told otherwise.
const RUN_MAX: TimeDelta = TimeDelta::hours(1);
/// Time beyond a run's limit in which its end is expected.
const RUN_GRACE: TimeDelta = TimeDelta::minutes(1);

/// Result of a change: the end of the change in the portal's database, and what the caller hears.
pub(super) type Changed<T> = Result<(ChangeEnd, T), (ChangeEnd, BackendError)>;

#[expect(clippy::unnecessary_wraps, reason = "it stands where a `Changed` is returned")]
fn unchanged<T>(outcome: T) -> Changed<T> {
    Ok((ChangeEnd::Nothing, outcome))
}

fn failed(error: impl Into<BackendError>) -> (ChangeEnd, BackendError) {
    (ChangeEnd::Nothing, error.into())
}

/// A change of the parts of a job.
pub(super) struct Update {
    /// The job as the change was computed from it.
    pub(super) job: Job,
    pub(super) spec: JobSpec,
    pub(super) enabled: bool,
}

impl Update {
    pub(super) async fn make(&self, context: &Context) -> Changed<JobUpdated> {
        let Self { job, spec, enabled } = self;
        let session = context.session(&job.owner).await.map_err(failed)?;
        let Some(found) = session.read(&job.id).await.map_err(failed)? else { return unchanged(JobUpdated::Absent) };
        if !found.is_agent_turn() {
            return unchanged(JobUpdated::Refused(EngineRefusal::ReadOnly));
        }
        if found.revision != job.revision {
            return unchanged(JobUpdated::Stale);
        }
        let Some(key) = found.own(&session.claim()) else { return unchanged(JobUpdated::Absent) };
        let answer = context.keys.answer_contact(&job.owner, &session.contacts, &key).await.map_err(failed)?;
        let answer = answer.filter(|_| spec.answer_to == AnswerTo::Chat);
        let patch = params::patch(&job.spec, spec, (*enabled != job.enabled).then_some(*enabled), answer);
        if patch.clears && !session.can.clear {
            return unchanged(JobUpdated::Refused(EngineRefusal::GatewayTooOld));
        }
        let params = params::update(&found, &patch.members.into());
        match session.write("cron.update", &job.id, params).await {
            Ok(Some(answer)) => match parse(&answer) {
                Ok(stored) => Ok(self.compare(&session, &stored)),
                Err(error) => self.look_again(&session, error).await,
            },
            Ok(None) => unchanged(JobUpdated::Absent),
            Err(CallError::Refused(refusal)) if refusal.detail_code() == "CRON_JOB_CHANGED" => {
                unchanged(JobUpdated::Stale)
            }
            Err(CallError::Unavailable(error)) => self.look_again(&session, error).await,
            Err(refused) => Err(failed(refused)),
        }
    }

    /// Compares what the gateway stored with what it was asked for.
    fn compare(&self, session: &Session<'_>, stored: &GatewayJob) -> (ChangeEnd, JobUpdated) {
        let end = ChangeEnd::Done { name: self.job.spec.name.to_string(), id: self.job.id.clone(), run: None };
        let Some(key) = stored.own(&session.claim()) else {
            tracing::error!(job.id = %stored.id, "a job was given to somebody else while it was changed");
            return (end, JobUpdated::Absent);
        };
        match stored.to_job(&self.job.owner, &key) {
            Some(stored) if self.is_asked(&stored) => (end, JobUpdated::Done(Box::new(stored))),
            _ => {
                tracing::error!(job.id = %stored.id, "the agent's gateway stored another change than it was asked for");
                (end, JobUpdated::Refused(EngineRefusal::GatewayTooOld))
            }
        }
    }

    fn is_asked(&self, stored: &Job) -> bool {
        let (old, asked, stored_spec) = (&self.job.spec, &self.spec, &stored.spec);
        // What was not to be changed may have been shown in part.
        (old.timing == asked.timing || stored_spec.timing == as_told(&asked.timing))
            && (old.message == asked.message || stored_spec.message == asked.message)
            && (old.answer_to == asked.answer_to || stored_spec.answer_to == asked.answer_to)
            && stored.enabled == self.enabled
    }

    /// Looks what became of a change whose answer was lost.
    async fn look_again(&self, session: &Session<'_>, lost: BackendError) -> Changed<JobUpdated> {
        let end = ChangeEnd::Lost { name: self.job.spec.name.to_string() };
        let Ok(Some(found)) = session.read(&self.job.id).await else { return Err((end, lost)) };
        match self.compare(session, &found) {
            (done, JobUpdated::Done(job)) if job.revision != self.job.revision => Ok((done, JobUpdated::Done(job))),
            _ => Err((end, lost)),
        }
    }
}

/// A job of a friend, by its id.
pub(super) struct Named {
    pub(super) owner: FriendshipKey,
    pub(super) id: String,
}

/// A job that a friend may change, or the outcome that says why not.
enum Found {
    Job(Box<GatewayJob>),
    Absent,
    ReadOnly,
}

impl Named {
    async fn find(&self, session: &Session<'_>) -> Result<Found, BackendError> {
        Ok(match session.read(&self.id).await? {
            Some(job) if job.is_agent_turn() => Found::Job(Box::new(job)),
            Some(_) => Found::ReadOnly,
            None => Found::Absent,
        })
    }

    pub(super) async fn remove(&self, context: &Context) -> Changed<JobRemoved> {
        let session = context.session(&self.owner).await.map_err(failed)?;
        let job = match self.find(&session).await.map_err(failed)? {
            Found::Job(job) => job,
            Found::Absent => return unchanged(JobRemoved::Absent),
            Found::ReadOnly => return unchanged(JobRemoved::Refused(EngineRefusal::ReadOnly)),
        };
        let done = ChangeEnd::Done { name: job.name.to_string(), id: self.id.clone(), run: None };
        match session.write("cron.remove", &self.id, json!({"id": self.id})).await {
            Ok(Some(answer)) if answer["removed"] == true => Ok((done, JobRemoved::Done)),
            Ok(Some(answer)) if answer["removed"] == false => unchanged(JobRemoved::Absent),
            Ok(None) => unchanged(JobRemoved::Absent),
            // No answer, or one that says nothing.
            Ok(Some(_)) => self.look_again(&session, done, lost()).await,
            Err(CallError::Unavailable(error)) => self.look_again(&session, done, error).await,
            Err(refused) => Err(failed(refused)),
        }
    }

    async fn look_again(&self, session: &Session<'_>, done: ChangeEnd, lost: BackendError) -> Changed<JobRemoved> {
        match session.read(&self.id).await {
            Ok(None) => Ok((done, JobRemoved::Done)),
            Ok(Some(job)) => Err((ChangeEnd::Lost { name: job.name.to_string() }, lost)),
            Err(_) => Err((ChangeEnd::Lost { name: self.id.clone() }, lost)),
        }
    }

    /// Asks for a run, which is known to the friend as `run`.
    pub(super) async fn run(&self, context: &Context, run: String) -> Changed<RunRequested> {
        let session = context.session(&self.owner).await.map_err(failed)?;
        let job = match self.find(&session).await.map_err(failed)? {
            Found::Job(job) => job,
            Found::Absent => return unchanged(RunRequested::Absent),
            Found::ReadOnly => return unchanged(RunRequested::Refused(EngineRefusal::ReadOnly)),
        };
        let asked = context.store.requested_runs(&self.owner, &self.id, 1).await.map_err(failed)?;
        if asked.iter().any(|run| run.end.is_none()) {
            return unchanged(RunRequested::Open);
        }
        let requested_at = context.clock.now();
        match self.ask(&session).await {
            Ok(Admission::Begun(remote_id)) => {
                let run = self.requested(run, remote_id, &job, requested_at);
                let queued = RunRequested::Queued(run.id.clone());
                Ok((
                    ChangeEnd::Done { name: job.name.to_string(), id: self.id.clone(), run: Some(Box::new(run)) },
                    queued,
                ))
            }
            Ok(Admission::Running) => unchanged(RunRequested::Open),
            Ok(Admission::Absent) => unchanged(RunRequested::Absent),
            Err(error) => Err(failed(error)),
        }
    }

    /// Calls `cron.run`. A gateway that answers when the run is over is not waited for, and a run whose answer was lost is
    /// looked for like one whose id is not known.
    async fn ask(&self, session: &Session<'_>) -> Result<Admission, BackendError> {
        let (client, params) = (session.client.clone(), json!({"id": self.id, "mode": "force"}));
        // A task of its own: the call goes on when nobody waits for it any more.
        let call = tokio::spawn(async move { client.call(CallKind::Write, "cron.run", params).await });
        let Ok(Ok(answered)) = timeout(ADMISSION, call).await else { return Ok(Admission::Begun(None)) };
        session.context.lists.invalidate();
        let answer = match answered {
            Ok(answer) => answer,
            Err(CallError::Unavailable(_)) => return Ok(Admission::Begun(None)),
            Err(CallError::Refused(refusal)) if session.lacks(&self.id, &refusal).await? => {
                return Ok(Admission::Absent);
            }
            Err(refused) => return Err(refused.into()),
        };
        Admission::parse(&answer)
    }

    fn requested(
        &self,
        run: String,
        remote_id: Option<String>,
        job: &GatewayJob,
        requested_at: DateTime<Utc>,
    ) -> RemoteRun {
        let limit = job.timeout_seconds().map_or(RUN_MAX, |seconds| TimeDelta::seconds(seconds.into()));
        RemoteRun {
            id: run,
            owner: self.owner.clone(),
            job: self.id.clone(),
            remote_id,
            requested_at,
            expected_by: requested_at + limit + RUN_GRACE,
            end: None,
        }
    }
}

/// A gateway's answer to the wish for a run.
enum Admission {
    /// It will be, is or was run, under this id if the gateway told one.
    Begun(Option<String>),
    /// Another run of the job is under way.
    Running,
    /// There is no such job.
    Absent,
}

impl Admission {
    fn parse(answer: &Value) -> Result<Self, BackendError> {
        match text(answer, "reason") {
            Some("already-running") => return Ok(Self::Running),
            Some(reason) if answer["ran"] == false => {
                let reason: String = reason.chars().take(40).collect();
                return Err(BackendError::failed(
                    portal_core::Backend::Gateway,
                    format!("it did not run the job: {reason}"),
                ));
            }
            _ => {}
        }
        if answer["enqueued"] == true || answer["ran"] == true {
            return Ok(Self::Begun(text(answer, "runId").map(str::to_owned)));
        }
        // An answer without its parts: the run may have begun.
        Ok(Self::Begun(None))
    }
}

fn lost() -> BackendError {
    BackendError::failed(portal_core::Backend::Gateway, "the gateway's answer cannot be read")
}
