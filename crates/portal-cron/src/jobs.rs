//! The friends' jobs.

use std::sync::Arc;

use portal_core::{Action, Actor, AuditEntry, ChannelId, Clock, FriendshipKey, Invalid};

use crate::engine::Engines;
use crate::{
    AnswerTo, CronError, EngineRefusal, JOBS_PER_FRIEND, Job, JobCreated, JobDraft, JobPatch, JobRemoved, JobUpdated,
    Preview, Run, RunRequested, RunsListed, SessionKeys, TimeZones, TimingDraft, TimingKind,
};

/// Attempts at a change while the runner moves the job on, which it does about once a second at most.
const UPDATE_TRIES: usize = 5;

/// The friends' jobs: everything a friend can do with theirs, and nothing with anybody else's. A job is found by its
/// exact name, else by its id.
pub struct Jobs {
    engines: Engines,
    keys: Arc<SessionKeys>,
    zones: TimeZones,
    clock: Arc<dyn Clock>,
}

impl Jobs {
    /// Jobs in these engines.
    pub fn new(engines: Engines, keys: Arc<SessionKeys>, zones: TimeZones, clock: Arc<dyn Clock>) -> Self {
        Self { engines, keys, zones, clock }
    }

    /// Returns the owner's jobs, disabled ones included, sorted by name.
    ///
    /// # Errors
    /// The engine failed.
    pub async fn list(&self, owner: &FriendshipKey) -> Result<Vec<Job>, CronError> {
        Ok(self.engines.of(&owner.agent).list(owner).await?)
    }

    /// Returns one of the owner's jobs.
    ///
    /// # Errors
    /// [`CronError::NotFound`], or the engine failed.
    pub async fn find(&self, owner: &FriendshipKey, name: &str) -> Result<Job, CronError> {
        self.engines.of(&owner.agent).find(owner, name).await?.ok_or(CronError::NotFound)
    }

    /// Makes a job of a draft.
    ///
    /// # Errors
    /// [`CronError::Invalid`] for a value that breaks its rule, [`CronError::NotOwned`] for a session that is not the
    /// owner's own, [`CronError::NameTaken`], [`CronError::LimitReached`], [`CronError::NotFound`] if the friendship
    /// has ended meanwhile, or a port failed.
    pub async fn create(&self, owner: &FriendshipKey, draft: JobDraft, actor: Actor) -> Result<Job, CronError> {
        // Read once, for the default destination and for the session.
        let contacts = self.keys.contacts(&owner.friend).await?;
        let engine = self.engines.of(&owner.agent);
        let can_answer = !contacts.is_empty() && engine.sends_answers().await?;
        let default_answer = if can_answer { AnswerTo::Chat } else { AnswerTo::Nowhere };
        let spec = draft.parse(default_answer, &self.zones, self.clock.now())?;
        check_answer(spec.answer_to, !contacts.is_empty(), can_answer)?;
        if self.keys.own(owner, &contacts, &spec.session).is_none() {
            return Err(CronError::NotOwned);
        }
        let mut audit = self.audit(owner, Action::JobCreate, actor);
        audit.subject = spec.name.to_string();
        match engine.create(owner, spec, audit).await? {
            JobCreated::New(job) => Ok(*job),
            JobCreated::NameTaken => Err(CronError::NameTaken),
            JobCreated::LimitReached => Err(CronError::LimitReached { limit: JOBS_PER_FRIEND }),
            JobCreated::NoFriendship => Err(CronError::FriendUnknown),
            JobCreated::Refused(refusal) => Err(CronError::Refused(refusal)),
        }
    }

    /// Changes a job; a change that changes nothing is success and stores nothing.
    ///
    /// # Errors
    /// [`CronError::Invalid`] for a value that breaks its rule, [`CronError::Changed`] for another revision,
    /// [`CronError::NotFound`], [`CronError::Refused`] where others change the job again and again, or a port failed.
    pub async fn update(
        &self,
        owner: &FriendshipKey,
        name: &str,
        patch: JobPatch,
        actor: Actor,
    ) -> Result<Job, CronError> {
        if patch.answer_to.as_deref() == Some(AnswerTo::Chat.as_str()) {
            let has_contact = !self.keys.contacts(&owner.friend).await?.is_empty();
            let can_answer = has_contact && self.engines.of(&owner.agent).sends_answers().await?;
            check_answer(AnswerTo::Chat, has_contact, can_answer)?;
        }
        // The runner moves a job on between our read and our write; its move and ours must both count.
        for _ in 0..UPDATE_TRIES {
            let job = self.find(owner, name).await?;
            if patch.revisions.as_ref().is_some_and(|revisions| !revisions.contains(&job.revision)) {
                return Err(CronError::Changed { revision: job.revision });
            }
            let now = self.clock.now();
            let enabled = patch.enabled.unwrap_or(job.enabled);
            let revisions = patch.revisions.clone();
            let is_switch = JobPatch { enabled: patch.enabled, revisions, ..JobPatch::default() } == patch;
            let spec = patch.clone().apply(&job.spec, &self.zones, now)?;
            // A page that saves without a change must not make others lose theirs to a 412.
            if (enabled, &spec) == (job.enabled, &job.spec) {
                return Ok(job);
            }
            if let TimingKind::At(moment) = &spec.timing.kind
                && enabled
                && !job.enabled
                && moment.at <= now
            {
                return Err(Invalid::new("at", "at is past, so the job cannot be enabled; give a time to come").into());
            }
            let action = if is_switch { Action::JobToggle } else { Action::JobUpdate };
            let mut audit = self.audit(owner, action, actor.clone());
            if enabled != job.enabled {
                audit.detail.push_str(if enabled { ", enabled" } else { ", disabled" });
            }
            match self.engines.of(&owner.agent).update(job, spec, enabled, audit).await? {
                JobUpdated::Done(job) => return Ok(*job),
                JobUpdated::Absent => return Err(CronError::NotFound),
                JobUpdated::Refused(refusal) => return Err(CronError::Refused(refusal)),
                JobUpdated::Stale => {}
            }
        }
        Err(CronError::Refused(EngineRefusal::Busy))
    }

    /// Deletes a job with its runs.
    ///
    /// # Errors
    /// [`CronError::NotFound`], or the engine failed.
    pub async fn remove(&self, owner: &FriendshipKey, name: &str, actor: Actor) -> Result<(), CronError> {
        let audit = self.audit(owner, Action::JobDelete, actor);
        match self.engines.of(&owner.agent).remove(owner, name, audit).await? {
            JobRemoved::Done => Ok(()),
            JobRemoved::Absent => Err(CronError::NotFound),
            JobRemoved::Refused(refusal) => Err(CronError::Refused(refusal)),
        }
    }

    /// Runs a job as soon as possible, whether it is enabled or not; returns the id under which [`Jobs::runs`] lists the
    /// run.
    ///
    /// # Errors
    /// [`CronError::NotFound`], [`CronError::RunOpen`] while an earlier run has not ended, [`CronError::TooManyRuns`],
    /// or the engine failed.
    pub async fn run(&self, owner: &FriendshipKey, name: &str, actor: Actor) -> Result<String, CronError> {
        let audit = self.audit(owner, Action::JobRun, actor);
        match self.engines.of(&owner.agent).run(owner, name, audit).await? {
            RunRequested::Queued(run) => Ok(run),
            RunRequested::Open => Err(CronError::RunOpen),
            RunRequested::TooMany { retry_after } => Err(CronError::TooManyRuns { retry_after }),
            RunRequested::Absent => Err(CronError::NotFound),
            RunRequested::Refused(refusal) => Err(CronError::Refused(refusal)),
        }
    }

    /// Returns a page of a job's runs, newest first: the newest ones, or those that come right after the run `before`.
    ///
    /// # Errors
    /// [`CronError::NotFound`], [`CronError::Invalid`] if the job has no run `before`, or the engine failed.
    pub async fn runs(&self, owner: &FriendshipKey, name: &str, before: Option<&str>) -> Result<Vec<Run>, CronError> {
        match self.engines.of(&owner.agent).runs(owner, name, before).await? {
            RunsListed::Page(runs) => Ok(runs),
            // An empty page would say that there are no older runs.
            RunsListed::RunUnknown => Err(Invalid::new(
                "before",
                "before must be the run_id of a run of this job, and none has it now; begin with the newest runs",
            )
            .into()),
            RunsListed::Absent => Err(CronError::NotFound),
        }
    }

    /// Returns the next `count` fire times of a timing as a job created now would have them; nothing is stored.
    ///
    /// # Errors
    /// As [`TimingDraft::parse`].
    pub fn preview(&self, draft: TimingDraft, tz: Option<&str>, count: u8) -> Result<Preview, Invalid> {
        let now = self.clock.now();
        let timing = draft.parse(tz.unwrap_or("UTC"), &self.zones, now)?;
        Preview::new(&timing, &self.zones, now, count)
    }

    /// Refuses a name of a time zone that is not in the rules by which jobs are planned.
    ///
    /// # Errors
    /// Names `tz`.
    pub fn check_time_zone(&self, name: &str) -> Result<(), Invalid> {
        self.zones.check(name)
    }

    /// Returns the channels whose conversations a job may name.
    #[must_use]
    pub fn channels(&self) -> &[ChannelId] {
        self.keys.channels()
    }

    /// An entry without its subject, which the store fills in.
    fn audit(&self, owner: &FriendshipKey, action: Action, actor: Actor) -> AuditEntry {
        AuditEntry::new(self.clock.now(), actor, action)
            .with_friend(owner.friend.clone())
            .with_detail(format!("agent {}", owner.agent))
    }
}

fn check_answer(answer_to: AnswerTo, has_contact: bool, can_answer: bool) -> Result<(), Invalid> {
    match answer_to {
        AnswerTo::Chat if !has_contact => Err(Invalid::new(
            "answer_to",
            "answer_to chat needs a contact of yours, and the operator registered none; use nowhere",
        )),
        AnswerTo::Chat if !can_answer => Err(Invalid::new(
            "answer_to",
            "answer_to chat is not possible: the agent's gateway is too old to send scheduled answers; use nowhere",
        )),
        AnswerTo::Chat | AnswerTo::Nowhere => Ok(()),
    }
}
