//! From the gateway to the portal. The job in the gateway stays there, disabled.

use chrono::{DateTime, SecondsFormat, Utc};
use portal_adapters::openclaw::ExportedJob;
use portal_core::{Action, BackendError, Friendship, FriendshipKey, Invalid};
use portal_cron::{AnswerTo, Engine as _, Job, JobCreated, JobDraft, JobSpec, JobUpdated, TimingDraft, TimingKind};

use super::mover::{JobLines, MovedJob, Mover, why};

/// A job here, disabled or as it was found, or the reason why there is none.
enum LocalJob {
    Job(Box<Job>),
    Refused(String),
}

impl Mover<'_> {
    pub(super) async fn move_back(&self, friendship: &Friendship) -> Result<Vec<MovedJob>, BackendError> {
        let owner = FriendshipKey { friend: friendship.friend.clone(), agent: friendship.agent.clone() };
        let (lines, mut moved) = (self.lines(&owner).await?, Vec::new());
        let paused = self.pauses.paused(&owner.agent).await?;
        for exported in self.gateway.export(&owner).await? {
            let ExportedJob { name, is_declared, job } = exported;
            let is_ours = is_declared || lines.has_created(&name);
            let movable = match job {
                Ok(job) if is_ours => self.spec_here(&owner, &job).await?.map(|spec| (job, spec)),
                Ok(_) => Err("the agent made it".to_owned()),
                Err(reason) => Err(reason.to_owned()),
            };
            let outcome = match movable {
                Ok((job, spec)) => {
                    let is_noted = paused.iter().any(|(of, id)| *of == owner && *id == job.id);
                    self.outcome(self.out_of_gateway(*job, spec, is_noted, &lines)).await
                }
                Err(reason) => format!("stays in the gateway: {reason}"),
            };
            moved.push(MovedJob { friend: owner.friend.clone(), name, outcome });
        }
        Ok(moved)
    }

    /// Returns the job's parts as the portal keeps them, or the reason why it cannot.
    async fn spec_here(&self, owner: &FriendshipKey, job: &Job) -> Result<Result<JobSpec, String>, BackendError> {
        let mut spec = match parse(&job.spec, |draft| draft.parse(AnswerTo::Nowhere, &self.zones, self.clock.now())) {
            Ok(spec) => spec,
            Err(invalid) => return Ok(Err(invalid.message)),
        };
        let contacts = self.keys.contacts(&owner.friend).await?;
        // A job of the default conversation stays one, wherever the gateway has it later.
        let default = self.keys.default_destination(owner, &contacts).await?;
        if default.is_none_or(|default| default.session.as_str() != job.spec.session) {
            spec.session.clone_from(&job.spec.session);
        }
        if self.keys.own(owner, &contacts, &spec.session).is_none() {
            return Ok(Err("its conversation is on a channel that jobs.channels does not name".to_owned()));
        }
        Ok(Ok(spec))
    }

    async fn out_of_gateway(
        &self,
        job: Job,
        spec: JobSpec,
        is_noted: bool,
        lines: &JobLines,
    ) -> Result<String, BackendError> {
        let (owner, id, name) = (job.owner.clone(), job.id.clone(), spec.name.to_string());
        let is_wanted = job.enabled || is_noted || lines.is_pending(&name);
        let here = match self.make_here(&job, spec, is_wanted).await? {
            LocalJob::Job(here) => here,
            LocalJob::Refused(reason) => return Ok(format!("not moved: {reason}")),
        };
        if job.enabled {
            let audit = self.audit(&owner, &name, Action::JobToggle, is_wanted);
            let there = job.spec.clone();
            match self.gateway.update(job, there, false, audit).await? {
                JobUpdated::Done(_) | JobUpdated::Absent => {}
                JobUpdated::Stale | JobUpdated::Refused(_) => {
                    return Ok("made, and left disabled: it is being changed there; repeat the command".to_owned());
                }
            }
        }
        if is_wanted && !here.enabled {
            let audit = self.audit(&owner, &name, Action::JobToggle, false);
            let spec = here.spec.clone();
            match self.portal.update(*here, spec, true, audit).await? {
                JobUpdated::Done(_) => {}
                _ => return Ok("moved, and left disabled: it is being changed here; repeat the command".to_owned()),
            }
        }
        // The portal pauses its own jobs by the friendship.
        self.pauses.resume(&owner, &id).await?;
        Ok("moved".to_owned())
    }

    /// Makes the portal's job, or takes the one that is there: the same in every part, or one that was left behind,
    /// disabled, when the jobs were moved into the gateway, and that is older than the gateway's.
    async fn make_here(&self, job: &Job, spec: JobSpec, is_wanted: bool) -> Result<LocalJob, BackendError> {
        let (owner, name) = (&job.owner, spec.name.to_string());
        let audit = |action| self.audit(owner, &name, action, is_wanted);
        let found = self.portal.find(owner, &name).await?.filter(|found| found.spec.name == spec.name);
        let Some(found) = found else {
            return Ok(match self.portal.import(owner, spec, audit(Action::JobCreate)).await? {
                JobCreated::New(made) => LocalJob::Job(made),
                refused => LocalJob::Refused(why(&refused, "the portal")),
            });
        };
        let is_same = found.spec == spec;
        if is_same && (found.enabled || !is_wanted) {
            return Ok(LocalJob::Job(Box::new(found)));
        }
        if found.enabled || !(is_same || found.created_at < job.created_at) {
            return Ok(LocalJob::Refused("the portal has another job of this name".to_owned()));
        }
        // Written also where nothing differs: the line says that the job is to be enabled.
        Ok(match self.portal.update(found, spec, false, audit(Action::JobUpdate)).await? {
            JobUpdated::Done(made) => LocalJob::Job(made),
            _ => LocalJob::Refused("it is being changed here; repeat the command".to_owned()),
        })
    }
}

/// Reads a job of the gateway under the rules of the portal's own.
fn parse(spec: &JobSpec, read: impl FnOnce(JobDraft) -> Result<JobSpec, Invalid>) -> Result<JobSpec, Invalid> {
    let mut timing = TimingDraft::default();
    match &spec.timing.kind {
        TimingKind::Cron(expression) => timing.cron = Some(expression.clone()),
        TimingKind::At(moment) => timing.at = Some(rfc3339(moment.at)),
        TimingKind::Every(interval) => timing.every = Some(interval.to_string()),
    }
    read(JobDraft {
        name: spec.name.to_string(),
        message: spec.message.clone(),
        timing,
        session: None,
        tz: Some(spec.timing.tz.clone()),
        description: spec.description.clone(),
        thinking: spec.thinking.map(|thinking| thinking.as_str().to_owned()),
        timeout_seconds: spec.timeout_seconds.map(i64::from),
        answer_to: Some(spec.answer_to.as_str().to_owned()),
    })
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
