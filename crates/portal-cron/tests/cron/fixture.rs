//! Alice and Bob, friends of agent `main`, at nine o'clock on New Year's Day.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use portal_adapters::RandomIds;
use portal_adapters::db::Db;
use portal_core::{
    Action, Actor, Agent, AgentId, AuditEntry, AuditFilter, Backend, BackendError, ChannelId, Clock, Contact,
    FixedClock, Friend, FriendId, Friendship, FriendshipKey, FriendshipStatus, SeededIds, Token,
};
use portal_cron::{
    CronError, Delivery, EmbeddedEngine, Engines, Job, JobDraft, JobPatch, Jobs, LeasedRun, NoObserver, Receipt, Run,
    RunQueue, Runner, RunnerPorts, RunnerSettings, SessionKey, SessionKeys, TimeZones, TimingDraft,
};
use portal_testkit::{Outage, Stores};
use tokio::runtime::Handle;
use tokio::sync::Notify;

pub(crate) type TestResult<T> = Result<T, Box<dyn std::error::Error>>;

/// A scripted receiver's response to the next message.
pub(crate) enum Response {
    Accept,
    Refuse,
    Fail,
    Busy(Duration),
    Hang,
    /// Lets this happen first, then accepts.
    AcceptAfter(Arc<Notify>),
}

/// A receiver that stores its messages and responses as scripted, else accepts.
#[derive(Default)]
pub(crate) struct Receiver {
    pub(crate) responses: Mutex<VecDeque<Response>>,
    pub(crate) received: Mutex<Vec<(LeasedRun, SessionKey)>>,
    /// The contact for the answer of the newest message.
    pub(crate) answer: Mutex<Option<Contact>>,
}

impl Receiver {
    pub(crate) fn will(&self, response: Response) {
        self.responses.lock().push_back(response);
    }

    /// Returns the messages since the last call.
    pub(crate) fn take(&self) -> Vec<(LeasedRun, SessionKey)> {
        std::mem::take(&mut *self.received.lock())
    }
}

#[async_trait]
impl Delivery for Receiver {
    async fn deliver(
        &self,
        run: &LeasedRun,
        session: &SessionKey,
        answer: Option<&Contact>,
    ) -> Result<Receipt, BackendError> {
        *self.answer.lock() = answer.cloned();
        self.received.lock().push((run.clone(), session.clone()));
        let response = self.responses.lock().pop_front();
        match response.unwrap_or(Response::Accept) {
            Response::Accept => Ok(Receipt::Accepted),
            Response::Refuse => Ok(Receipt::Refused("the receiver said no".to_owned())),
            Response::Fail => Err(BackendError::unavailable(Backend::Delivery, "connection refused")),
            Response::Busy(after) => {
                Err(BackendError::unavailable(Backend::Delivery, "busy").with_retry_after(Some(after)))
            }
            Response::Hang => std::future::pending().await,
            Response::AcceptAfter(signal) => {
                signal.notified().await;
                Ok(Receipt::Accepted)
            }
        }
    }
}

pub(crate) struct Fixture {
    /// The database, whose calls all fail while `outage` says so.
    pub(crate) stores: Stores,
    pub(crate) outage: Arc<Outage>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) jobs: Jobs,
    pub(crate) runner: Runner,
}

pub(crate) fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).map_or(DateTime::UNIX_EPOCH, |at| at.to_utc())
}

impl Fixture {
    pub(crate) async fn new() -> TestResult<Self> {
        let (outage, clock) = (Outage::new(), Arc::new(FixedClock::new(utc("2026-01-01T09:00:00Z"))));
        let db = Db::in_memory(Handle::current())?.with_clock(clock.clone());
        db.instance(&RandomIds).await?;
        let stores = portal_testkit::stores!(db).intercepted(&outage);
        settle_in(&stores, clock.now()).await?;
        let ids = Arc::new(SeededIds::from_seed(11));
        let zones = TimeZones::bundled();
        let engines =
            Engines::new(Arc::new(EmbeddedEngine::new(stores.jobs.clone(), zones.clone(), clock.clone(), ids)));
        let jobs = Jobs::new(engines, keys(&stores)?, zones, clock.clone());
        let receiver = Arc::new(Receiver::default());
        let runner = runner(&stores, stores.runs.clone(), receiver.clone(), RunnerSettings::default())?;
        Ok(Self { stores, outage, clock, receiver, jobs, runner })
    }

    /// Another runner of the same queue.
    pub(crate) fn runner(&self, settings: RunnerSettings) -> TestResult<Runner> {
        self.runner_of(self.stores.runs.clone(), settings)
    }

    /// A runner of a queue that stands before this fixture's.
    pub(crate) fn runner_of(&self, queue: Arc<dyn RunQueue>, settings: RunnerSettings) -> TestResult<Runner> {
        runner(&self.stores, queue, self.receiver.clone(), settings)
    }

    /// Another runner of the same queue, with time zone rules of its own.
    pub(crate) fn runner_with(&self, zones: TimeZones) -> TestResult<Runner> {
        let ports = RunnerPorts { zones, ..ports(&self.stores, self.stores.runs.clone(), self.receiver.clone())? };
        Ok(Runner::new(ports, RunnerSettings::default()))
    }

    /// Makes a job of alice's that says hello.
    pub(crate) async fn job(&self, name: &str, cron: &str) -> Result<Job, CronError> {
        self.jobs.create(&alice(), draft(name, cron), friend("alice")).await
    }

    /// Alice's job of that name.
    pub(crate) async fn find(&self, name: &str) -> TestResult<Job> {
        let jobs = self.jobs.list(&alice()).await?;
        jobs.into_iter().find(|job| job.spec.name.as_str() == name).ok_or_else(|| "no such job".into())
    }

    pub(crate) async fn runs(&self, name: &str) -> Result<Vec<Run>, CronError> {
        self.jobs.runs(&alice(), name, None).await
    }

    /// Enables or disables alice's job of that name.
    pub(crate) async fn toggle(&self, name: &str, enabled: bool) -> Result<Job, CronError> {
        self.change(name, JobPatch { enabled: Some(enabled), ..JobPatch::default() }).await
    }

    /// Changes alice's job of that name.
    pub(crate) async fn change(&self, name: &str, patch: JobPatch) -> Result<Job, CronError> {
        self.jobs.update(&alice(), name, patch, friend("alice")).await
    }

    /// Moves the clock, does one pass and waits until its deliveries have ended.
    pub(crate) async fn pass_after(&self, minutes: u64) -> TestResult<usize> {
        self.clock.advance(Duration::from_secs(60 * minutes));
        let begun = self.runner.tick().await?;
        self.runner.idle().await;
        Ok(begun)
    }

    pub(crate) async fn befriend(&self, status: FriendshipStatus) -> TestResult<()> {
        let FriendshipKey { friend, agent } = alice();
        let friendship =
            Friendship { agent, friend, status, heartbeat_writable: Some(true), created_at: DateTime::UNIX_EPOCH };
        let entry = AuditEntry::new(self.clock.now(), Actor::Operator("test".to_owned()), Action::FriendshipSet);
        self.stores.friendships.set(friendship, entry).await?;
        Ok(())
    }

    /// The actions and subjects of the audit log about jobs, oldest first.
    pub(crate) async fn audited(&self) -> TestResult<Vec<(String, String)>> {
        let filter = AuditFilter { action: Some("job".to_owned()), limit: 100, ..AuditFilter::default() };
        let mut records = self.stores.audit.list(filter).await?;
        records.reverse();
        Ok(records.into_iter().map(|record| (record.action, record.subject)).collect())
    }
}

fn runner(
    stores: &Stores,
    queue: Arc<dyn RunQueue>,
    receiver: Arc<Receiver>,
    settings: RunnerSettings,
) -> TestResult<Runner> {
    Ok(Runner::new(ports(stores, queue, receiver)?, settings))
}

fn ports(stores: &Stores, queue: Arc<dyn RunQueue>, receiver: Arc<Receiver>) -> TestResult<RunnerPorts> {
    // Runners that share a queue must not draw the same ids.
    let (ids, zones) = (Arc::new(RandomIds), TimeZones::bundled());
    let observer = Arc::new(NoObserver);
    Ok(RunnerPorts { queue, keys: keys(stores)?, delivery: receiver, ids, zones, observer })
}

fn keys(stores: &Stores) -> TestResult<Arc<SessionKeys>> {
    let channels = vec![ChannelId::parse("signal")?];
    Ok(Arc::new(SessionKeys::new(stores.contacts.clone(), stores.friends.clone(), channels)))
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
    let timing = TimingDraft { cron: Some(cron.to_owned()), ..TimingDraft::default() };
    let tz = Some("Europe/Berlin".to_owned());
    JobDraft { name: name.to_owned(), message: "Hello".to_owned(), timing, tz, ..JobDraft::default() }
}

pub(crate) fn audit(action: Action) -> AuditEntry {
    let actor = Actor::Operator("test".to_owned());
    AuditEntry::new(DateTime::UNIX_EPOCH, actor, action)
}

/// The contact that alice has on signal.
pub(crate) fn contact() -> TestResult<Contact> {
    Ok(Contact::parse(alice().friend, "signal", "+15550100")?)
}

async fn settle_in(stores: &Stores, created_at: DateTime<Utc>) -> TestResult<()> {
    let agent = alice().agent;
    let token = Token::presented("fpa_test").hash();
    stores.agents.create(Agent { id: agent.clone(), created_at }, token, audit(Action::AgentCreate)).await?;
    for name in ["alice", "bob"] {
        let id = owner(name).friend;
        let person =
            Friend { id: id.clone(), display_name: None, preferred_channel: None, time_zone: None, created_at };
        stores.friends.create(person, audit(Action::FriendCreate)).await?;
        let (agent, status) = (agent.clone(), FriendshipStatus::Active);
        let friendship = Friendship { agent, friend: id, status, heartbeat_writable: Some(true), created_at };
        stores.friendships.set(friendship, audit(Action::FriendshipSet)).await?;
    }
    stores.contacts.add(contact()?, audit(Action::ContactAdd)).await?;
    Ok(())
}
