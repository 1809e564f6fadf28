//! Friends with jobs in a database of their own, a runner, and a receiver that remembers when it got what.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use parking_lot::Mutex;
use portal_adapters::db::{Db, DbSettings};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{AgentId, BackendError, Clock, Contact, FriendId, FriendshipKey};
use portal_cron::{
    Delivery, Job, LeasedRun, NoObserver, Receipt, Runner, RunnerPorts, RunnerSettings, SessionKey, SessionKeys,
    TimeZones,
};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::outage::proxy::Proxy;
use crate::postgres::Database;

/// Pause between two calls of the runner, as in the portal.
const TICK: Duration = Duration::from_secs(1);
const AGENT: &str = "main";

/// Jobs that every minute brings.
#[derive(Clone, Copy)]
pub(super) struct Crowd {
    /// First letters of the friends' ids.
    pub(super) name: &'static str,
    pub(super) friends: u32,
    /// Jobs of each friend.
    pub(super) jobs: u32,
    /// Status of the friendships.
    pub(super) status: &'static str,
    /// The first fire time of the first job.
    pub(super) first: DateTime<Utc>,
    /// Time over which the first fire times are spread.
    pub(super) spread: TimeDelta,
    /// True for jobs whose run is open and waits for another attempt in an hour.
    pub(super) retrying: bool,
}

impl Crowd {
    /// Active friends whose jobs are due at one moment.
    pub(super) fn due_at(name: &'static str, (friends, jobs): (u32, u32), first: DateTime<Utc>) -> Self {
        Self { name, friends, jobs, status: "active", first, spread: TimeDelta::zero(), retrying: false }
    }

    /// The rows as statements that both databases take.
    fn rows(&self) -> Vec<String> {
        let (mut friends, mut friendships) = (Vec::new(), Vec::new());
        let (mut jobs, mut runs) = (Vec::new(), Vec::new());
        for friend in 0..self.friends {
            let name = format!("{}{friend}", self.name);
            friends.push(format!("('{name}', '2026-01-01 00:00:00')"));
            friendships.push(format!("('{name}', '{AGENT}', '{}', true, '2026-01-01 00:00:00')", self.status));
            for number in 0..self.jobs {
                let place = i32::try_from(friend * self.jobs + number).unwrap();
                let count = i32::try_from(self.friends * self.jobs).unwrap();
                let due = self.first + self.spread * place / count;
                let (id, created) = (format!("{name}-{number}"), due - TimeDelta::minutes(1));
                let open = if self.retrying { format!("'run-{id}'") } else { "null".to_owned() };
                jobs.push(format!(
                    "('{id}', '{name}', '{AGENT}', '{id}', 'Hello', 1, 'UTC', 'isolated', true, '{}', '{}', 0, {open})",
                    sql_time(created),
                    sql_time(due)
                ));
                let later = sql_time(due + TimeDelta::hours(1));
                runs.push(format!("('run-{id}', '{id}', 'schedule', '{}', 'retrying', 1, '{later}')", sql_time(due)));
            }
        }
        let mut statements = inserts("friends (id, created_at)", &friends);
        let columns = "friendships (friend_id, agent_id, status, heartbeat_writable, created_at)";
        statements.extend(inserts(columns, &friendships));
        let columns = "jobs (id, friend_id, agent_id, name, message, every_minutes, tz, session, enabled, created_at, \
                       next_due, consecutive_errors, open_run)";
        statements.extend(inserts(columns, &jobs));
        if self.retrying {
            let columns = "runs (id, job_id, cause, due_at, status, attempts, claimable_at)";
            statements.extend(inserts(columns, &runs));
        }
        statements
    }
}

/// A time as both databases read it, to the millisecond.
fn sql_time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

fn inserts(columns: &str, rows: &[String]) -> Vec<String> {
    rows.chunks(1_000).map(|rows| format!("insert into {columns} values {};", rows.join(","))).collect()
}

/// A delivered message.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) run: String,
    pub(super) job: String,
    pub(super) due_at: DateTime<Utc>,
    pub(super) at: DateTime<Utc>,
}

impl Message {
    pub(super) fn lateness(&self) -> TimeDelta {
        self.at - self.due_at
    }
}

/// Accepts everything, and what is for the friend `slow..` only after ten seconds.
#[derive(Default)]
pub(super) struct Receiver {
    /// Messages in the order in which they came.
    received: Mutex<Vec<Message>>,
}

impl Receiver {
    pub(super) fn messages(&self) -> Vec<Message> {
        self.received.lock().clone()
    }

    fn count(&self) -> usize {
        self.received.lock().len()
    }
}

#[async_trait]
impl Delivery for Receiver {
    async fn deliver(&self, run: &LeasedRun, _: &SessionKey, _: Option<&Contact>) -> Result<Receipt, BackendError> {
        let at = SystemClock.now();
        let message = Message { run: run.id.clone(), job: run.job.id.clone(), due_at: run.due_at, at };
        self.received.lock().push(message);
        if run.job.owner.friend.as_str().starts_with("slow") {
            sleep(Duration::from_secs(10)).await;
        }
        Ok(Receipt::Accepted)
    }
}

/// A database with an agent, and what runs its jobs.
pub(super) struct Fixture {
    pub(super) db: Db,
    pub(super) receiver: Arc<Receiver>,
    /// Between the portal and a PostgreSQL server.
    pub(super) proxy: Option<Proxy>,
    url: String,
    _ground: Box<dyn Any + Send + Sync>,
}

impl Fixture {
    pub(super) async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("portal.db").display());
        Self::new(url.clone(), url, None, Box::new(folder)).await
    }

    pub(super) async fn on_postgres() -> Self {
        let database = Database::create().await;
        let proxy = Proxy::before(&database.url()).await;
        Self::new(proxy.url(&database.url()), database.url(), Some(proxy), Box::new(database)).await
    }

    async fn new(portal: String, url: String, proxy: Option<Proxy>, ground: Box<dyn Any + Send + Sync>) -> Self {
        let db = Db::open(&DbSettings::new(portal), Handle::current()).unwrap();
        db.migrate().await.unwrap();
        let fixture = Self { db, receiver: Arc::default(), proxy, url, _ground: ground };
        let hash = "0".repeat(64);
        let agent =
            format!("insert into agents (id, token_hash, created_at) values ('{AGENT}', '{hash}', '2026-01-01');");
        fixture.execute(&agent).await;
        fixture
    }

    /// Executes statements beside the portal.
    pub(super) async fn execute(&self, sql: &str) {
        match self.sqlite() {
            Some(mut file) => file.batch_execute(sql).unwrap(),
            None => AsyncPgConnection::establish(&self.url).await.unwrap().batch_execute(sql).await.unwrap(),
        }
    }

    /// A connection of somebody else's to the file, if it is one.
    pub(super) fn sqlite(&self) -> Option<SqliteConnection> {
        let path = self.url.strip_prefix("sqlite:")?;
        let mut file = SqliteConnection::establish(path).unwrap();
        file.batch_execute("pragma busy_timeout = 10000").unwrap();
        Some(file)
    }

    pub(super) async fn insert(&self, crowd: Crowd) {
        let mut sql = String::from("begin;");
        for statement in crowd.rows() {
            write!(sql, "{statement}").unwrap();
        }
        self.execute(&(sql + "commit;")).await;
    }

    /// The time by the queue's clock.
    pub(super) async fn now(&self) -> DateTime<Utc> {
        self.db.now().await.unwrap()
    }

    /// A runner with the portal's own settings.
    pub(super) fn runner(&self) -> Runner {
        let keys = Arc::new(SessionKeys::new(self.db.contacts(), self.db.friends(), Vec::new()));
        let (queue, delivery, ids) = (self.db.runs(), self.receiver.clone(), Arc::new(RandomIds));
        let (zones, observer) = (TimeZones::bundled(), Arc::new(NoObserver));
        Runner::new(RunnerPorts { queue, keys, delivery, ids, zones, observer }, RunnerSettings::default())
    }

    /// Runs due jobs until the test ends, as the portal does.
    pub(super) fn run(&self) -> Running {
        let runner = self.runner();
        Running(tokio::spawn(async move {
            loop {
                // A database that is away is asked again.
                drop(runner.run_due().await);
                sleep(TICK).await;
            }
        }))
    }

    /// Waits until so many messages were received.
    pub(super) async fn received(&self, count: usize, within: Duration) {
        let begun = Instant::now();
        while self.receiver.count() < count {
            let received = self.receiver.count();
            assert!(begun.elapsed() < within, "{received} of {count} messages came in {within:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until so many jobs have sent something; returns the first message of each.
    pub(super) async fn first_of_each_job(&self, count: usize, within: Duration) -> Vec<Message> {
        let begun = Instant::now();
        loop {
            let mut firsts: HashMap<String, Message> = HashMap::new();
            for message in self.receiver.messages() {
                firsts.entry(message.job.clone()).or_insert(message);
            }
            if firsts.len() >= count {
                return firsts.into_values().collect();
            }
            assert!(begun.elapsed() < within, "{} of {count} jobs sent something in {within:?}", firsts.len());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The jobs of a crowd, as they are now.
    pub(super) async fn jobs(&self, crowd: &Crowd) -> Vec<Job> {
        let (agent, mut jobs) = (AgentId::parse(AGENT).unwrap(), Vec::new());
        for friend in 0..crowd.friends {
            let friend = FriendId::parse(&format!("{}{friend}", crowd.name)).unwrap();
            jobs.extend(self.db.jobs().list(&FriendshipKey { friend, agent: agent.clone() }).await.unwrap());
        }
        jobs
    }

    /// Fails unless every fire time that was received came once, under one run id.
    pub(super) fn check_none_doubled(&self) {
        let mut runs: HashMap<(String, DateTime<Utc>), Vec<String>> = HashMap::new();
        for message in self.receiver.messages() {
            runs.entry((message.job, message.due_at)).or_default().push(message.run);
        }
        let doubled: Vec<_> = runs.iter().filter(|(_, runs)| runs.len() > 1).collect();
        assert!(doubled.is_empty(), "received more than once: {doubled:?}");
    }

    /// The lateness that so many per cent of the messages do not exceed.
    pub(super) fn lateness(&self, per_cent: usize) -> TimeDelta {
        let mut lateness: Vec<_> = self.receiver.messages().iter().map(Message::lateness).collect();
        lateness.sort();
        let place = (lateness.len() * per_cent / 100).min(lateness.len().saturating_sub(1));
        lateness.get(place).copied().unwrap_or_default()
    }
}

/// A runner that ends with this value.
pub(super) struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}
