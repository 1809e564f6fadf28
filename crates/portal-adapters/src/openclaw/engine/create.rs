//! Making a job in a gateway.
//!
//! 1. The name is reserved in the portal's database, so that no other request of this friend makes a job of that name.
//! 2. The gateway's jobs are listed: the name must be free there as well, and the limit not reached.
//! 3. `cron.add`. Where the gateway has it, the job is declared under a key of its own: the same call once more finds the
//!    job and makes no second one. Where it has not, the jobs are listed again before the call is repeated.
//! 4. The answer is compared with what was asked. A gateway that stored something else is too old, and the job is removed.

use chrono::TimeDelta;
use portal_core::{Backend, BackendError, FriendshipKey};
use portal_cron::{
    ChangeEnd, Destination, EngineRefusal, HeldChange, JOBS_PER_FRIEND, JobCreated, JobSpec, RemoteRun, SessionKey,
};
use serde_json::json;

use super::context::{Context, Session};
use super::job::{GatewayJob, as_told};
use super::params;
use crate::openclaw::client::{CallError, CallKind};

/// A job that is to be made.
pub(super) struct NewJob {
    pub(super) owner: FriendshipKey,
    pub(super) spec: JobSpec,
    /// A disabled one is for whoever moves jobs, and takes the same job that is there for the new one.
    pub(super) enabled: bool,
}

/// Result of asking the gateway once.
enum Added {
    /// It answered with the job, which is new there or not.
    Job(Box<GatewayJob>, bool),
    /// It did not answer.
    Lost(BackendError),
}

impl NewJob {
    /// Makes the job under the reservation `held`; returns how the reservation ends and what the caller hears.
    pub(super) async fn make(
        &self,
        context: &Context,
        held: &HeldChange,
    ) -> Result<(ChangeEnd, JobCreated), (ChangeEnd, BackendError)> {
        let nothing = |error| (ChangeEnd::Nothing, error);
        let session = context.session(&self.owner).await.map_err(nothing)?;
        let destination = self.destination(&session).await.map_err(nothing)?;
        let jobs = context.lists.fresh(&session.client).await.map_err(nothing)?;
        let key = &destination.session;
        if let Some(taken) = self.find(&session, &jobs) {
            let is_same = (held.follows_lost || !self.enabled) && self.is_as_asked(&session, taken, key);
            // An earlier request made it, and its caller heard of no end.
            return Ok(if is_same {
                self.created(&session, taken)
            } else {
                (ChangeEnd::Nothing, JobCreated::NameTaken)
            });
        }
        let count = jobs.iter().filter(|job| job.own(&session.claim()).is_some()).count();
        let others = usize::try_from(held.other_jobs).unwrap_or(usize::MAX);
        if count.saturating_add(others) >= usize::try_from(JOBS_PER_FRIEND).unwrap_or(usize::MAX) {
            return Ok((ChangeEnd::Nothing, JobCreated::LimitReached));
        }
        let (job, is_new) = match self.add(&session, &destination).await.map_err(nothing)? {
            Added::Job(job, is_new) => (job, is_new),
            Added::Lost(error) => self.add_again(context, &session, &destination, error).await?,
        };
        context.lists.invalidate();
        if !self.is_as_asked(&session, &job, key) {
            // Only what this call made: a job that was there before may be somebody's.
            if is_new {
                remove(&session, &job).await;
            }
            return Ok((ChangeEnd::Nothing, JobCreated::Refused(EngineRefusal::GatewayTooOld)));
        }
        Ok(self.created(&session, &job))
    }

    /// Makes a job that runs once and at once, which is known to the friend as the run `run`.
    pub(super) async fn make_run(
        &self,
        context: &Context,
        held: &HeldChange,
        run: String,
    ) -> Result<(ChangeEnd, JobCreated), (ChangeEnd, BackendError)> {
        let requested_at = context.clock.now();
        let (end, outcome) = self.make(context, held).await?;
        let (ChangeEnd::Done { name, .. }, JobCreated::New(job)) = (&end, &outcome) else { return Ok((end, outcome)) };
        let run = RemoteRun {
            id: run,
            owner: self.owner.clone(),
            job: job.id.clone(),
            remote_id: None,
            requested_at,
            expected_by: requested_at + TimeDelta::hours(1),
            end: None,
        };
        Ok((ChangeEnd::Done { name: name.clone(), id: job.id.clone(), run: Some(Box::new(run)) }, outcome))
    }

    async fn destination<'a>(&self, session: &'a Session<'_>) -> Result<Destination<'a>, BackendError> {
        let found = session.context.keys.destination(&self.owner, &session.contacts, &self.spec.session).await?;
        // Its session was found to be the owner's own a moment ago.
        found.ok_or_else(|| BackendError::failed(Backend::Gateway, "the session belongs to nobody any more"))
    }

    /// Returns the job that has the name, or the key under which this one would be declared. A job that was declared by
    /// this name may have got another one meanwhile.
    fn find<'a>(&self, session: &Session<'_>, jobs: &'a [GatewayJob]) -> Option<&'a GatewayJob> {
        let declared = session.declaration_key(&self.spec.name);
        let is_declared =
            |job: &&GatewayJob| job.declaration_key.as_ref() == Some(&declared) && job.names(&self.owner.agent);
        let has_name = |job: &&GatewayJob| job.name == self.spec.name && job.own(&session.claim()).is_some();
        jobs.iter().find(|job| is_declared(job) || has_name(job))
    }

    async fn add(&self, session: &Session<'_>, to: &Destination<'_>) -> Result<Added, BackendError> {
        let asked = |declaration_key| {
            let mut params = params::add(&self.owner.agent, &self.spec, to, declaration_key);
            params["enabled"] = self.enabled.into();
            params
        };
        let declared = session.can.declare.then(|| session.declaration_key(&self.spec.name));
        let is_declared = declared.is_some();
        let mut answered = session.client.call(CallKind::Write, "cron.add", asked(declared)).await;
        if is_declared && matches!(&answered, Err(CallError::Refused(refusal)) if refusal.code == "INVALID_REQUEST") {
            // A gateway between the two kinds refuses a member that it does not know, as it refuses everything else.
            answered = session.client.call(CallKind::Write, "cron.add", asked(None)).await;
        }
        match answered {
            Ok(answer) => {
                let is_new = answer["created"] != false;
                let job = answer.get("job").unwrap_or(&answer);
                let job = GatewayJob::parse(job);
                let job = job.ok_or_else(|| BackendError::failed(Backend::Gateway, "the new job has no id"));
                // It was made, and nobody knows its name there.
                Ok(job.map_or_else(Added::Lost, |job| Added::Job(Box::new(job), is_new)))
            }
            Err(CallError::Unavailable(error)) => Ok(Added::Lost(error)),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Looks for the job, whose answer was lost, and asks for it once more if it is not there.
    async fn add_again(
        &self,
        context: &Context,
        session: &Session<'_>,
        to: &Destination<'_>,
        lost: BackendError,
    ) -> Result<(Box<GatewayJob>, bool), (ChangeEnd, BackendError)> {
        let unknown = |error| (ChangeEnd::Lost { name: self.spec.name.to_string() }, error);
        context.lists.invalidate();
        let Ok(jobs) = context.lists.fresh(&session.client).await else { return Err(unknown(lost)) };
        if let Some(found) = self.find(session, &jobs) {
            // Its maker is not known for sure, so it is not removed if it is another one.
            return Ok((Box::new(found.clone()), false));
        }
        match self.add(session, to).await {
            Ok(Added::Job(job, is_new)) => Ok((job, is_new)),
            Ok(Added::Lost(error)) | Err(error) => Err(unknown(error)),
        }
    }

    /// Returns whether the gateway stored what it was asked for.
    fn is_as_asked(&self, session: &Session<'_>, job: &GatewayJob, key: &SessionKey) -> bool {
        let Some(own) = job.own(&session.claim()) else { return false };
        let Some(stored) = job.to_job(&self.owner, &own) else { return false };
        let (asked, stored) = (&self.spec, stored.spec);
        job.is_in(key)
            && (&stored.name, &stored.timing, &stored.message) == (&asked.name, &as_told(&asked.timing), &asked.message)
            && (stored.thinking, stored.timeout_seconds) == (asked.thinking, asked.timeout_seconds)
            && (&stored.description, stored.answer_to) == (&asked.description, asked.answer_to)
    }

    fn created(&self, session: &Session<'_>, job: &GatewayJob) -> (ChangeEnd, JobCreated) {
        let name = self.spec.name.to_string();
        let shown = job.own(&session.claim()).and_then(|key| job.to_job(&self.owner, &key));
        match shown {
            Some(job) => (ChangeEnd::Done { name, id: job.id.clone(), run: None }, JobCreated::New(Box::new(job))),
            None => (ChangeEnd::Nothing, JobCreated::NameTaken),
        }
    }
}

async fn remove(session: &Session<'_>, job: &GatewayJob) {
    let removed = session.client.call(CallKind::Write, "cron.remove", json!({"id": job.id})).await;
    let is_removed = removed.is_ok_and(|answer| answer["removed"] != false);
    tracing::error!(
        job.id = %job.id, is_removed,
        "the agent's gateway stored another job than it was asked for; it is too old for `engine = \"openclaw\"`"
    );
}
