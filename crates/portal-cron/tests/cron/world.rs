//! Alice and Bob, friends of agent `main`, at nine o'clock on New Year's Day.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use portal_adapters::memory::{
    MemoryAgents, MemoryAuditLog, MemoryContacts, MemoryFriends, MemoryFriendships, MemoryJobs, MemoryPeople,
};
use portal_core::{
    Action, Actor, Agent, AgentId, AgentStore, AuditEntry, AuditFilter, AuditLog, Backend, BackendError, ChannelId,
    Clock, Contact, ContactStore, FixedClock, Friend, FriendId, FriendStore, Friendship, FriendshipKey,
    FriendshipStatus, FriendshipStore, SeededIds, Token,
};
use portal_cron::{
    CronError, Delivery, EmbeddedEngine, Engines, Job, JobDraft, Jobs, Receipt, Run, RunQueue, Runner, RunnerSettings,
    ScheduledMessage, SessionKeys,
};
use tokio::sync::Notify;

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What a scripted receiver does with the next message.
pub(crate) enum Answer {
    Accept,
    Refuse,
    Trouble,
    Busy(Duration),
    Hang,
    /// Lets this happen first, then accepts.
    AcceptAfter(Arc<Notify>),
}

/// A receiver that keeps what it was sent and answers as it was told, accepting when it was told nothing.
#[derive(Default)]
pub(crate) struct Receiver {
    pub(crate) answers: Mutex<VecDeque<Answer>>,
    pub(crate) received: Mutex<Vec<ScheduledMessage>>,
}

impl Receiver {
    pub(crate) fn will(&self, answer: Answer) {
        self.answers.lock().push_back(answer);
    }

    /// What it was sent since the last look.
    pub(crate) fn take(&self) -> Vec<ScheduledMessage> {
        std::mem::take(&mut *self.received.lock())
    }
}

#[async_trait]
impl Delivery for Receiver {
    async fn deliver(&self, message: &ScheduledMessage) -> Result<Receipt, BackendError> {
        self.received.lock().push(message.clone());
        let answer = self.answers.lock().pop_front();
        match answer.unwrap_or(Answer::Accept) {
            Answer::Accept => Ok(Receipt::Accepted),
            Answer::Refuse => Ok(Receipt::Refused("the receiver said no".to_owned())),
            Answer::Trouble => Err(BackendError::unavailable(Backend::Delivery, "connection refused")),
            Answer::Busy(after) => {
                Err(BackendError::unavailable(Backend::Delivery, "busy").with_retry_after(Some(after)))
            }
            Answer::Hang => std::future::pending().await,
            Answer::AcceptAfter(signal) => {
                signal.notified().await;
                Ok(Receipt::Accepted)
            }
        }
    }
}

pub(crate) struct World {
    pub(crate) people: MemoryPeople,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) store: Arc<MemoryJobs>,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) jobs: Jobs,
    pub(crate) runner: Runner,
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).map_or(DateTime::UNIX_EPOCH, |at| at.to_utc())
}

impl World {
    pub(crate) async fn new() -> Outcome<Self> {
        let (people, clock) = (MemoryPeople::new(), Arc::new(FixedClock::at(at("2026-01-01T09:00:00Z"))));
        settle_in(&people, clock.now()).await?;
        let store = Arc::new(MemoryJobs::new(&people, clock.clone()));
        let ids = Arc::new(SeededIds::from_seed(11));
        let engines = Engines::new(Arc::new(EmbeddedEngine::new(store.clone(), clock.clone(), ids)));
        let jobs = Jobs::new(engines, keys(&people)?, Arc::new(MemoryFriends::new(&people)), clock.clone());
        let receiver = Arc::new(Receiver::default());
        let runner = runner(&people, store.clone(), receiver.clone(), RunnerSettings::default())?;
        Ok(Self { people, clock, store, receiver, jobs, runner })
    }

    /// Another runner of the same queue.
    pub(crate) fn runner(&self, settings: RunnerSettings) -> Outcome<Runner> {
        self.runner_of(self.store.clone(), settings)
    }

    /// A runner of a queue that stands before this world's.
    pub(crate) fn runner_of(&self, queue: Arc<dyn RunQueue>, settings: RunnerSettings) -> Outcome<Runner> {
        runner(&self.people, queue, self.receiver.clone(), settings)
    }

    /// Makes a job of alice's that says hello.
    pub(crate) async fn job(&self, name: &str, cron: &str) -> Result<Job, CronError> {
        self.jobs.create(&alice(), draft(name, cron), friend("alice")).await
    }

    /// Alice's job of that name.
    pub(crate) async fn find(&self, name: &str) -> Outcome<Job> {
        let jobs = self.jobs.list(&alice()).await?;
        jobs.into_iter().find(|job| job.spec.name.as_str() == name).ok_or_else(|| "no such job".into())
    }

    pub(crate) async fn runs(&self, name: &str) -> Result<Vec<Run>, CronError> {
        self.jobs.runs(&alice(), name).await
    }

    /// Moves the clock, does one pass and waits until its deliveries have ended.
    pub(crate) async fn pass_after(&self, minutes: u64) -> Outcome<usize> {
        self.clock.advance(Duration::from_secs(60 * minutes));
        let begun = self.runner.tick().await?;
        self.runner.idle().await;
        Ok(begun)
    }

    pub(crate) async fn befriend(&self, status: FriendshipStatus) -> Outcome<()> {
        let FriendshipKey { friend, agent } = alice();
        let friendship =
            Friendship { agent, friend, status, heartbeat_writable: true, created_at: DateTime::UNIX_EPOCH };
        MemoryFriendships::new(&self.people).set(friendship, audit(Action::FriendshipSet)).await?;
        Ok(())
    }

    /// The actions and subjects of the audit log about jobs, oldest first.
    pub(crate) async fn audited(&self) -> Outcome<Vec<(String, String)>> {
        let filter = AuditFilter { action: Some("job".to_owned()), limit: 100, ..AuditFilter::default() };
        let mut records = MemoryAuditLog::new(&self.people).list(filter).await?;
        records.reverse();
        Ok(records.into_iter().map(|record| (record.action, record.subject)).collect())
    }
}

fn runner(
    people: &MemoryPeople,
    queue: Arc<dyn RunQueue>,
    receiver: Arc<Receiver>,
    settings: RunnerSettings,
) -> Outcome<Runner> {
    Ok(Runner::new(queue, keys(people)?, receiver, Arc::new(SeededIds::from_seed(12)), settings))
}

fn keys(people: &MemoryPeople) -> Outcome<Arc<SessionKeys>> {
    Ok(Arc::new(SessionKeys::new(Arc::new(MemoryContacts::new(people)), vec![ChannelId::parse("signal")?])))
}

pub(crate) fn alice() -> FriendshipKey {
    owner("alice")
}

#[expect(clippy::unwrap_used, reason = "the names are written in the tests")]
pub(crate) fn owner(friend: &str) -> FriendshipKey {
    FriendshipKey { friend: FriendId::parse(friend).unwrap(), agent: AgentId::parse("main").unwrap() }
}

pub(crate) fn friend(name: &str) -> Actor {
    Actor::Friend(owner(name).friend)
}

pub(crate) fn draft(name: &str, cron: &str) -> JobDraft {
    JobDraft { name: name.to_owned(), message: "Hello".to_owned(), cron: cron.to_owned(), ..JobDraft::default() }
}

pub(crate) fn audit(action: Action) -> AuditEntry {
    let actor = Actor::Operator("test".to_owned());
    AuditEntry::new(DateTime::UNIX_EPOCH, actor, action)
}

/// The contact that alice has on signal.
pub(crate) fn contact() -> Outcome<Contact> {
    Ok(Contact::parse(alice().friend, "signal", "+15550100")?)
}

async fn settle_in(people: &MemoryPeople, created_at: DateTime<Utc>) -> Outcome<()> {
    let agent = alice().agent;
    let token = Token::presented("fpa_test").hash();
    MemoryAgents::new(people)
        .create(Agent { id: agent.clone(), created_at }, token, audit(Action::AgentCreate))
        .await?;
    for (name, time_zone) in [("alice", Some("Europe/Berlin".to_owned())), ("bob", None)] {
        let id = owner(name).friend;
        let person = Friend { id: id.clone(), display_name: None, preferred_channel: None, time_zone, created_at };
        MemoryFriends::new(people).create(person, audit(Action::FriendCreate)).await?;
        let (agent, status) = (agent.clone(), FriendshipStatus::Active);
        let friendship = Friendship { agent, friend: id, status, heartbeat_writable: true, created_at };
        MemoryFriendships::new(people).set(friendship, audit(Action::FriendshipSet)).await?;
    }
    MemoryContacts::new(people).add(contact()?, audit(Action::ContactAdd)).await?;
    Ok(())
}
