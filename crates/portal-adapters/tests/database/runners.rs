//! Runs survive their runners: processes that are killed, that stall beyond their lease, that share one queue.
//!
//! The processes are copies of this very program; what they are to do stands in their environment.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use portal_adapters::db::{Db, DbSettings};
use portal_adapters::log::LogDelivery;
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{
    Action, Actor, Agent, AgentId, AuditEntry, BackendError, Clock, Contact, Friend, FriendId, Friendship,
    FriendshipKey, FriendshipStatus, Ids, Token,
};
use portal_cron::{
    AnswerTo, Delivery, Job, JobCreated, JobName, JobSpec, JobState, JobStore, LeasedRun, NoObserver, Receipt, Run,
    RunQueue, RunStatus, Runner, RunnerPorts, RunnerSettings, RunsListed, SessionKey, SessionKeys, TimeZones, Timing,
    TimingKind,
};
use tokio::time::{Instant, sleep};

use crate::postgres::Database;

/// The database that this process is to work on.
const DATABASE: &str = "PORTAL_TEST_RUNNER_DATABASE";
/// The folder of files by which the processes tell each other what happened.
const FOLDER: &str = "PORTAL_TEST_RUNNER_FOLDER";
/// Set in a process that makes one attempt and waits in its delivery.
const STALLS: &str = "PORTAL_TEST_RUNNER_STALLS";
/// Lease of a run in these tests.
const LEASE: Duration = Duration::from_secs(2);
/// Longest wait for anything here.
const DEADLINE: Duration = Duration::from_mins(2);
/// Number of due jobs, and of those that are added while runners die.
const CROWD: usize = 120;

/// Waits until `condition` holds.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < DEADLINE, "{what} did not happen");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A database in use by several processes.
struct Fixture {
    url: String,
    folder: tempfile::TempDir,
    jobs: Arc<dyn JobStore>,
    queue: Arc<dyn RunQueue>,
    owner: FriendshipKey,
    _database: Option<Database>,
}

impl Fixture {
    async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("portal.db").display());
        Self::new(url, folder, None).await
    }

    async fn on_postgres() -> Self {
        let database = Database::create().await;
        Self::new(database.url(), tempfile::tempdir().unwrap(), Some(database)).await
    }

    async fn new(url: String, folder: tempfile::TempDir, database: Option<Database>) -> Self {
        let db = open(&url);
        db.migrate().await.unwrap();
        let owner = settle_in(&db).await;
        Self { url, folder, jobs: db.jobs(), queue: db.runs(), owner, _database: database }
    }

    /// Stores a job that is due once a year, and that is now.
    async fn due_job(&self, number: usize) {
        let now = self.queue.now().await.unwrap();
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap();
        let this_minute = minute.format("%-M %-H %-d %-m *").to_string();
        let spec = JobSpec {
            name: JobName::parse(&format!("job {number}")).unwrap(),
            description: None,
            message: "Hello".to_owned(),
            timing: Timing { kind: TimingKind::Cron(this_minute), tz: "UTC".to_owned() },
            session: "isolated".to_owned(),
            thinking: None,
            timeout_seconds: None,
            answer_to: AnswerTo::Nowhere,
        };
        let state = JobState { next_run: Some(minute), ..JobState::default() };
        let (id, owner) = (RandomIds.id(), self.owner.clone());
        let job = Job { id, owner, spec, enabled: true, read_only: false, created_at: now, revision: 1, state };
        let created = self.jobs.create(job, 1_000, audit(Action::JobCreate)).await.unwrap();
        assert!(matches!(created, JobCreated::New(_)));
    }

    /// Returns the runs of every job.
    async fn runs(&self) -> Vec<Vec<Run>> {
        let mut runs = Vec::new();
        for job in self.jobs.list(&self.owner).await.unwrap() {
            let listed = self.jobs.runs(&self.owner, &job.id, None, 100).await.unwrap();
            let RunsListed::Page(page) = listed else { unreachable!("{listed:?}") };
            runs.push(page);
        }
        runs
    }

    async fn ended(&self) -> usize {
        self.runs().await.iter().flatten().filter(|run| run.finished_at.is_some()).count()
    }

    /// Counts the deliveries of each run.
    fn received(&self) -> HashMap<String, usize> {
        let text = std::fs::read_to_string(deliveries(self.folder.path())).unwrap_or_default();
        let mut received = HashMap::new();
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let run = line.get("run_id").and_then(serde_json::Value::as_str).unwrap();
            *received.entry(run.to_owned()).or_default() += 1;
        }
        received
    }

    fn has(&self, file: &str) -> bool {
        self.folder.path().join(file).exists()
    }

    fn runner(&self, stalls: bool) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "runners::a_stalled_runner_overwrites_nothing_on_sqlite"]);
        command.env(DATABASE, &self.url).env(FOLDER, self.folder.path()).stdout(Stdio::null());
        if stalls {
            command.env(STALLS, "yes");
        }
        Process(command.spawn().unwrap())
    }
}

/// A process that ends with this value.
struct Process(Child);

impl Process {
    fn signal(&self, signal: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.0.id())]).status().unwrap();
        assert!(sent.success());
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _status = self.0.wait();
    }
}

fn open(url: &str) -> Db {
    Db::open(&DbSettings::new(url), tokio::runtime::Handle::current()).unwrap()
}

fn deliveries(folder: &Path) -> PathBuf {
    folder.join("deliveries.jsonl")
}

fn audit(action: Action) -> AuditEntry {
    let actor = Actor::Operator("root".to_owned());
    AuditEntry::new(DateTime::<Utc>::UNIX_EPOCH, actor, action)
}

async fn settle_in(db: &Db) -> FriendshipKey {
    let created_at = SystemClock.now();
    let (friend, agent) = (FriendId::parse("alice").unwrap(), AgentId::parse("main").unwrap());
    let person = Friend::new(friend.clone(), created_at);
    db.friends().create(person, audit(Action::FriendCreate)).await.unwrap();
    let program = Agent { id: agent.clone(), created_at };
    let token = Token::presented("fpa_test").hash();
    db.agents().create(program, token, audit(Action::AgentCreate)).await.unwrap();
    let friendship = Friendship {
        agent: agent.clone(),
        friend: friend.clone(),
        status: FriendshipStatus::Active,
        heartbeat_writable: Some(true),
        created_at,
    };
    db.friendships().set(friendship, audit(Action::FriendshipSet)).await.unwrap();
    FriendshipKey { friend, agent }
}

/// A receiver that takes its time before and after it has the message, so that a kill finds every stage.
struct SlowDelivery(LogDelivery);

#[async_trait]
impl Delivery for SlowDelivery {
    async fn deliver(
        &self,
        run: &LeasedRun,
        session: &SessionKey,
        answer: Option<&Contact>,
    ) -> Result<Receipt, BackendError> {
        sleep(Duration::from_millis(30)).await;
        let receipt = self.0.deliver(run, session, answer).await;
        sleep(Duration::from_millis(30)).await;
        receipt
    }
}

/// A receiver that does not answer before it is told to, and refuses then.
struct Stalling(PathBuf);

#[async_trait]
impl Delivery for Stalling {
    async fn deliver(&self, _: &LeasedRun, _: &SessionKey, _: Option<&Contact>) -> Result<Receipt, BackendError> {
        std::fs::write(self.0.join("begun"), "").unwrap();
        let begun = Instant::now();
        while !self.0.join("go on").exists() {
            assert!(begun.elapsed() < DEADLINE, "nobody said to go on");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Receipt::Refused("the receiver did not want it any more".to_owned()))
    }
}

/// Main function of a runner's process.
async fn run(database: &OsStr, folder: &Path, stalls: bool) {
    let db = open(database.to_str().unwrap());
    let keys = Arc::new(SessionKeys::new(db.contacts(), db.friends(), Vec::new()));
    let delivery: Arc<dyn Delivery> = if stalls {
        Arc::new(Stalling(folder.to_owned()))
    } else {
        Arc::new(SlowDelivery(LogDelivery::new(deliveries(folder))))
    };
    let settings = RunnerSettings { lease: LEASE, slots: 4, ..RunnerSettings::default() };
    let (queue, ids, zones) = (db.runs(), Arc::new(RandomIds), TimeZones::bundled());
    let runner =
        Runner::new(RunnerPorts { queue, keys, delivery, ids, zones, observer: Arc::new(NoObserver) }, settings);
    loop {
        // A database that is busy or restarts is asked again, as the portal's own loop does.
        let begun = runner.tick().await.unwrap_or_default();
        if stalls && begun > 0 {
            runner.idle().await;
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Every job is due once; runners are killed and stopped all the while.
async fn no_run_is_lost_or_doubled(fixture: Fixture) {
    let mut runners = [fixture.runner(false), fixture.runner(false), fixture.runner(false)];
    for number in 0..CROWD {
        fixture.due_job(number).await;
        if number % 20 == 19 {
            // Half of what is due: fewer may be open at any moment, so that waiting for one more could be in vain.
            until("half of the runs", async || fixture.ended().await > number / 2).await;
            // kill -9 in the middle of whatever it does; another one takes its place.
            runners[0] = fixture.runner(false);
            runners.rotate_left(1);
        }
        if number % 40 == 10 {
            // Longer than its lease. Nothing is waited for meanwhile: on SQLite it may have stopped while it writes.
            runners[2].signal("STOP");
            sleep(LEASE * 3 / 2).await;
            runners[2].signal("CONT");
        }
    }
    until("the last run", async || fixture.ended().await >= CROWD).await;
    let (runs, received) = (fixture.runs().await, fixture.received());
    assert_eq!(runs.len(), CROWD);
    for of_job in &runs {
        assert_eq!(of_job.len(), 1, "rows of one fire time");
        let run = of_job.first().unwrap();
        assert_eq!(run.status, RunStatus::Delivered, "{run:?}");
        let times = received.get(&run.id).copied().unwrap_or_default();
        assert!(times >= 1, "told as delivered, but never received: {run:?}");
        assert!(times <= usize::try_from(run.attempts).unwrap(), "{times} times: {run:?}");
    }
    assert_eq!(received.len(), CROWD, "nothing else was received");
}

/// A runner stalls in a delivery for longer than its lease; another one delivers; then the first one wakes up.
async fn a_stalled_runner_overwrites_nothing(fixture: Fixture) {
    fixture.due_job(0).await;
    let mut stalled = fixture.runner(true);
    until("the first attempt", async || fixture.has("begun")).await;
    stalled.signal("STOP");
    let _other = fixture.runner(false);
    until("the second attempt", async || fixture.ended().await == 1).await;
    let before = fixture.runs().await;
    let run = before.first().and_then(|of_job| of_job.first()).unwrap();
    assert_eq!((run.status, run.attempts), (RunStatus::Delivered, 2));
    std::fs::write(fixture.folder.path().join("go on"), "").unwrap();
    stalled.signal("CONT");
    let begun = Instant::now();
    while !stalled.has_ended() {
        assert!(begun.elapsed() < DEADLINE, "the stalled runner did not end");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(fixture.runs().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_run_is_lost_or_doubled_on_sqlite() {
    no_run_is_lost_or_doubled(Fixture::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_runner_overwrites_nothing_on_sqlite() {
    if let (Some(database), Some(folder)) = (std::env::var_os(DATABASE), std::env::var_os(FOLDER)) {
        let stalls = std::env::var_os(STALLS).is_some();
        return run(&database, Path::new(&folder), stalls).await;
    }
    a_stalled_runner_overwrites_nothing(Fixture::on_sqlite().await).await;
}

mod postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn no_run_is_lost_or_doubled_on_postgres() {
        no_run_is_lost_or_doubled(Fixture::on_postgres().await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn a_stalled_runner_overwrites_nothing_on_postgres() {
        a_stalled_runner_overwrites_nothing(Fixture::on_postgres().await).await;
    }
}
