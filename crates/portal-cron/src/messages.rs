//! Messages that friends send to their agents now.

use std::sync::Arc;

use async_trait::async_trait;
use portal_core::{Action, Actor, AuditEntry, BackendError, Clock, FriendshipKey, Ids};

use crate::engine::Engines;
use crate::job::parse_message;
use crate::session_key::DEFAULT_SESSION;
use crate::{
    AnswerTo, CronError, JOBS_PER_FRIEND, Job, JobName, JobSpec, JobState, MessageQueued, SessionKeys, Timing,
    TimingKind,
};

/// Characters of a random id in a message's name, which keep the names of one minute apart.
const NAME_SUFFIX: usize = 8;

/// Messages in the portal's own database.
#[async_trait]
pub trait MessageStore: Send + Sync {
    /// Stores a job that never fires by itself and its only run, under the id `run`, which may begin at `audit.at`, in
    /// one step; unless the job's friend has `limit` jobs.
    async fn queue(&self, job: Job, run: &str, limit: u32, audit: AuditEntry) -> Result<MessageQueued, BackendError>;
}

/// Messages of friends to their agents, delivered by the runner as the message of a job is.
///
/// A message is a job for the moment at which it was asked for, disabled from the beginning, with one run. So its way is
/// seen where every run is seen, retries and lease are those of a run, and it goes a week later as such jobs do.
pub struct Messages {
    store: Arc<dyn MessageStore>,
    engines: Option<Engines>,
    keys: Arc<SessionKeys>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl Messages {
    /// Messages in this store.
    pub fn new(store: Arc<dyn MessageStore>, keys: Arc<SessionKeys>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { store, engines: None, keys, clock, ids }
    }

    /// The same, where the engine of an agent sends messages by itself if it can.
    #[must_use]
    pub fn with_engines(self, engines: Engines) -> Self {
        Self { engines: Some(engines), ..self }
    }

    /// Sends a message to the owner's agent, into their default conversation; the answer goes to the owner's chat where
    /// they have one. Returns the id of the run.
    ///
    /// # Errors
    /// [`CronError::Invalid`] for an empty or too long message, [`CronError::LimitReached`],
    /// [`CronError::TooManyRuns`], [`CronError::FriendUnknown`] if the friendship has ended meanwhile, or a port failed.
    pub async fn send(&self, owner: &FriendshipKey, message: String, actor: Actor) -> Result<String, CronError> {
        let message = parse_message(message)?;
        let contacts = self.keys.contacts(&owner.friend).await?;
        if self.keys.own(owner, &contacts, DEFAULT_SESSION).is_none() {
            return Err(CronError::NotOwned);
        }
        let engine = self.engines.as_ref().map(|engines| engines.of(&owner.agent));
        let can_answer = !contacts.is_empty()
            && match engine {
                Some(engine) => engine.sends_answers().await?,
                None => true,
            };
        let answer_to = if can_answer { AnswerTo::Chat } else { AnswerTo::Nowhere };
        let now = self.clock.now();
        let (id, run) = (self.ids.id(), self.ids.id());
        let suffix: String = id.chars().take(NAME_SUFFIX).collect();
        let spec = JobSpec {
            name: JobName::parse(&format!("Message {} {suffix}", now.format("%Y-%m-%d %H.%M")))?,
            description: None,
            message,
            timing: Timing { kind: TimingKind::At(now.into()), tz: "UTC".to_owned() },
            session: DEFAULT_SESSION.to_owned(),
            thinking: None,
            timeout_seconds: None,
            answer_to,
        };
        let audit = AuditEntry::new(now, actor, Action::MessageSend)
            .with_friend(owner.friend.clone())
            .with_subject(spec.name.as_str())
            .with_detail(format!("agent {}", owner.agent));
        let by_engine = match engine {
            Some(engine) => engine.send(owner, spec.clone(), &run, audit.clone()).await?,
            None => None,
        };
        let queued = if let Some(queued) = by_engine {
            queued
        } else {
            let owner = owner.clone();
            let job = Job {
                id,
                owner,
                spec,
                enabled: false,
                read_only: false,
                created_at: now,
                revision: 1,
                state: JobState::default(),
            };
            self.store.queue(job, &run, JOBS_PER_FRIEND, audit).await?
        };
        match queued {
            MessageQueued::Done => Ok(run),
            MessageQueued::LimitReached => Err(CronError::LimitReached { limit: JOBS_PER_FRIEND }),
            MessageQueued::TooMany { retry_after } => Err(CronError::TooManyRuns { retry_after }),
            MessageQueued::NoFriendship => Err(CronError::FriendUnknown),
            MessageQueued::Refused(refusal) => Err(CronError::Refused(refusal)),
        }
    }
}
